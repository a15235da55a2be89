"""Short ways to write to session memory and to look at all of it."""

from __future__ import annotations

from typing import Any

from nexus_graph import sessions
from nexus_graph.safeguards import Resource, quotas
from nexus_graph.scope.scope import Scope
from nexus_graph.sessions import NewEntry, Session
from nexus_graph.stores.paging import Window
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Stores

_EVENTS = Statement("select * from journal_events where tenant_id = :tenant_id and env = :env order by seq")


async def said(stores: Stores, scope: Scope, session_id: str, *texts: str, **more: Any) -> Session:
    """Append turns that one may train on."""
    return await sessions.append(stores, scope, session_id, [NewEntry(text, True) for text in texts], **more)


async def contents(stores: Stores, scope: Scope, session_id: str) -> list[str]:
    """What a session remembers."""
    found = await sessions.entries(stores, scope, session_id, Window(100))
    return [entry.content for entry in found.items]


async def names(stores: Stores, scope: Scope) -> list[str]:
    """The sessions of a scope's principal."""
    return [session.session_id for session in (await sessions.list_sessions(stores, scope, Window(100))).items]


async def stored(stores: Stores, scope: Scope) -> int:
    """How many bytes the books say are used."""
    async with stores.read(scope) as read:
        return (await quotas.usages(read, [Resource.STORED_BYTES]))[Resource.STORED_BYTES].held.used


async def events(stores: Stores, scope: Scope) -> list[dict[str, Any]]:
    """The scope's journal, as rows."""
    async with stores.read(scope) as read:
        return [dict(row) for row in await read.rows(_EVENTS)]
