"""The cards' part in a new ruleset: what it finds in the text of each version."""

from __future__ import annotations

from nexus_graph.safeguards.rulesets import step_by_rows
from nexus_graph.scope.redaction import pii_flags
from nexus_graph.stores.statement import Statement

_LOOK = Statement(
    "select card_id, version, digest, text, pii_flags from card_versions "
    "where tenant_id = :tenant_id and env = :env and (card_id, version) > (:card_id, :version) "
    "order by card_id, version limit :most"
)
_CHANGE = Statement(
    "update card_versions set pii_flags = :flags where tenant_id = :tenant_id and env = :env "
    "and card_id = :card_id and version = :version and digest = :digest and pii_flags = :was returning version"
)

CARDS = step_by_rows(
    "cards",
    _LOOK,
    _CHANGE,
    first={"card_id": "", "version": 0},
    also=("digest",),
    evaluate=lambda row: pii_flags(row["text"]),
)
