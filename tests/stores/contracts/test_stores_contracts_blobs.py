"""What every object store must do. An adapter joins by adding a function to `ADAPTERS`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from nexus_graph.api.objects import routes
from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.clock import system_clock
from nexus_graph.scope.errors import Conflict, NotFound
from nexus_graph.stores.blobs.base import Blobs, Stat, Upload
from nexus_graph.stores.blobs.files import FileBlobs

KEY = "tenants/t_acme/dev/raw/asset_1/report.txt"
DATA = b"Net sales rose in the third quarter.\n" * 1000


@dataclass(frozen=True)
class Harness:
    """A store, a client that reaches its addresses, and its idea of the time."""

    blobs: Blobs
    client: httpx.AsyncClient
    now: Callable[[], datetime]

    def upload(self, key: str = KEY, data: bytes = DATA, seconds: float = 60) -> Upload:
        """An upload address for exactly these bytes."""
        expires = self.now() + timedelta(seconds=seconds)
        return self.blobs.upload(
            key, size=len(data), sha256=sha256(data), content_type="text/plain", expires_at=expires
        )

    def download(self, key: str = KEY, filename: str = "report.txt", content_type: str = "text/plain") -> str:
        """A download address."""
        expires = self.now() + timedelta(seconds=60)
        return self.blobs.download(key, filename=filename, content_type=content_type, expires_at=expires)

    async def send(self, upload: Upload, data: bytes) -> httpx.Response:
        """What a client does with an upload: a multipart POST when there are fields, else the bare bytes."""
        if upload.fields:
            return await self.client.request(
                upload.method, upload.address, data=dict(upload.fields), files={"file": data}, headers=upload.headers
            )
        return await self.client.request(upload.method, upload.address, content=data, headers=upload.headers)


async def nothing_is_halted(tenant_id: str, env: str) -> None:
    """Lets everybody pass."""


@asynccontextmanager
async def files(folder: Path) -> AsyncIterator[Harness]:
    """The embedded store behind its own routes."""
    blobs = FileBlobs(folder, secret="s" * 32, address="http://store.test", clock=system_clock)
    transport = httpx.ASGITransport(Starlette(routes=routes(blobs, nothing_is_halted)))
    async with httpx.AsyncClient(transport=transport) as client:
        yield Harness(blobs, client, system_clock)


ADAPTERS: dict[str, Callable[[Path], AbstractAsyncContextManager[Harness]]] = {"files": files}


@pytest.fixture(params=ADAPTERS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    """Each store in turn, empty."""
    async with ADAPTERS[request.param](tmp_path / "objects") as harness:
        yield harness


async def test_an_object_comes_back_as_it_was_put(store: Harness) -> None:
    """The bytes, their size and their checksum are those that were stored, also for no bytes at all."""
    for key, data in ((KEY, DATA), ("empty", b""), ("all/bytes", bytes(range(256)) * 8192)):
        await store.blobs.put(key, data)
        assert await store.blobs.read(key) == data
        assert await store.blobs.stat(key) == Stat(len(data), sha256(data))


async def test_what_is_not_there_is_told_so(store: Harness) -> None:
    """A missing object, also a mere folder of objects, has no stat and can't be read; removing it is no error."""
    await store.blobs.put(KEY, DATA)
    for key in ("tenants/t_acme/dev/raw/asset_2/x", "tenants/t_acme/dev/raw/asset_1", KEY + "/below"):
        assert await store.blobs.stat(key) is None
        with pytest.raises(NotFound):
            await store.blobs.read(key)
        await store.blobs.remove(key)
    assert await store.blobs.read(KEY) == DATA


async def test_an_object_never_changes(store: Harness) -> None:
    """Putting the same bytes again is harmless; other bytes are a conflict and change nothing."""
    await store.blobs.put(KEY, DATA)
    await store.blobs.put(KEY, DATA)
    with pytest.raises(Conflict):
        await store.blobs.put(KEY, DATA + b"more")
    assert await store.blobs.read(KEY) == DATA


async def test_one_of_many_writers_wins(store: Harness) -> None:
    """Writers that race for one key leave exactly one object whole; the others are told."""
    rivals = [bytes([number]) * 300_000 for number in range(6)]
    results = await asyncio.gather(*(store.blobs.put(KEY, data) for data in rivals), return_exceptions=True)
    kept = await store.blobs.read(KEY)
    assert [isinstance(result, Stat) for result in results] == [data == kept for data in rivals]
    assert all(isinstance(result, Stat | Conflict) for result in results)


async def test_removing_makes_room(store: Harness) -> None:
    """A removed object is gone, twice is fine, and its key can be used again."""
    await store.blobs.put(KEY, DATA)
    await store.blobs.remove(KEY)
    await store.blobs.remove(KEY)
    assert await store.blobs.stat(KEY) is None
    await store.blobs.put(KEY, b"other")
    assert await store.blobs.read(KEY) == b"other"


async def test_keys_are_listed_in_order_below_a_prefix(store: Harness) -> None:
    """Keys come in the order of their characters, whatever the folders, and a prefix may end anywhere."""
    keys = ["a", "a-b/c", "a.b", "a/b", "a/b.c", "a/b/c", "a0", "b/a/a", "b/a.a", "ba"]
    for key in keys:
        if key not in ("a", "a/b"):  # a file system can't hold both a file and a folder of that name
            await store.blobs.put(key, key.encode())
    stored = sorted(set(keys) - {"a", "a/b"})
    for prefix in ("", "a", "a/", "a/b", "a/b/", "b/a", "b/a/", "c", "c/d/"):
        found = [key async for key in store.blobs.keys(prefix)]
        assert found == [key for key in stored if key.startswith(prefix)], prefix


async def test_keys_can_be_limited_to_old_objects(store: Harness) -> None:
    """Only objects stored before the given instant are listed."""
    await store.blobs.put(KEY, DATA)
    assert [key async for key in store.blobs.keys("", stored_before=store.now() - timedelta(hours=1))] == []
    assert [key async for key in store.blobs.keys("", stored_before=store.now() + timedelta(hours=1))] == [KEY]


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/../b", "a/.b", ".", "a\\b", "a\0", "ä", "a" * 201])
async def test_a_key_leads_nowhere_else(store: Harness, key: str) -> None:
    """A malformed key is refused by every method before anything is touched."""
    later = store.now() + timedelta(minutes=1)
    for deed in (store.blobs.stat(key), store.blobs.read(key), store.blobs.remove(key), store.blobs.put(key, b"")):
        with pytest.raises(ValueError, match="no object key"):
            await deed
    with pytest.raises(ValueError, match="no object key"):
        store.blobs.upload(key, size=1, sha256="0" * 64, content_type="text/plain", expires_at=later)
    with pytest.raises(ValueError, match="no object key"):
        store.blobs.download(key, filename="a", content_type="text/plain", expires_at=later)


async def test_an_upload_address_takes_the_declared_bytes(store: Harness) -> None:
    """What a client sends to a presigned address is stored, and stat is what was declared."""
    upload = store.upload()
    assert (await store.send(upload, DATA)).is_success
    assert await store.blobs.stat(KEY) == Stat(len(DATA), sha256(DATA))
    assert (await store.send(upload, DATA)).is_success  # a client that lost the answer sends again
    assert await store.blobs.read(KEY) == DATA


@pytest.mark.parametrize(
    "data", [DATA[:-1], DATA + b".", b"", DATA[:-1] + b"X"], ids=["short", "long", "none", "other"]
)
async def test_an_upload_address_takes_nothing_else(store: Harness, data: bytes) -> None:
    """Another size or checksum is refused, and nothing is stored."""
    answer = await store.send(store.upload(), data)
    assert answer.is_client_error
    assert await store.blobs.stat(KEY) is None


async def test_an_upload_address_expires(store: Harness) -> None:
    """After its time an address takes nothing."""
    answer = await store.send(store.upload(seconds=-1), DATA)
    assert answer.is_client_error
    assert await store.blobs.stat(KEY) is None


async def test_an_upload_address_can_not_be_altered(store: Harness) -> None:
    """An address with another character anywhere behind the host is refused, and nothing is stored."""
    upload = store.upload()
    start = upload.address.index("/", 8) + len("/objects/")
    for place in range(start, len(upload.address), 17):
        other = "A" if upload.address[place] != "A" else "B"
        address = upload.address[:place] + other + upload.address[place + 1 :]
        assert (await store.send(replace(upload, address=address), DATA)).is_client_error, place
    assert [key async for key in store.blobs.keys("")] == []


async def test_a_download_address_gives_an_attachment(store: Harness) -> None:
    """The bytes come as an attachment under the name that a person gave, spelled for every client."""
    await store.blobs.put(KEY, DATA)
    answer = await store.client.get(store.download(filename="Bericht für Zoë.txt"))
    assert answer.status_code == 200
    assert answer.content == DATA
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["content-length"] == str(len(DATA))
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment;")
    assert "filename*=UTF-8''Bericht%20f%C3%BCr%20Zo%C3%AB.txt" in disposition


async def test_a_download_of_nothing_is_not_found(store: Harness) -> None:
    """A right address to an object that is gone answers 404."""
    assert (await store.client.get(store.download())).status_code == 404


async def test_unfinished_uploads_of_no_one_are_none(store: Harness) -> None:
    """Clearing unfinished uploads touches no object."""
    await store.blobs.put(KEY, DATA)
    assert await store.blobs.clear_unfinished(store.now() + timedelta(hours=1)) == 0
    assert await store.blobs.read(KEY) == DATA


async def test_a_store_that_works_is_ready(store: Harness) -> None:
    """The readiness check passes and leaves nothing behind."""
    await store.blobs.ready()
    assert [key async for key in store.blobs.keys("")] == []
