"""Copies that nobody uses rest in a bucket, and answers are the same bytes before, meanwhile and after."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from engines import behind, beside
from index_house import actions, make_index, note, publish, settle
from servers.offloading import Offloading

from nexus_graph import index
from nexus_graph.cards import CardFilter
from nexus_graph.index import SearchResult, VectorSource
from nexus_graph.index.copies import CopyBook
from nexus_graph.index.copying import keeper
from nexus_graph.index.definition import Copies
from nexus_graph.scope.errors import ConfigurationError, Unavailable
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.vectors.local import LocalVectors
from nexus_graph.stores.vectors.weaviate import WeaviateVectors
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]
ENGINE = Scope.system("t_acme", Env.DEV, "test")
EVERYTHING = CardFilter()
DAYS = timedelta(days=30)


class Process:
    """What one process has, and the copies that all of them share."""

    def __init__(self, stores: Stores, vectors: WeaviateVectors, rows: int) -> None:
        self.stores, self.vectors = stores, vectors
        self.copies = Copies(vectors, LocalVectors(), least=1, rows=rows, offload_after=DAYS)
        self.index = replace(make_index(), copies=self.copies)
        self.keeper = keeper(self.index, self.copies)

    async def search(self, scope: Scope) -> SearchResult:
        """The three best cards."""
        return await index.search(self.stores, self.index, scope, "linen discount", EVERYTHING, 3)

    async def offload(self) -> int:
        """Let what is idle be offloaded."""
        return await index.offload_idle(self.stores, self.index, self.copies)

    async def follow(self) -> None:
        """Let the keeper of copies do what there is to do."""
        while await self.keeper.catch_up(self.stores):
            pass


@asynccontextmanager
async def process(
    offloading: Offloading, stores: Stores, prefix: str | None = None, rows: int = 10**6
) -> AsyncIterator[Process]:
    """A process of its own."""
    async with offloading.vectors(CopyBook(stores), prefix) as vectors:
        yield Process(stores, vectors, rows)


async def stock(one: Process, scope: Scope) -> None:
    """Twelve cards, and their copy."""
    for number in range(12):
        await publish(one.stores, scope, note(f"n-{number}", f"linen {'discount ' * (number % 4)} {number}"))
    await settle(one.stores, one.index)
    await one.follow()


async def test_a_copy_rests_when_nobody_uses_it_and_use_brings_it_back(
    stores: Stores, scope_of: MakeScope, clock: Any, offloading: Offloading
) -> None:
    """Rows answer while it is away, and are told so; the journal tells of every step."""
    async with process(offloading, stores) as one:
        await stock(one, scope_of())
        before = await one.search(scope_of())
        assert before.answered_by is VectorSource.VECTOR_SERVER
        clock.advance(days=29)
        assert await one.offload() == 0
        clock.advance(days=2)
        assert await one.offload() == 1
        assert await one.offload() == 0
        assert offloading.readable(f"{one.vectors.prefix}_")
        await offloading.has_left(one.vectors, one.index.space(ENGINE))
        for _ in range(2):
            meanwhile = await one.search(scope_of())
            assert meanwhile == before
            assert meanwhile.answered_by is VectorSource.ROWS
        await one.follow()
        after = await one.search(scope_of())
        assert after == before
        assert after.answered_by is VectorSource.VECTOR_SERVER
        assert offloading.in_bucket(f"{one.vectors.prefix}_") == []
        told = ["begun", "offloading", "offloaded", "called", "onloaded"]
        assert await actions(stores, scope_of(), "index.copy_") == [f"index.copy_{each}" for each in told]
        await one.vectors.erase(*ENGINE.key)


async def test_use_by_one_process_keeps_it_awake_for_the_other(
    stores: Stores, scope_of: MakeScope, clock: Any, offloading: Offloading
) -> None:
    """Two processes that share a copy: searched by one it stays, idle in both it goes, by one of them alone."""
    async with (
        beside(stores) as database,
        process(offloading, stores) as one,
        process(offloading, database, one.vectors.prefix) as other,
    ):
        await stock(one, scope_of())
        before = await other.search(scope_of())
        clock.advance(days=20)
        assert await one.search(scope_of()) == before
        clock.advance(days=20)
        assert await other.offload() == 0, "it was used twenty days ago, by another process"
        clock.advance(days=11)
        view = await other.vectors.view(other.index.space(ENGINE))
        assert [await one.offload(), await other.offload()] == [1, 0]
        with pytest.raises(Unavailable, match="loaded from its bucket"):
            await other.vectors.use(other.index.space(ENGINE), view)  # looked at it before that
        meanwhile = await other.search(scope_of())
        assert (meanwhile, meanwhile.answered_by) == (before, VectorSource.ROWS)
        await one.follow()
        for each in (one, other):
            found = await each.search(scope_of())
            assert (found, found.answered_by) == (before, VectorSource.VECTOR_SERVER)
        assert (await actions(stores, scope_of(), "index.copy_")).count("index.copy_called") == 1
        await one.vectors.erase(*ENGINE.key)


async def test_too_many_vectors_for_rows_wait_until_it_is_loaded(
    stores: Stores, scope_of: MakeScope, clock: Any, offloading: Offloading
) -> None:
    """The refusal says what is going on."""
    async with process(offloading, stores, rows=5) as one:
        await stock(one, scope_of())
        before = await one.search(scope_of())
        clock.advance(days=31)
        assert await one.offload() == 1
        with pytest.raises(Unavailable, match="is loading the copy of this scope from its bucket, and 12 vectors"):
            await one.search(scope_of())
        await one.follow()
        assert await one.search(scope_of()) == before
        await one.vectors.erase(*ENGINE.key)


async def test_a_publish_loads_it_and_is_in_it(
    stores: Stores, scope_of: MakeScope, clock: Any, offloading: Offloading
) -> None:
    """What is written counts as use; a writer that saw it before it went writes nothing that would be lost."""
    async with process(offloading, stores) as one:
        await stock(one, scope_of())
        copy = await one.vectors.book.find(one.index.space(ENGINE))
        assert copy is not None
        clock.advance(days=31)
        assert await one.offload() == 1
        assert not await one.vectors.book.move(one.index.space(ENGINE), copy.epoch, copy.generation)
        await publish(stores, scope_of(), note("new", "linen discount"))
        await settle(stores, one.index)
        await one.follow()
        found = await one.search(scope_of())
        assert found.answered_by is VectorSource.VECTOR_SERVER
        assert found == await index.search(stores, make_index(), scope_of(), "linen discount", EVERYTHING, 3)
        assert len([key async for keys, _ in one.vectors.held(one.index.space(ENGINE)) for key in keys]) == 13
        assert await one.offload() == 0
        await one.vectors.erase(*ENGINE.key)


async def test_what_was_lost_in_the_bucket_is_found_and_made_anew(
    stores: Stores, scope_of: MakeScope, clock: Any, offloading: Offloading
) -> None:
    """By `check`, which wakes nobody and repairs; and by whoever uses it."""
    async with process(offloading, stores) as one:
        await stock(one, scope_of())
        before = await one.search(scope_of())
        for found_by in ("check", "use"):
            clock.advance(days=31)
            assert await one.offload() == 1
            scope = scope_of(role=Role.ADMIN)
            assert (await index.check(stores, one.index, ENGINE)).agrees
            assert (await one.vectors.view(one.index.space(ENGINE))).offloaded
            offloading.drop(next(key for key in offloading.readable(f"{one.vectors.prefix}_") if key.endswith(".db")))
            report = await index.check(stores, one.index, ENGINE, repair=found_by == "check")
            assert report.copy_fault == "is not in the bucket as it was offloaded"
            assert report.repaired is (found_by == "check")
            if found_by == "use":
                assert (await one.search(scope)).answered_by is VectorSource.ROWS
                await one.follow()
            found = await one.search(scope)
            assert (found, found.answered_by) == (before, VectorSource.VECTOR_SERVER)
            assert offloading.in_bucket(f"{one.vectors.prefix}_") == []
        await one.vectors.erase(*ENGINE.key)


async def test_a_start_without_the_bucket_is_refused_while_copies_are_in_it(
    stores: Stores, scope_of: MakeScope
) -> None:
    """Nothing could prove that they are gone."""
    await publish(stores, scope_of(), note("one", "linen"))
    book, space = CopyBook(stores), make_index().space(ENGINE)
    await settle(stores, make_index())
    assert await book.begin(space, 0) is not None
    without = Copies(LocalVectors(), LocalVectors(), least=1, rows=1)
    await index.require_bucket(stores, without)
    await book.move(space, 1, 1)
    assert await book.offload(space, 1, 2**62)
    with pytest.raises(ConfigurationError, match="NEXUS_WEAVIATE_OFFLOAD_BUCKET is missing, and 1 copies"):
        await index.require_bucket(stores, without)
    await index.require_bucket(stores, replace(without, offload_after=DAYS))
    async with behind(stores) as connection:
        (row,) = await connection.rows("select contents from index_copies", {})
    assert row["contents"] == ""
