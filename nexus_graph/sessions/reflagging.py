"""Session memory's part in a new ruleset: what it finds in the entries."""

from __future__ import annotations

from nexus_graph.safeguards.rulesets import step_by_rows
from nexus_graph.sessions.model import flags
from nexus_graph.stores.statement import Statement

_LOOK = Statement(
    "select actor_kind, actor_id, session_id, ordinal, content, pii_flags from session_entries "
    "where tenant_id = :tenant_id and env = :env "
    "and (actor_kind, actor_id, session_id, ordinal) > (:actor_kind, :actor_id, :session_id, :ordinal) "
    "order by actor_kind, actor_id, session_id, ordinal limit :most"
)
_CHANGE = Statement(
    "update session_entries set pii_flags = :flags where tenant_id = :tenant_id and env = :env "
    "and actor_kind = :actor_kind and actor_id = :actor_id and session_id = :session_id and ordinal = :ordinal "
    "and pii_flags = :was returning ordinal"
)

SESSIONS = step_by_rows(
    "sessions",
    _LOOK,
    _CHANGE,
    first={"actor_kind": "", "actor_id": "", "session_id": "", "ordinal": 0},
    evaluate=lambda row: flags(row["content"]),
    named=True,
)
