"""Forget: erase a session of one's own, and what the sweep and the erasure of a subject do with many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nexus_graph import safeguards
from nexus_graph.safeguards import Deed, Resource, quotas
from nexus_graph.safeguards.quotas import Held
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.sessions import model, table
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Read, Stores, Work

NOTHING_KEPT = Handling((), train_ok=False)


def own(scope: Scope, session_id: str) -> dict[str, str]:
    """The key of a session of the scope's own principal. There is no other way to name one."""
    actor = scope.principal
    return {"actor_kind": actor.kind.value, "actor_id": actor.id, "session_id": session_id}


async def erase(stores: Stores, scope: Scope, session_id: str, *, once: Once | None = None) -> int:
    """Erase a session of one's own. Returns how many entries went. Raises NotFound."""
    scope.require(Permission.SESSIONS_USE)
    mine = own(scope, model.session_id(session_id))
    async with stores.work(scope, RunKind.SESSION, once=once) as work:
        if isinstance(answer := await work.earlier_answer(), dict):
            return int(str(answer["entries"]))
        row = await work.row(table.FIND, **mine, now=micros(work.now))
        if row is None:
            raise NotFound("session", path=("input", "sessionId"))
        await safeguards.enforce(work, Deed("eraseSession", Permission.SESSIONS_USE))
        entries = await forget(work, [row])
        told = redact({"output": {"entries": entries, "bytes": row["size"]}})
        work.record(Event("session.erased", "session", scope.principal.id, told, NOTHING_KEPT))
        await work.keep_answer({"entries": entries})
    return entries


async def forget(work: Work, rows: Sequence[Row]) -> int:
    """Delete sessions with all their entries, inside the work of whoever records it, and give their room back.

    Returns how many entries went.
    """
    keys = [{name: row[name] for name in ("actor_kind", "actor_id", "session_id")} for row in rows]
    await work.write_many(table.FORGET_ENTRIES, keys)
    await work.write_many(table.FORGET, keys)
    await quotas.give_back(work, {Resource.STORED_BYTES: sum(row["size"] for row in rows)})
    return sum(row["entries"] for row in rows)


async def forget_all(work: Work, subject: str | None = None) -> tuple[int, int]:
    """Delete every session of a subject, or of everybody: for an erasure, which records it. Sessions and entries."""
    rows = await work.rows(table.ALL) if subject is None else await work.rows(table.OF_SUBJECT, actor_id=subject)
    return len(rows), await forget(work, rows) if rows else 0


async def held(read: Read) -> Mapping[Resource, Held]:
    """What the rows of session memory add up to."""
    return {Resource.STORED_BYTES: Held(int(await read.value(table.HELD)))}
