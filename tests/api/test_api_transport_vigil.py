"""The vigil over idle websockets: a look that fails is made again, and nobody slips through."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nexus_graph.api.house import House
from nexus_graph.api.transport.vigil import Vigil
from nexus_graph.scope.errors import Unavailable
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.heads import Head


class Socket:
    """An idle websocket of somebody."""

    def __init__(self) -> None:
        self.scope: Scope | None = Scope.system("t_acme", Env.DEV, "somebody")
        self.ended = asyncio.Event()

    def revoked(self) -> None:
        """It is told so."""
        self.ended.set()

    def stopped(self) -> None:
        """Never here."""


class Looks:
    """A house in which the first questions fail, after its one member has lost their place."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.asked = 0

    @contextmanager
    def listen(self, *_: object) -> Iterator[Looks]:
        """Wake at once, always."""
        yield self

    async def wait(self, _: float) -> None:
        """One wake-up."""
        await asyncio.sleep(0)

    async def moved(self, revision: int) -> tuple[int, list[Head]]:
        """The journal stands still after its first entry."""
        return 1, [] if revision else [(("t_acme", "dev"), 1)]

    async def role_of_now(self, _: Scope) -> Role | None:
        """Not known at first, then gone."""
        self.asked += 1
        if self.asked <= self.failures:
            raise Unavailable("The database does not answer.")
        return None


@pytest.mark.parametrize("failures", [0, 2])
async def test_a_look_that_fails_is_made_again(failures: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lost their place is told so once the database answers again, though nothing more is journalled."""
    monkeypatch.setattr("nexus_graph.api.transport.vigil._GATHER_SECONDS", 0.0)
    looks: Any = Looks(failures)
    house = SimpleNamespace(
        stores=SimpleNamespace(signals=looks, moved=looks.moved), admission=looks, stopping=asyncio.Event()
    )
    vigil, socket = Vigil(cast("House", house)), Socket()
    vigil.enter(socket)
    try:
        await asyncio.wait_for(socket.ended.wait(), 5)
    finally:
        vigil.leave(socket)
    assert looks.asked > failures
