"""Rulesets: which one the flags of a scope's rows were made with, and how far the way to the next one has come.

A scope is born with the ruleset of the version that keeps its first entry; from then on `safeguards.rulesets` moves it.
"""

from __future__ import annotations

from nexus_graph.stores.statement import Statement

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
