"""Keep: append to a session, or put a snapshot in the place of all that it remembered.

Each writing says anew how long the whole session lives: it expires as its newest entry does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import reduce
from operator import and_

from nexus_graph import safeguards
from nexus_graph.safeguards import Deed, Resource, quotas
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import Conflict, NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.sessions import model, table
from nexus_graph.sessions.forgetting import forget, own
from nexus_graph.sessions.model import MOST_ENTRIES, MOST_SESSIONS, EntryKind, Examined, NewEntry, Session
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Stores, Work

_ACTIONS = {EntryKind.TURN: "appendSession", EntryKind.SNAPSHOT: "putSessionSnapshot"}
_EVENTS = {EntryKind.TURN: "session.appended", EntryKind.SNAPSHOT: "session.snapshot_put"}


async def append(
    stores: Stores,
    scope: Scope,
    session_id: str,
    entries: Sequence[NewEntry],
    *,
    seconds: int | None = None,
    once: Once | None = None,
) -> Session:
    """Add turns to one's own session; makes it where there is none any more. It lives `seconds` from now.

    Raises Invalid, QuotaExceeded, Conflict for too many sessions or entries, NotFound when a repetition comes after the
    end of the session.
    """
    return await _keep(stores, scope, session_id, EntryKind.TURN, entries, seconds, once)


async def put_snapshot(
    stores: Stores,
    scope: Scope,
    session_id: str,
    snapshot: NewEntry,
    *,
    seconds: int | None = None,
    once: Once | None = None,
) -> Session:
    """Let one entry stand for all that the session remembered, which is deleted. Raises as `append` does."""
    return await _keep(stores, scope, session_id, EntryKind.SNAPSHOT, [snapshot], seconds, once)


async def _keep(
    stores: Stores,
    scope: Scope,
    session_id: str,
    kind: EntryKind,
    entries: Sequence[NewEntry],
    seconds: int | None,
    once: Once | None,
) -> Session:
    scope.require(Permission.SESSIONS_USE)
    mine = own(scope, model.session_id(session_id))
    examined = await asyncio.to_thread(model.examine, entries)
    async with stores.work(scope, RunKind.SESSION, once=once) as work:
        now = micros(work.now)
        if await work.earlier_answer() is not None:
            if (row := await work.row(table.FIND, **mine, now=now)) is None:
                raise NotFound("session")
            return table.session(row)
        expires_at = micros(model.expiry(work.now, seconds, work.limits))
        replaced = await _make_room(work, mine, kind)
        size = sum(each.size for each in examined)
        takes = {Resource.STORED_BYTES: size}
        declared = Handling(_union(examined), any(each.handling.train_ok for each in examined))
        deed = Deed(_ACTIONS[kind], Permission.SESSIONS_USE, takes, handling=declared)
        allowed = Handling((), (await safeguards.enforce(work, deed)).train_ok)
        await quotas.settle(work, takes)
        [row] = await work.write(table.ADVANCE, **mine, count=len(examined), size=size, now=now, expires_at=expires_at)
        if row["entries"] > MOST_ENTRIES:
            raise Conflict(
                f"The session would have {row['entries']} entries; it may have {MOST_ENTRIES}.",
                hint="Put a snapshot in their place.",
            )
        kept = [each.handling & allowed for each in examined]
        await _add(work, mine, kind, examined, kept, row)
        told = {"input": {"entries": len(examined), "bytes": size}, "output": {"replaced": replaced}}
        work.record(Event(_EVENTS[kind], "session", scope.principal.id, redact(told), reduce(and_, kept)))
        await work.keep_answer({"lastOrdinal": row["last_ordinal"]})
    return table.session(row)


async def _make_room(work: Work, mine: dict[str, str], kind: EntryKind) -> int:
    """Delete what expired under this name, or what a snapshot replaces. Returns how many entries went."""
    before = await work.row(table.FIND_ANY, **mine)
    if before is not None and before["expires_at"] <= micros(work.now):
        await forget(work, [before])
    elif before is not None and kind is EntryKind.SNAPSHOT:
        await work.write(table.FORGET_ENTRIES, **mine)
        await work.write(table.CLEAR, **mine)
        await quotas.give_back(work, {Resource.STORED_BYTES: before["size"]})
    elif before is not None:
        return 0
    if before is None or before["expires_at"] <= micros(work.now):
        of_principal = {name: value for name, value in mine.items() if name != "session_id"}
        if await work.value(table.COUNT, **of_principal, now=micros(work.now)) >= MOST_SESSIONS:
            raise Conflict(f"There are {MOST_SESSIONS} sessions of yours already.", hint="Erase one.")
    return 0 if before is None else int(before["entries"])


def _union(examined: Sequence[Examined]) -> tuple[str, ...]:
    return tuple(flag for each in examined for flag in each.handling.pii_flags)


async def _add(
    work: Work,
    mine: dict[str, str],
    kind: EntryKind,
    examined: Sequence[Examined],
    kept: Sequence[Handling],
    row: Row,
) -> None:
    first = row["last_ordinal"] - len(examined) + 1
    await work.write_many(
        table.ADD_ENTRY,
        [
            {
                **mine,
                "ordinal": first + place,
                "kind": kind.value,
                "content": each.content,
                "pii_flags": table.flags(handling),
                "train_ok": handling.train_ok,
                "now": micros(work.now),
            }
            for place, (each, handling) in enumerate(zip(examined, kept, strict=True))
        ],
    )
