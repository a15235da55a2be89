"""Session memory's part in a new ruleset: what it finds in the entries."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from nexus_graph.safeguards.rulesets import Kept, Step
from nexus_graph.sessions.model import flags
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.work import Read

_KEY = ("actor_kind", "actor_id", "session_id", "ordinal")
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


async def look(read: Read, after: tuple[Value, ...], most: int) -> Sequence[Kept]:
    """The entries after this one."""
    rows = await read.rows(_LOOK, **dict(zip(_KEY, after, strict=True)), most=most)
    return [
        Kept(
            tuple(row[name] for name in _KEY),
            row["pii_flags"],
            {name: row[name] for name in _KEY},
            partial(flags, row["content"]),
        )
        for row in rows
    ]


SESSIONS = Step("sessions", ("", "", "", 0), look, _CHANGE, named=True)
