"""Turns: the tenant first that had least, then its actor, and nobody's turn is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise

from nexus_graph.scope.errors import Conflict, NexusError
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.pacing import REST, Pacing
from nexus_graph.stores.rounds import MOST_TOGETHER, Rounds

ScopeOf = Callable[..., Scope]


async def work(pacing: Pacing, scope: Scope, told: list[str], seconds: float = 0.001) -> None:
    """A turn that takes so long."""
    async with pacing.turn(scope):
        told.append(f"{scope.tenant_id}/{scope.principal.id}")
        time.sleep(seconds)


async def test_turns_go_round_tenants_and_then_actors(scope_of: ScopeOf) -> None:
    """However many wait in one tenant, another's single turn is the next; so it is with actors inside of one."""
    pacing, told = Pacing(), list[str]()
    many, busy = scope_of("t_acme", who="a"), scope_of("t_acme", who="b")
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(work(pacing, many, told))
        await asyncio.sleep(0)
        group.create_task(work(pacing, busy, told))
        group.create_task(work(pacing, scope_of("t_globex", who="c"), told))
    assert len(told) == 22
    assert {*told[1:4]} >= {"t_globex/c", "t_acme/b"}


async def test_time_is_what_is_shared(scope_of: ScopeOf) -> None:
    """Who takes ten times as long has a tenth of the turns."""
    pacing, told = Pacing(), list[str]()
    tasks = [asyncio.create_task(work(pacing, scope_of("t_acme", who="a"), told, 0.01)) for _ in range(20)]
    tasks += [asyncio.create_task(work(pacing, scope_of("t_globex", who="c"), told, 0.001)) for _ in range(20)]
    await asyncio.gather(*tasks)
    assert told[:22].count("t_globex/c") >= 15


async def test_others_are_served_between_two_turns(scope_of: ScopeOf) -> None:
    """A turn begins in a round of the loop of its own; while somebody waits for an answer, turns are far apart."""
    pacing, told, seen = Pacing(), list[str](), list[int]()
    tasks = [asyncio.create_task(work(pacing, scope_of(), told)) for _ in range(20)]
    while len(told) < 20:
        seen.append(len(told))
        await asyncio.sleep(0)
    assert max(after - before for before, after in pairwise(seen)) <= 1
    with pacing.answering():
        began = time.perf_counter()
        await asyncio.gather(*tasks, *[work(pacing, scope_of(), told, 0.002) for _ in range(10)])
        assert time.perf_counter() - began > 9 * 0.002 * REST


async def test_a_turn_that_nobody_waits_for_any_more_is_passed_on(scope_of: ScopeOf) -> None:
    """Cancelled while they wait, just when it is theirs, or by a failure in it: the next one has it."""
    pacing, told = Pacing(), list[str]()
    async with pacing.turn(scope_of()):
        tasks = [asyncio.create_task(work(pacing, scope_of(), told)) for _ in range(4)]
        await asyncio.sleep(0)
        tasks[0].cancel()
    await asyncio.sleep(0)  # the second one's turn has come
    tasks[1].cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(*tasks, return_exceptions=True)
        await work(pacing, scope_of(), told)
    assert 3 <= len(told) <= 4


async def test_many_wishes_are_one_round() -> None:
    """Those who come during a round wait for the next; each is told its own outcome, and a failure reaches all."""
    rounds, failing = list[int](), False

    async def deed(wishes: object) -> list[NexusError | None]:
        assert isinstance(wishes, list)
        rounds.append(len(wishes))
        await asyncio.sleep(0.01)
        if failing:
            raise OSError("gone")
        return [Conflict("odd") if wish % 2 else None for wish in wishes]

    joined = Rounds[int](deed)
    found = await asyncio.gather(*[joined.join(wish) for wish in range(300)], return_exceptions=True)
    assert rounds == [MOST_TOGETHER, 300 - MOST_TOGETHER]
    assert [isinstance(each, Conflict) for each in found] == [bool(wish % 2) for wish in range(300)]
    failing = True
    found = await asyncio.gather(*[joined.join(wish) for wish in range(3)], return_exceptions=True)
    assert [type(each) for each in found] == [OSError] * 3
