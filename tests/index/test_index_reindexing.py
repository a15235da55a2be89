"""Another embedder takes a scope over in one step, after everything was built beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from engines import behind
from index_house import DEFINITIONS, ENTRIES, RUNS, VECTORS, Meddled, actions, make_index, note, publish, rows, settle
from lock_steps import approved
from shipped import MANIFESTS

from nexus_graph import cards, index
from nexus_graph.cards import CardFilter
from nexus_graph.safeguards import index_rebuild
from nexus_graph.scope.errors import Forbidden, Unavailable
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]
ENGINE = Scope.system("t_acme", Env.DEV, "reindex")
OTHER = "other@1:384:chunk-1"


async def fill(stores: Stores, scope: Scope, count: int = 40) -> None:
    """Notes about parcels."""
    for n in range(count):
        await publish(stores, scope, note(f"card-{n}", f"Parcels number {n}."))


async def found(stores: Stores, used: index.Index, scope: Scope) -> list[str]:
    """The ids of the 5 cards nearest to parcels."""
    return [hit.card_id for hit in (await index.search(stores, used, scope, "parcels", CardFilter(), 5)).hits]


async def test_searches_go_on_until_the_switch(stores: Stores, scope_of: MakeScope) -> None:
    """Under the old definition while the new one is built, under the new one alone afterwards, with the same cards."""
    scope, old = scope_of(), make_index()
    await fill(stores, scope)
    await settle(stores, old)
    before = await found(stores, old, scope)

    async def look(_: Sequence[str]) -> None:
        assert await found(stores, old, scope) == before

    embedder = Meddled(look, OTHER)
    new = make_index(embedder)
    told: list[tuple[int, int]] = []
    assert await index.reindex(stores, new, ENGINE, lambda done, total: told.append((done, total))) == 40
    assert told == [(32, 40), (40, 40)]
    embedder.before = None
    assert await found(stores, new, scope) == before
    with pytest.raises(Unavailable, match="another embedder"):
        await found(stores, old, scope)
    assert {row["definition_id"] for row in await rows(stores, scope, VECTORS)} == {OTHER}
    assert (await actions(stores, scope, "index."))[-1] == "index.rebuilt"
    await index.require_definition(stores, new)


async def test_cards_that_change_during_the_build_are_in_before_the_switch(stores: Stores, scope_of: MakeScope) -> None:
    """A revision, a retirement and a new card, made while their batch is embedded, are right from then on."""
    scope, old = scope_of(), make_index()
    await fill(stores, scope, 3)
    await settle(stores, old)
    revised, retired = cards.card_id_of(scope, "card-0"), cards.card_id_of(scope, "card-1")
    embedder = Meddled(id=OTHER)

    async def change(_: Sequence[str]) -> None:
        embedder.before = None
        await publish(stores, scope, note("card-0", "Parcels, revised."), expected_version=1)
        await cards.retire(stores, MANIFESTS, scope, retired, 1)
        await publish(stores, scope, note("late", "Parcels, late."))

    embedder.before = change
    new = make_index(embedder)
    await index.reindex(stores, new, ENGINE)
    result = await index.search(stores, new, scope, "parcels", CardFilter(), 10)
    versions = {hit.card_id: hit.version for hit in result.hits}
    late, other = cards.card_id_of(scope, "late"), cards.card_id_of(scope, "card-2")
    assert (versions, result.complete) == ({revised: 2, late: 1, other: 1}, True)
    assert (await index.check(stores, new, ENGINE)).agrees


async def test_an_interrupted_build_changes_no_search_and_is_continued(stores: Stores, scope_of: MakeScope) -> None:
    """The embedder fails half-way: the run has FAILED, searches go on as before, a second start builds the rest."""
    scope, old = scope_of(), make_index()
    await fill(stores, scope)
    await settle(stores, old)
    before = await found(stores, old, scope)
    embedded: list[str] = []

    async def fail_late(texts: Sequence[str]) -> None:
        if len(embedded) >= 35:
            raise Unavailable("Down.")
        embedded.extend(texts)

    embedder = Meddled(fail_late, OTHER)
    new = make_index(embedder)
    with pytest.raises(Unavailable, match="Down"):
        await index.reindex(stores, new, ENGINE)
    assert (await actions(stores, scope, "index."))[-1] == "index.rebuild_failed"
    assert await found(stores, old, scope) == before
    embedder.before = None
    assert await index.reindex(stores, new, ENGINE) == 8
    assert await found(stores, new, scope) == before


async def test_a_copy_in_memory_survives_two_switches(stores: Stores, scope_of: MakeScope) -> None:
    """Away from a definition and back, with a card retired in between: what was in memory does not come back."""
    scope, first = scope_of(), make_index()
    await fill(stores, scope, 6)
    await settle(stores, first)
    await found(stores, first, scope)
    await index.reindex(stores, make_index(Meddled(id=OTHER)), ENGINE)
    retired = cards.card_id_of(scope, "card-2")
    await cards.retire(stores, MANIFESTS, scope, retired, 1)
    await settle(stores, make_index(Meddled(id=OTHER)))
    await index.reindex(stores, first, ENGINE)
    hits = await found(stores, first, scope)
    assert hits == await found(stores, make_index(), scope)
    assert retired not in hits
    assert (await index.check(stores, first, ENGINE)).agrees


async def test_only_the_definition_that_was_asked_for_is_built(stores: Stores, scope_of: MakeScope) -> None:
    """A lock is for one definition: where there is another one the run fails, and searches stay as they are."""
    owner, used, other = scope_of(), make_index(), make_index(Meddled(id=OTHER))
    await fill(stores, owner, 2)
    await settle(stores, used)
    for built, status in ((other, "FAILED"), (used, "SUCCEEDED")):
        await approved(stores, owner, scope_of(role=Role.ADMIN), index_rebuild(used.definition_id))
        run_id = await index.request_rebuild(stores, used, owner)
        while await index.rebuilder(built).catch_up(stores):
            pass
        assert [row["status"] for row in await rows(stores, owner, RUNS) if row["run_id"] == run_id] == [status]
        assert {row["definition_id"] for row in await rows(stores, owner, VECTORS)} == {used.definition_id}
    assert (await actions(stores, owner, "index."))[-3:] == [
        *("index.rebuild_requested", "index.built", "index.rebuilt")
    ]


async def test_the_same_definition_can_be_rebuilt_in_place(stores: Stores, scope_of: MakeScope) -> None:
    """Every vector is made anew, and bytes and state come out the same."""
    scope, used = scope_of(), make_index()
    await fill(stores, scope, 5)
    await settle(stores, used)
    before = await rows(stores, scope, VECTORS)
    state = (await rows(stores, scope, DEFINITIONS))[0]["state"]
    async with behind(stores) as connection:
        await connection.rows("update index_vectors set vector = :zeros", {"zeros": bytes(1536)})
    assert await index.reindex(stores, used, ENGINE) == 5
    assert await rows(stores, scope, VECTORS) == before
    assert (await rows(stores, scope, DEFINITIONS))[0]["state"] == state


async def test_other_scopes_keep_their_definition(stores: Stores, scope_of: MakeScope) -> None:
    """Only the scope named is rebuilt, and only the engine rebuilds; an empty scope can be switched too."""
    for scope in (scope_of(), scope_of("t_globex"), scope_of(env=Env.PROD)):
        await fill(stores, scope, 2)
    await settle(stores, make_index())
    new = make_index(Meddled(id=OTHER))
    with pytest.raises(Forbidden):
        await index.reindex(stores, new, scope_of())
    await index.reindex(stores, new, ENGINE)
    await index.reindex(stores, new, Scope.system("t_acme", Env.STAGING, "reindex"))
    for scope in (scope_of("t_globex"), scope_of(env=Env.PROD)):
        assert {row["definition_id"] for row in await rows(stores, scope, ENTRIES)} == {make_index().definition_id}
        assert len(await found(stores, make_index(), scope)) == 2
