"""What all signals promise: whoever listens hears, a listener that is behind hears once, and nothing is data."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import orjson
import pytest
from engines import OnPostgres
from servers.postgres import PostgresServer
from servers.relay import relay

from nexus_graph.scope.errors import Unavailable
from nexus_graph.stores.database.place import PostgresPlace
from nexus_graph.stores.signals.base import Listener, ScopeKey, Signals
from nexus_graph.stores.signals.local import LocalSignals
from nexus_graph.stores.signals.postgres import PostgresSignals, payloads

ACME, GLOBEX = ("t_acme", "dev"), ("t_globex", "dev")
LONG = 20.0
CUT = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'nexus-graph signals'"


@pytest.fixture
def place(on_postgres: OnPostgres, tmp_path: Path) -> Iterator[PostgresPlace]:
    """A database to send them through."""
    made = on_postgres.fresh(tmp_path)
    yield made
    on_postgres.discard(made)


@pytest.fixture(params=["local", "postgres", "between processes"])
async def ends(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Signals, Signals]]:
    """Where it is told, and where it is heard."""
    if request.param == "local":
        signals = LocalSignals()
        yield signals, signals
        return
    address = request.getfixturevalue("place").address
    told = PostgresSignals(address)
    heard = told if request.param == "postgres" else PostgresSignals(address)
    for each in {told, heard}:
        await each.open()
    yield told, heard
    for each in {told, heard}:
        await each.close()


async def came(listener: Listener, seconds: float = LONG) -> bool:
    """Whether a wake-up comes in time."""
    began = time.monotonic()
    await listener.wait(seconds)
    return time.monotonic() - began < seconds


@pytest.mark.parametrize(
    ("listens", "actions", "wakes", "told", "hears"),
    [
        (ACME, None, ACME, None, True),
        (ACME, None, ACME, ("a",), True),
        (ACME, ("a",), ACME, ("b", "a"), True),
        (ACME, ("a",), ACME, ("b",), False),
        (ACME, ("a",), ACME, None, True),
        (ACME, None, GLOBEX, None, False),
        (None, None, GLOBEX, ("a",), True),
        (None, ("a",), GLOBEX, ("b",), False),
        (ACME, ("a",), None, None, True),
        (ACME, ("a",), ACME, (), False),
    ],
)
async def test_who_is_woken(
    ends: tuple[Signals, Signals],
    listens: ScopeKey | None,
    actions: tuple[str, ...] | None,
    wakes: ScopeKey | None,
    told: tuple[str, ...] | None,
    hears: bool,
) -> None:
    """Those of the scope, or of all, who wait for one of the actions."""
    here, there = ends
    with there.listen(listens, actions) as listener:
        here.wake(wakes, told)
        assert await came(listener, LONG if hears else 0.3) == hears


async def test_wake_ups_while_nobody_waits_are_one(ends: tuple[Signals, Signals]) -> None:
    """The next wait returns at once, the one after it waits."""
    here, there = ends
    with there.listen(ACME) as listener:
        for _ in range(100):
            here.wake(ACME, ("a",))
        assert await came(listener)
        await asyncio.sleep(0.1)
        await listener.wait(0)
        assert not await came(listener, 0.2)
    await here.ready()


async def test_a_lost_connection_wakes_everybody_once_it_is_back(
    place: PostgresPlace, postgres: PostgresServer
) -> None:
    """What was told meanwhile is not known, so all look; then they are heard as before."""
    told, heard = PostgresSignals(place.address), PostgresSignals(place.address)
    await told.open()
    await heard.open()
    with heard.listen(ACME, ("a",)) as listener:
        postgres.sql(CUT)
        assert await came(listener)
        async with asyncio.timeout(LONG):
            while not await came(listener, 0.5):
                told.wake(ACME, ("a",))
        await heard.ready()
    await told.close()
    await heard.close()
    with pytest.raises(Unavailable):
        await heard.ready()


async def test_a_cut_network_is_noticed_by_who_only_listens(place: PostgresPlace, postgres: PostgresServer) -> None:
    """It is said to be gone; once it is whole, all look, and everything is heard as before."""
    async with relay(postgres.port) as wire:
        told = PostgresSignals(place.address)
        heard = PostgresSignals(place.address.replace(f":{postgres.port}/", f":{wire.port}/"), seconds=0.3)
        await told.open()
        await heard.open()
        with heard.listen(ACME, ("a",)) as listener:
            wire.cut()
            async with asyncio.timeout(LONG):
                while await _is_ready(heard):  # noqa: ASYNC110 - nobody tells of it
                    await asyncio.sleep(0.05)
            wire.heal()
            assert await came(listener)
            async with asyncio.timeout(LONG):
                while not await came(listener, 0.5):
                    told.wake(ACME, ("a",))
            await heard.ready()
        await told.close()
        await heard.close()


async def _is_ready(signals: PostgresSignals) -> bool:
    try:
        await signals.ready()
    except Unavailable:
        return False
    return True


async def test_no_server_to_listen_to_is_unavailable() -> None:
    """At the start it is told; nothing is waited for."""
    with pytest.raises(Unavailable, match="can't be reached"):
        await PostgresSignals("postgresql://nobody@127.0.0.1:1/nothing").open()


def test_payloads_fit_into_what_the_server_takes() -> None:
    """Thousands of scopes in pieces; more actions than fit become any action; nothing is left out."""
    gathered: dict[ScopeKey | None, set[str] | None] = {
        (f"t_{number}", "dev"): {"card.published"} for number in range(900)
    }
    gathered[GLOBEX] = {f"action.{number}" for number in range(1000)}
    gathered[None] = None
    pieces = [*payloads(gathered)]
    assert max(len(piece.encode()) for piece in pieces) < 7_900
    assert len(pieces) >= 5
    told = [(key and tuple(key), actions) for piece in pieces for key, actions in orjson.loads(piece)]
    assert len(told) == 902
    assert dict(told)[GLOBEX] is None
    assert [*payloads({})] == []
