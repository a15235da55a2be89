"""Read locks: by id, as a list, those that concern a settings screen, and what happened to one.

A lock may hold a card's text, so serving locks is journalled like serving cards: one event for each call.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from operator import and_

from nexus_graph.safeguards.locks import table
from nexus_graph.safeguards.locks.model import Lock, LockFilter
from nexus_graph.safeguards.locks.telling import ACTIONS
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Invalid, NotFound
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.follower import Entry, entry
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.paging import Page, Window, page
from nexus_graph.stores.work import Stores

MOST_AT_ONCE = 1000
LONGEST_TARGET = 1000
_MOST_TOLD = 100
_ORDER = ("proposed_at", "lock_id")


async def fetch(stores: Stores, scope: Scope, ids: Sequence[str]) -> dict[str, Lock]:
    """These locks, at most 1,000, by id, as they stand now. What is unknown or foreign is not in it."""
    scope.require(Permission.LOCKS_READ)
    wanted = [*dict.fromkeys(ids)][:MOST_AT_ONCE]
    async with stores.read(scope) as read:
        rows = await read.rows(table.FIND_MANY, ids=wanted)
        locks = {row["lock_id"]: table.lock(row, read.now) for row in rows}
    await _record(stores, scope, [*locks.values()])
    return locks


async def list_locks(stores: Stores, scope: Scope, chosen: LockFilter, window: Window) -> Page[Lock]:
    """Locks, latest proposed first. Raises Invalid for an over-long target."""
    scope.require(Permission.LOCKS_READ)
    if len(chosen.target or "") > LONGEST_TARGET:
        raise Invalid(f"A target has at most {LONGEST_TARGET} characters.", path=("target",))
    async with stores.read(scope) as read:
        now = read.now
        sql, values = table.conditions(chosen, now)
        locks = await page(
            read, table.LOCKS + sql, _ORDER, window, partial(table.lock, now=now), descending=True, **values
        )
    await _record(stores, scope, locks.items)
    return locks


async def concerning(
    stores: Stores, scope: Scope, targets: Sequence[str], screen: str, card_types: Sequence[str]
) -> tuple[Lock, ...]:
    """Open locks, latest first, at most 100: on these targets, for this settings screen, or for these card types."""
    scope.require(Permission.LOCKS_READ)
    async with stores.read(scope) as read:
        now = read.now
        sql, values = table.concerning(targets, screen, card_types, now)
        found = await page(
            read, table.LOCKS + sql, _ORDER, Window(_MOST_TOLD), partial(table.lock, now=now), descending=True, **values
        )
    await _record(stores, scope, found.items)
    return found.items


async def history(stores: Stores, scope: Scope, lock_id: str, window: Window) -> Page[Entry]:
    """What happened to a lock, from the journal, oldest first. Raises NotFound."""
    scope.require(Permission.LOCKS_READ)
    async with stores.read(scope) as read:
        if await read.row(table.FIND, lock_id=lock_id) is None:
            raise NotFound("lock")
        return await page(
            read, table.EVENTS, ("seq",), window, entry, descending=False, actions=ACTIONS, lock_id=lock_id
        )


async def _record(stores: Stores, scope: Scope, locks: Sequence[Lock]) -> None:
    if not locks:
        return
    told: Json = {"input": {"ids": [lock.lock_id for lock in locks[:_MOST_TOLD]], "count": len(locks)}}
    handling = reduce(and_, (lock.handling for lock in locks))
    event = Event("locks.read", "lock", locks[0].lock_id, redact(told), handling)
    await stores.record(scope, RunKind.READ, event)
