"""Wake-ups inside one process."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from nexus_graph.stores.signals.base import ScopeKey


class _Listener:
    def __init__(self, actions: Collection[str] | None) -> None:
        self._actions = actions
        self._event = asyncio.Event()

    def wake(self, actions: Collection[str] | None = None) -> None:
        if self._actions is None or actions is None or any(action in self._actions for action in actions):
            self._event.set()

    async def wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):  # `wait_for` would lose a cancellation that comes with a wake-up
                await self._event.wait()
        except TimeoutError:
            return
        finally:
            self._event.clear()


class LocalSignals:
    """Signals for a single process; other processes on the same files are seen by the slow poll."""

    def __init__(self) -> None:
        self._listeners: dict[ScopeKey | None, set[_Listener]] = {}

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""

    async def ready(self) -> None:
        """There is nobody else to hear of."""

    def wake(self, key: ScopeKey | None, actions: Collection[str] | None = None) -> None:
        """Wake everybody who listens to this scope, or to all, and to any of these actions; with None, to whatever."""
        keys = tuple(self._listeners) if key is None else (key, None)
        for listener in [found for each in keys for found in self._listeners.get(each, ())]:
            listener.wake(actions)

    @contextmanager
    def listen(self, key: ScopeKey | None, actions: Collection[str] | None = None) -> Iterator[_Listener]:
        """Listen to one scope, or to all with None; to these actions, or to whatever comes."""
        listener = _Listener(actions)
        self._listeners.setdefault(key, set()).add(listener)
        try:
            yield listener
        finally:
            self._listeners[key].discard(listener)
            if not self._listeners[key]:
                del self._listeners[key]
