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


class SharedReads:
    """Reads under way, and those that will begin when they end, by what they ask."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[Any]] = {}
        self._next: dict[Hashable, asyncio.Task[Any]] = {}

    async def once(self, question: Hashable, read: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer of `read`, or of an equal question's read that begins after this call. Errors are shared too."""
        turn = self._next.get(question)
        if turn is None:
            turn = self._next[question] = asyncio.create_task(self._take_turn(question, read))
            turn.add_done_callback(lambda done: done.cancelled() or done.exception())  # all who asked may be gone
        answer: Answer = await asyncio.shield(turn)
        return answer

    async def _take_turn(self, question: Hashable, read: Callable[[], Awaitable[Answer]]) -> Answer:
        if before := self._running.get(question):
            await asyncio.wait([before])
        mine = self._running[question] = self._next.pop(question)
        try:
            return await read()
        finally:
            if self._running.get(question) is mine:
                del self._running[question]
