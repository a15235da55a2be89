"""What is Weaviate's own: names, refusals before anything is sent, a compared schema, calls that end in time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from servers.process import free_ports
from servers.weaviate import KEY, MemoryBook, WeaviateServer

from nexus_graph.scope.errors import ConfigurationError, Invalid, Unavailable
from nexus_graph.stores.vectors import weaviate_schema as schema
from nexus_graph.stores.vectors.base import Change, Space
from nexus_graph.stores.vectors.local import LocalVectors
from nexus_graph.stores.vectors.scoring import score
from nexus_graph.stores.vectors.weaviate import WeaviateVectors
from nexus_graph.stores.vectors.weaviate_client import QUICK, WeaviateConnection
from nexus_graph.stores.vectors.weaviate_rows import insert, witness

SPACE = Space("t_acme", "dev", "hashing@v1:4:chunk-1", 4)
ONE = Change(1, ["card_1"], [("card_1", 0)], np.array([[1, 0, 0, 0]], np.float32))


@pytest.fixture
async def vectors(weaviate: WeaviateServer) -> AsyncIterator[WeaviateVectors]:
    """An empty index, open."""
    made = weaviate.vectors()
    await made.open()
    yield made
    await made.close()


def test_names_are_digests_of_parts_that_tell_their_length() -> None:
    """No two spaces, tenants or rows share a name, and every name is one that Weaviate takes."""
    assert schema.object_id(("c", 11), 1) != schema.object_id(("c", 1), 11)
    assert schema.object_id(("c1", 1), 1) != schema.object_id(("c", 11), 1)
    assert schema.tenant_prefix("t_a", "dev") != schema.tenant_prefix("t_", "adev")
    assert schema.collection_name("Nexus", "dev", "a") != schema.collection_name("Nexus", "de", "va")
    name = schema.tenant_name(replace(SPACE, tenant_id="../" * 100), 2**40)
    assert len(name) <= 64
    assert name.replace("_", "").isalnum()


async def test_a_missing_client_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The start ends with the command that installs it."""
    monkeypatch.setitem(sys.modules, "weaviate", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'nexus-graph\[weaviate\]'"):
        await WeaviateConnection("http://127.0.0.1:1", "http://127.0.0.1:2").open()


@pytest.mark.parametrize(
    "rows",
    [[[1, 0, 0, 0], [1, 0, 0]], [[np.nan, 0, 0, 0]], [[np.inf, 0, 0, 0]], [[0.5, 0.5, 0, 0]], [[1, 1, 0, 0]]],
    ids=["another dimension", "no number", "endless", "too short", "too long"],
)
async def test_vectors_that_do_not_fit_are_refused_before_any_is_sent(rows: list[list[float]]) -> None:
    """There is no server at all, and the change is refused for what it is."""
    http, grpc = free_ports(2)
    vectors = WeaviateVectors(WeaviateConnection(f"http://127.0.0.1:{http}", f"http://127.0.0.1:{grpc}"), MemoryBook())
    keys = [("card", place) for place in range(len(rows))]
    matrix = np.array([row for row in rows if len(row) == len(rows[-1])], np.float32)
    with pytest.raises(Invalid):
        await vectors.apply(SPACE, await vectors.view(SPACE), Change(1, ["card"], keys, matrix))


async def test_a_batch_is_believed_row_by_row(vectors: WeaviateVectors, caplog: pytest.LogCaptureFixture) -> None:
    """Rows that the server does not take are counted though nothing is raised, and no log shows what was in them."""
    from weaviate.classes.data import DataObject

    await vectors.apply(SPACE, await vectors.view(SPACE), ONE)
    objects = [
        DataObject(uuid=schema.object_id(("card", place), 2), properties={"group": "secret"}, vector=[1.0] * size)
        for place, size in enumerate((4, 3, 4))
    ]
    with caplog.at_level(logging.DEBUG):
        assert await vectors.ask(SPACE, 1, lambda rows: insert(rows, objects=objects)) > 0
    assert "secret" not in caplog.text


async def test_a_batch_that_was_not_taken_is_no_copy(vectors: WeaviateVectors, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is not told of it, and the next attempt mends it."""

    async def refused(_: Any, *, objects: list[Any]) -> int:
        return sum(1 for each in objects if each.vector is not None)

    with monkeypatch.context() as patch:
        patch.setattr("nexus_graph.stores.vectors.weaviate_rows.insert", refused)
        with pytest.raises(Unavailable, match="did not take 1 of 1"):
            await vectors.apply(SPACE, await vectors.view(SPACE), ONE)
    assert (await vectors.view(SPACE)).generation == 0
    view = await vectors.apply(SPACE, await vectors.view(SPACE), ONE)
    assert view.generation == 1
    assert (await view.nominate(ONE.matrix[0], 1)).keys == (("card_1", 0),)


async def test_a_word_that_comes_late_is_no_loss(vectors: WeaviateVectors) -> None:
    """What a cut network held back arrives after a later write: the copy has all that the database says it has."""
    view = await vectors.apply(SPACE, await vectors.view(SPACE), ONE)
    two = Change(2, ["card_2"], [("card_2", 0)], ONE.matrix)
    view = await vectors.apply(SPACE, view, two)
    await vectors.ask(SPACE, 1, partial(witness, stamp=1))
    vectors._reached.clear()
    assert await vectors.reached(SPACE, await vectors.view(SPACE)) == 1
    assert {key[0] for key in (await view.nominate(ONE.matrix[0], 5)).keys} == {"card_1", "card_2"}


async def test_a_collection_that_differs_is_named_at_the_start(
    vectors: WeaviateVectors, weaviate: WeaviateServer
) -> None:
    """Another distance, or tenants that come by themselves: refused, with what is wrong; without it, all is well."""
    from weaviate.classes.config import Configure, VectorDistances

    name = schema.collection_name(vectors.prefix, SPACE.env, SPACE.definition_id)
    rough = Configure.VectorIndex.Quantizer.bq()
    flat = Configure.VectorIndex.flat(distance_metric=VectorDistances.DOT, quantizer=rough)
    await vectors.connection.call(
        lambda client: client.collections.create(
            name,
            vector_config=Configure.Vectors.self_provided(vector_index_config=flat),
            multi_tenancy_config=Configure.multi_tenancy(enabled=True, auto_tenant_creation=True),
        )
    )
    other = weaviate.vectors(prefix=vectors.prefix)
    with pytest.raises(ConfigurationError, match=r"distance is dot, not cosine, quantizer is bq.*by writing is True"):
        await other.open()
    with pytest.raises(Unavailable, match="is not as this program makes it"):
        await vectors.apply(SPACE, await vectors.view(SPACE), ONE)
    await vectors.connection.call(lambda client: client.collections.delete(name))
    await other.close()
    again = weaviate.vectors(prefix=vectors.prefix)
    await again.open()
    await again.apply(SPACE, await again.view(SPACE), ONE)
    await again.close()


async def test_a_wrong_key_stops_the_start(weaviate: WeaviateServer) -> None:
    """Named with its setting; afterwards it is Unavailable, as everything else that may pass."""
    for key in ("another key", None):
        vectors = WeaviateVectors(WeaviateConnection(weaviate.address, weaviate.grpc_address, key), MemoryBook())
        with pytest.raises(ConfigurationError, match="NEXUS_WEAVIATE_KEY"):
            await vectors.open()
        with pytest.raises(Unavailable, match="refuses the key"):
            await vectors.ready()
        await vectors.close()
    assert KEY not in repr(weaviate.vectors())


async def test_a_server_that_is_away_does_not_stop_the_start() -> None:
    """It is not ready, every call ends within a second, and in the pause after that at once."""
    http, grpc = free_ports(2)
    vectors = WeaviateVectors(WeaviateConnection(f"http://127.0.0.1:{http}", f"http://127.0.0.1:{grpc}"), MemoryBook())
    await vectors.open()
    for longest in (1.0, 1.0):
        begin = time.perf_counter()
        with pytest.raises(Unavailable):
            await vectors.ready()
        assert time.perf_counter() - begin < longest
    begin = time.perf_counter()
    with pytest.raises(Unavailable):
        await vectors.apply(SPACE, await vectors.view(SPACE), ONE)
    assert time.perf_counter() - begin < 0.1
    await vectors.close()


async def test_calls_that_end_with_the_connection_of_another_are_unavailable(vectors: WeaviateVectors) -> None:
    """Whoever finds the server dead closes the connection; what others wait for on it ends as theirs does."""
    real, wire = vectors.connection, await asyncio.start_server(_silent, "127.0.0.1", 0)
    silent = f"http://127.0.0.1:{wire.sockets[0].getsockname()[1]}"
    connection = WeaviateConnection(real.address, silent, real.key, seconds=1.0)
    await connection.open()

    async def ask() -> Any:
        return await connection.call(lambda client: client.collections.get("Any").query.fetch_objects(), patience=QUICK)

    asked = [asyncio.create_task(ask())]
    await asyncio.sleep(QUICK)
    asked += [asyncio.create_task(ask()) for _ in range(5)]
    ended = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(end) for end in ended] == [Unavailable] * 6
    await connection.close()
    wire.close()


async def test_a_failure_says_nothing_of_a_client_that_came_later(vectors: WeaviateVectors) -> None:
    """A call on a client that was let go fails when there is a new one: that stays, and nobody pauses."""
    connection, later = vectors.connection, asyncio.Event()

    async def late(client: Any, error: Exception) -> None:
        await later.wait()
        raise error

    for error in (OSError("reset"), RuntimeError("the client has been closed")):
        later.clear()
        asked = asyncio.create_task(connection.call(partial(late, error=error)))
        await asyncio.sleep(0.1)
        connection._let_go()
        assert await connection.call(lambda client: client.is_live())
        new = connection._client
        later.set()
        with pytest.raises(Unavailable):
            await asked
        assert connection._client is new is not None
        assert await connection.call(lambda client: client.is_live())


async def test_a_slow_call_is_its_own_affair_where_others_are_answered(vectors: WeaviateVectors) -> None:
    """It ends; the others keep the client. Where nobody was answered the client is let go, and there is a pause."""
    connection, ended = vectors.connection, asyncio.Event()

    async def waiting(client: Any) -> bool:
        await ended.wait()
        return bool(await client.is_live())

    beside = asyncio.create_task(connection.call(waiting, seconds=30.0))
    slow = asyncio.create_task(connection.call(lambda _: asyncio.sleep(60), seconds=0.2, patience=0.3))
    await asyncio.sleep(0.1)
    assert await connection.call(lambda client: client.is_live())
    with pytest.raises(Unavailable):
        await slow
    assert await connection.call(lambda client: client.is_live())
    ended.set()
    assert await beside
    with pytest.raises(Unavailable):
        await connection.call(lambda _: asyncio.sleep(60), seconds=0.2, patience=0.3)
    with pytest.raises(Unavailable):
        await connection.call(lambda client: client.is_live())


async def test_what_the_server_refuses_is_no_sign_that_it_is_away(vectors: WeaviateVectors) -> None:
    """Such as a collection that another process was faster to make: others go on with the same client."""
    name = vectors._name(SPACE)
    await vectors.connection.call(lambda client: schema.ensure(client, name))
    before = vectors.connection._client
    with pytest.raises(Unavailable, match="refused what was asked of it, with status 422"):
        await vectors.connection.call(lambda client: schema._create(client, name))
    assert vectors.connection._client is before
    assert await vectors._tenants(name, "") == []


async def test_whoever_looks_whether_it_is_ready_makes_nobody_wait() -> None:
    """While a server is away a readiness probe looks within the pause, and the pause holds for all others meanwhile."""
    wires = [await asyncio.start_server(_silent, "127.0.0.1", 0) for _ in range(2)]
    http, grpc = (f"http://127.0.0.1:{wire.sockets[0].getsockname()[1]}" for wire in wires)
    connection = WeaviateConnection(http, grpc)
    await connection.open()
    with pytest.raises(Unavailable):
        await connection.ready()
    looking = asyncio.create_task(connection.ready())
    await asyncio.sleep(0.1)
    with pytest.raises(Unavailable):
        await connection.call(lambda client: client.is_live())
    assert not looking.done(), "it still waits, and the other one did not"
    with pytest.raises(Unavailable):
        await looking
    await connection.close()
    for wire in wires:
        wire.close()


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes what comes and answers nothing."""
    with contextlib.closing(writer):
        await reader.read()


async def test_a_defect_of_ours_is_no_failure_of_the_server(vectors: WeaviateVectors) -> None:
    """It is told as what it is, and nobody stops asking the server."""
    with pytest.raises(ZeroDivisionError):
        await vectors.connection.call(lambda client: client.collections.exists(str(1 / 0)))
    await vectors.ready()


async def test_what_nobody_uses_is_put_away_and_woken_by_use(vectors: WeaviateVectors) -> None:
    """A tenant's memory and files on the server follow its use."""
    view = await vectors.apply(SPACE, await vectors.view(SPACE), ONE)
    name = vectors._name(SPACE)

    async def state() -> str:
        (tenant,) = (await vectors.connection.call(lambda client: client.collections.use(name).tenants.get())).values()
        return tenant.activity_status.name

    await vectors.rest()
    assert await state() == "ACTIVE"
    await vectors.rest(0)
    assert await state() == "INACTIVE"
    assert (await view.nominate(ONE.matrix[0], 1)).keys == (("card_1", 0),)
    assert await state() == "ACTIVE"
    await vectors.rest(0)
    await vectors.apply(SPACE, view, replace(ONE, generation=2))
    assert await state() == "ACTIVE"
    await vectors.rest(0)
    await vectors.erase(SPACE.tenant_id, SPACE.env)
    assert await vectors._tenants(name, "t") == []


async def test_what_many_batches_wrote_is_removed_whole(vectors: WeaviateVectors) -> None:
    """More rows of one group than one deletion takes: none of the older ones is left."""
    count = 10_400
    angles = np.linspace(0, 3, count)
    matrix = np.stack([np.cos(angles), np.sin(angles), 0 * angles, 0 * angles], axis=1).astype(np.float32)
    many = Change(1, ["card_1"], [("card_1", place) for place in range(count)], matrix)
    view = await vectors.apply(SPACE, await vectors.view(SPACE), many)
    assert sum([len(keys) async for keys, _ in vectors.held(SPACE)]) == count
    await vectors.apply(SPACE, view, replace(ONE, generation=2))
    assert [list(keys) async for keys, _ in vectors.held(SPACE)] == [[("card_1", 0)]]


async def test_however_a_question_is_put_together_the_best_are_among_the_named(
    vectors: WeaviateVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filters cut in parts, lists that are too short at first or at all: exact is what is exact, and a bound holds."""
    for name, value in {"_FIRST": 4, "_GROWTH": 2, "_MOST": 60, "_NAMES": 20, "_SLICES": 3, "_FEW": 5}.items():
        monkeypatch.setattr(f"nexus_graph.stores.vectors.weaviate_search.{name}", value)
    chance = np.random.default_rng(5)
    rows = chance.standard_normal((160, 4))
    rows[100:] = rows[chance.integers(0, 20, 60)]  # twins
    matrix: Any = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    names = [f"card_{place // 2:03d}" for place in range(160)]
    keys = [(name, place % 2) for place, name in enumerate(names)]
    change = Change(1, sorted(set(names)), keys, matrix)
    view = await vectors.apply(SPACE, await vectors.view(SPACE), change)
    local = LocalVectors()
    plain = await local.apply(SPACE, await local.view(SPACE), change)
    groups, exact = sorted(set(names)), 0
    for size in (None, 1, 10, 21, 45, 59, 61, 75):
        for left in (0, 3, 30, 75):
            only = None if size is None else list(chance.permutation(groups)[:size])
            without = list(chance.permutation(groups)[:left])
            for k in (1, 3, 12):
                query = matrix[int(chance.integers(160))]
                found = await view.nominate(query, k, only=only, without=without)
                expected = await plain.nominate(query, k, only=only, without=without)
                exact += found.exact
                if found.exact:
                    assert set(found.keys) >= set(expected.keys), (size, left, k)
                meant = [key for key in keys if (only is None or key[0] in only) and key[0] not in without]
                assert set(found.keys) <= set(meant)
                others = [place for place, key in enumerate(keys) if key in meant and key not in found.keys]
                if others and found.bound is not None:
                    assert score(matrix[others], query).max() <= found.bound
                assert found.bound is not None or found.exact
    assert exact > 80
