"""A new ruleset: everything that is kept is flagged by it, in batches, once, and whatever comes in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest
from engines import behind, migrated
from flagged_house import DATA, add_asset, age, change, flags, furnish, rows_of
from lineage_house import RULES

from nexus_graph import assets
from nexus_graph.app import RULESET_STEPS
from nexus_graph.assets import PartOf, Reservation
from nexus_graph.safeguards import rulesets
from nexus_graph.safeguards.rulesets import Kept, Standing, Step, reevaluating
from nexus_graph.scope.errors import Conflict
from nexus_graph.scope.redaction import RULESET
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores import rulesets as stores_rulesets
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.work import Read, Stores

MakeScope = Callable[..., Scope]
EVERYTHING = {"atoms": 5, "assets": 2, "cards": 2, "packs": 1, "sessions": 3, "locks": 1}


@pytest.fixture
async def scope(stores: Stores, scope_of: MakeScope) -> Scope:
    """A furnished scope."""
    scope = scope_of("t_acme", Role.OWNER, who="anna")
    await furnish(stores, scope)
    return scope


async def entries(stores: Stores, scope: Scope) -> list[dict[str, Any]]:
    """What the journal tells of evaluations."""
    rows = await rows_of(stores, scope, "select payload from journal_events where action = 'redaction.reevaluated'")
    return [orjson.loads(row["payload"]) for row in rows]


async def test_everything_kept_follows_a_new_ruleset(stores: Stores, scope: Scope) -> None:
    """Flags are those that the same records get when they are kept now; false ones go, and the journal counts."""
    fresh = await flags(stores, scope)
    assert sum(flag != "[]" for kept in fresh.values() for flag in kept.values()) >= 9
    await age(stores, scope)
    assert await rulesets.settle(stores, RULESET_STEPS) == {scope.key: EVERYTHING}
    assert await flags(stores, scope) == fresh
    told = await entries(stores, scope)
    assert [entry["input"] for entry in told] == [{"from": "pii-1", "to": RULESET}] * len(RULESET_STEPS)
    assert {entry["output"]["kind"]: entry["output"]["changed"] for entry in told} == EVERYTHING
    assert [entry["output"]["done"] for entry in told] == [False] * 5 + [True]
    assert told[0]["output"]["lost"] == {"us_ssn": 5}
    assert told[0]["output"]["gained"] == {"email": 1, "iban": 1, "phone": 1, "secret_key": 1}


async def test_a_second_evaluation_does_nothing(stores: Stores, scope: Scope) -> None:
    """No row is looked at, and nothing is journalled."""
    await age(stores, scope)
    await rulesets.settle(stores, RULESET_STEPS)
    before = await rows_of(stores, scope, "select max(seq) as seq from journal_events where true")
    assert await rulesets.settle(stores, RULESET_STEPS) == {}
    after = await rows_of(stores, scope, "select max(seq) as seq from journal_events where true")
    assert after[0]["seq"] == before[0]["seq"]


async def test_a_scope_is_born_with_its_ruleset(stores: Stores, scope: Scope) -> None:
    """What this version keeps needs no evaluation by it."""
    [row] = await rows_of(stores, scope, "select * from rulesets where true")
    assert (row["ruleset"], row["target"], row["kind"], row["after"]) == (RULESET, None, None, None)
    assert await rulesets.settle(stores, RULESET_STEPS) == {}
    assert await entries(stores, scope) == []


async def test_rows_that_stay_the_same_are_not_written(stores: Stores, scope: Scope) -> None:
    """A scope that an older ruleset flagged alike is looked at, and no record of it changes."""
    await change(stores, scope, "update rulesets set ruleset = 'pii-2' where true")
    forbidden = tuple(replace(step, change=stores_rulesets.BEGIN) for step in RULESET_STEPS)  # would fail
    assert await rulesets.settle(stores, forbidden) == {scope.key: dict.fromkeys(EVERYTHING, 0)}
    assert [entry["output"]["looked"] for entry in await entries(stores, scope)] == [*EVERYTHING.values()]


async def test_a_scope_older_than_the_table_is_evaluated(stores: Stores, scope: Scope) -> None:
    """Without a row nobody knows the ruleset, and the entry says so."""
    await age(stores, scope, None)
    assert await rulesets.settle(stores, RULESET_STEPS) == {scope.key: EVERYTHING}
    assert (await entries(stores, scope))[0]["input"] == {"from": None, "to": RULESET}


async def test_an_installation_of_an_older_version_is_evaluated(stores: Stores, scope: Scope) -> None:
    """Its database has no rulesets; migrated and opened, all that it kept is flagged anew, and by one process alone."""
    fresh = await flags(stores, scope)
    await age(stores, scope)
    async with behind(stores) as connection:
        for table in ("rulesets", "index_copies", "follower_turns"):
            await connection.rows(f"drop table {table}", {})
        await connection.rows("alter table erasures drop column ledger_entry", {})
        await connection.rows("update alembic_version set version_num = '0017'", {})
    await migrated(stores)
    assert await flags(stores, scope) != fresh
    assert await rulesets.settle(stores, RULESET_STEPS) == {scope.key: EVERYTHING}
    assert await flags(stores, scope) == fresh
    assert {entry["input"]["from"] for entry in await entries(stores, scope)} == {None}
    assert await rulesets.settle(stores, RULESET_STEPS) == {}


async def test_other_scopes_are_left_alone(stores: Stores, scope: Scope, scope_of: MakeScope) -> None:
    """Another tenant, and the same tenant's other env, keep their flags and hear nothing."""
    others = [scope_of("t_globex", who="anna"), scope_of("t_acme", env=Env.PROD, who="anna")]
    for other in others:
        await furnish(stores, other)
        await age(stores, other, RULESET)
    before = [await flags(stores, other) for other in others]
    await age(stores, scope)
    assert await rulesets.settle(stores, RULESET_STEPS) == {scope.key: EVERYTHING}
    assert [await flags(stores, other) for other in others] == before
    assert [await entries(stores, other) for other in others] == [[], []]


def counted(looked: list[tuple[Value, ...]], crash_after: int | None = None) -> tuple[Step, ...]:
    """The steps, noting every record that is looked at; the process dies instead of taking the next batch."""

    def wrapped(step: Step) -> Step:
        async def look(read: Read, after: tuple[Value, ...], most: int) -> Sequence[Kept]:
            if crash_after is not None and len(looked) >= crash_after:
                raise ConnectionAbortedError
            kept = await step.look(read, after, most)
            looked.extend(each.key for each in kept)
            return kept

        return replace(step, look=look)

    return tuple(map(wrapped, RULESET_STEPS))


async def test_a_crash_loses_one_batch_at_most(stores: Stores, scope: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begun again wherever it stops, the evaluation looks at every record once and ends as one without a stop."""
    fresh = await flags(stores, scope)
    monkeypatch.setattr(reevaluating, "MOST", 2)
    whole: list[tuple[Value, ...]] = []
    await age(stores, scope)
    await rulesets.settle(stores, counted(whole))
    assert len(whole) == sum(EVERYTHING.values())
    for stop in (2, 4, 5, 7, 9, 10):  # after each batch but those of sessions, whose place is not kept
        await age(stores, scope)
        looked: list[tuple[Value, ...]] = []
        with pytest.raises(ConnectionAbortedError):
            await rulesets.settle(stores, counted(looked, crash_after=stop))
        [row] = await rows_of(stores, scope, "select * from rulesets where true")
        assert (row["ruleset"], row["target"]) == ("pii-1", RULESET)
        await rulesets.settle(stores, counted(looked))
        assert looked == whole, stop
        assert await flags(stores, scope) == fresh


async def test_the_names_of_sessions_are_not_kept(
    stores: Stores, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place in session memory names its principal, so it stays in memory; after a crash that room begins anew."""
    fresh = await flags(stores, scope)
    monkeypatch.setattr(reevaluating, "MOST", 2)
    await age(stores, scope)
    looked: list[tuple[Value, ...]] = []
    with pytest.raises(ConnectionAbortedError):
        await rulesets.settle(stores, counted(looked, crash_after=12))
    [row] = await rows_of(stores, scope, "select * from rulesets where true")
    assert (row["kind"], row["after"]) == ("sessions", None)
    await rulesets.settle(stores, RULESET_STEPS)
    assert await flags(stores, scope) == fresh


async def test_what_somebody_changes_in_between_is_looked_at_again(
    stores: Stores, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flags that grew after a batch was read are not overwritten by what was found before."""
    await age(stores, scope)
    evaluate, times = reevaluating._changes, 0

    def slow(kept: Sequence[Kept]) -> Any:
        nonlocal times
        times += 1
        if times == 1:
            asyncio.run_coroutine_threadsafe(
                change(stores, scope, """update atoms set pii_flags = '["iban"]' where true"""), loop
            ).result()
        return evaluate(kept)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(reevaluating, "_changes", slow)
    assert await rulesets.settle(stores, RULESET_STEPS) == {scope.key: EVERYTHING | {"atoms": 4}}
    assert '["iban"]' in (await flags(stores, scope))["atoms"].values()
    assert '["us_ssn"]' not in (await flags(stores, scope))["atoms"].values()


async def test_two_at_once_share_the_work(stores: Stores, scope: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that starts and a command beside it: every batch is kept once, whoever it was."""
    fresh = await flags(stores, scope)
    monkeypatch.setattr(reevaluating, "MOST", 1)
    await age(stores, scope)
    await asyncio.gather(*(rulesets.settle(stores, RULESET_STEPS) for _ in range(3)))
    assert await flags(stores, scope) == fresh
    told = await entries(stores, scope)
    assert sum(entry["output"]["changed"] for entry in told) == sum(EVERYTHING.values())
    assert sum(entry["output"]["done"] for entry in told) == 1


async def test_two_at_once_look_once(stores: Stores, scope: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nothing changes, no batch is kept twice; but in session memory, whose place is not kept, it may be."""
    monkeypatch.setattr(reevaluating, "MOST", 1)
    await change(stores, scope, "update rulesets set ruleset = 'pii-2' where true")
    await asyncio.gather(*(rulesets.settle(stores, RULESET_STEPS) for _ in range(3)))
    told = [entry["output"].get("kind") for entry in await entries(stores, scope)]
    assert {kind: told.count(kind) for kind in EVERYTHING if kind != "sessions"} == {
        kind: count for kind, count in EVERYTHING.items() if kind != "sessions"
    }


async def test_a_record_that_never_holds_still_is_told(stores: Stores, scope: Scope) -> None:
    """A change that never finds its row ends with an error, not in a loop."""
    await age(stores, scope)
    changed = Statement(
        "update atoms set pii_flags = :flags where tenant_id = :tenant_id and env = :env and atom_id = :atom_id "
        "and pii_flags = :was and 1 = 0 returning atom_id"
    )
    with pytest.raises(Conflict):
        await rulesets.settle(stores, (replace(RULESET_STEPS[0], change=changed), *RULESET_STEPS[1:]))


async def test_what_words_told_that_were_not_kept_stays(stores: Stores, scope: Scope) -> None:
    """An asset that came again under another name keeps its flags: nobody can look at that name any more."""
    asset = await add_asset(stores, scope, "of SSN 123-45-6789.txt", DATA)
    kept = (await flags(stores, scope))["assets"][asset.asset_id]
    assert kept == '["email","phone","us_ssn"]'
    await change(stores, scope, "update rulesets set ruleset = 'pii-2' where true")
    await rulesets.settle(stores, RULESET_STEPS)
    assert (await flags(stores, scope))["assets"][asset.asset_id] == kept


async def test_words_around_a_file_and_in_its_places_count(stores: Stores, scope: Scope) -> None:
    """Names of keys, sheets and parts flag the atom; what was told of a derivation, and other files, flag the asset."""
    keys = await add_asset(stores, scope, "keys.json", b'{"carl@example.com": "nothing"}', "json.pointers")
    told = await add_asset(stores, scope, "letter.txt", b"Nothing but this.\n")
    fresh = await flags(stores, scope)
    assert (fresh["assets"][keys.asset_id], fresh["assets"][told.asset_id]) == ('["email"]', "[]")
    fresh["assets"][told.asset_id] = '["phone"]'
    own = "update asset_derivations set reason = 'the sheet 212-555-0177 is hidden' where asset_id = :own"
    await change(stores, scope, own, own=told.asset_id)
    part = await add_asset(stores, scope, "attached.txt", b"Nothing at all.\n")
    again = Reservation.of(
        b"Nothing at all.\n", filename="for eve@example.com", content_type="text/plain", train_ok=True
    )
    await assets.keep(stores, RULES, scope, again, b"Nothing at all.\n", part=PartOf(told, 0, "its attachment"))
    await age(stores, scope)
    await rulesets.settle(stores, RULESET_STEPS)
    found = await flags(stores, scope)
    assert found["atoms"] == fresh["atoms"] | dict.fromkeys(found["atoms"].keys() - fresh["atoms"].keys(), "[]")
    assert {each: found["assets"][each] for each in fresh["assets"]} == fresh["assets"]
    assert found["assets"][part.asset_id] == '["email","us_ssn"]'  # the older one, for words that were not kept


async def test_what_is_gone_stays_without_flags(stores: Stores, scope: Scope) -> None:
    """A pack without its words and a purged asset are not flagged by what is left of them."""
    await age(stores, scope)
    await change(stores, scope, "update packs set erased = '[]', pii_flags = '[]' where true")
    await change(stores, scope, "update assets set state = 'PURGED', pii_flags = '[]' where true")
    await rulesets.settle(stores, RULESET_STEPS)
    found = await flags(stores, scope)
    assert {*found["packs"].values(), *found["assets"].values()} == {"[]"}


async def test_trouble_of_one_scope_is_none_of_another(stores: Stores, scope: Scope, scope_of: MakeScope) -> None:
    """The first of two tenants can't be evaluated: the other one is, and then the failure is told."""
    other = scope_of("t_globex", who="anna")
    await furnish(stores, other)
    fresh = await flags(stores, other)
    for each in (scope, other):
        await age(stores, each)

    async def look(read: Read, after: tuple[Value, ...], most: int) -> Sequence[Kept]:
        if read.scope.tenant_id == scope.tenant_id:
            raise ConnectionAbortedError
        return await RULESET_STEPS[0].look(read, after, most)

    with pytest.raises(ConnectionAbortedError):
        await rulesets.settle(stores, (replace(RULESET_STEPS[0], look=look), *RULESET_STEPS[1:]))
    assert await flags(stores, other) == fresh
    assert await rulesets.standings(stores) == {
        scope.key: Standing("pii-1", None),
        other.key: Standing(RULESET, None),
    }


async def test_a_server_tries_again(stores: Stores, scope: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails beside a running server is logged and begun again, until it is done."""
    fresh = await flags(stores, scope)
    monkeypatch.setattr(reevaluating, "_RETRY_SECONDS", 0.0)
    await age(stores, scope)
    failures = 0

    async def look(read: Read, after: tuple[Value, ...], most: int) -> Sequence[Kept]:
        nonlocal failures
        failures += 1
        if failures < 3:
            raise ConnectionAbortedError
        return await RULESET_STEPS[0].look(read, after, most)

    steps = (replace(RULESET_STEPS[0], look=look), *RULESET_STEPS[1:])
    async with asyncio.timeout(20):
        await rulesets.follow(stores, steps)
    assert await flags(stores, scope) == fresh
