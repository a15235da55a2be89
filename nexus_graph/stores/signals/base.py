"""The port: wake the followers of a scope, wait for a wake-up."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

ScopeKey = tuple[str, str]


class Listener(Protocol):
    """Remembers that a wake-up came, from the moment it was opened."""

    async def wait(self, seconds: float) -> None:
        """Return at the next wake-up since the last wait, or after `seconds`: the slow poll forgives a lost signal."""


class Signals(Protocol):
    """Wake-ups by scope."""

    def wake(self, key: ScopeKey | None) -> None:
        """Wake everybody who listens to this scope, or to all; with None, everybody there is."""

    def listen(self, key: ScopeKey | None) -> AbstractContextManager[Listener]:
        """Listen to one scope, or to all with None, until the context closes."""
