"""Copies in the bucket of Weaviate's module: what it says is not believed, what it leaves behind is removed."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from servers.offloading import Offloading, offloading_servers
from servers.seaweedfs import SeaweedFS, seaweedfs
from servers.weaviate import MemoryBook, WeaviateServer

from nexus_graph.scope.errors import ConfigurationError, Unavailable
from nexus_graph.stores.vectors import weaviate_schema as schema
from nexus_graph.stores.vectors.base import Change, Lost, Nomination, Offloaded, Rest, Space
from nexus_graph.stores.vectors.weaviate import WeaviateVectors

pytestmark = pytest.mark.servers

SPACE = Space("t_acme", "dev", "hashing@v1:4:chunk-1", 4)
OTHER = replace(SPACE, tenant_id="t_other")
ROWS = np.eye(4, dtype=np.float32)
FOUR = Change(1, ["card_1"], [("card_1", place) for place in range(4)], ROWS)


async def copied(vectors: WeaviateVectors, space: Space = SPACE) -> Nomination:
    """Give a space a copy, and ask it."""
    await vectors.apply(space, await vectors.view(space), FOUR)
    return await (await vectors.view(space)).nominate(ROWS[0], 1)


async def tenants(vectors: WeaviateVectors) -> list[str]:
    """What is on the server."""
    return await vectors._tenants(vectors._name(SPACE), "t")


async def test_a_copy_goes_to_the_bucket_and_comes_back(offloading: Offloading) -> None:
    """Its folder on the server is gone meanwhile, nobody is answered from it, and afterwards the bucket is empty."""
    async with offloading.vectors() as vectors:
        before, begin = await copied(vectors), f"{vectors.prefix}_"
        assert offloading.in_bucket(begin) == [], "the probe of the start left nothing"
        assert offloading.on_disk(vectors, SPACE).is_dir()
        assert await vectors.offload(SPACE, 1)
        assert not await vectors.offload(SPACE, 1), "it is there already"
        view = await vectors.view(SPACE)
        assert view.offloaded
        assert await vectors.intact(SPACE, view)
        await offloading.has_left(vectors, SPACE)
        assert offloading.readable(begin)
        for deed in (view.nominate(ROWS[0], 1), vectors.apply(SPACE, view, FOUR), vectors.use(SPACE, view)):
            with pytest.raises(Offloaded, match="loaded from its bucket"):
                await deed
        assert await vectors.onload(SPACE, view)
        assert await (await vectors.view(SPACE)).nominate(ROWS[0], 1) == before
        assert offloading.on_disk(vectors, SPACE).is_dir()
        assert offloading.in_bucket(begin) == []
        await vectors.erase(SPACE.tenant_id, SPACE.env)


@pytest.mark.parametrize("missing", ["all files", "a file", "what they are"])
async def test_what_is_not_certain_to_be_whole_does_not_come_back(offloading: Offloading, missing: str) -> None:
    """Weaviate itself would load what is left, and answer from it as if it were all."""
    book = MemoryBook()
    async with offloading.vectors(book) as vectors:
        await copied(vectors)
        await vectors.offload(SPACE, 1)
        if missing == "what they are":
            book.copies[SPACE] = replace(book.copies[SPACE], rest=Rest(1, ""))
        for key in offloading.readable(f"{vectors.prefix}_"):
            if missing == "all files" or (missing == "a file" and key.endswith(".db")):
                offloading.drop(key)
        view = await vectors.view(SPACE)
        assert not await vectors.intact(SPACE, view)
        assert not await vectors.onload(SPACE, view)
        assert (await vectors.view(SPACE)).offloaded
        await vectors.erase(SPACE.tenant_id, SPACE.env)
        assert offloading.in_bucket(f"{vectors.prefix}_") == []


async def test_a_copy_that_lost_its_rows_on_the_way_does_not_come_back(
    offloading: Offloading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bucket was as it should, and the server has less: its own mark of the last write is missing."""
    async with offloading.vectors() as vectors:
        await copied(vectors)
        await vectors.offload(SPACE, 1)

        async def nothing(_: object) -> int:
            return 0

        monkeypatch.setattr("nexus_graph.stores.vectors.weaviate_rows.witnessed", nothing)
        assert not await vectors.onload(SPACE, await vectors.view(SPACE))
        await vectors.erase(SPACE.tenant_id, SPACE.env)


async def test_a_copy_that_is_not_whole_though_the_database_thinks_so_is_lost(offloading: Offloading) -> None:
    """As after a restore of the database: it was offloaded since, its files are gone, and asking it wakes it."""
    book = MemoryBook()
    async with offloading.vectors(book) as vectors:
        await copied(vectors)
        assert await vectors.reached(SPACE, await vectors.view(SPACE)) == 1
        restored = book.copies[SPACE]
        await vectors.offload(SPACE, 1)
        for key in offloading.readable(f"{vectors.prefix}_"):
            offloading.drop(key)
        book.copies[SPACE] = restored
        vectors._reached.clear()
        for _ in range(2):  # the first time it is just being loaded
            vectors.connection._quiet_until = 0.0
            with pytest.raises(Unavailable) as lost:
                await vectors.reached(SPACE, await vectors.view(SPACE))
        assert isinstance(lost.value, Lost), lost.value
        await vectors.erase(SPACE.tenant_id, SPACE.env)


async def test_an_erasure_leaves_no_version_of_what_was_offloaded(offloading: Offloading) -> None:
    """Offloaded, or loaded again and left behind: all of the tenant goes, and nothing of another's."""
    async with offloading.vectors() as vectors:
        for space in (SPACE, OTHER):
            await copied(vectors, space)
            assert await vectors.offload(space, 1)
        name = vectors._name(SPACE)
        mine, others = (f"{name}/{schema.tenant_prefix(each.tenant_id, 'dev')}" for each in (SPACE, OTHER))
        kept = offloading.in_bucket(others)
        former = f"{name.lower()}/{schema.tenant_name(SPACE, 0)}/node1/of an earlier epoch"
        offloading.objects.client().put_object(Bucket=offloading.bucket, Key=former, Body=b"1")
        assert kept
        assert len(offloading.in_bucket(mine)) > 1
        await vectors.erase(SPACE.tenant_id, SPACE.env)
        assert offloading.in_bucket(mine) == []
        assert offloading.in_bucket(others) == kept
        assert await tenants(vectors) == [schema.tenant_name(OTHER, 1)]
        await vectors.erase(OTHER.tenant_id, OTHER.env)
        assert offloading.in_bucket(f"{vectors.prefix}_") == []


async def test_what_nobody_owns_in_the_bucket_is_named_and_removed(offloading: Offloading) -> None:
    """Also where the server knows nothing of it; what begins otherwise is another installation's."""
    async with offloading.vectors() as vectors:
        name = schema.collection_name(vectors.prefix, "dev", "gone")
        theirs = schema.collection_name(f"{vectors.prefix}B", "dev", "gone")
        for each in (name, theirs):
            offloading.objects.client().put_object(
                Bucket=offloading.bucket, Key=f"{each.lower()}/t1_1/node1/x", Body=b"1"
            )
        assert await vectors.names() == {f"{name}/t1_1"}
        await vectors.remove({f"{name}/t1_1"}, ())
        assert await vectors.names() == frozenset()
        assert offloading.in_bucket(name) == []
        assert len(offloading.in_bucket(theirs)) == 1


async def test_whoever_knows_no_bucket_removes_nothing_that_is_in_one(offloading: Offloading) -> None:
    """It could not be proven, and once the server had forgotten the copy nobody would ask any more."""
    async with offloading.vectors() as vectors:
        await copied(vectors)
        await vectors.offload(SPACE, 1)
        without = offloading.weaviate.vectors(vectors.book, vectors.prefix)
        await without.open()
        with pytest.raises(Unavailable) as refused:
            await without.erase(SPACE.tenant_id, SPACE.env)
        assert "NEXUS_WEAVIATE_OFFLOAD_BUCKET" in (refused.value.hint or "")
        assert await tenants(without) == [schema.tenant_name(SPACE, 1)]
        await without.close()
        await vectors.erase(SPACE.tenant_id, SPACE.env)


async def test_a_server_that_does_not_offload_there_is_refused(
    offloading: Offloading, weaviate: WeaviateServer, s3_server: SeaweedFS
) -> None:
    """It has no module, or another bucket: both are seen by a tenant of no rows at the start, which leaves nothing."""
    with s3_server.bucket() as other:
        async with offloading.shelf(bucket=other) as shelf:
            plain, elsewhere = weaviate.vectors(shelf=shelf), offloading.weaviate.vectors(shelf=shelf)
            with pytest.raises(ConfigurationError, match="the module offload-s3 is not enabled"):
                await plain.open()
            with pytest.raises(ConfigurationError, match="not found in that bucket"):
                await elsewhere.open()
            assert await plain._collections() == await elsewhere._collections() == {}
            for each in (plain, elsewhere):
                await each.close()


async def test_servers_that_die_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weaviate killed while it offloads keeps the tenant on its way for ever; a bucket that is away proves nothing."""
    monkeypatch.setattr("nexus_graph.stores.vectors.weaviate_offloading._SETTLE_SECONDS", 1.0)
    (tmp_path / "s3").mkdir()
    with seaweedfs(tmp_path / "s3") as objects, offloading_servers(tmp_path / "weaviate", objects) as servers:
        assert objects._process is not None
        async with servers.vectors() as vectors:
            await copied(vectors)
            await copied(vectors, OTHER)
            name, mine = vectors._name(SPACE), schema.tenant_name(SPACE, 1)
            assert await vectors.book.offload(SPACE, 1, 1)
            os.kill(objects._process.pid, signal.SIGSTOP)
            moving = asyncio.create_task(vectors._offloader.offload(name, mine))
            while (await vectors._offloader.settled(name, mine))[mine] != "OFFLOADING":  # noqa: ASYNC110 - another's
                await asyncio.sleep(0)
            servers.weaviate.kill()
            os.kill(objects._process.pid, signal.SIGCONT)
            with suppress(Unavailable):
                await moving
            servers.weaviate.start()
            while True:
                with suppress(Unavailable):
                    await vectors.ready()
                    break
            assert (await vectors._offloader.settled(name, mine))[mine] == "OFFLOADING"
            assert not await vectors.onload(SPACE, await vectors.view(SPACE))
            await vectors.erase(SPACE.tenant_id, SPACE.env)
            assert servers.in_bucket(f"{vectors._name(SPACE)}/{schema.tenant_prefix(SPACE.tenant_id, 'dev')}") == []
            assert await tenants(vectors) == [schema.tenant_name(OTHER, 1)]
            await vectors.offload(OTHER, 1)
            objects.stop()
            with pytest.raises(Unavailable, match="object store does not answer"):
                await vectors.erase(OTHER.tenant_id, OTHER.env)
            assert await tenants(vectors) == [schema.tenant_name(OTHER, 1)], "the server is not asked before"
            objects.start()
            assert servers.readable(f"{vectors.prefix}_")
            await vectors.erase(OTHER.tenant_id, OTHER.env)
            assert servers.in_bucket(f"{vectors.prefix}_") == []
