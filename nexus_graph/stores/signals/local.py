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
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            return
        finally:
            self._event.clear()


class LocalSignals:
    """Signals for a single process; other processes on the same files are seen by the slow poll."""

    def __init__(self) -> None:
        self._listeners: dict[ScopeKey | None, set[_Listener]] = {}

    def wake(self, key: ScopeKey) -> None:
        """Wake everybody who listens to this scope, or to all."""
        for listener in (*self._listeners.get(key, ()), *self._listeners.get(None, ())):
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
