"""Budgets are exact, whoever asks at once, and cost nothing to refuse."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

import pytest

from nexus_graph.safeguards import Deed, rates
from nexus_graph.safeguards.rates import Bill, Budget, Level, Price, Rate, Rates
from nexus_graph.safeguards.rates.refusals import Refusals
from nexus_graph.safeguards.rates.sockets import Sockets
from nexus_graph.safeguards.rates.taking import MOST_NEW
from nexus_graph.scope.errors import Invalid, Throttled
from nexus_graph.scope.limits import Limits
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]
GLOBEX = "t_globex"


class Clock(Protocol):
    """A clock that a test moves."""

    def __call__(self) -> datetime: ...

    def advance(self, **amount: float) -> None: ...


SMALL = Limits(
    actor_burst=100,
    actor_per_second=1,
    tenant_burst=300,
    tenant_per_second=2,
    introspection_burst=2,
    introspection_per_second=0.1,
)
_REFUSALS = Statement(
    "select payload from journal_events where tenant_id = :tenant_id and env = :env and action = 'request.refused'"
)


@pytest.fixture
def small(stores: Stores) -> Stores:
    """Stores with little to spend."""
    return replace(stores, limits=SMALL)


async def left(stores: Stores, scope: Scope, budget: Budget = Budget.ACTOR) -> int:
    """Points left in a budget."""
    async with stores.read(scope) as read:
        return (await rates.levels(read))[budget].content // 1_000_000


def outcomes(bills: list[Bill]) -> Counter[str]:
    """How many were paid and how many throttled."""
    return Counter("paid" if bill.refusal is None else bill.refusal.code for bill in bills)


async def test_two_hundred_at_once_spend_exactly_the_budget(small: Stores, scope_of: MakeScope) -> None:
    """From two processes, fifty of two hundred takes of two points fit into a hundred; nobody else pays for it."""
    scope, processes = scope_of(), [Rates(small), Rates(small)]
    bills = await asyncio.gather(*[processes[each % 2].take(scope, Price(2)) for each in range(200)])
    assert outcomes(bills) == {"paid": 50, "THROTTLED": 150}
    assert await left(small, scope) == 0
    assert await left(small, scope, Budget.TENANT) == 200
    for other in (scope_of(who="another"), scope_of(env=Env.PROD), scope_of(GLOBEX)):
        assert await left(small, other) == 100
    assert await left(small, scope_of(GLOBEX), Budget.TENANT) == 300


async def test_a_tenant_budget_binds_all_actors_and_envs(small: Stores, scope_of: MakeScope) -> None:
    """Actors with points of their own are refused when the tenant has none, and keep theirs."""
    process = Rates(small)
    actors = [scope_of(who=f"actor {number}", env=env) for number in range(2) for env in (Env.DEV, Env.PROD)]
    bills = [await process.take(actor, Price(90)) for actor in actors]
    assert outcomes(bills) == {"paid": 3, "THROTTLED": 1}
    assert bills[3].refusal is not None
    assert "the tenant holds 30" in bills[3].refusal.message
    assert await left(small, actors[3]) == 100
    assert (await process.take(scope_of(GLOBEX), Price(90))).refusal is None


async def test_what_is_urgent_waits_for_nobody_else(small: Stores, scope_of: MakeScope) -> None:
    """With the tenant's budget spent by others, an actor still pays for a halt, out of its own."""
    process = Rates(small)
    for number in range(3):
        assert (await process.take(scope_of(who=f"runaway {number}"), Price(100))).refusal is None
    owner = scope_of(who="owner")
    assert (await process.take(owner, Price(10))).refusal is not None
    assert (await process.take(owner, Price(10, urgent=True))).refusal is None
    assert await left(small, owner) == 90
    assert (await process.take(owner, Price(91, urgent=True))).refusal is not None


async def test_the_told_time_is_enough_and_needed(small: Stores, scope_of: MakeScope, clock: Clock) -> None:
    """A refused take passes after `retry_after`, and not a moment before."""
    scope = scope_of()
    await Rates(small).take(scope, Price(100))
    refusal = (await Rates(small).take(scope, Price(7))).refusal
    assert isinstance(refusal, Throttled)
    assert refusal.retry_after == pytest.approx(7, abs=0.01)
    clock.advance(seconds=refusal.retry_after - 0.01)
    assert (await Rates(small).take(scope, Price(7))).refusal is not None
    clock.advance(seconds=0.01)
    assert (await Rates(small).take(scope, Price(7))).refusal is None
    clock.advance(days=1)
    assert await left(small, scope) == 100


async def test_what_can_never_pass_says_so(small: Stores, scope_of: MakeScope) -> None:
    """An operation dearer than a full budget is Invalid, naming both; nothing is taken."""
    scope = scope_of()
    refusal = (await Rates(small).take(scope, Price(101))).refusal
    assert isinstance(refusal, Invalid)
    assert "101 points" in refusal.message
    assert "100" in refusal.message
    assert await left(small, scope) == 100


async def test_introspection_has_a_budget_of_its_own(small: Stores, scope_of: MakeScope) -> None:
    """Two introspections use it up; other operations go on, and a third takes no point either."""
    scope, process = scope_of(), Rates(small)
    bills = [await process.take(scope, Price(1, introspections=1)) for _ in range(3)]
    assert outcomes(bills) == {"paid": 2, "THROTTLED": 1}
    assert isinstance(bills[2].refusal, Throttled)
    assert bills[2].refusal.retry_after == pytest.approx(10, abs=0.01)
    assert await left(small, scope) == 98
    assert (await process.take(scope, Price(1))).refusal is None


async def test_a_flood_of_refusals_asks_the_database_once(
    small: Stores, scope_of: MakeScope, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused request is refused from memory until its price can have filled up; what is new, a while."""
    scope, process, asked = scope_of(), Rates(small), list[int]()
    count = Stores.count

    async def counted(stores: Stores, transaction: Any) -> Any:
        asked.append(1)
        return await count(stores, transaction)

    monkeypatch.setattr(Stores, "count", counted)
    assert process.known_refusal(scope, lambda: b"dear") is None
    await process.take(scope, Price(99))
    bill = await process.take(scope, Price(50), lambda: b"dear")
    assert isinstance(bill.refusal, Throttled)
    for _ in range(100):
        assert (await process.take(scope, Price(50))).refusal is not None
        known = process.known_refusal(scope, lambda: b"dear")
        assert known is not None
        assert isinstance(known.refusal, Throttled)
    assert process.known_refusal(scope, lambda: b"new") is None
    for number in range(MOST_NEW):
        await process.take(scope, Price(50), lambda: b"dear %d" % number)  # noqa: B023 - called at once
    assert len(asked) == 1
    new = process.known_refusal(scope, lambda: b"new")
    assert new is not None
    assert isinstance(new.refusal, Throttled)
    clock.advance(seconds=new.refusal.retry_after)
    assert process.known_refusal(scope, lambda: b"new") is None
    clock.advance(seconds=bill.refusal.retry_after)
    assert process.known_refusal(scope, lambda: b"dear") is None
    assert (await process.take(scope, Price(50), lambda: b"dear")).refusal is None
    assert process.known_refusal(scope_of(who="another"), lambda: b"new") is None


async def test_the_gate_says_beforehand_what_a_take_would(small: Stores, scope_of: MakeScope) -> None:
    """A deed that is not paid yet meets the same refusal as its take; one that is paid meets none."""
    scope = scope_of()
    await Rates(small).take(scope, Price(60))
    deed = Deed("search", Permission.INDEX_SEARCH)
    async with small.read(scope) as read:
        for price, code in ((40, None), (41, "THROTTLED"), (101, "INVALID"), (0, None)):
            error = await rates.refusal(read, replace(deed, price=price))
            assert (error.code if error else None) == code
    assert await left(small, scope) == 40


async def test_the_journal_hears_of_every_refusal_in_few_entries(small: Stores, scope_of: MakeScope) -> None:
    """The first at once, the others of the second as one number, told at the latest when the process ends."""
    scope, other, refusals = scope_of(), scope_of(who="another"), Refusals(small)
    await asyncio.gather(*[refusals.tell(scope) for _ in range(200)], refusals.tell(other))
    assert sorted(await told(small, scope)) == [1, 1]
    await refusals.close()
    assert sorted(await told(small, scope)) == [1, 1, 199]


async def test_gathered_refusals_are_told_by_themselves(
    small: Stores, scope_of: MakeScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to ask: the second ends, and the number is in the journal."""
    monkeypatch.setattr("nexus_graph.safeguards.rates.refusals.GATHER_SECONDS", 0.01)
    scope, refusals = scope_of(), Refusals(small)
    for _ in range(5):
        await refusals.tell(scope)
    for _ in range(500):
        if sum(await told(small, scope)) == 5:
            break
        await asyncio.sleep(0.02)
    await refusals.close()
    assert sum(await told(small, scope)) == 5


async def told(stores: Stores, scope: Scope) -> list[int]:
    """The numbers of refusals that the journal holds."""
    async with stores.read(scope) as read:
        payloads = [json.loads(row["payload"]) for row in await read.rows(_REFUSALS)]
    assert all(payload["output"]["code"] == "THROTTLED" for payload in payloads)
    return [payload["input"]["count"] for payload in payloads]


def test_a_bucket_counts_in_whole_millionths() -> None:
    """Many small fillings add up to one large one; a clock that goes back neither fills nor empties."""
    rate, level = Rate(10, 0.3), Level(0, 0)
    for now in range(0, 10_000_001, 1000):
        level = rate.filled(level, now)
    assert level == rate.filled(Level(0, 0), 10_000_000) == Level(3_000_000, 10_000_000)
    assert rate.filled(level, 5) == level
    assert rate.wait(level, 3) == 0
    assert rate.wait(level, 4) == pytest.approx(3.334)


@pytest.mark.parametrize("per_second", [0.001, 0.2, 0.3, 1, 3, 7.77, 999.999999, 1000, 10**9])
def test_the_told_time_is_never_too_short(per_second: float) -> None:
    """After it there is enough; a hundredth of a second sooner there is not."""
    rate, empty = Rate(10**9, per_second), Level(0, 0)
    for points in (1, 2, 333, 20_000):
        wait = round(rate.wait(empty, points) * 1_000_000)
        assert rate.filled(empty, wait).content >= points * 1_000_000
        assert wait < 10_000 or rate.filled(empty, wait - 10_000).content < points * 1_000_000


def test_sockets_are_counted_for_each_actor(scope_of: MakeScope) -> None:
    """One too many is refused and not counted; who leaves makes room; others have their own."""
    sockets, scope = Sockets(replace(SMALL, actor_sockets=2)), scope_of()
    assert [sockets.enter(scope) for _ in range(3)] == [True, True, False]
    assert sockets.enter(scope_of(GLOBEX))
    sockets.leave(scope)
    assert sockets.count(scope) == 1
    assert sockets.enter(scope)


async def test_a_database_that_does_not_answer_lets_nothing_pass(small: Stores, scope_of: MakeScope) -> None:
    """A take that can't be counted raises, and everybody who waited with it is told."""
    process = Rates(small)
    await small.database.close()
    answers = await asyncio.gather(*[process.take(scope_of(), Price(1)) for _ in range(3)], return_exceptions=True)
    assert [getattr(answer, "code", None) for answer in answers] == ["UNAVAILABLE"] * 3
    await small.database.open()
    assert (await process.take(scope_of(), Price(1))).refusal is None
