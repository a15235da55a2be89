"""The embedded object store's own promises: no escape, nothing half-written, addresses that bind."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import orjson
import pytest

from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from nexus_graph.stores.blobs.files import FileBlobs
from nexus_graph.stores.blobs.folder import Folder, Incoming

SECRET = "a signing secret for tests only, 32+"
KEY = "tenants/t_acme/dev/raw/asset_1/report.txt"
DATA = b"Gross sales, net sales, returns.\n" * 100_000


class Clock(Protocol):
    """A clock that a test moves by hand."""

    now: datetime

    def __call__(self) -> datetime: ...
    def advance(self, **amount: float) -> None: ...


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the objects lie."""
    return tmp_path / "objects"


@pytest.fixture
def blobs(folder: Path, clock: Clock) -> FileBlobs:
    """An empty store."""
    return FileBlobs(folder, secret=SECRET, address="http://127.0.0.1:8300", clock=clock)


async def pieces(data: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    """The data as a client sends it."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def upload_token(blobs: FileBlobs, clock: Clock, data: bytes = DATA, key: str = KEY) -> str:
    """The token of an upload address that is good for a minute."""
    expires = clock() + timedelta(minutes=1)
    upload = await blobs.upload(key, size=len(data), sha256=sha256(data), content_type="text/plain", expires_at=expires)
    return upload.address.rpartition("/")[2]


async def download_token(blobs: FileBlobs, clock: Clock, key: str = KEY) -> str:
    """The token of a download address that is good for a minute."""
    expires = clock() + timedelta(minutes=1)
    address = await blobs.download(key, filename="r.txt", content_type="text/plain", expires_at=expires)
    return address.rpartition("/")[2]


def everything(folder: Path) -> Sequence[str]:
    """Every file, temporary ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def open_descriptors() -> int:
    """How many descriptors this process holds."""
    return len([*Path("/dev/fd").iterdir()])


async def test_a_linked_folder_is_not_followed(blobs: FileBlobs, folder: Path, tmp_path: Path) -> None:
    """A link planted among the folders leads neither a write nor a read nor a listing outside."""
    outside = tmp_path / "outside"
    (outside / "asset_1").mkdir(parents=True)
    (outside / "asset_1" / "report.txt").write_text("secret")
    (folder / "tenants/t_acme/dev").mkdir(parents=True)
    (folder / "tenants/t_acme/dev/raw").symlink_to(outside)
    assert await blobs.stat(KEY) is None
    assert [key async for key in blobs.keys("")] == []
    await blobs.remove(KEY)
    with pytest.raises(Unavailable):
        await blobs.put("tenants/t_acme/dev/raw/asset_2/x", b"data")
    assert everything(outside) == ["asset_1/report.txt"]


async def test_a_linked_file_is_no_object(blobs: FileBlobs, folder: Path, tmp_path: Path, clock: Clock) -> None:
    """A link in the place of an object is not read, not listed, not overwritten and not sent."""
    (tmp_path / "passwd").write_text("secret")
    (folder / KEY).parent.mkdir(parents=True)
    (folder / KEY).symlink_to(tmp_path / "passwd")
    assert await blobs.stat(KEY) is None
    assert [key async for key in blobs.keys("")] == []
    with pytest.raises(NotFound):
        await blobs.send(await download_token(blobs, clock))
    with pytest.raises(Conflict):
        await blobs.put(KEY, b"data")
    assert (tmp_path / "passwd").read_text() == "secret"


async def test_a_pipe_in_the_place_of_an_object_blocks_nobody(blobs: FileBlobs, folder: Path) -> None:
    """Only regular files are objects; opening anything else neither hangs nor succeeds."""
    (folder / KEY).parent.mkdir(parents=True)
    os.mkfifo(folder / KEY)
    async with asyncio.timeout(5):
        assert await blobs.stat(KEY) is None


async def test_an_upload_is_taken_in_pieces(blobs: FileBlobs, folder: Path, clock: Clock) -> None:
    """The bytes arrive whole; a second upload of them says that they were there, and leaves no trace."""
    token = await upload_token(blobs, clock)
    assert blobs.expected(token) == len(DATA)
    assert await blobs.receive(token, pieces(DATA)) is True
    assert await blobs.receive(token, pieces(DATA, 7919)) is False
    assert await blobs.read(KEY) == DATA
    assert everything(folder) == [KEY]


async def test_an_upload_stops_the_moment_it_is_too_long(blobs: FileBlobs, folder: Path, clock: Clock) -> None:
    """No piece is asked for after the one that exceeded the declared size."""
    asked = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield b"x" * 1000

    with pytest.raises(Invalid, match="More than the 2500 bytes"):
        await blobs.receive(await upload_token(blobs, clock, b"x" * 2500), endless())
    assert asked == 3
    assert everything(folder) == []


async def test_a_refused_upload_leaves_no_folder(blobs: FileBlobs, folder: Path, clock: Clock) -> None:
    """A wrong checksum leaves neither file nor empty folder behind."""
    with pytest.raises(Invalid, match="SHA-256"):
        await blobs.receive(await upload_token(blobs, clock), pieces(DATA[:-1] + b"?"))
    assert list(folder.iterdir()) == []


async def test_an_upload_never_replaces_other_bytes(blobs: FileBlobs, clock: Clock) -> None:
    """A right address to a key that holds other bytes is a conflict, and the object stays."""
    await blobs.put(KEY, b"the first")
    with pytest.raises(Conflict):
        await blobs.receive(await upload_token(blobs, clock), pieces(DATA))
    assert await blobs.read(KEY) == b"the first"


async def test_an_upload_that_outlives_its_address_is_refused(blobs: FileBlobs, folder: Path, clock: Clock) -> None:
    """An address that expires while bytes arrive stores nothing."""

    async def slow() -> AsyncIterator[bytes]:
        yield DATA[:10]
        clock.advance(minutes=2)
        yield DATA[10:]

    with pytest.raises(Forbidden):
        await blobs.receive(await upload_token(blobs, clock), slow())
    assert everything(folder) == []


async def test_a_silent_client_is_let_go_when_its_address_expires(blobs: FileBlobs, folder: Path, clock: Clock) -> None:
    """Waiting for bytes ends with the address, and nothing is left."""
    expires = clock() + timedelta(milliseconds=50)
    upload = await blobs.upload(KEY, size=9, sha256=sha256(b""), content_type="text/plain", expires_at=expires)

    async def silent() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(60)

    async with asyncio.timeout(5):
        with pytest.raises(Forbidden):
            await blobs.receive(upload.address.rpartition("/")[2], silent())
    assert everything(folder) == []


async def test_a_cancelled_upload_leaves_nothing(blobs: FileBlobs, folder: Path, clock: Clock) -> None:
    """A client that hangs up in the middle, at whatever moment, leaves no file and no open descriptor."""
    before = open_descriptors()
    for ticks in range(0, 40, 3):
        task = asyncio.create_task(blobs.receive(await upload_token(blobs, clock), pieces(DATA)))
        for _ in range(ticks):
            await asyncio.sleep(0.0001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await blobs.remove(KEY)
    await asyncio.sleep(0.05)  # a thread that was still writing has met the closed file
    assert everything(folder) == []
    assert open_descriptors() == before


async def test_a_thread_that_is_late_makes_no_file(folder: Path) -> None:
    """A write that begins after its upload was given up touches nothing."""
    incoming = Incoming(Folder(folder), KEY)
    incoming.discard()
    with pytest.raises(FileNotFoundError, match="given up"):
        incoming.write([b"late"])
    assert not folder.exists()


@pytest.mark.parametrize("token", ["", ".", "a", "a.b", "é.ü", "\ud800.x", "x" * 20_000, "e30.e30"])
async def test_a_token_that_was_not_made_here_is_refused(blobs: FileBlobs, token: str) -> None:
    """Whatever is sent as a token, the answer is the same refusal."""
    for deed in (blobs.send(token), blobs.receive(token, pieces(DATA))):
        with pytest.raises(Forbidden, match="wrong or has expired"):
            await deed


async def test_a_token_binds_method_time_and_secret(blobs: FileBlobs, folder: Path, clock: Clock) -> None:
    """The other method, a later time and another installation's secret are refused in the same words."""
    await blobs.put(KEY, DATA)
    up, down = await upload_token(blobs, clock), await download_token(blobs, clock)
    other = FileBlobs(folder, secret=SECRET + "!", address="", clock=clock)
    words = set()
    for deed in (blobs.send(up), blobs.receive(down, pieces(DATA)), other.send(down), other.receive(up, pieces(DATA))):
        with pytest.raises(Forbidden) as refusal:
            await deed
        words.add(refusal.value.message)
    (await blobs.send(down)).close()
    clock.advance(seconds=61)
    for deed in (blobs.send(down), blobs.receive(up, pieces(DATA))):
        with pytest.raises(Forbidden) as refusal:
            await deed
        words.add(refusal.value.message)
    assert len(words) == 1


async def test_a_token_says_the_same_in_every_process(blobs: FileBlobs, clock: Clock) -> None:
    """The payload is canonical JSON of what it grants, so that equal grants are equal addresses."""
    expires = clock.now
    tokens = {
        (await blobs.upload(KEY, size=9, sha256="0" * 64, content_type="text/plain", expires_at=expires)).address
        for _ in range(3)
    }
    assert len(tokens) == 1
    payload = tokens.pop().rpartition("/")[2].partition(".")[0]
    grant = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert grant == {
        "content_type": "text/plain",
        "expires": 1_793_523_600_000_000,
        "filename": "",
        "key": KEY,
        "method": "PUT",
        "sha256": "0" * 64,
        "size": 9,
    }


async def test_a_download_is_closed_when_nobody_reads_on(blobs: FileBlobs, clock: Clock) -> None:
    """A client that hangs up leaves no open file."""
    await blobs.put(KEY, DATA)
    before = open_descriptors()
    download = await blobs.send(await download_token(blobs, clock))
    assert await anext(download.chunks)
    download.close()
    assert [chunk async for chunk in download.chunks] == []
    assert open_descriptors() == before


async def test_removing_an_object_removes_its_empty_folders(blobs: FileBlobs, folder: Path) -> None:
    """Folders go with their last object, and a neighbour keeps them."""
    await blobs.put(KEY, DATA)
    await blobs.put("tenants/t_acme/prod/raw/asset_2/x", DATA)
    await blobs.remove(KEY)
    assert not (folder / "tenants/t_acme/dev").exists()
    assert (folder / "tenants/t_acme/prod/raw/asset_2/x").exists()


async def test_writers_and_removers_do_not_trip_over_folders(blobs: FileBlobs) -> None:
    """Folders that vanish as empty while others make files in them disturb nobody."""

    async def write_and_remove(number: int) -> None:
        for _ in range(25):
            await blobs.put(f"a/b/c/d/{number}", b"x")
            await blobs.remove(f"a/b/c/d/{number}")

    await asyncio.gather(*(write_and_remove(number) for number in range(4)))
    assert [key async for key in blobs.keys("")] == []


async def test_a_full_or_forbidden_disk_is_unavailable(blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk is told as such, and readiness fails."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="No space left"):
        await blobs.put(KEY, DATA)
    with pytest.raises(Unavailable):
        await blobs.ready()
    monkeypatch.undo()
    assert await blobs.stat(KEY) is None


CRASH = """
import asyncio, os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from nexus_graph.stores.blobs.files import FileBlobs
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, sys.argv[2], die)
blobs = FileBlobs(Path(sys.argv[1]), secret="s" * 32, address="", clock=lambda: datetime.now(UTC))
asyncio.run(blobs.put("raw/asset_1/report.txt", b"x" * 3_000_000))
"""


def crash(folder: Path, at: str) -> None:
    """Put an object in another process that is killed when it comes to `os.<at>`."""
    folder.mkdir()
    ended = subprocess.run([sys.executable, "-c", CRASH, str(folder), at], timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL


async def test_a_crash_before_the_object_has_its_name_leaves_no_object(
    blobs: FileBlobs, folder: Path, clock: Clock
) -> None:
    """What was half-written is never an object; its temporary file is swept once it is old, and the key is free."""
    crash(folder, "link")
    left = everything(folder)
    assert len(left) == 1
    assert left[0].endswith(".part")
    assert [key async for key in blobs.keys("")] == []
    assert await blobs.stat("raw/asset_1/report.txt") is None
    written = (folder / left[0]).stat().st_mtime
    os.utime(folder / left[0], (written, clock().timestamp()))
    assert await blobs.clear_unfinished(clock() - timedelta(days=1)) == 0
    clock.advance(days=1.5)
    assert await blobs.clear_unfinished(clock() - timedelta(days=1)) == 1
    assert list(folder.iterdir()) == []
    await blobs.put("raw/asset_1/report.txt", b"whole")


async def test_a_crash_after_the_object_has_its_name_leaves_it_whole(blobs: FileBlobs, folder: Path) -> None:
    """From the moment an object is visible it is complete."""
    crash(folder, "unlink")
    assert await blobs.read("raw/asset_1/report.txt") == b"x" * 3_000_000
    assert [key async for key in blobs.keys("")] == ["raw/asset_1/report.txt"]
