"""Opt-outs: who withholds consent in one tenant and env. A row is an opt-out; without one there is none."""

from __future__ import annotations

from nexus_graph.stores.statement import Statement

FIND = Statement(
    "select * from opt_outs where tenant_id = :tenant_id and env = :env and kind = :kind "
    "and subject_id = :subject_id and subject_kind = :subject_kind"
)
UNSETTLED = (
    "select head.tenant_id, head.env from journal_heads head where :opted_out <> (select count(*) from opt_outs known "
    "where known.tenant_id = head.tenant_id and known.env = head.env and known.kind = 'INSTALLATION') "
    "order by head.tenant_id, head.env"
)
ADD = Statement(
    "insert into opt_outs (tenant_id, env, kind, subject_id, subject_kind, changed_by, changed_at) "
    "values (:tenant_id, :env, :kind, :subject_id, :subject_kind, :changed_by, :changed_at)"
)
REMOVE = Statement(
    "delete from opt_outs where tenant_id = :tenant_id and env = :env and kind = :kind "
    "and subject_id = :subject_id and subject_kind = :subject_kind"
)

_OPT_OUT = "select 1 from opt_outs opt_out where opt_out.tenant_id = :tenant_id and opt_out.env = :env"

TENANT_ALLOWS = f"not exists ({_OPT_OUT} and opt_out.kind = 'TENANT')"
"""SQL: whether the tenant allows training."""


def user_allows(author: str) -> str:
    """SQL: whether the author that a column names allows training. Rows name authors by id alone."""
    return f"not exists ({_OPT_OUT} and opt_out.kind = 'USER' and opt_out.subject_id = {author})"


def allowed(author: str) -> str:
    """SQL: whether installation, tenant and author allow training. Takes `:installation`."""
    return f":installation and {TENANT_ALLOWS} and {user_allows(author)}"


ALLOWS = Statement(f"select {TENANT_ALLOWS} as tenant, {user_allows(':subject_id')} as own")
