"""Ends the websockets of those who lost their place, and all of them when the server goes down; idle ones too.

One look for all, however many are open: at each wake-up that tells of a membership or key, and every two seconds for
what another process did. Only the tenants whose journals moved are looked at closely, once for each principal.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Protocol

import structlog

from nexus_graph.api.house import House
from nexus_graph.scope.scope import Principal, Scope

log = structlog.get_logger("nexus_graph.api")

ACTIONS = frozenset({"member.changed", "key.revoked"})
LOOK_SECONDS = 2.0
_GATHER_SECONDS = 0.1  # a hundred members that change together are one look

_Who = tuple[tuple[str, str], Principal]


class Watched(Protocol):
    """An open websocket."""

    scope: Scope | None
    """Who, and where, once they are admitted."""

    def revoked(self) -> None:
        """Its principal has no place in the tenant any more."""

    def stopped(self) -> None:
        """The server goes down."""


class Vigil:
    """Looks after the open websockets of one process, for as long as there are any."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._open: set[Watched] = set()
        self._revision = 0
        self._seen: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def enter(self, socket: Watched) -> None:
        """Look after one more."""
        self._open.add(socket)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())

    def admitted(self, scope: Scope) -> None:
        """Somebody has come in: look at their tenant soon, something may have happened meanwhile."""
        self._seen.discard(scope.tenant_id)

    def leave(self, socket: Watched) -> None:
        """One is closed."""
        self._open.discard(socket)
        if not self._open and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _watch(self) -> None:
        with self._house.stores.signals.listen(None, ACTIONS) as listener:
            while True:
                await listener.wait(LOOK_SECONDS)
                if self._house.stopping.is_set():
                    for socket in [*self._open]:
                        socket.stopped()
                try:
                    await self._look()
                except Exception as error:  # the next look may succeed, and looks at everybody
                    self._seen.clear()
                    log.warning("sockets.unwatched", error=type(error).__name__)
                await asyncio.sleep(_GATHER_SECONDS)

    async def _look(self) -> None:
        self._revision, heads = await self._house.stores.moved(self._revision)
        people = defaultdict[_Who, list[Watched]](list)
        for socket in self._open:
            if socket.scope is not None:
                people[socket.scope.key, socket.scope.principal].append(socket)
        tenants = {tenant_id for (tenant_id, _), _ in people}
        moved = {tenant_id for (tenant_id, _), _ in heads} | tenants - self._seen
        self._seen = tenants
        for ((tenant_id, _), _), sockets in people.items():
            scope = sockets[0].scope
            if tenant_id in moved and scope and await self._house.admission.role_of_now(scope) is None:
                for socket in sockets:
                    socket.revoked()
