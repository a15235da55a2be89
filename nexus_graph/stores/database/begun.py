"""Transactions that are begun ahead, for the tenants and envs that read last.

A transaction has to know whose it is before the first row is looked at, which takes a message of its own. Who has just
read will often read again: so the message that ends a read begins the next one of the same tenant and env, when nobody
waits for it. What that one sees is settled by its first statement and not by its beginning.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from nexus_graph.stores.database.base import ScopeKey

Held = TypeVar("Held")

SECONDS: Final = 1.0
"""How long one is kept that nobody asks for: a server and a pooler in front of it count it as busy."""


class Begun(Generic[Held]):
    """At most so many of them, by tenant and env; `end` is called with one that is not kept any longer."""

    def __init__(self, most: int, end: Callable[[Held], None]) -> None:
        self._most = most
        self._end = end
        self._kept: OrderedDict[ScopeKey, list[tuple[Held, asyncio.TimerHandle]]] = OrderedDict()
        self._count = 0

    def take(self, key: ScopeKey) -> Held | None:
        """One of this tenant and env, for whoever reads now; None where there is none."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        held, timer = kept.pop()
        timer.cancel()
        self._count -= 1
        if not kept:
            del self._kept[key]
        return held

    def keep(self, key: ScopeKey, held: Held) -> None:
        """Keep one for a while, in the place of the one that was asked for longest ago if there are too many."""
        timer = asyncio.get_running_loop().call_later(SECONDS, self._late, key, held)
        self._kept.setdefault(key, []).append((held, timer))
        self._kept.move_to_end(key)
        self._count += 1
        if self._count > self._most:
            self.let_go()

    def let_go(self) -> bool:
        """End the one that was asked for longest ago; False when there is none."""
        key = next(iter(self._kept), None)
        held = None if key is None else self.take(key)
        if held is None:
            return False
        self._end(held)
        return True

    def close(self) -> None:
        """End all of them."""
        while self.let_go():
            pass

    def _late(self, key: ScopeKey, held: Held) -> None:
        kept = self._kept[key]
        kept[:] = [each for each in kept if each[0] is not held]
        self._count -= 1
        if not kept:
            del self._kept[key]
        self._end(held)
