"""Quotas: room is counted exactly, whoever asks at once, and the books are what the rows add up to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from lock_steps import approved
from shipped import MANIFESTS

from nexus_graph import assets, cards, safeguards
from nexus_graph.assets import Asset, AssetRules, Reservation
from nexus_graph.safeguards import Deed, Resource, quotas
from nexus_graph.safeguards.model import quota_change
from nexus_graph.safeguards.quotas import Held, Usage, table
from nexus_graph.safeguards.quotas.limiting import all_usages, set_quota
from nexus_graph.safeguards.quotas.model import LARGEST_LIMIT
from nexus_graph.scope.errors import Conflict, Forbidden, Invalid, LockRequired, QuotaExceeded
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.limits import Limits
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.blobs.base import ScopedBlobs
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Stores, Work

MakeScope = Callable[..., Scope]

RULES = AssetRules(largest=1_000_000, reservation_seconds=3600, address_seconds=300)
ROOMS = (assets.held, cards.held)
SPOIL = Statement("update quota_usage set used = used + 3 where tenant_id = :tenant_id and env = :env")


@pytest.fixture
def owner(scope_of: MakeScope) -> Scope:
    """An owner of t_acme."""
    return scope_of("t_acme", Role.OWNER)


@pytest.fixture
def operator() -> Scope:
    """The operator in t_acme, who needs no lock."""
    return Scope.system("t_acme", Env.DEV, "operator")


def limited(stores: Stores, **limits: Any) -> Stores:
    """The same stores in an installation that gives less."""
    return replace(stores, limits=Limits(**limits))


def declared(data: bytes) -> Reservation:
    """A reservation for bytes."""
    return Reservation.of(data, filename="a.txt", content_type="text/plain", train_ok=True)


def note(key: str, body: str = "Hello.") -> str:
    """The text of a card."""
    return f"---\ncard_type: note\nkey: {key}\n---\n{body}\n"


async def books(stores: Stores, scope: Scope) -> dict[Resource, Usage]:
    """What is held."""
    async with stores.read(scope) as read:
        return await quotas.usages(read)


async def held(stores: Stores, scope: Scope, which: Resource) -> tuple[int, int]:
    """Used and reserved."""
    usage = (await books(stores, scope))[which]
    return usage.held.used, usage.held.reserved


async def test_of_a_hundred_at_once_as_many_pass_as_there_is_room_for(stores: Stores, owner: Scope) -> None:
    """A hundred reservations against room for seven: seven, whichever quota it is that ends them."""
    for limits in ({"assets": 7}, {"stored_bytes": 7 * 3 + 2}):
        few, scope = limited(stores, **limits), replace(owner, env=Env.PROD if "assets" in limits else Env.DEV)
        asked = [assets.reserve(few, RULES, scope, declared(b"%03d" % each)) for each in range(100)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(answer, QuotaExceeded) for answer in answers) == 93
        assert await held(few, scope, Resource.ASSETS) == (0, 7)
        assert await held(few, scope, Resource.STORED_BYTES) == (0, 21)
        async with stores.read(scope) as read:
            assert (await assets.held(read))[Resource.ASSETS] == Held(0, 7)


async def test_taking_is_exact_even_where_looking_was_not(stores: Stores, operator: Scope) -> None:
    """The statement that takes compares by itself: a look that is out of date lets nobody in."""
    few = limited(stores, cards=2)
    for expected in (True, True, False):
        async with few.work(operator, RunKind.ADMIN) as work:
            rows = await work.rows(table.TAKE, resource="CARDS", period="", used=1, reserved=0, upper_limit=2)
            assert bool(rows) is expected
    assert await held(few, operator, Resource.CARDS) == (2, 0)


async def test_a_refusal_tells_the_figures_and_the_way_out(stores: Stores, owner: Scope) -> None:
    """The resource, what is used and reserved, the limit, what was asked for, and how to get more."""
    few = limited(stores, stored_bytes=10)
    await kept(few, owner, b"four")
    await assets.reserve(few, RULES, owner, declared(b"more"))
    with pytest.raises(QuotaExceeded) as raised:
        await assets.reserve(few, RULES, owner, declared(b"two more"))
    assert raised.value.message == ("No room for 8 more stored bytes (STORED_BYTES): 4 of 10 are used and 4 reserved.")
    assert raised.value.hint == "An owner or admin can raise STORED_BYTES with setQuota, under a Strategy Lock."
    assert [blocker.gate for blocker in raised.value.blockers] == ["QUOTA"]
    assert (await assets.reserve(few, RULES, owner, declared(b"ok"))).upload is not None


async def test_index_writes_are_counted_by_the_day(stores: Stores, owner: Scope, clock: Any) -> None:
    """What is published and retired today counts until midnight UTC, and the refusal says so."""
    few = limited(stores, index_writes=2)
    first = await cards.publish(few, MANIFESTS, owner, note("one"), train_ok=True)
    await cards.retire(few, MANIFESTS, owner, first.card.card_id, 1)
    with pytest.raises(QuotaExceeded, match="No room for 1 more index writes today") as raised:
        await cards.publish(few, MANIFESTS, owner, note("two"), train_ok=True)
    assert (raised.value.hint or "").startswith("The count starts anew at 2026-11-02T00:00:00.000000Z.")
    usage = (await books(few, owner))[Resource.INDEX_WRITES]
    assert (usage.period, usage.resets_at) == ("2026-11-01", datetime(2026, 11, 2, tzinfo=UTC))
    clock.now = datetime(2026, 11, 2, tzinfo=UTC)
    await cards.publish(few, MANIFESTS, owner, note("two"), train_ok=True)
    assert await held(few, owner, Resource.INDEX_WRITES) == (1, 0)
    assert await held(few, owner, Resource.CARDS) == (2, 0)


async def test_a_tenant_and_an_env_have_room_of_their_own(
    stores: Stores, owner: Scope, scope_of: MakeScope, operator: Scope
) -> None:
    """Neither what another tenant or env holds nor the limit that it has counts."""
    few = limited(stores, assets=1)
    await assets.reserve(few, RULES, owner, declared(b"one"))
    await set_quota(few, operator, Resource.ASSETS, 0)
    for other in (scope_of("t_globex"), replace(owner, env=Env.STAGING)):
        await assets.reserve(few, RULES, other, declared(b"one"))
        assert (await books(few, other))[Resource.ASSETS].limit == 1
    with pytest.raises(QuotaExceeded, match=r"0 of 0 are used and 1 reserved"):
        await assets.reserve(few, RULES, owner, declared(b"two"))


async def test_the_engine_is_counted_and_limited_too(stores: Stores, operator: Scope) -> None:
    """The operator's import fills the same room."""
    few = limited(stores, assets=1)
    await assets.keep(few, RULES, operator, declared(b"one"), b"one")
    with pytest.raises(QuotaExceeded):
        await assets.keep(few, RULES, operator, declared(b"two"), b"two")


async def test_a_rehearsal_and_a_deed_that_fails_take_nothing(stores: Stores, owner: Scope) -> None:
    """What is rolled back never took room."""
    rehearsed = replace(owner, rehearsal=True)
    await assets.reserve(stores, RULES, rehearsed, declared(b"one"))
    await cards.publish(stores, MANIFESTS, rehearsed, note("one"), train_ok=True)
    with pytest.raises(RuntimeError, match="without recording"):
        async with stores.work(owner, RunKind.ADMIN) as work:
            await quotas.take(work, {Resource.CARDS: 1})
    assert all(usage.held == Held() for usage in (await books(stores, owner)).values())


async def test_deciding_beforehand_takes_nothing_and_agrees(stores: Stores, owner: Scope) -> None:
    """What a screen is told is what the deed meets, and asking uses nothing up."""
    few = limited(stores, cards=1)
    deed = Deed("publishCard", Permission.CARDS_PUBLISH, {Resource.CARDS: 1, Resource.INDEX_WRITES: 1})
    async with few.read(owner) as read:
        assert (await safeguards.decide(read, deed)).allowed
        assert (await safeguards.decide(read, deed)).allowed
    await cards.publish(few, MANIFESTS, owner, note("one"), train_ok=True)
    async with few.read(owner) as read:
        [blocker] = (await safeguards.decide(read, deed)).blockers
    assert (blocker.gate, blocker.code) == ("QUOTA", "QUOTA_EXCEEDED")
    await cards.publish(few, MANIFESTS, owner, note("one", "Revised."), train_ok=True, expected_version=1)


async def test_a_limit_is_set_by_the_operator_and_under_a_lock(
    stores: Stores, owner: Scope, operator: Scope, scope_of: MakeScope
) -> None:
    """An owner needs a lock for it, a member may not, the operator may; lowering takes nothing away."""
    with pytest.raises(Forbidden):
        await set_quota(stores, scope_of("t_acme", Role.MEMBER), Resource.CARDS, 5)
    with pytest.raises(LockRequired):
        await set_quota(stores, owner, Resource.CARDS, 5)
    await approved(stores, owner, scope_of("t_acme", Role.ADMIN), quota_change(Resource.CARDS, 5))
    assert (await set_quota(stores, owner, Resource.CARDS, 5)).limit == 5
    with pytest.raises(LockRequired):  # it was good for once
        await set_quota(stores, owner, Resource.CARDS, 5)
    with pytest.raises(Invalid):
        await set_quota(stores, operator, Resource.CARDS, -1)
    with pytest.raises(Invalid):
        await set_quota(stores, operator, Resource.CARDS, LARGEST_LIMIT + 1)
    await cards.publish(stores, MANIFESTS, owner, note("one"), train_ok=True)
    await cards.publish(stores, MANIFESTS, owner, note("two"), train_ok=True)
    once = Once("a key", ["setQuota", "CARDS", 1])
    for _ in range(2):
        usage = await set_quota(stores, operator, Resource.CARDS, 1, once=once)
        assert (usage.held.used, usage.limit, usage.left) == (2, 1, 0)
    with pytest.raises(QuotaExceeded, match="2 of 1 are used"):
        await cards.publish(stores, MANIFESTS, owner, note("three"), train_ok=True)
    await cards.publish(stores, MANIFESTS, owner, note("one", "Revised."), train_ok=True, expected_version=1)
    assert (await set_quota(stores, operator, Resource.CARDS, None)).limit == Limits().cards
    await cards.publish(stores, MANIFESTS, owner, note("three"), train_ok=True)
    assert [usage.resource for usage in await all_usages(stores, owner)] == [*Resource]


async def kept(stores: Stores, scope: Scope, data: bytes) -> Asset:
    """A sealed asset."""
    return (await assets.keep(stores, RULES, scope, declared(data), data))[0]


async def story(stores: Stores, scope: Scope, clock: Any, chance: random.Random) -> None:
    """One random step: it may be refused, and then it must have changed nothing."""
    name = f"n{chance.randrange(12)}"
    data = (name * chance.randrange(1, 9)).encode()
    try:
        match chance.choice(["keep", "keep", "reserve", "race", "sweep", "publish", "publish", "retire", "dry"]):
            case "keep":
                await kept(stores, scope, data)
            case "reserve":
                await assets.reserve(stores, RULES, scope, declared(data))
            case "race":  # the same bytes under two ids: one is sealed, the other yields
                blobs = ScopedBlobs(stores.blobs, scope)
                for reserved in [await assets.reserve(stores, RULES, scope, declared(data)) for _ in range(2)]:
                    if reserved.upload is not None:
                        await blobs.put(reserved.asset.object_key, data)
                        await assets.seal(stores, scope, reserved.asset.asset_id)
            case "sweep":
                clock.advance(hours=chance.choice([0, 1, 11]))
                await assets.sweep_expired(stores)
            case "publish":
                version = chance.choice([None, 1, 2])
                text = note(name, str(chance.random()))
                await cards.publish(stores, MANIFESTS, scope, text, train_ok=True, expected_version=version)
            case "retire":
                found = await cards.publish(stores, MANIFESTS, scope, note(name, str(chance.random())), train_ok=True)
                await cards.retire(stores, MANIFESTS, scope, found.card.card_id, 1)
            case "dry":
                await kept(stores, replace(scope, rehearsal=True), data)
    except (QuotaExceeded, Conflict):
        pass


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_books_are_what_the_rows_add_up_to(stores: Stores, owner: Scope, clock: Any, seed: int) -> None:
    """After any story, and never beyond a limit on the way."""
    few = limited(stores, stored_bytes=90, assets=9, cards=6, index_writes=20)
    chance = random.Random(seed)  # noqa: S311 - a story, not a secret
    for _ in range(60):
        await story(few, owner, clock, chance)
        for usage in (await books(few, owner)).values():
            assert usage.held.used + usage.held.reserved <= usage.limit
    found = await books(few, owner)
    assert found[Resource.CARDS].held.used > 0
    assert found[Resource.STORED_BYTES].held.used > 0
    async with few.read(owner) as read:
        counted: Mapping[Resource, Held] = {**await assets.held(read), **await cards.held(read)}
    assert {each: found[each].held for each in counted} == counted
    assert await quotas.recount(few, Scope.system("t_acme", Env.DEV, "check"), ROOMS) == []


async def test_wrong_books_are_found_and_mended(stores: Stores, owner: Scope, operator: Scope) -> None:
    """A recount names each resource with both figures, and with repair writes what the rooms counted."""
    await kept(stores, owner, b"four")
    async with stores.database.writing(None) as connection:
        await connection.rows(*SPOIL.bind({"tenant_id": "t_acme", "env": "dev"}))
    lines = [
        "quota ASSETS: the books say 4 used and 0 reserved, the rows 1 used and 0 reserved",
        "quota STORED_BYTES: the books say 7 used and 0 reserved, the rows 4 used and 0 reserved",
    ]
    assert await quotas.recount(stores, operator, ROOMS) == lines
    with pytest.raises(Forbidden):
        await quotas.recount(stores, owner, ROOMS)
    assert await quotas.recount(stores, operator, ROOMS, repair=True) == lines
    assert await quotas.recount(stores, operator, ROOMS) == []
    assert await held(stores, owner, Resource.STORED_BYTES) == (4, 0)


async def test_giving_back_more_than_is_held_leaves_nothing(stores: Stores, operator: Scope) -> None:
    """A figure never falls below zero."""
    await cards.publish(stores, MANIFESTS, operator, note("one"), train_ok=True)
    async with stores.work(operator, RunKind.PUBLISH) as work:
        await quotas.give_back(work, {Resource.CARDS: 5})
        told(work)
    assert await held(stores, operator, Resource.CARDS) == (0, 0)


def told(work: Work) -> None:
    """Records something, since a work that wrote must."""
    work.record(Event("card.erased", "card", "", redact({}), Handling((), train_ok=False)))
