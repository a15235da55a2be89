"""Leases: live streams are counted exactly over all processes, and nothing that ended badly takes room for good."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from engines import beside

from nexus_graph import safeguards
from nexus_graph.safeguards import Deed, Resource, quotas
from nexus_graph.safeguards.quotas import Leases, table
from nexus_graph.scope.errors import QuotaExceeded
from nexus_graph.scope.limits import Limits
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Role, Scope
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]


@pytest.fixture
def owner(scope_of: MakeScope) -> Scope:
    """An owner of t_acme."""
    return scope_of("t_acme", Role.OWNER)


def limited(stores: Stores, **limits: Any) -> Stores:
    """The same stores in an installation that gives less."""
    return replace(stores, limits=Limits(**limits))


async def held(stores: Stores, scope: Scope, which: Resource) -> tuple[int, int]:
    """Used and reserved."""
    async with stores.read(scope) as read:
        usage = (await quotas.usages(read))[which]
    return usage.held.used, usage.held.reserved


@pytest.fixture
async def neighbour(stores: Stores) -> AsyncIterator[Stores]:
    """Another process on the same database."""
    async with beside(stores) as elsewhere:
        yield elsewhere


async def test_streams_are_leased_exactly_over_processes(stores: Stores, neighbour: Stores, owner: Scope) -> None:
    """Forty who come at once in two processes, room for seven: seven; and each end makes room for one."""
    processes = [Leases(limited(each, live_streams=7)) for each in (stores, neighbour)]
    ending = asyncio.Event()
    seated: list[int] = []

    async def follow(number: int) -> None:
        async with processes[number % 2].held(owner):
            seated.append(number)
            await ending.wait()

    tasks = [asyncio.create_task(follow(number)) for number in range(40)]
    done: set[asyncio.Task[None]] = set()
    async with asyncio.timeout(10):
        while len(done) < 33:
            done |= (await asyncio.wait(set(tasks) - done, return_when=asyncio.FIRST_COMPLETED))[0]
    assert all(isinstance(task.exception(), QuotaExceeded) for task in done)
    assert len(seated) == 7
    assert await held(stores, owner, Resource.LIVE_STREAMS) == (7, 0)
    ending.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await held(stores, owner, Resource.LIVE_STREAMS) == (0, 0)


async def test_one_actor_leaves_streams_to_the_others(stores: Stores, scope_of: MakeScope) -> None:
    """An actor has a bound of its own, within that of the tenant."""
    few = limited(stores, actor_streams=1, live_streams=2)
    leases = Leases(few)
    one, two, three = (scope_of("t_acme", Role.MEMBER, who=who) for who in ("one", "two", "three"))
    async with leases.held(one):
        with pytest.raises(QuotaExceeded, match="1 of 1 that one actor may have"):
            await leases.held(one).__aenter__()
        assert (await beforehand(few, one), await beforehand(few, two)) == ("1 of 1 that one", None)
        async with leases.held(two):
            async with stores.read(two) as read:
                assert await quotas.open_streams(read) == (1, 2)
            with pytest.raises(QuotaExceeded, match="2 of 2 are used"):
                await leases.held(three).__aenter__()
            assert await beforehand(few, three) == "2 of 2 are used"
            async with leases.held(scope_of("t_globex", Role.MEMBER, who="one")):
                pass
        async with leases.held(three):
            pass


async def beforehand(stores: Stores, scope: Scope) -> str | None:
    """What somebody is told who asks whether one more stream would be let in: the figures."""
    async with stores.read(scope) as read:
        decision = await safeguards.decide(read, Deed("runLog", Permission.RUNS_READ, {Resource.LIVE_STREAMS: 1}))
    return next((" ".join(each.message.partition(": ")[2].rstrip(".").split()[:5]) for each in decision.blockers), None)


async def test_a_stream_that_is_cancelled_while_it_begins_holds_nothing(stores: Stores, owner: Scope) -> None:
    """Whoever begins and completes streams quickly takes no room from the others, wherever the cancelling comes."""
    leases = Leases(stores)

    async def follow() -> None:
        async with leases.held(owner):
            await asyncio.sleep(60)

    for steps in range(80):
        following = asyncio.create_task(follow())
        for _ in range(steps // 4):
            await asyncio.sleep(0.0001 * (steps % 4))
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        assert await held(stores, owner, Resource.LIVE_STREAMS) == (0, 0), steps


async def test_a_lease_whose_end_went_wrong_runs_out(
    stores: Stores, owner: Scope, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only streams that are open are renewed: one whose lease could not be ended takes nobody's place for good."""
    leases = Leases(limited(stores, live_streams=2))
    async with leases.held(owner):
        lost = leases.held(owner)
        await lost.__aenter__()
        with monkeypatch.context() as broken:
            broken.setattr(table, "END_LEASE", Statement(f"{table.END_LEASE.sql} and 1 = 0"))
            await lost.__aexit__(None, None, None)
        assert await held(stores, owner, Resource.LIVE_STREAMS) == (2, 0)
        for _ in range(2):
            clock.advance(seconds=20)
            await leases.renew()
        assert await held(stores, owner, Resource.LIVE_STREAMS) == (1, 0)
        async with leases.held(owner):
            assert await held(stores, owner, Resource.LIVE_STREAMS) == (2, 0)


async def test_what_a_crashed_process_held_runs_out(stores: Stores, owner: Scope, clock: Any) -> None:
    """Leases that nobody renews count for thirty seconds; those that are renewed for as long as they last."""
    few = limited(stores, live_streams=1)
    crashed, leases = Leases(few), Leases(few)
    lost = crashed.held(owner)
    await lost.__aenter__()
    clock.advance(seconds=29)
    with pytest.raises(QuotaExceeded):
        await leases.held(owner).__aenter__()
    await leases.renew()  # others' are not touched
    assert await held(few, owner, Resource.LIVE_STREAMS) == (1, 0)
    clock.advance(seconds=1)
    assert await held(few, owner, Resource.LIVE_STREAMS) == (0, 0)
    async with leases.held(owner):
        for _ in range(5):
            clock.advance(seconds=20)
            await leases.renew()
            assert await held(few, owner, Resource.LIVE_STREAMS) == (1, 0)
            with pytest.raises(QuotaExceeded):
                await crashed.held(owner).__aenter__()
    assert await held(few, owner, Resource.LIVE_STREAMS) == (0, 0)
    async with stores.database.writing(None) as connection:  # what nobody ended is kept for an hour, then forgotten
        assert len(await connection.rows("select * from stream_leases", {})) == 1
    clock.advance(hours=1)
    async with leases.held(owner), stores.read(owner) as read:
        assert await quotas.open_streams(read) == (1, 1)
    async with stores.database.writing(None) as connection:
        assert await connection.rows("select * from stream_leases", {}) == []
    await lost.__aexit__(None, None, None)  # its process comes back: there is nothing left to end


async def test_a_stream_that_is_cut_off_while_it_ends_ends(stores: Stores, scope_of: MakeScope) -> None:
    """Cancelled at its end, and again at any step of that: the lease is given back, not left to run out."""
    owner = scope_of()
    leases = Leases(stores)

    async def stream(begun: asyncio.Event) -> None:
        async with leases.held(owner):
            begun.set()
            await asyncio.Event().wait()

    for steps in range(12):
        begun = asyncio.Event()
        task = asyncio.create_task(stream(begun))
        await begun.wait()
        task.cancel()
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await held(stores, owner, Resource.LIVE_STREAMS) == (0, 0)
