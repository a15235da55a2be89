"""What every object store must do. An adapter joins by adding a function to `ADAPTERS`.

Real S3 is tried on SeaweedFS, once with an ordinary bucket and once with one that keeps versions.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
from servers.seaweedfs import SeaweedFS
from starlette.applications import Starlette

from nexus_graph.api.objects import routes
from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.clock import system_clock
from nexus_graph.scope.errors import Conflict, Invalid, NotFound
from nexus_graph.stores.blobs.base import Blobs, Stat, Upload
from nexus_graph.stores.blobs.files import FileBlobs
from nexus_graph.stores.blobs.s3 import S3Blobs

KEY = "tenants/t_acme/dev/raw/asset_1/report.txt"
DATA = b"Net sales rose in the third quarter.\n" * 1000
LARGE = bytes(range(256)) * 4096 * 12  # twelve mebibytes: three parts
PART = 5 * 1024 * 1024


@dataclass(frozen=True)
class Harness:
    """A store, a client that reaches its addresses, and its idea of the time."""

    blobs: Blobs
    client: httpx.AsyncClient
    now: Callable[[], datetime]
    by_folder: bool = False
    """Whether the server lists folder by folder: `a/` comes before `a-`, which is not the order of S3."""
    one_at_a_time: bool = False
    """Whether the server does not bear a write and a removal of one key in one instant: one may hang for long."""
    parts_race: bool = False
    """Whether two that end an upload in parts of one key at the same instant may both be told that they were first."""

    async def upload(self, key: str = KEY, data: bytes = DATA, seconds: float = 60) -> Upload:
        """An upload address for exactly these bytes."""
        expires = self.now() + timedelta(seconds=seconds)
        return await self.blobs.upload(
            key, size=len(data), sha256=sha256(data), content_type="text/plain", expires_at=expires
        )

    async def download(self, key: str = KEY, filename: str = "report.txt", content_type: str = "text/plain") -> str:
        """A download address."""
        expires = self.now() + timedelta(seconds=60)
        return await self.blobs.download(key, filename=filename, content_type=content_type, expires_at=expires)

    async def send(self, upload: Upload, data: bytes) -> httpx.Response:
        """What a client does with an upload: a multipart POST when there are fields, else the bare bytes."""
        if upload.fields:
            return await self.client.request(
                upload.method, upload.address, data=dict(upload.fields), files={"file": data}, headers=upload.headers
            )
        return await self.client.request(upload.method, upload.address, content=data, headers=upload.headers)

    async def keys(self, prefix: str = "") -> list[str]:
        """All keys that begin with a prefix."""
        return [key async for key in self.blobs.keys(prefix)]


async def nothing_is_halted(tenant_id: str, env: str) -> None:
    """Lets everybody pass."""


async def pieces(data: bytes, size: int = 70_000) -> AsyncIterator[bytes]:
    """The data as it may come from elsewhere."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def stat_of(data: bytes) -> Stat:
    """What a store says of these bytes."""
    return Stat(len(data), sha256(data))


@asynccontextmanager
async def files(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Harness]:
    """The embedded store behind its own routes."""
    blobs = FileBlobs(folder, secret="s" * 32, address="http://store.test", clock=system_clock)
    transport = httpx.ASGITransport(Starlette(routes=routes(blobs, nothing_is_halted)))
    async with httpx.AsyncClient(transport=transport) as client:
        yield Harness(blobs, client, system_clock)


@asynccontextmanager
async def s3(request: pytest.FixtureRequest, folder: Path, versions: str | None = None) -> AsyncIterator[Harness]:
    """A bucket of a real server, and a prefix in it."""
    server: SeaweedFS = request.getfixturevalue("s3_server")
    with server.bucket(versions=versions) as bucket:
        patient = server.server(bucket, seconds=30.0)  # a machine that tests has much to do
        blobs = S3Blobs(patient, clock=system_clock, prefix="one/house", whole=PART, part=PART)
        await blobs.open()
        async with httpx.AsyncClient() as client:
            quirks = {"by_folder": True, "parts_race": True, "one_at_a_time": versions is not None}  # docs/s3.md
            yield Harness(blobs, client, system_clock, **quirks)
        await blobs.close()


Adapter = Callable[[pytest.FixtureRequest, Path], AbstractAsyncContextManager[Harness]]
ADAPTERS: Mapping[str, Adapter] = {"files": files, "s3": s3, "s3-versioned": partial(s3, versions="Enabled")}


@pytest.fixture(params=ADAPTERS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    """Each store in turn, empty."""
    async with ADAPTERS[request.param](request, tmp_path / "objects") as harness:
        yield harness


async def test_an_object_comes_back_as_it_was_put(store: Harness) -> None:
    """The bytes, their size and their checksum are those that were stored, also for no bytes at all."""
    for key, data in ((KEY, DATA), ("empty", b""), ("all/bytes", bytes(range(256)) * 8192)):
        assert await store.blobs.put(key, data) == stat_of(data)
        assert await store.blobs.read(key) == data
        assert await store.blobs.stat(key) == stat_of(data)
        assert await store.blobs.measure(key) == stat_of(data)


async def test_a_large_object_comes_back_as_it_was_put(store: Harness) -> None:
    """What goes up in several parts is one object, with the checksum of the whole, and other bytes are a conflict."""
    assert await store.blobs.put(KEY, LARGE) == stat_of(LARGE)
    assert await store.blobs.stat(KEY) == stat_of(LARGE)
    assert await store.blobs.read(KEY) == LARGE
    assert await store.blobs.put(KEY, LARGE) == stat_of(LARGE)
    with pytest.raises(Conflict):
        await store.blobs.put(KEY, LARGE[::-1])
    assert await store.blobs.read(KEY) == LARGE
    assert await store.blobs.clear_unfinished(None) == 0


async def test_what_is_not_there_is_told_so(store: Harness) -> None:
    """A missing object, also a mere folder of objects, has no stat and can't be read; removing it is no error."""
    await store.blobs.put(KEY, DATA)
    for key in ("tenants/t_acme/dev/raw/asset_2/x", "tenants/t_acme/dev/raw/asset_1", KEY + "/below"):
        assert await store.blobs.stat(key) is None
        assert await store.blobs.measure(key) is None
        with pytest.raises(NotFound):
            await store.blobs.read(key)
        with pytest.raises(NotFound):
            await store.blobs.read(key, start=5, size=2)
        with pytest.raises(NotFound):
            async with store.blobs.reading(key):
                pass
        await store.blobs.remove(key)
    assert await store.blobs.read(KEY) == DATA


SPANS = [(0, 10), (10, 5), (10, None), (36_990, 100), (37_000, 5), (50_000, None), (5, 0), (0, 99_999)]


async def test_a_part_of_an_object_can_be_read(store: Harness) -> None:
    """Exactly the bytes from one place on, and fewer or none where the object ends before."""
    await store.blobs.put(KEY, DATA)
    await store.blobs.put("empty", b"")
    for start, size in SPANS:
        wanted = DATA[start:] if size is None else DATA[start : start + size]
        assert await store.blobs.read(KEY, start=start, size=size) == wanted
        async with store.blobs.reading(KEY, start=start, size=size) as found:
            assert b"".join([piece async for piece in found]) == wanted
        assert await store.blobs.read("empty", start=start, size=size) == b""


async def test_a_large_object_is_read_in_pieces(store: Harness) -> None:
    """No piece is large, and who stops in the middle disturbs nobody."""
    await store.blobs.put(KEY, LARGE)
    async with store.blobs.reading(KEY) as found:
        lengths = [len(piece) async for piece in found]
    assert sum(lengths) == len(LARGE)
    assert max(lengths) <= 1024 * 1024
    for _ in range(60):  # more often than there are connections
        async with store.blobs.reading(KEY) as found:
            assert LARGE.startswith(await anext(found))
    assert await store.blobs.read(KEY, size=3) == LARGE[:3]


async def test_an_object_can_come_in_pieces(store: Harness) -> None:
    """It is whole afterwards; coming again is harmless, and other bytes are a conflict."""
    for number, data in enumerate((b"", DATA, LARGE, LARGE[: 2 * PART])):
        key = f"{KEY}-{number}"
        assert await store.blobs.put_pieces(key, pieces(data), stat_of(data)) == stat_of(data)
        assert await store.blobs.read(key) == data
        assert await store.blobs.put_pieces(key, pieces(data, 999_983), stat_of(data)) == stat_of(data)
        other = data + b"."
        with pytest.raises(Conflict):
            await store.blobs.put_pieces(key, pieces(other), stat_of(other))
        assert await store.blobs.read(key) == data


async def test_pieces_that_were_not_declared_are_refused(store: Harness) -> None:
    """Fewer, others, or without an end: nothing is stored, nothing left behind, and no more taken than declared."""
    asked = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal asked
        while True:
            asked += 100_000
            yield b"x" * 100_000

    for data in (DATA, LARGE):
        asked = 0
        for sent in (pieces(data[:-1]), pieces(data[1:]), pieces(data[::-1]), endless()):
            with pytest.raises(Invalid):
                await store.blobs.put_pieces(KEY, sent, stat_of(data))
        assert asked <= len(data) + PART + 200_000
        assert await store.blobs.stat(KEY) is None
    assert await store.blobs.clear_unfinished(None) == 0


async def test_a_source_that_fails_stores_nothing(store: Harness) -> None:
    """An error of whoever gives the pieces comes back as it is, and nothing is left behind."""

    async def failing() -> AsyncIterator[bytes]:
        yield LARGE[: PART + 1]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.blobs.put_pieces(KEY, failing(), stat_of(LARGE))
    assert await store.keys() == []
    assert await store.blobs.clear_unfinished(None) == 0


async def test_an_object_never_changes(store: Harness) -> None:
    """Putting the same bytes again is harmless; other bytes are a conflict and change nothing."""
    await store.blobs.put(KEY, DATA)
    await store.blobs.put(KEY, DATA)
    with pytest.raises(Conflict):
        await store.blobs.put(KEY, DATA + b"more")
    assert await store.blobs.read(KEY) == DATA


async def test_one_of_many_writers_wins(store: Harness) -> None:
    """Writers that race for one key leave exactly one object whole; the others are told."""
    for key, size in (("small", 300_000), ("large", PART + 1)):
        rivals = [bytes([number]) * size for number in range(6)]
        results = await asyncio.gather(*(store.blobs.put(key, data) for data in rivals), return_exceptions=True)
        assert [type(result) for result in results if not isinstance(result, Stat | Conflict)] == []
        kept, told = await store.blobs.read(key), [isinstance(result, Stat) for result in results]
        if key == "large" and store.parts_race:
            assert told[rivals.index(kept)]
        else:
            assert told == [data == kept for data in rivals]
    assert await store.blobs.clear_unfinished(None) == 0


async def test_many_writers_of_the_same_bytes_all_win(store: Harness) -> None:
    """Whoever puts what is there already is told the same as the first."""
    results = await asyncio.gather(*(store.blobs.put(KEY, DATA) for _ in range(6)))
    assert set(results) == {stat_of(DATA)}


async def test_writers_and_removers_do_not_trip_over_each_other(store: Harness) -> None:
    """Objects of one folder come and go, also under one key, and nobody is told of it."""

    async def write_and_remove(number: int) -> None:
        for _ in range(10):
            await store.blobs.put(f"a/b/c/d/{number}", b"x")
            await store.blobs.remove(f"a/b/c/d/{number}")
            if not store.one_at_a_time:
                await store.blobs.put("a/b/c/d/all", b"x")
                await store.blobs.remove("a/b/c/d/all")

    await asyncio.gather(*(write_and_remove(number) for number in range(4)))
    assert await store.keys() == []


async def test_removing_makes_room(store: Harness) -> None:
    """A removed object is gone, twice is fine, and its key can be used again."""
    await store.blobs.put(KEY, DATA)
    await store.blobs.remove(KEY)
    await store.blobs.remove(KEY)
    assert await store.blobs.stat(KEY) is None
    assert await store.keys() == []
    await store.blobs.put(KEY, b"other")
    assert await store.blobs.read(KEY) == b"other"


async def test_removing_leaves_the_neighbours(store: Harness) -> None:
    """Objects whose keys begin with the key of another stay when that one goes."""
    for key in ("raw/asset_1/a", "raw/asset_1/a.b", "raw/asset_1/aa", "raw/asset_10/a"):
        await store.blobs.put(key, key.encode())
    await store.blobs.remove("raw/asset_1/a")
    assert await store.keys() == ["raw/asset_1/a.b", "raw/asset_1/aa", "raw/asset_10/a"]


async def test_keys_are_listed_in_order_below_a_prefix(store: Harness) -> None:
    """Keys come in the order of their characters, whatever the folders, and a prefix may end anywhere."""
    keys = ["a", "a-b/c", "a.b", "a/b", "a/b.c", "a/b/c", "a0", "b/a/a", "b/a.a", "ba"]
    for key in keys:
        if key not in ("a", "a/b"):  # a file system can't hold both a file and a folder of that name
            await store.blobs.put(key, key.encode())
    stored = sorted(set(keys) - {"a", "a/b"})
    for prefix in ("", "a", "a/", "a/b", "a/b/", "b/a", "b/a/", "c", "c/d/"):
        found = await store.keys(prefix)
        found = sorted(found) if store.by_folder else found
        assert found == [key for key in stored if key.startswith(prefix)], prefix


async def test_thousands_of_keys_are_listed(store: Harness) -> None:
    """More than a page of a server holds: each once, and in order."""
    scopes = [("tenants/t_acme/dev", 1100), ("tenants/t_acme/prod", 20), ("tenants/t_acme-2/dev", 20)]
    keys = [f"{scope}/raw/asset_{number:032x}/file-{number}.txt" for scope, most in scopes for number in range(most)]
    for start in range(0, len(keys), 32):
        await asyncio.gather(*(store.blobs.put(key, b"") for key in keys[start : start + 32]))
    assert await store.keys("tenants/t_acme/") == sorted(keys[:1120])
    if not store.by_folder:  # such a server loses keys here, where its order is not that of S3
        assert await store.keys() == sorted(keys)


async def test_keys_can_be_limited_to_old_objects(store: Harness) -> None:
    """Only objects stored before the given instant are listed."""
    await store.blobs.put(KEY, DATA)
    assert [key async for key in store.blobs.keys("", stored_before=store.now() - timedelta(hours=1))] == []
    assert [key async for key in store.blobs.keys("", stored_before=store.now() + timedelta(hours=1))] == [KEY]


async def test_a_key_leads_nowhere_else(store: Harness) -> None:
    """A malformed key is refused by every method before anything is touched."""
    for key in ("", "/a", "a/", "a//b", "../a", "a/../b", "a/.b", ".", "a\\b", "a\0", "ä", "a" * 201):
        for deed in deeds_on(store, key):
            with pytest.raises(ValueError, match="no object key"):
                await deed


def deeds_on(store: Harness, key: str) -> list[Awaitable[object]]:
    """All that can be done with a key."""
    later, blobs = store.now() + timedelta(minutes=1), store.blobs
    return [
        blobs.stat(key),
        blobs.measure(key),
        blobs.read(key),
        blobs.reading(key).__aenter__(),
        blobs.remove(key),
        blobs.put(key, b""),
        blobs.put_pieces(key, pieces(b""), stat_of(b"")),
        blobs.upload(key, size=1, sha256="0" * 64, content_type="text/plain", expires_at=later),
        blobs.download(key, filename="a", content_type="text/plain", expires_at=later),
    ]


async def test_an_upload_address_takes_the_declared_bytes(store: Harness) -> None:
    """What a client sends to a presigned address is stored, and stat is what was declared."""
    for key, data in ((KEY, DATA), (KEY + ".empty", b""), (KEY + ".large", LARGE)):
        upload = await store.upload(key, data)
        assert (await store.send(upload, data)).is_success
        assert await store.blobs.stat(key) == stat_of(data)
        assert (await store.send(upload, data)).is_success  # a client that lost the answer sends again
        assert await store.blobs.read(key) == data


async def test_an_upload_address_takes_nothing_else(store: Harness) -> None:
    """Fewer bytes, more, none or others are refused, and nothing is stored."""
    for data in (DATA[:-1], DATA + b".", b"", DATA[:-1] + b"X"):
        answer = await store.send(await store.upload(), data)
        assert answer.is_client_error
        assert await store.blobs.stat(KEY) is None


async def test_an_upload_address_expires(store: Harness) -> None:
    """After its time an address takes nothing."""
    answer = await store.send(await store.upload(seconds=-1), DATA)
    assert answer.is_client_error
    assert await store.blobs.stat(KEY) is None


async def test_an_upload_address_can_not_be_altered(store: Harness) -> None:
    """An address or form with another character anywhere behind the host is refused, and nothing is stored."""
    upload = await store.upload()
    for name, value in upload.fields.items():
        for place in range(0, len(value), 17):
            other = value[:place] + ("A" if value[place] != "A" else "B") + value[place + 1 :]
            answer = await store.send(replace(upload, fields={**upload.fields, name: other}), DATA)
            assert answer.is_client_error, (name, place)
        missing = {each: value for each, value in upload.fields.items() if each != name}
        assert (await store.send(replace(upload, fields=missing), DATA)).is_client_error, name
    start = upload.address.index("/", 8) + len("/objects/")
    for place in range(start, len(upload.address), 17):
        changed = "A" if upload.address[place] != "A" else "B"
        address = upload.address[:place] + changed + upload.address[place + 1 :]
        assert (await store.send(replace(upload, address=address), DATA)).is_client_error, place
    assert await store.keys() == []


async def test_a_download_address_gives_an_attachment(store: Harness) -> None:
    """The bytes come as an attachment under the name that a person gave, spelled for every client."""
    await store.blobs.put(KEY, DATA)
    answer = await store.client.get(await store.download(filename="Bericht für Zoë.txt"))
    assert answer.status_code == 200
    assert answer.content == DATA
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["content-length"] == str(len(DATA))
    assert answer.headers["cache-control"] == "no-store"
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment;")
    assert "filename*=UTF-8''Bericht%20f%C3%BCr%20Zo%C3%AB.txt" in disposition


async def test_a_download_is_nothing_that_a_browser_runs(store: Harness) -> None:
    """What it would run is sent as opaque bytes."""
    await store.blobs.put(KEY, DATA)
    for active in ("text/html", "image/svg+xml; charset=utf-8", "Application/JavaScript"):
        answer = await store.client.get(await store.download(content_type=active))
        assert answer.headers["content-type"] == "application/octet-stream"


async def test_a_download_address_can_not_be_altered(store: Harness) -> None:
    """It gives no other object, no other name and no other time."""
    await store.blobs.put(KEY, DATA)
    await store.blobs.put(KEY.replace("_1", "_2"), DATA)
    address = await store.download()
    start = address.index("/", 8) + len("/objects/")
    for place in range(start, len(address), 13):
        changed = "A" if address[place] != "A" else "B"
        try:
            answer = await store.client.get(address[:place] + changed + address[place + 1 :])
        except httpx.RemoteProtocolError:  # a server may hang up on it
            continue
        assert answer.is_client_error, place


async def test_a_download_of_nothing_is_not_found(store: Harness) -> None:
    """A right address to an object that is gone answers 404."""
    assert (await store.client.get(await store.download())).status_code == 404
    await store.blobs.put(KEY, DATA)
    address = await store.download()
    await store.blobs.remove(KEY)
    assert (await store.client.get(address)).status_code == 404


async def test_unfinished_uploads_of_no_one_are_none(store: Harness) -> None:
    """Clearing unfinished uploads touches no object."""
    await store.blobs.put(KEY, DATA)
    assert await store.blobs.clear_unfinished(store.now() + timedelta(hours=1)) == 0
    assert await store.blobs.read(KEY) == DATA


async def test_a_store_that_works_is_ready(store: Harness) -> None:
    """It is fit and ready, and asking leaves nothing behind."""
    await store.blobs.require_fit()
    await store.blobs.ready()
    assert await store.keys() == []
