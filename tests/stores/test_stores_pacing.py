"""Turns: the tenant first that had least, then its actor, and nobody's turn is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise

from nexus_graph.scope.errors import Conflict, NexusError
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.pacing import MOST_OPENED, REST, Pacing
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


async def opened(pacing: Pacing, scope: Scope, told: list[list[str]], going: set[str]) -> None:
    """A stream that opens in three rounds of the loop; `told` are those that were in the midst of it together."""
    opening, name = pacing.opening(scope), f"{scope.tenant_id}/{scope.principal.id}"
    await opening.begin()
    await opening.begin()  # this is in the midst of it
    me = f"{name}/{id(opening)}"
    going.add(me)
    told.append(sorted(going))
    for _ in range(3):
        await asyncio.sleep(0)
    going.discard(me)
    opening.end()
    opening.end()  # means nothing


async def test_a_few_streams_of_one_actor_open_together(scope_of: ScopeOf) -> None:
    """As many as may, of nobody else at the same time; another tenant and another actor come in between."""
    pacing, told, going = Pacing(), list[list[str]](), set[str]()
    many, busy, other = scope_of("t_acme", who="a"), scope_of("t_acme", who="b"), scope_of("t_globex", who="c")
    async with asyncio.TaskGroup() as group:
        for _ in range(3 * MOST_OPENED + 1):
            group.create_task(opened(pacing, many, told, going))
        await asyncio.sleep(0)
        group.create_task(opened(pacing, busy, told, going))
        group.create_task(opened(pacing, other, told, going))
    actors = [{each.rpartition("/")[0] for each in together} for together in told]
    assert all(len(names) == 1 for names in actors)
    assert max(map(len, told)) == MOST_OPENED
    order = [next(iter(names)) for names in actors]
    assert {*order[1 : 2 * MOST_OPENED + 2]} >= {"t_globex/c", "t_acme/b"}


async def test_a_turn_of_openings_is_over_with_the_last_of_them(scope_of: ScopeOf) -> None:
    """Cancelled in the line, just when it is theirs, or in its midst: nobody else waits for them."""
    pacing = Pacing()
    first = pacing.opening(scope_of())
    await first.begin()
    openings = [pacing.opening(scope_of()) for _ in range(4)]
    tasks = [asyncio.create_task(each.begin()) for each in openings]
    await asyncio.sleep(0)
    tasks[0].cancel()
    first.end()
    await asyncio.sleep(0)  # the turn of the other three has come
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    later = asyncio.create_task(work(pacing, scope_of(), told := list[str]()))
    openings[2].end()
    await asyncio.sleep(0.01)
    assert not told
    openings[3].end()
    await asyncio.wait_for(later, 5)


async def test_openings_leave_time_to_who_waits_for_an_answer(scope_of: ScopeOf) -> None:
    """As replays do: several times as long as the last of them took."""
    pacing = Pacing()

    async def slowly() -> None:
        opening = pacing.opening(scope_of())
        await opening.begin()
        time.sleep(0.001)
        opening.end()

    with pacing.answering():
        began = time.perf_counter()
        await asyncio.gather(*[slowly() for _ in range(4 * MOST_OPENED + 1)])
        assert time.perf_counter() - began > (4 * MOST_OPENED + 1) * 0.001 + 3 * MOST_OPENED * 0.001 * REST


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
