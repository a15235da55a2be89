"""The remote embedder against a real HTTP server on loopback that answers well, badly, late or not at all."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import orjson
import pytest

from nexus_graph.index.embedding import load_embedder
from nexus_graph.index.embedding import openai as openai_module
from nexus_graph.index.embedding.base import normalised
from nexus_graph.index.embedding.openai import OpenAIEmbedder
from nexus_graph.scope.errors import ConfigurationError, Unavailable

KEY = "sk-never-show-this"
Answer = Callable[[int, Any], tuple[int, dict[str, str], bytes]]


class Server(ThreadingHTTPServer):
    """Answers each request with `answer(number, body)` and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Answer = lambda _, body: (200, {}, embeddings(body))
        self.address = f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        self.server.headers.append({"path": self.path, **dict(self.headers)})
        status, headers, answer = self.server.answer(len(self.server.asked), body)
        with contextlib.suppress(ConnectionError):  # a client that stops reading is one of the cases
            self.send_response(status)
            for name, value in {"Content-Length": str(len(answer)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


def vector(text: str) -> list[float]:
    return [float(len(text)), 1.0, -2.0]


def embeddings(body: Any) -> bytes:
    """What a right server sends, in reverse: only `index` says which text an embedding belongs to."""
    data = [{"index": index, "embedding": vector(text)} for index, text in enumerate(body["input"])]
    return orjson.dumps({"data": data[::-1]})


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield running
    running.shutdown()
    thread.join(10)
    running.server_close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
async def remote(server: Server, pauses: list[float]) -> AsyncIterator[OpenAIEmbedder]:
    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    embedder = OpenAIEmbedder(address=server.address, model="small", key=KEY, dimensions=3, pause=pause)
    yield embedder
    await embedder.close()


async def test_the_server_gets_the_protocol_and_rows_come_in_order(remote: OpenAIEmbedder, server: Server) -> None:
    """Batches of 64, the key as a bearer token, unit rows in the order of the texts whatever the server's order."""
    texts = ["x" * length for length in range(130)]
    rows = await remote.embed(texts)
    assert rows.tobytes() == normalised(np.array([vector(text) for text in texts])).tobytes()
    assert [len(body["input"]) for body in server.asked] == [64, 64, 2]
    assert {key: server.asked[0][key] for key in ("model", "encoding_format")} == {
        "model": "small",
        "encoding_format": "float",
    }
    assert server.headers[0]["path"] == "/v1/embeddings"
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert (await remote.embed([])).shape == (0, 3)


async def test_a_busy_server_is_asked_again(remote: OpenAIEmbedder, server: Server, pauses: list[float]) -> None:
    """429 and 5xx are tried again, after what the server asks for or a growing pause."""
    busy = {1: (429, {"Retry-After": "3"}, b""), 2: (503, {}, b"secret detail"), 3: (500, {"Retry-After": "soon"}, b"")}
    server.answer = lambda number, body: busy.get(number, (200, {}, embeddings(body)))
    assert (await remote.embed(["text"])).shape == (1, 3)
    assert pauses == [3.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("status", "headers", "requests"),
    [(500, {}, 4), (429, {"Retry-After": "3600"}, 1), (401, {}, 1), (400, {}, 1), (302, {"Location": "/else"}, 1)],
)
async def test_a_refusing_server_is_given_up(
    remote: OpenAIEmbedder, server: Server, status: int, headers: dict[str, str], requests: int
) -> None:
    """Attempts are bounded, a long wait and a plain refusal are not waited out, and nothing leaks into the error."""
    server.answer = lambda *_: (status, headers, b"you sent: my private text")
    with pytest.raises(Unavailable, match=f"answered with status {status}") as caught:
        await remote.embed(["my private text"])
    assert len(server.asked) == requests
    told = repr((caught.value, caught.value.hint, caught.value.__cause__, vars(caught.value)))
    assert KEY not in told
    assert "private" not in told
    assert KEY not in repr(remote)


def with_data(data: object) -> bytes:
    return orjson.dumps({"data": data})


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"<html>", "something else than embeddings"),
        (b"[]", "something else than embeddings"),
        (with_data(None), "something else than embeddings"),
        (with_data(["no object"]), "something else than embeddings"),
        (with_data([{"index": [], "embedding": [1, 2, 3]}] * 2), "something else than embeddings"),
        (with_data([{"index": 0, "embedding": [1, 2, 3]}]), "exactly one embedding for each of 2"),
        (with_data([{"index": 0, "embedding": [1, 2, 3]}] * 2), "exactly one embedding for each of 2"),
        (with_data([{"index": i, "embedding": [1, 2, 3]} for i in (0, 1, 1)]), "exactly one embedding for each of 2"),
        (with_data([{"index": i, "embedding": [1, 2, 3]} for i in (1, 2)]), "exactly one embedding for each of 2"),
        (with_data([{"index": i, "embedding": [1, 2, 3]} for i in (False, True)]), "exactly one embedding"),
        (with_data([{"index": i, "embedding": [1, 2]} for i in (0, 1)]), "sent 2 dimensions.*DIMENSIONS is 3"),
        (with_data([{"index": i, "embedding": "1,2,3"} for i in (0, 1)]), "not a list of numbers"),
        (with_data([{"index": i, "embedding": ["1", "2", "3"]} for i in (0, 1)]), "not a list of numbers"),
        (b'{"data":[{"index":0,"embedding":[1,2,NaN]},{"index":1,"embedding":[1,2,3]}]}', "something else"),
        (
            b'{"data":[{"index":0,"embedding":[1,2,1e999]},{"index":1,"embedding":[1,2,3]}]}',
            "not finite|something else",
        ),
        (b" " * 200_000, "more than the vectors asked for"),
    ],
)
async def test_a_wrong_answer_is_never_believed(
    remote: OpenAIEmbedder, server: Server, answer: bytes, reason: str
) -> None:
    """Counts, places, lengths, types, finiteness and size are checked before a vector is used."""
    server.answer = lambda *_: (200, {}, answer)
    with pytest.raises(Unavailable, match=reason):
        await remote.embed(["one", "two"])
    assert len(server.asked) == 1


async def test_a_server_that_is_not_there_is_unavailable(server: Server, pauses: list[float]) -> None:
    """A refused connection is tried four times and told without a stack of library errors."""

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    closed = OpenAIEmbedder(address="http://127.0.0.1:1/v1", model="small", key=KEY, dimensions=3, pause=pause)
    with pytest.raises(Unavailable, match=r"can't be reached \(ConnectError\) after 4 attempts"):
        await closed.embed(["text"])
    assert pauses == [0.5, 1.0, 2.0]
    await closed.close()


async def test_a_silent_server_is_not_waited_for(
    remote: OpenAIEmbedder, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline covers all attempts."""
    release = threading.Event()

    def silent(_: int, body: Any) -> tuple[int, dict[str, str], bytes]:
        release.wait(30)
        return 200, {}, embeddings(body)

    server.answer = silent
    monkeypatch.setattr(openai_module, "_DEADLINE", 0.1)
    with pytest.raises(Unavailable, match="no answer within"):
        await asyncio.wait_for(remote.embed(["text"]), timeout=20)
    release.set()


async def test_the_id_binds_address_model_and_dimensions(server: Server) -> None:
    """Two servers, models or lengths never share an id; a trailing slash or path is the same address; no key in it."""

    async def name(address: str, model: str = "small", dimensions: int = 3, key: str = KEY) -> str:
        embedder = OpenAIEmbedder(address=address, model=model, key=key, dimensions=dimensions)
        await embedder.close()
        return embedder.id

    first = await name("http://a.test/v1")
    assert first.startswith("small@")
    assert first.endswith(":3:chunk-1")
    assert first == await name("http://a.test/v1/", key="other") == await name("http://a.test/v1/embeddings")
    others = [
        await name("http://b.test/v1"),
        await name("http://a.test/v1", "large"),
        await name("http://a.test/v1", "small", 4),
    ]
    assert len({first, *others}) == 4


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"address": "ftp://a.test/v1"}, "NEXUS_EMBEDDER_ADDRESS must look like"),
        ({"address": "a.test"}, "NEXUS_EMBEDDER_ADDRESS must look like"),
        ({"address": "http://user:word@a.test/v1"}, "without a user"),
        ({"address": "http://a.test:port/v1"}, "NEXUS_EMBEDDER_ADDRESS is not a web address"),
        ({"dimensions": 0}, "NEXUS_EMBEDDER_DIMENSIONS must be at least 1"),
        ({"key": "sk-never\nX: y"}, "NEXUS_EMBEDDER_KEY must be printable ASCII"),
    ],
)
def test_a_wrong_setting_is_named(change: dict[str, Any], reason: str) -> None:
    """A setting that can't work stops the start, and its secrets stay secret."""
    settings: dict[str, Any] = {"address": "http://a.test/v1", "model": "small", "key": KEY, "dimensions": 3} | change
    with pytest.raises(ConfigurationError, match=reason) as caught:
        load_embedder("openai", **settings)
    assert "sk-never" not in str(caught.value)
    assert "word" not in str(caught.value)
