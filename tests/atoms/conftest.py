"""What the tests of kept atoms start from: a reader of files, a way to seal one, a look at rows and journal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from threading import Thread
from typing import Any

import pytest
from engines import behind

from nexus_graph import assets
from nexus_graph.assets import Asset, AssetRules, Reservation
from nexus_graph.atoms import Limits, Sandbox, content_type_of, recipes
from nexus_graph.atoms.model import Params, Reading
from nexus_graph.scope.scope import Role, Scope
from nexus_graph.stores.work import Stores

Keep = Callable[..., Awaitable[Asset]]
Rows = Callable[..., Awaitable[list[dict[str, Any]]]]


class Standing(Sandbox):
    """A sandbox on an event loop of its own, so that its worker outlives the loop of a test and serves the next one."""

    def __init__(self, workers: int, limits: Limits) -> None:
        super().__init__(workers, limits)
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever)
        self._thread.start()

    async def derive(self, op: str, data: bytes, params: Params) -> Reading:
        """As any sandbox; cancelled with its caller."""
        derived = asyncio.run_coroutine_threadsafe(super().derive(op, data, params), self._loop)
        return await asyncio.wrap_future(derived)

    def end(self) -> None:
        """Close it, and its loop."""
        asyncio.run_coroutine_threadsafe(self.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="session")
def reader() -> Iterator[Sandbox]:
    """A sandbox with one worker and small limits: starting a worker takes longer than most tests."""
    sandbox = Standing(1, Limits(input_bytes=2**20, atoms=300, text_bytes=2**20, seconds=20, memory_bytes=2**28))
    yield sandbox
    sandbox.end()


@pytest.fixture
def admin(scope_of: Callable[..., Scope]) -> Scope:
    """An admin of t_acme."""
    return scope_of("t_acme", Role.ADMIN)


@pytest.fixture
def keep(stores: Stores) -> Keep:
    """Keeps a file and seals it: `await keep(scope, b"...", "notes.md")`."""
    rules = AssetRules(largest=2**20, reservation_seconds=3600, address_seconds=300)

    async def kept(scope: Scope, data: bytes, name: str, content_type: str = "", *, train_ok: bool = True) -> Asset:
        kind = content_type or content_type_of(name)
        reservation = Reservation.of(data, filename=name, content_type=kind, train_ok=train_ok)
        return (await assets.keep(stores, rules, scope, reservation, data))[0]

    return kept


@pytest.fixture
def rows(stores: Stores) -> Rows:
    """Reads all rows of a table in a scope, in the order of a column: `await rows(scope, "atoms", "atom_id")`."""

    async def read(scope: Scope, table: str = "journal_events", order: str = "seq") -> list[dict[str, Any]]:
        sql = f"select * from {table} where tenant_id = :tenant_id and env = :env order by {order}"  # noqa: S608
        async with behind(stores) as connection:
            found = await connection.rows(sql, {"tenant_id": scope.tenant_id, "env": scope.env.value})
        return [dict(row) for row in found]

    return read


@pytest.fixture
def upgraded(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Gives a recipe another version: `upgraded("markdown.sections", "later")`."""

    def upgrade(op: str, version: str) -> None:
        registry = {**recipes.RECIPES, op: replace(recipes.RECIPES[op], version=version)}
        monkeypatch.setattr(recipes, "RECIPES", registry)

    return upgrade
