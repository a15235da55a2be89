"""Rulesets: which one the flags of a scope's rows were made with, and how far the way to the next one has come.

A scope is born with the ruleset of the version that keeps its first entry; from then on `safeguards.rulesets` moves it.
"""

from __future__ import annotations

from nexus_graph.stores.statement import Statement
from nexus_graph.stores.tables import ScopedRow


class RulesetRow(ScopedRow, table=True):
    """The ruleset of a scope's flags; null where they are older than this table.

    `target` is the ruleset of an evaluation under way, `kind` the room that it has come to and `after` the key of the
    last record that it looked at there, as a JSON list.
    """

    __tablename__ = "rulesets"
    ruleset: str | None
    target: str | None
    kind: str | None
    after: str | None


FIND = Statement("select ruleset, target, kind, after from rulesets where tenant_id = :tenant_id and env = :env")
STANDINGS = (
    "select head.tenant_id, head.env, standing.ruleset, standing.target from journal_heads head left join rulesets "
    "standing on standing.tenant_id = head.tenant_id and standing.env = head.env order by head.tenant_id, head.env"
)
BEGIN = Statement(
    "insert into rulesets (tenant_id, env, ruleset) values (:tenant_id, :env, :ruleset) "
    "on conflict (tenant_id, env) do nothing"
)
PUT = Statement(
    "insert into rulesets (tenant_id, env, ruleset, target, kind, after) "
    "values (:tenant_id, :env, :ruleset, :target, :kind, :after) on conflict (tenant_id, env) do update "
    "set ruleset = :ruleset, target = :target, kind = :kind, after = :after"
)
