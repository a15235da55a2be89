"""An erasure is certified once the copies on the vector server are gone as well, and nothing brings them back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from erasure_house import SUE, House, MakeScope, furnish, make
from servers.offloading import Offloading
from servers.process import free_ports
from servers.weaviate import WeaviateServer

from nexus_graph import index
from nexus_graph.index import Copies, CopyBook
from nexus_graph.index.copying import _next
from nexus_graph.index.definition import UNDEFINED, active
from nexus_graph.safeguards.erasure import ErasureState, erasures
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import Unavailable
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.paging import Window
from nexus_graph.stores.vectors.base import Change
from nexus_graph.stores.vectors.local import LocalVectors
from nexus_graph.stores.vectors.weaviate import WeaviateVectors
from nexus_graph.stores.vectors.weaviate_client import WeaviateConnection
from nexus_graph.stores.vectors.weaviate_view import WeaviateView
from nexus_graph.stores.work import Stores


class WithCopies:
    """A furnished house whose scope has a copy on a server."""

    def __init__(self, house: House, vectors: WeaviateVectors, copies: Copies) -> None:
        self.house, self.vectors, self.copies = house, vectors, copies
        self.scope = Scope.system(house.owner.tenant_id, house.owner.env, "test")
        self.space = house.index.space(house.owner)

    async def bring_up(self) -> None:
        """Let the copy be made or brought up to date."""
        await index.bring_up(self.house.stores, self.house.index, self.copies, self.scope)

    async def change(self, view: WeaviateView) -> Change:
        """What a writer reads now, to write it later."""
        async with self.house.stores.read(self.scope) as read:
            found = await _next(read, self.house.index, view, await active(read, self.house.index) or UNDEFINED)
        assert found is not None
        return found

    async def held(self) -> set[str]:
        """The cards that the copy holds."""
        return {group async for keys, _ in self.vectors.held(self.space) for group, _ in keys}

    async def tenants(self) -> list[str]:
        """All that is on the server."""
        return await self.vectors._tenants(self.vectors._name(self.space), "t")


@pytest.fixture
async def there(
    tmp_path: Path, stores: Stores, scope_of: MakeScope, weaviate: WeaviateServer
) -> AsyncIterator[WithCopies]:
    """Sue and Tom, and a server that has no copy yet."""
    vectors = weaviate.vectors(CopyBook(stores))
    await vectors.open()
    yield await furnished(tmp_path, stores, scope_of, vectors)
    await vectors.close()


async def furnished(tmp_path: Path, stores: Stores, scope_of: MakeScope, vectors: WeaviateVectors) -> WithCopies:
    """Sue and Tom, whose copies go there."""
    copies = Copies(vectors, LocalVectors(), least=1, rows=10**6)
    plain = await make(tmp_path, stores, scope_of)
    used = replace(plain.index, copies=copies)
    house = replace(plain, index=used, eraser=replace(plain.eraser, forget=used.forget, erase_copies=used.erase))
    await furnish(house)
    return WithCopies(house, vectors, copies)


@pytest.mark.parametrize("subject", [SUE, None])
async def test_the_copy_is_gone_with_the_rows(there: WithCopies, subject: str | None) -> None:
    """Of a person and of a whole tenant and env: what is copied afterwards is what is left, under another name."""
    await there.bring_up()
    before, names = await there.held(), await there.tenants()
    assert len(before) == 6
    erasure = await there.house.erased(subject=subject)
    assert erasure.state is ErasureState.CERTIFIED
    assert await there.tenants() == []
    await there.bring_up()
    assert await there.held() == ({there.house.ids[f"tom card {number}"] for number in range(3)} if subject else set())
    assert not set(await there.tenants()) & set(names)
    await there.house.holds()


async def test_an_offloaded_copy_is_gone_from_the_bucket_in_all_versions(
    tmp_path: Path, stores: Stores, scope_of: MakeScope, offloading: Offloading
) -> None:
    """No certificate while the bucket is away, whatever the server says; then nothing is left, nor a marker of it."""
    async with offloading.vectors(CopyBook(stores)) as vectors:
        there = await furnished(tmp_path, stores, scope_of, vectors)
        await there.bring_up()
        assert await vectors.offload(there.space, micros(stores.clock()))
        assert offloading.readable(f"{vectors.prefix}_")
        (port,) = free_ports(1)
        async with offloading.shelf(endpoint=f"http://127.0.0.1:{port}") as away:
            blind = replace(vectors, shelf=away)

            async def erase(scope: Scope) -> None:
                await blind.erase(*scope.key)

            waiting = replace(there.house, eraser=replace(there.house.eraser, erase_copies=erase))
            with pytest.raises(Unavailable, match="object store does not answer"):
                await waiting.erased(subject=None)
            (erasure,) = (await erasures(stores, there.house.owner, Window(5))).items
            assert erasure.state is ErasureState.CONFIRMED
            (tenant,) = await there.tenants()
            await vectors._remove(vectors._name(there.space), [tenant])
            assert offloading.readable(f"{vectors.prefix}_") == [], "Weaviate did what it could"
            assert offloading.in_bucket(f"{vectors.prefix}_"), "and left every version"
            with pytest.raises(Unavailable, match="object store does not answer"):
                await waiting.erase()
        await there.house.erase()
        assert (await there.house.found(erasure.erasure_id)).state is ErasureState.CERTIFIED
        assert offloading.in_bucket(f"{vectors.prefix}_") == []


@pytest.mark.parametrize("was_there", [True, False])
async def test_a_late_writer_brings_nothing_back(there: WithCopies, was_there: bool) -> None:
    """It read Sue's vectors before the erasure and writes them after it: refused, also where no copy was ever begun."""
    if was_there:
        await there.bring_up()
        await there.vectors.book.end(*there.scope.key, None)  # let go, as the size may ask for
    view = await there.vectors.view(there.space)
    change = await there.change(view)
    assert len({group for group, _ in change.keys}) == 6
    assert (await there.house.erased()).state is ErasureState.CERTIFIED
    with pytest.raises(Unavailable, match="let go meanwhile"):
        await there.vectors.apply(there.space, view, change)
    assert await there.tenants() == []


async def test_no_certificate_while_the_server_is_away(there: WithCopies) -> None:
    """The erasure waits for it and ends once it is back."""
    await there.bring_up()
    http, grpc = free_ports(2)
    addresses = (f"http://127.0.0.1:{http}", f"http://127.0.0.1:{grpc}")
    away = WeaviateVectors(WeaviateConnection(*addresses), there.vectors.book, there.vectors.prefix)

    async def erase(scope: Scope) -> None:
        await away.erase(*scope.key)

    waiting = replace(there.house, eraser=replace(there.house.eraser, erase_copies=erase))
    with pytest.raises(Unavailable, match="Weaviate does not answer"):
        await waiting.erased()
    (erasure,) = (await erasures(there.house.stores, there.house.owner, Window(5))).items
    assert erasure.state is ErasureState.CONFIRMED
    await there.house.erase()
    assert (await there.house.found(erasure.erasure_id)).state is ErasureState.CERTIFIED
    assert await there.tenants() == []
    await away.close()
