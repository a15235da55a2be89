"""Many who ask the same at the same time are answered by one read.

A hundred subscribers of one run wake at the same moment and want the same page. An answer is only shared with those
who asked before its read began: whoever comes while it is under way waits for the next one, so nobody is told less than
what was true when they asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class _Read:
    """A read of its own task, and those who wait for its answer: each may leave without taking it from the others."""

    __slots__ = ("task", "waiting")

    def __init__(self) -> None:
        self.task: asyncio.Task[None]
        self.waiting: list[asyncio.Future[Any]] = []

    def tell(self, answer: Any, error: BaseException | None) -> None:
        for each in self.waiting:
            if each.done():
                continue
            if isinstance(error, Exception):
                each.set_exception(error)
                each.exception()  # whoever asked may be gone
            elif error is not None:
                each.cancel()
            else:
                each.set_result(answer)


class SharedReads:
    """Reads under way, and those that will begin when they end, by what they ask."""

    def __init__(self) -> None:
        self._running: dict[Hashable, _Read] = {}
        self._next: dict[Hashable, _Read] = {}

    async def once(self, question: Hashable, read: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer of `read`, or of an equal question's read that begins after this call. Errors are shared too."""
        turn = self._next.get(question)
        if turn is None:
            turn = self._next[question] = _Read()
            turn.task = asyncio.create_task(self._take_turn(question, turn, read))
        mine: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        turn.waiting.append(mine)
        return await mine

    async def _take_turn(self, question: Hashable, mine: _Read, read: Callable[[], Awaitable[Answer]]) -> None:
        answer, failure = None, None
        try:
            if before := self._running.get(question):
                await asyncio.wait([before.task])
            self._running[question] = self._next.pop(question)
            answer = await read()
        except BaseException as error:
            failure = error
            if not isinstance(error, Exception):
                raise
        finally:
            for reads in (self._running, self._next):
                if reads.get(question) is mine:
                    del reads[question]
            mine.tell(answer, failure)
