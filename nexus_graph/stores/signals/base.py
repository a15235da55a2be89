"""The port: wake the followers of a scope, wait for a wake-up."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Protocol

ScopeKey = tuple[str, str]


class Listener(Protocol):
    """Remembers that a wake-up came, from the moment it was opened."""

    def wake(self, actions: Collection[str] | None = None) -> None:
        """A wake-up for this listener alone."""

    async def wait(self, seconds: float) -> None:
        """Return at the next wake-up since the last wait, or after `seconds`: the slow poll forgives a lost signal."""


class Signals(Protocol):
    """Wake-ups by scope. An adapter that can't tell actions apart may wake too many, never too few."""

    async def open(self) -> None:
        """Begin to hear of others. Raises Unavailable when that can't be."""

    async def close(self) -> None:
        """Stop hearing of others."""

    async def ready(self) -> None:
        """Raises Unavailable while nothing is heard of other processes but by the poll."""

    def wake(self, key: ScopeKey | None, actions: Collection[str] | None = None) -> None:
        """Wake everybody who listens to this scope, or to all; with None, everybody there is.

        `actions` are those that were recorded: who listens to others sleeps on. None: it could be any.
        """

    def listen(self, key: ScopeKey | None, actions: Collection[str] | None = None) -> AbstractContextManager[Listener]:
        """Listen to one scope, or to all with None, until the context closes: to these actions, or whatever comes."""
