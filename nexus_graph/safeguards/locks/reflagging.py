"""The locks' part in a new ruleset: what it finds in the document and the reason of each."""

from __future__ import annotations

from nexus_graph.safeguards.rulesets import step_by_rows
from nexus_graph.scope.redaction import pii_flags
from nexus_graph.stores.statement import Statement

_LOOK = Statement(
    "select lock_id, revision, document, reason, pii_flags from strategy_locks "
    "where tenant_id = :tenant_id and env = :env and lock_id > :lock_id order by lock_id limit :most"
)
_CHANGE = Statement(
    "update strategy_locks set pii_flags = :flags where tenant_id = :tenant_id and env = :env and lock_id = :lock_id "
    "and revision = :revision and reason = :reason and pii_flags = :was returning lock_id"
)

LOCKS = step_by_rows(
    "locks",
    _LOOK,
    _CHANGE,
    first={"lock_id": ""},
    also=("revision", "reason"),
    evaluate=lambda row: pii_flags([row["document"], row["reason"]]),
)
