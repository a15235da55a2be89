"""Read: one's own sessions, while they live. Nobody else's, whatever the role: there is no argument to name them."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import and_

from nexus_graph.safeguards import consent
from nexus_graph.scope.clock import micros
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.sessions import table
from nexus_graph.sessions.forgetting import NOTHING_KEPT, own
from nexus_graph.sessions.model import Entry, Session
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.paging import Page, Window, page
from nexus_graph.stores.work import Stores

_CONSENTING = Handling((), train_ok=True)


async def fetch(stores: Stores, scope: Scope, session_id: str) -> Session | None:
    """A session of one's own, without what it remembers; None for one that is unknown, expired or somebody else's."""
    scope.require(Permission.SESSIONS_USE)
    async with stores.read(scope) as read:
        row = await read.row(table.FIND, **own(scope, session_id), now=micros(read.now))
    return None if row is None else table.session(row)


async def list_sessions(stores: Stores, scope: Scope, window: Window) -> Page[Session]:
    """One's own sessions, last written first. Journalled: their number."""
    scope.require(Permission.SESSIONS_USE)
    actor = scope.principal
    async with stores.read(scope) as read:
        found = await page(
            read,
            table.LIVING,
            ("changed_at", "session_id"),
            window,
            table.session,
            actor_kind=actor.kind.value,
            actor_id=actor.id,
            now=micros(read.now),
        )
    await _tell(stores, scope, "session.listed", len(found.items), NOTHING_KEPT)
    return found


async def entries(stores: Stores, scope: Scope, session_id: str, window: Window) -> Page[Entry]:
    """What a session of one's own remembers, oldest first; nothing once it is gone. Journalled: how many.

    `train_ok` is what each entry was kept with, as restrictive as the opt-outs of this moment.
    """
    scope.require(Permission.SESSIONS_USE)
    async with stores.read(scope) as read:
        allowed = await consent.effective(read, _CONSENTING)
        found = await page(
            read,
            table.ENTRIES,
            ("entry.ordinal",),
            window,
            table.entry,
            descending=False,
            **own(scope, session_id),
            now=micros(read.now),
        )
    items = tuple(replace(entry, handling=entry.handling & allowed) for entry in found.items)
    handling = reduce(and_, (entry.handling for entry in items), _CONSENTING) if items else NOTHING_KEPT
    await _tell(stores, scope, "session.read", len(items), handling)
    return replace(found, items=items)


async def _tell(stores: Stores, scope: Scope, action: str, count: int, handling: Handling) -> None:
    event = Event(action, "session", scope.principal.id, redact({"output": {"count": count}}), handling)
    await stores.record(scope, RunKind.READ, event)
