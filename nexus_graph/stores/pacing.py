"""Whose turn it is to open a stream or to read on: one at a time, the tenant first that had least, then its actor.

What streams replay is work that nobody waits for as they wait for an answer. It is cut into slices of a millisecond or
two, between which everybody else has a turn; while somebody does wait for an answer, nothing is replayed for several
times as long as the last slice took. Who had nothing for a while has no claim to what was not used.

A few streams of one actor open in one turn: what each of them asks of the database at the same time is asked once.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, NamedTuple

from nexus_graph.scope.scope import Principal, Scope

SLICE_SECONDS: Final = 0.001
"""How long a turn shall last that can be cut short."""
REST: Final = 4
"""Times the last turn that is left to those who wait for an answer."""
LONGEST_REST: Final = 0.05
MOST_OPENED: Final = 8
"""Streams that open in one turn: as many milliseconds that others may have to wait."""


class _Turn:
    """A turn of one actor, for one thing or for a few openings: over when all of them are."""

    __slots__ = ("actor", "began", "left", "tenant_id")

    def __init__(self, tenant_id: str, actor: Principal, began: float) -> None:
        self.tenant_id, self.actor, self.began, self.left = tenant_id, actor, began, 1


class _Waiting(NamedTuple):
    """Somebody in the line of an actor; who `opens` a stream shares the turn with those right behind who do, too."""

    come: asyncio.Future[_Turn]
    opens: bool


class Pacing:
    """The turns of one process."""

    def __init__(self) -> None:
        self._asked = 0
        self._taken = False
        self._tenants = defaultdict[str, float](float)
        self._actors = defaultdict[tuple[str, Principal], float](float)
        self._waiting = defaultdict[str, defaultdict[Principal, deque[_Waiting]]](lambda: defaultdict(deque))

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
        mine = await self._wait(scope, opens=False)
        try:
            yield
        finally:
            self._end(mine)

    def opening(self, scope: Scope) -> Opening:
        """A stream that is about to open."""
        return Opening(self, scope)

    async def _wait(self, scope: Scope, *, opens: bool) -> _Turn:
        loop, tenant_id, actor = asyncio.get_running_loop(), scope.tenant_id, scope.principal
        if not self._taken:
            self._taken = True
            return _Turn(tenant_id, actor, loop.time())
        if tenant_id not in self._waiting:
            self._tenants[tenant_id] = max(self._tenants[tenant_id], self._least(self._tenants, self._waiting))
        mine: asyncio.Future[_Turn] = loop.create_future()
        self._waiting[tenant_id][actor].append(_Waiting(mine, opens))
        try:
            return await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # it was ours already
                self._end(mine.result())
            raise

    def _end(self, turn: _Turn) -> None:
        turn.left -= 1
        if turn.left:
            return
        if not self._waiting:
            self._tenants.clear()
            self._actors.clear()
        loop = asyncio.get_running_loop()
        seconds = loop.time() - turn.began
        self._tenants[turn.tenant_id] += seconds
        self._actors[turn.tenant_id, turn.actor] += seconds
        if self._asked:
            loop.call_later(min(seconds * REST, LONGEST_REST), self._next)
        else:
            loop.call_soon(self._next)

    def _next(self) -> None:
        while self._waiting:
            tenant_id = min(self._waiting, key=lambda each: self._tenants[each])
            actors = self._waiting[tenant_id]
            actor = min(actors, key=lambda each: self._actors[tenant_id, each])
            line = actors[actor]
            together = [line.popleft()]
            while together[0].opens and line and line[0].opens and len(together) < MOST_OPENED:
                together.append(line.popleft())
            if not line:
                del actors[actor]
            if not actors:
                del self._waiting[tenant_id]
            present = [each.come for each in together if not each.come.done()]
            if present:
                turn = _Turn(tenant_id, actor, asyncio.get_running_loop().time())
                turn.left = len(present)
                for come in present:
                    come.set_result(turn)
                return
        self._taken = False

    @staticmethod
    def _least(spent: dict[str, float], among: Collection[str]) -> float:
        return min((spent[each] for each in among), default=0.0)


class Opening:
    """The turn of one stream that opens. Whoever lets it begin has it end, however it goes."""

    __slots__ = ("_pacing", "_scope", "_turn")

    def __init__(self, pacing: Pacing, scope: Scope) -> None:
        self._pacing, self._scope = pacing, scope
        self._turn: _Turn | None = None

    async def begin(self) -> None:
        """Wait for a turn, unless this is in the midst of it."""
        if self._turn is None:
            self._turn = await self._pacing._wait(self._scope, opens=True)

    def end(self) -> None:
        """It is open, or it came to nothing. Said again, it means nothing."""
        turn, self._turn = self._turn, None
        if turn is not None:
            self._pacing._end(turn)
