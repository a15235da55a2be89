"""Many small deeds in one: while one round is under way, those who come wait for the next, which is for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from nexus_graph.scope.errors import NexusError

Wish = TypeVar("Wish")

MOST_TOGETHER: Final = 256


class Rounds(Generic[Wish]):
    """Does what is wished for, several at a time. `deed` says of each, in order, what it was refused with, or None."""

    def __init__(self, deed: Callable[[Sequence[Wish]], Awaitable[Sequence[NexusError | None]]]) -> None:
        self._deed = deed
        self._waiting: list[tuple[Wish, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    def join(self, wish: Wish) -> asyncio.Future[None]:
        """Done when a wish has come true. It fails with what that was refused with, or with what its round did."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((wish, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        return done

    async def wait(self, wish: Wish) -> None:
        """Wait until a wish has come true."""
        await self.join(wish)

    async def _drain(self) -> None:
        while self._waiting:
            together, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
            outcomes: Sequence[BaseException | None]
            try:
                outcomes = await self._deed([wish for wish, _ in together])
            except Exception as error:
                outcomes = [error] * len(together)
            for (_, done), outcome in zip(together, outcomes, strict=True):
                if not done.done():
                    done.set_exception(outcome) if outcome is not None else done.set_result(None)
