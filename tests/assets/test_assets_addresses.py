"""The addresses of the embedded store, on a real server over a real connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from nexus_graph.api.objects import routes
from nexus_graph.scope.canonical import sha256
from nexus_graph.stores.blobs.base import Upload
from nexus_graph.stores.blobs.files import FileBlobs

KEY = "tenants/t_acme/dev/raw/asset_1/report.txt"
DATA = b"Confidential: discounts and returns.\n" * 60_000


async def nothing_is_halted(tenant_id: str, env: str) -> None:
    """Lets everybody pass."""


@pytest.fixture
async def blobs(tmp_path: Path, clock: Any) -> AsyncIterator[FileBlobs]:
    """A store whose addresses lead to a server on the loopback interface."""
    app = Starlette()
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", ws="none", log_config=None)
    with closing(config.bind_socket()) as socket:
        address = f"http://127.0.0.1:{socket.getsockname()[1]}"
        store = FileBlobs(tmp_path / "objects", secret="s" * 32, address=address, clock=clock)
        app.router.routes.extend(routes(store, nothing_is_halted))
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[socket]))
        await _until(lambda: server.started)
        yield store
        server.should_exit = True
        async with asyncio.timeout(10):
            await serving


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """An ordinary HTTP client."""
    async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
        yield http


async def upload(blobs: FileBlobs, clock: Any, data: bytes = DATA) -> Upload:
    """An upload address that is good for a minute."""
    expires = clock() + timedelta(minutes=1)
    return await blobs.upload(KEY, size=len(data), sha256=sha256(data), content_type="text/plain", expires_at=expires)


async def download(blobs: FileBlobs, clock: Any, content_type: str = "text/plain", filename: str = "r.txt") -> str:
    """A download address that is good for a minute."""
    expires = clock() + timedelta(minutes=1)
    return await blobs.download(KEY, filename=filename, content_type=content_type, expires_at=expires)


async def stream(data: bytes) -> AsyncIterator[bytes]:
    """The data in small pieces."""
    for start in range(0, len(data), 10_000):
        yield data[start : start + 10_000]


def failed(answer: httpx.Response, status: int, code: str) -> str:
    """Checks the shape of a refusal and returns its message."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    error = answer.json()["error"]
    assert sorted(error) == ["code", "hint", "message"]
    assert error["code"] == code
    return str(error["message"])


async def test_bytes_go_up_and_come_down(blobs: FileBlobs, client: httpx.AsyncClient, clock: Any) -> None:
    """PUT answers 201, the same again 204; GET gives the bytes, HEAD only their size."""
    up = await upload(blobs, clock)
    assert (await client.put(up.address, content=DATA, headers=up.headers)).status_code == 201
    again = await client.put(up.address, content=DATA, headers=up.headers)
    assert (again.status_code, again.content) == (204, b"")
    address = await download(blobs, clock)
    got = await client.get(address)
    assert (got.status_code, got.content) == (200, DATA)
    head = await client.head(address)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"] == str(len(DATA))
    for answer in (got, head):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-disposition"].startswith('attachment; filename="r.txt"')


async def test_another_size_is_told_before_the_body_is_read(
    blobs: FileBlobs, client: httpx.AsyncClient, clock: Any
) -> None:
    """No length is 411, more than declared 413, less 400; nothing is stored."""
    up = await upload(blobs, clock)
    failed(await client.put(up.address, content=stream(DATA)), 411, "INVALID")
    failed(await client.put(up.address, content=DATA + b"."), 413, "INVALID")
    short = failed(await client.put(up.address, content=DATA[:-1]), 400, "INVALID")
    assert short == f"{len(DATA) - 1} bytes came where {len(DATA)} were declared."
    failed(await client.put(up.address, content=b""), 400, "INVALID")
    assert await blobs.stat(KEY) is None


async def test_another_checksum_is_refused(blobs: FileBlobs, client: httpx.AsyncClient, clock: Any) -> None:
    """Other bytes of the right size are 400, and nothing is stored."""
    answer = await client.put((await upload(blobs, clock)).address, content=DATA[:-1] + b"?")
    assert "SHA-256" in failed(answer, 400, "INVALID")
    assert await blobs.stat(KEY) is None


async def test_other_bytes_at_the_key_are_a_conflict(blobs: FileBlobs, client: httpx.AsyncClient, clock: Any) -> None:
    """An object that is there is never overwritten: 409."""
    await blobs.put(KEY, b"first")
    failed(await client.put((await upload(blobs, clock)).address, content=DATA), 409, "CONFLICT")
    assert await blobs.read(KEY) == b"first"


async def test_wrong_and_expired_addresses_are_refused_alike(
    blobs: FileBlobs, client: httpx.AsyncClient, clock: Any
) -> None:
    """403 with the same bytes for a forged, a foreign-method and an expired address; 404 for an object that is gone."""
    up, down = (await upload(blobs, clock)).address, await download(blobs, clock)
    failed(await client.get(down), 404, "NOT_FOUND")
    forged = down[:-1] + ("A" if down[-1] != "A" else "B")
    answers = [await client.get(forged), await client.get(up), await client.put(down, content=DATA)]
    answers.append(await client.get(down.rpartition("/")[0] + "/%F0%9F%98%80.%00"))
    clock.advance(minutes=2)
    answers += [await client.get(down), await client.put(up, content=DATA)]
    assert {failed(answer, 403, "FORBIDDEN") for answer in answers} == {"The address is wrong or has expired."}
    assert len({answer.content for answer in answers}) == 1


async def test_other_methods_are_not_allowed(blobs: FileBlobs, client: httpx.AsyncClient, clock: Any) -> None:
    """Nothing but PUT, GET and HEAD."""
    for method in ("POST", "DELETE", "PATCH", "OPTIONS"):
        assert (await client.request(method, await download(blobs, clock))).status_code == 405


@pytest.mark.parametrize(
    "active", ["text/html", "TEXT/HTML; charset=utf-8", "image/svg+xml", "application/xhtml+xml", "text/javascript"]
)
async def test_nothing_that_a_browser_runs_is_served_as_such(
    blobs: FileBlobs, client: httpx.AsyncClient, clock: Any, active: str
) -> None:
    """A page or a script comes as opaque bytes, as an attachment, in a sandbox."""
    await blobs.put(KEY, b"<script>alert(1)</script>")
    answer = await client.get(await download(blobs, clock, active))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("filename", "header"),
    [
        ("Zoë.txt", "attachment; filename=\"Zo_.txt\"; filename*=UTF-8''Zo%C3%AB.txt"),
        ('a"; x="b.txt', "attachment; filename=\"a__ x__b.txt\"; filename*=UTF-8''a%22%3B%20x%3D%22b.txt"),
        ("a/b.md", "attachment; filename=\"a_b.md\"; filename*=UTF-8''a%2Fb.md"),
        ("50%.csv", "attachment; filename=\"50_.csv\"; filename*=UTF-8''50%25.csv"),
    ],
)
async def test_a_filename_is_spelled_for_every_client(
    blobs: FileBlobs, client: httpx.AsyncClient, clock: Any, filename: str, header: str
) -> None:
    """RFC 5987 for the name as it is, plain ASCII for the rest; a quote in the name ends nothing."""
    await blobs.put(KEY, DATA)
    answer = await client.head(await download(blobs, clock, filename=filename))
    assert answer.headers["content-disposition"] == header


async def test_a_client_that_hangs_up_leaves_nothing(
    blobs: FileBlobs, tmp_path: Path, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that breaks in the middle of an upload or download leaves no file and no traceback."""
    up = httpx.URL((await upload(blobs, clock)).address)
    down = httpx.URL(await download(blobs, clock))
    host, port = str(up.host), up.port or 0
    request = f"PUT {up.path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(DATA)}\r\n\r\n"
    with caplog.at_level(logging.INFO):
        _, writer = await asyncio.open_connection(host, port)
        writer.write(request.encode() + DATA[: len(DATA) // 2])
        await writer.drain()
        await _until(lambda: any((tmp_path / "objects").rglob("*.part")))
        writer.close()
        await _until(lambda: not any((tmp_path / "objects").rglob("*.part")))
        assert await blobs.stat(KEY) is None
        await blobs.put(KEY, DATA)
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(f"GET {down.path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert await reader.read(1000)
        writer.transport.abort()
        await asyncio.sleep(0.1)
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.WARNING]


async def test_content_is_never_logged(
    blobs: FileBlobs, client: httpx.AsyncClient, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a stored nor a refused upload puts a byte of it into a log line."""
    with caplog.at_level(logging.DEBUG):
        await client.put((await upload(blobs, clock)).address, content=DATA[:-1] + b"?")
        await client.put((await upload(blobs, clock)).address, content=DATA)
        await client.get(await download(blobs, clock))
    assert not [record for record in caplog.records if "Confidential" in record.getMessage()]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for happens elsewhere and tells nobody
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def _quiet_http_client() -> Iterator[None]:
    """httpx logs addresses at INFO; this is about the server's lines."""
    logger = logging.getLogger("httpx")
    level = logger.level
    logger.setLevel(logging.WARNING)
    yield
    logger.setLevel(level)
