"""A scope that has a copy of its vectors on a server is answered as one whose vectors are in memory, byte for byte."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engines import behind, beside
from index_house import EVENTS, Meddled, actions, make_index, note, publish, rows, settle
from servers.weaviate import WeaviateServer, weaviate_server
from shipped import MANIFESTS

from nexus_graph import cards, index, packs
from nexus_graph.cards import CardFilter, Comparison, FieldCondition
from nexus_graph.index import VectorSource
from nexus_graph.index.copies import CopyBook
from nexus_graph.index.copying import _next, bring_up, keeper
from nexus_graph.index.definition import UNDEFINED, Copies, active
from nexus_graph.index.searching import ask, nearest
from nexus_graph.scope.errors import Conflict, NotFound, Unavailable
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.vectors.base import Change, Copy
from nexus_graph.stores.vectors.local import LocalVectors
from nexus_graph.stores.vectors.weaviate import WeaviateVectors
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]
ENGINE = Scope.system("t_acme", Env.DEV, "test")
EVERYTHING = CardFilter()
DEEDS = ("publish", "publish", "revise", "retire", "settle", "copy", "copy elsewhere", "rebuild")
WORDS = ["parcel", "return", "shoe", "coat", "linen", "price", "discount", "spring", "winter", "porto", "margin"]
QUESTIONS = ("linen discount", "parcel", "porto margin shoe winter", "!!!")


@asynccontextmanager
async def copied(
    server: WeaviateServer, stores: Stores, prefix: str | None = None, rows: int = 10**6
) -> AsyncIterator[tuple[index.Index, Copies, WeaviateVectors]]:
    """An index of a process of its own, whose scopes have copies from the first vector on."""
    vectors = server.vectors(CopyBook(stores), prefix)
    await vectors.open()
    copies = Copies(vectors, LocalVectors(), least=1, rows=rows)
    try:
        yield replace(make_index(), copies=copies), copies, vectors
    finally:
        await vectors.close()


def body(chance: random.Random) -> str:
    """A few paragraphs of few words, often the same as another's."""
    return "\n\n".join(" ".join(chance.choices(WORDS, k=chance.choice((2, 90)))) for _ in range(chance.randint(1, 3)))


async def equal(stores: Stores, used: index.Index, scope: Scope, chosen: CardFilter = EVERYTHING) -> None:
    """Both ways give the same answers to every question, of one result and of many."""
    for text in QUESTIONS:
        for k in (1, 7, 60):
            expected = await index.search(stores, make_index(), scope, text, chosen, k)
            assert await index.search(stores, used, scope, text, chosen, k) == expected, (text, k)


async def test_the_same_answers_whatever_the_filter(
    stores: Stores, scope_of: MakeScope, weaviate: WeaviateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twins, long cards, filters of every selectivity, those that the server decides and those that rows do."""
    monkeypatch.setattr("nexus_graph.index.foreseeing._DIRECT", 20)
    scope, chance = scope_of(), random.Random(7)  # noqa: S311 - reproducible texts
    for number in range(120):
        labels = [f"of-{share}" for share in (2, 3, 10, 60) if number % share == 0]
        text = "linen discount" if number % 5 == 0 else body(chance)
        await publish(
            stores, scope, note(f"n-{number}", text, f"labels: [{', '.join(labels)}]\ntopic: t{number % 4}\n")
        )
    async with copied(weaviate, stores) as (used, copies, _):
        await settle(stores, used)
        await bring_up(stores, used, copies, ENGINE)
        assert (await copies.vectors.view(used.space(scope))).generation > 0
        await equal(stores, used, scope)
        for share in (2, 3, 10, 60, 7):
            await equal(stores, used, scope, CardFilter(labels=(f"of-{share}",)))
        await equal(stores, used, scope, CardFilter(fields=(FieldCondition("topic", Comparison.EQUALS, ("t1",)),)))
        used.vectors.forget(*scope.key)
        await index.search(stores, used, scope, "linen discount", EVERYTHING, 7)
        assert (await used.vectors.view(used.space(scope))).generation == 0, "the copy on the server has answered"


async def test_a_search_says_who_named_its_candidates(
    stores: Stores, scope_of: MakeScope, weaviate: WeaviateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy; the rows where few cards are meant or it is of no use; the memory where there is none."""
    monkeypatch.setattr("nexus_graph.index.foreseeing._DIRECT", 3)
    scope = scope_of()
    for number in range(12):
        await publish(
            stores,
            scope,
            note(f"n-{number}", "linen " * (1 + number), f"labels: [half-{number % 2}, third-{number % 6}]\n"),
        )
    async with copied(weaviate, stores) as (used, copies, vectors):
        await settle(stores, used)

        async def source(text: str = "linen", chosen: CardFilter = EVERYTHING) -> VectorSource:
            expected = await index.search(stores, make_index(), scope, text, chosen, 3)
            found = await index.search(stores, used, scope, text, chosen, 3)
            assert found == expected
            journal = [each for each in await rows(stores, scope, EVENTS) if each["action"] == "cards.searched"]
            told = [json.loads(each["payload"])["output"]["answeredBy"] for each in journal[-2:]]
            assert told == [VectorSource.LOCAL_MATRIX, found.answered_by]
            return found.answered_by

        assert await source() is VectorSource.LOCAL_MATRIX, "no copy yet"
        await bring_up(stores, used, copies, ENGINE)
        assert await source() is VectorSource.VECTOR_SERVER
        few, many = CardFilter(labels=("third-1",)), CardFilter(labels=("half-1",))
        assert await source(chosen=many) is VectorSource.VECTOR_SERVER
        assert await source(chosen=few) is VectorSource.ROWS
        assert await source("!!!") is VectorSource.ROWS, "there is nothing to ask for"
        await publish(stores, scope, note("new", "linen"))
        await settle(stores, used)
        assert await source() is VectorSource.VECTOR_SERVER, "and the rows for what is newer"
        await vectors._remove_tenants(vectors._name(used.space(scope)), "t")
        assert await source() is VectorSource.ROWS
        await vectors.erase(*scope.key)
        assert await source() is VectorSource.LOCAL_MATRIX
        await bring_up(stores, used, copies, ENGINE)
        ours, theirs = [
            await packs.request(stores, each, scope, packs.Ask("linen", k=3)) for each in (used, make_index())
        ]
        assert ours.pack == theirs.pack
        assert (ours.new, theirs.new) == (True, False)
        await packs.replay(stores, used, scope, ours.pack.pack_id)
        last = (await rows(stores, scope, EVENTS))[-3:]
        assert [json.loads(event["payload"])["output"]["answeredBy"] for event in last] == [
            "VECTOR_SERVER",
            "LOCAL_MATRIX",
            "VECTOR_SERVER",
        ]


async def test_whatever_happens_the_answers_are_those_of_the_rows(
    stores: Stores, scope_of: MakeScope, weaviate: WeaviateServer
) -> None:
    """Publishing, retiring, repairing and copying in any order, by two processes that share one copy."""
    scope, chance = scope_of(), random.Random(11)  # noqa: S311 - reproducible
    versions: dict[str, int] = {}
    async with (
        beside(stores) as other,
        copied(weaviate, stores) as (used, copies, vectors),
        copied(weaviate, other, vectors.prefix) as (second, second_copies, _),
    ):
        for step in range(60):
            deed = chance.choice(
                ("publish", "publish", "revise", "retire", "settle", "copy", "copy elsewhere", "rebuild")
            )
            key = f"n-{chance.randint(0, 12)}"
            with suppress(Conflict, NotFound):  # what it needs is not there
                if deed == "publish":
                    await publish(stores, scope, note(f"{key}-{step}", body(chance)))
                elif deed == "revise":
                    revised = await publish(stores, scope, note(key, body(chance)), expected_version=versions.get(key))
                    versions[key] = revised.card.version
                elif deed == "retire":
                    await cards.retire(stores, MANIFESTS, scope, cards.card_id_of(scope, key), versions.pop(key, 1))
            if deed == "settle":
                await settle(stores, used)
            elif deed == "copy":
                await bring_up(stores, used, copies, ENGINE)
            elif deed == "copy elsewhere":
                await bring_up(other, second, second_copies, ENGINE)
            elif deed == "rebuild" and step % 3 == 0:
                await index.reindex(stores, used, ENGINE)
            if step % 4 == 0:
                await equal(stores, used, scope)
                await equal(other, second, scope)
        await settle(stores, used)
        await bring_up(stores, used, copies, ENGINE)
        await equal(stores, used, scope)
        await equal(other, second, scope)


async def test_what_is_written_between_the_question_and_its_snapshot(
    stores: Stores, scope_of: MakeScope, weaviate: WeaviateServer
) -> None:
    """The copy was asked, then it moved on, with cards revised and retired: the answer is that of the snapshot."""
    scope = scope_of()
    async with copied(weaviate, stores) as (used, copies, _):
        for number in range(30):
            await publish(stores, scope, note(f"n-{number}", f"linen {'discount ' * (number % 3)}"))
        await settle(stores, used)
        await bring_up(stores, used, copies, ENGINE)
        question = await ask(stores, used, scope, "linen discount", EVERYTHING, 10)
        assert question.foreseen is not None
        for number in (2, 5, 8):
            await publish(stores, scope, note(f"n-{number}", "winter"), expected_version=1)
        await cards.retire(stores, MANIFESTS, scope, cards.card_id_of(scope, "n-11"), 1)
        await publish(stores, scope, note("new", "linen discount linen discount"))
        plainly = await ask(stores, make_index(), scope, "linen discount", EVERYTHING, 10)
        async with stores.read(scope) as between:
            before = await nearest(between, make_index(), plainly)
            await settle(stores, used)
            await bring_up(stores, used, copies, ENGINE)
            assert await nearest(between, used, question) == before
        expected = await index.search(stores, make_index(), scope, "linen discount", EVERYTHING, 10)
        async with stores.read(scope) as later:
            assert await nearest(later, used, question) == expected
        assert await index.search(stores, used, scope, "linen discount", EVERYTHING, 10) == expected


async def test_a_search_right_after_a_publish_finds_it(
    stores: Stores, scope_of: MakeScope, weaviate: WeaviateServer
) -> None:
    """Indexed, and not copied yet: the new card is found, the older version is not, and the copy goes on being used."""
    scope = scope_of()
    async with copied(weaviate, stores) as (used, copies, _):
        for number in range(20):
            await publish(stores, scope, note(f"n-{number}", "linen"))
        await settle(stores, used)
        await bring_up(stores, used, copies, ENGINE)
        new = await publish(stores, scope, note("new", "discount discount"))
        await publish(stores, scope, note("n-3", "discount"), expected_version=1)
        await settle(stores, used)
        found = await index.search(stores, used, scope, "discount", EVERYTHING, 2)
        assert {hit.card_id for hit in found.hits} == {new.card.card_id, cards.card_id_of(scope, "n-3")}
        assert (found.complete, found.exact) == (True, True)
        await equal(stores, used, scope)


async def test_the_keeper_follows_and_lets_go_of_what_became_small(
    stores: Stores, scope_of: MakeScope, weaviate: WeaviateServer
) -> None:
    """From the size on that was set there is a copy; below half of it there is none, on the server neither."""
    scope = scope_of()
    async with copied(weaviate, stores) as (used, small, vectors):
        copies = replace(small, least=6)
        follower = keeper(used, copies)

        async def kept() -> int:
            await settle(stores, used)
            while await follower.catch_up(stores):
                pass
            return (await vectors.view(used.space(scope))).generation

        for number in range(5):
            await publish(stores, scope, note(f"n-{number}", "linen"))
        assert await kept() == 0
        await publish(stores, scope, note("n-5", "linen"))
        assert await kept() == 6
        for number in range(3):
            await cards.retire(stores, MANIFESTS, scope, cards.card_id_of(scope, f"n-{number}"), 1)
        assert await kept() == 9
        await cards.retire(stores, MANIFESTS, scope, cards.card_id_of(scope, "n-3"), 1)
        assert await kept() == 0
        assert [keys async for keys, _ in vectors.held(used.space(scope))] == []
        assert (await actions(stores, scope, "index.cop"))[-1] == "index.copies_ended"
        await equal(stores, replace(used, copies=copies), scope)


@pytest.mark.long
async def test_a_dead_server_costs_a_second_once(stores: Stores, scope_of: MakeScope, tmp_path: Path) -> None:
    """Killed in the midst of searches, and frozen: rows answer, and say no if there are too many; then it is back."""
    scope = scope_of()
    with weaviate_server(tmp_path / "own") as server:
        async with copied(server, stores) as (used, copies, vectors):
            for number in range(20):
                await publish(stores, scope, note(f"n-{number}", f"linen {'discount ' * (number % 3)}"))
            await settle(stores, used)
            await bring_up(stores, used, copies, ENGINE)
            expected = await index.search(stores, make_index(), scope, "linen", EVERYTHING, 5)

            by: list[VectorSource] = []

            async def search() -> float:
                begin = time.perf_counter()
                found = await index.search(stores, used, scope, "linen", EVERYTHING, 5)
                assert found == expected
                by.append(found.answered_by)
                return time.perf_counter() - begin

            await search()
            assert by.pop() is VectorSource.VECTOR_SERVER
            under_way = [asyncio.create_task(search()) for _ in range(20)]
            await asyncio.sleep(0.01)
            server.kill()
            assert max(await asyncio.gather(*under_way)) < 1.3
            assert await search() < 0.5, "nobody waits in the pause"
            assert by.pop() is VectorSource.ROWS
            with pytest.raises(Unavailable):
                await vectors.ready()
            few = replace(used, vectors=LocalVectors(), copies=replace(copies, rows=19))
            with pytest.raises(Unavailable, match="Weaviate does not answer for this scope, and 20 vectors"):
                await index.search(stores, few, scope, "linen", EVERYTHING, 5)
            with pytest.raises(Unavailable):
                await vectors.erase(*scope.key)
            server.start()
            await vectors.ready()
            await bring_up(stores, used, copies, ENGINE)
            used.vectors.forget(*scope.key)
            await search()
            assert by.pop() is VectorSource.VECTOR_SERVER
            server.freeze()
            assert await search() < 1.3
            assert by.pop() is VectorSource.ROWS
            server.thaw()


async def test_a_server_that_lost_its_data_is_filled_again(
    stores: Stores, scope_of: MakeScope, weaviate: WeaviateServer
) -> None:
    """Its tenants removed by somebody: rows answer, other scopes go on, and the next change makes the copy anew."""
    scope = scope_of()
    async with copied(weaviate, stores) as (used, copies, vectors):
        for each in (scope, scope_of("t_globex")):
            await publish(stores, each, note("one", "linen"))
        await settle(stores, used)
        await bring_up(stores, used, copies, ENGINE)
        await bring_up(stores, used, copies, Scope.system("t_globex", Env.DEV, "test"))
        before = await vectors.view(used.space(scope))
        assert before.copy is not None
        await vectors._remove_tenants(vectors._name(used.space(scope)), "t")
        await equal(stores, used, scope)
        await publish(stores, scope, note("two", "linen discount"))
        await settle(stores, used)
        async with stores.read(scope) as read:
            change = await _next(read, used, before, await active(read, used) or UNDEFINED)
        assert change is not None
        with pytest.raises(Unavailable, match="gone"):
            await vectors.apply(used.space(scope), before, change)
        await bring_up(stores, used, copies, ENGINE)
        after = await vectors.view(used.space(scope))
        assert after.copy is not None
        assert after.copy.epoch > before.copy.epoch
        assert sum([len(keys) async for keys, _ in vectors.held(used.space(scope))]) == 2
        await equal(stores, used, scope)


async def test_the_check_compares_the_copy_and_the_repair_makes_it_anew(
    stores: Stores, scope_of: MakeScope, weaviate: WeaviateServer
) -> None:
    """Rows that are missing there, too many, other ones, or all gone: named, mended, and right again."""
    scope = scope_of()
    async with copied(weaviate, stores) as (used, copies, vectors):
        for number in range(6):
            await publish(stores, scope, note(f"n-{number}", "linen " * (1 + number)))
        await settle(stores, used)
        await bring_up(stores, used, copies, ENGINE)
        space = used.space(scope)
        first = cards.card_id_of(scope, "n-0")
        matrix = np.full((1, space.dimensions), space.dimensions**-0.5, np.float32)
        assert (await index.check(stores, used, ENGINE)).agrees
        for groups, keys, words in (
            ([first], [], "differs in 1 cards"),
            ([first], [(first, 0)], "differs in 1 cards"),
            ([], [("card_unknown", 0)], "differs in 1 cards, card_unknown"),
            (None, [], "is not on the server"),
        ):
            view = await vectors.view(space)
            if groups is None:
                await vectors._remove_tenants(vectors._name(space), "t")
            else:
                await vectors.apply(space, view, Change(view.generation, groups, keys, matrix[: len(keys)]))
                if groups and view.copy is not None:  # as a newer write would remove it
                    change = Change(view.generation + 1, groups, [], matrix[:0])
                    await vectors._remove_older(space, view.copy.epoch, change)
                    if keys:
                        await vectors._put(space, view.copy.epoch, Change(view.generation, groups, keys, matrix))
            report = await index.check(stores, used, ENGINE, repair=True)
            assert words in (report.copy_fault or "")
            assert report.repaired
            assert (await index.check(stores, used, ENGINE)).agrees
            await equal(stores, used, scope)


async def test_cards_that_changed_since_are_no_fault_of_the_copy(
    stores: Stores, scope_of: MakeScope, weaviate: WeaviateServer
) -> None:
    """Published and revised after the copy was written: rows answer for them, and the check agrees."""
    scope = scope_of()
    async with copied(weaviate, stores) as (used, copies, _):
        await publish(stores, scope, note("one", "linen"))
        await settle(stores, used)
        await bring_up(stores, used, copies, ENGINE)
        await publish(stores, scope, note("one", "linen coat"), expected_version=1)
        await publish(stores, scope, note("two", "linen coat"))
        await settle(stores, used)
        assert (await index.check(stores, used, ENGINE)).agrees


async def test_rows_that_were_restored_are_believed_and_their_copy_is_made_anew(
    stores: Stores, scope_of: MakeScope, weaviate: WeaviateServer
) -> None:
    """The copy knows a later revision, and a removal: neither counts, at the first search of a process or later."""
    scope = scope_of()
    async with copied(weaviate, stores) as (used, copies, vectors):
        for number in range(5):
            await publish(stores, scope, note(f"n-{number}", "linen " * (1 + number)))
        await settle(stores, used)
        await bring_up(stores, used, copies, ENGINE)
        space, view = used.space(scope), await vectors.view(used.space(scope))
        lost = [cards.card_id_of(scope, "n-0"), cards.card_id_of(scope, "n-1")]
        await vectors.apply(
            space, view, Change(view.generation + 3, lost, [], np.empty((0, space.dimensions), np.float32))
        )
        async with behind(stores) as connection:
            await connection.rows("update index_copies set generation = :old", {"old": view.generation})
        async with copied(weaviate, stores, vectors.prefix) as (fresh, fresh_copies, _):
            await equal(stores, fresh, scope)
            assert (
                await index.check(stores, fresh, ENGINE)
            ).copy_fault == "is newer than the rows, which were restored"
            await publish(stores, scope, note("new", "linen"))
            await settle(stores, fresh)
            await bring_up(stores, fresh, fresh_copies, ENGINE)
            assert (await index.check(stores, fresh, ENGINE)).agrees
            fresh.vectors.forget(*scope.key)
            await equal(stores, fresh, scope)


async def test_the_copy_of_another_embedder_goes_when_searches_leave_it(
    stores: Stores, scope_of: MakeScope, weaviate: WeaviateServer
) -> None:
    """After a rebuild with another one there is its copy, and the one before is gone from the server."""
    scope, embedder = scope_of(), Meddled(id="another@v1:384:chunk-1")
    async with copied(weaviate, stores) as (used, copies, vectors):
        await publish(stores, scope, note("one", "linen"))
        await settle(stores, used)
        await bring_up(stores, used, copies, ENGINE)
        later = replace(make_index(embedder), copies=copies)
        await index.reindex(stores, later, ENGINE)
        await bring_up(stores, used, copies, ENGINE)
        await bring_up(stores, later, copies, ENGINE)
        assert (await vectors.view(used.space(scope))).generation == 0
        assert await vectors._tenants(vectors._name(used.space(scope)), "t") == []
        assert [list(keys) async for keys, _ in vectors.held(later.space(scope))] != []
        expected = await index.search(stores, make_index(embedder), scope, "linen", EVERYTHING, 3)
        assert await index.search(stores, later, scope, "linen", EVERYTHING, 3) == expected


async def test_an_epoch_that_is_over_never_moves(stores: Stores, scope_of: MakeScope) -> None:
    """Of two who begin one wins; a copy goes forward alone; after its end nothing that was begun before counts."""
    book, space = CopyBook(stores), make_index().space(scope_of())
    await publish(stores, scope_of(), note("one", "linen"))
    await settle(stores, make_index())
    first = await book.begin(space, 0)
    assert first == Copy(1, 0)
    assert await book.begin(space, 0) is None
    assert await book.move(space, 1, 5)
    assert await book.move(space, 1, 3)
    assert await book.find(space) == Copy(1, 5)
    await book.end(space.tenant_id, space.env, space.definition_id)
    assert await book.find(space) == Copy(1, 5)
    await book.end(space.tenant_id, space.env, None)
    assert not await book.move(space, 1, 6)
    assert await book.find(space) == Copy(2, 0)
    assert await book.begin(space, 1) is None
