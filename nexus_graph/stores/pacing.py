"""Whose turn it is to open a stream or to read on: one at a time, the tenant first that had least, then its actor.

What streams replay is work that nobody waits for as they wait for an answer. It is cut into slices of a millisecond or
two, between which everybody else has a turn; while somebody does wait for an answer, nothing is replayed for several
times as long as the last slice took. Who had nothing for a while has no claim to what was not used.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from nexus_graph.scope.scope import Principal, Scope

SLICE_SECONDS: Final = 0.001
"""How long a turn shall last that can be cut short."""
REST: Final = 4
"""Times the last turn that is left to those who wait for an answer."""
LONGEST_REST: Final = 0.05

_Turn = asyncio.Future[None]


class Pacing:
    """The turns of one process."""

    def __init__(self) -> None:
        self._asked = 0
        self._taken = False
        self._tenants = defaultdict[str, float](float)
        self._actors = defaultdict[tuple[str, Principal], float](float)
        self._waiting = defaultdict[str, defaultdict[Principal, deque[_Turn]]](lambda: defaultdict(deque))

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Somebody waits for an answer."""
        self._asked += 1
        try:
            yield
        finally:
            self._asked -= 1

    @asynccontextmanager
    async def turn(self, scope: Scope) -> AsyncIterator[None]:
        """One's own turn, for something short; the time is the tenant's and the actor's."""
        tenant_id, actor = scope.tenant_id, scope.principal
        await self._wait(tenant_id, actor)
        now = asyncio.get_running_loop().time
        began = now()
        try:
            yield
        finally:
            self._end(tenant_id, actor, now() - began)

    async def _wait(self, tenant_id: str, actor: Principal) -> None:
        if not self._taken:
            self._taken = True
            return
        if tenant_id not in self._waiting:
            self._tenants[tenant_id] = max(self._tenants[tenant_id], self._least(self._tenants, self._waiting))
        mine: _Turn = asyncio.get_running_loop().create_future()
        self._waiting[tenant_id][actor].append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # it was ours already
                self._end(tenant_id, actor, 0)
            raise

    def _end(self, tenant_id: str, actor: Principal, seconds: float) -> None:
        if not self._waiting:
            self._tenants.clear()
            self._actors.clear()
        self._tenants[tenant_id] += seconds
        self._actors[tenant_id, actor] += seconds
        loop = asyncio.get_running_loop()
        if self._asked:
            loop.call_later(min(seconds * REST, LONGEST_REST), self._next)
        else:
            loop.call_soon(self._next)

    def _next(self) -> None:
        while self._waiting:
            tenant_id = min(self._waiting, key=lambda each: self._tenants[each])
            actors = self._waiting[tenant_id]
            actor = min(actors, key=lambda each: self._actors[tenant_id, each])
            turn = actors[actor].popleft()
            if not actors[actor]:
                del actors[actor]
            if not actors:
                del self._waiting[tenant_id]
            if not turn.done():
                turn.set_result(None)
                return
        self._taken = False

    @staticmethod
    def _least(spent: dict[str, float], among: dict[str, defaultdict[Principal, deque[_Turn]]]) -> float:
        return min((spent[each] for each in among), default=0.0)
