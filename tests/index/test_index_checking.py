"""The check finds every way in which index and cards can disagree, and the repair mends it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from engines import behind
from index_house import DEFINITIONS, ENTRIES, VECTORS, actions, make_index, note, publish, rows, settle
from shipped import MANIFESTS

from nexus_graph import cards, index
from nexus_graph.cards import CardFilter
from nexus_graph.scope.errors import Forbidden
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]
ENGINE = Scope.system("t_acme", Env.DEV, "check")

WRONG = {
    "missing": "delete from index_entries where card_id = :card_id",
    "stale": "update index_entries set version = 7 where card_id = :card_id",
    "damaged": "update index_vectors set vector = :bytes where card_id = :card_id",
    "altered": "update index_vectors set vector = :zeros where card_id = :card_id",
    "moved": "update index_vectors set end_at = end_at - 1 where card_id = :card_id",
    "text": "update index_vectors set vector = 'text' where card_id = :card_id",
    "counted": "update index_entries set chunks = 7 where card_id = :card_id",
    "numbered": "update index_vectors set ordinal = ordinal + 1 where card_id = :card_id",
    "unknown": "insert into index_entries select tenant_id, env, definition_id, 'card_unknown', version, digest, "
    "state, 0, '', generation from index_entries where card_id = :card_id",
    "retold": "update index_entries set digest = 'another' where card_id = :card_id",
    "fewer": "delete from index_vectors where card_id = :card_id",
    "orphaned": "update index_vectors set card_id = 'card_unknown' where card_id = :card_id",
    "homeless": "update index_entries set card_id = 'card_unknown' where card_id = :card_id",
    "state": "update index_definitions set state = 'ff'",
}
NAMED = {
    "missing": {"missing", "orphaned", "state"},  # its vectors are loose then
    "stale": {"stale", "state"},
    "damaged": {"damaged"},
    "altered": {"damaged"},
    "moved": {"damaged"},
    "text": {"damaged"},
    "counted": {"damaged"},
    "numbered": {"damaged"},
    "unknown": {"orphaned", "damaged", "state"},
    "retold": {"stale", "state"},
    "fewer": {"damaged"},
    "orphaned": {"orphaned", "damaged"},
    "homeless": {"missing", "orphaned", "damaged", "state"},
    "state": {"state"},
}


def named(report: index.IndexReport) -> set[str]:
    """What the report complains of."""
    wrong = {name for name in ("missing", "stale", "orphaned", "damaged") if getattr(report, name)}
    return wrong | (set() if report.state_holds else {"state"})


@pytest.mark.parametrize("kind", WRONG)
async def test_each_disagreement_is_named_and_mended(stores: Stores, scope_of: MakeScope, kind: str) -> None:
    """After the repair rows and state are as before, a search in a memory of before is right, a second check agrees."""
    scope, used = scope_of(), make_index()
    for name in ("one", "two", "three"):
        await publish(stores, scope, note(name, f"Parcels {name}."))
    await settle(stores, used)
    expected = await index.search(stores, used, scope, "parcels", CardFilter(), 3)
    before = [await rows(stores, scope, VECTORS), (await rows(stores, scope, DEFINITIONS))[0]["state"]]
    clean = await index.check(stores, used, ENGINE, repair=True)
    assert (clean.agrees, clean.repaired, clean.cards, clean.indexed, clean.vectors) == (True, False, 3, 3, 3)
    async with behind(stores) as connection:
        card_id = cards.card_id_of(scope, "two")
        await connection.rows(WRONG[kind], {"card_id": card_id, "bytes": bytes(2), "zeros": bytes(1536)})
    assert named(await index.check(stores, used, ENGINE)) == NAMED[kind]
    report = await index.check(stores, used, ENGINE, repair=True)
    assert (named(report), report.repaired) == (NAMED[kind], True)
    assert [await rows(stores, scope, VECTORS), (await rows(stores, scope, DEFINITIONS))[0]["state"]] == before
    assert await index.search(stores, used, scope, "parcels", CardFilter(), 3) == expected
    assert (await index.check(stores, used, ENGINE)).agrees
    assert "index.repaired" in await actions(stores, scope, "index.")


async def test_what_an_entry_says_of_its_chunks(stores: Stores, scope_of: MakeScope) -> None:
    """The digest is that of places and vectors in their order, whatever batch the card came in."""
    scope, used = scope_of(), make_index()
    await publish(stores, scope, note("one", "Parcels. " * 800))
    await settle(stores, used)
    chunks = [(row["start_at"], row["end_at"], row["vector"]) for row in await rows(stores, scope, VECTORS)]
    assert len(chunks) > 1
    whole = hashlib.sha256(b"".join(f"{start}:{end}:".encode() + vector for start, end, vector in chunks))
    assert [row["chunks_digest"] for row in await rows(stores, scope, ENTRIES)] == [whole.hexdigest()]


async def test_more_cards_than_one_page_are_compared(
    stores: Stores, scope_of: MakeScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last card is looked at too, the state is that of all, and who waits is told how far it is."""
    monkeypatch.setattr("nexus_graph.index.checking.MOST", 2)
    scope, used = scope_of(), make_index()
    for name in ("one", "two", "three", "four", "five"):
        await publish(stores, scope, note(name, f"Parcels {name}."))
    await settle(stores, used)
    told: list[int] = []
    assert (await index.check(stores, used, ENGINE, looked=told.append)).agrees
    assert told == [2, 2, 1]
    async with behind(stores) as connection:
        await connection.rows("update index_vectors set vector = :zeros", {"zeros": bytes(1536)})
    report = await index.check(stores, used, ENGINE, repair=True)
    assert (len(report.damaged), report.repaired) == (5, True)


async def test_a_retired_card_in_the_index_is_stale(stores: Stores, scope_of: MakeScope) -> None:
    """Retired without the follower having seen it: named, and taken out by the repair."""
    scope, used = scope_of(), make_index()
    published = await publish(stores, scope, note("one", "Parcels."))
    await settle(stores, used)
    await cards.retire(stores, MANIFESTS, scope, published.card.card_id, 1)
    assert (await index.check(stores, used, ENGINE, repair=True)).stale == (published.card.card_id,)
    assert await rows(stores, scope, VECTORS) == []
    await settle(stores, used)
    assert (await index.check(stores, used, ENGINE)).agrees


async def test_a_scope_that_was_never_indexed_can_be_repaired(stores: Stores, scope_of: MakeScope) -> None:
    """Without any follower the repair indexes all; the follower that comes later has nothing to do."""
    scope, used = scope_of(), make_index()
    await publish(stores, scope, note("one", "Parcels."))
    await publish(stores, scope_of("t_globex"), note("one", "Parcels."))
    assert (await index.check(stores, used, ENGINE, repair=True)).repaired
    assert await rows(stores, scope_of("t_globex"), ENTRIES) == []
    before = await rows(stores, scope, ENTRIES)
    await settle(stores, used)
    assert await rows(stores, scope, ENTRIES) == before
    assert (await actions(stores, scope))[-1] == "card.indexed"


async def test_only_the_engine_checks(stores: Stores, scope_of: MakeScope) -> None:
    """An owner can't start it."""
    with pytest.raises(Forbidden):
        await index.check(stores, make_index(), scope_of())
