"""Wake-ups inside one process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from nexus_graph.stores.signals.base import ScopeKey


class _Listener:
    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
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

    def wake(self, key: ScopeKey | None) -> None:
        """Wake everybody who listens to this scope, or to all; with None, everybody there is."""
        keys = tuple(self._listeners) if key is None else (key, None)
        for listener in [found for each in keys for found in self._listeners.get(each, ())]:
            listener.wake()

    @contextmanager
    def listen(self, key: ScopeKey | None) -> Iterator[_Listener]:
        """Listen to one scope, or to all with None."""
        listener = _Listener()
        self._listeners.setdefault(key, set()).add(listener)
        try:
            yield listener
        finally:
            self._listeners[key].discard(listener)
            if not self._listeners[key]:
                del self._listeners[key]
