"""An operation that takes too long is ended and cleaned up, and its caller is told so; the next ones are served."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import orjson
import pytest
from journey_house import Caller, MakeWorld, World, receive, subscribe
from journey_steps import PUBLISH, card, published

SEARCH = "query Search($text: String!) { search(text: $text, k: 3) { hits { rank version { id } } } }"
SECONDS = "1"


class Embedder(ThreadingHTTPServer):
    """Embeds at once while `gate` is open; else it waits for it, ten seconds at the most."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Event()


class _Answering(BaseHTTPRequestHandler):
    server: Embedder

    def do_POST(self) -> None:
        body = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.set()
        self.server.gate.wait(10)
        data = [{"index": at, "embedding": [float(len(text)), 1.0, -2.0]} for at, text in enumerate(body["input"])]
        answer = orjson.dumps({"data": data})
        try:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        except ConnectionError:
            return  # whoever asked was ended meanwhile: that is what is tested

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def embedder() -> Iterator[Embedder]:
    """A server for vectors that can be held up."""
    server = Embedder()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.gate.set()
    server.shutdown()
    thread.join(10)
    server.server_close()


def timed_out(error: Any) -> None:
    """The error is that of an operation that took too long, and is of use."""
    assert error["message"] == f"The operation took longer than {SECONDS} seconds."
    assert error["extensions"]["code"] == "TIMED_OUT"
    assert "idempotencyKey" in error["extensions"]["hint"]
    assert set(error["extensions"]) == {"code", "hint", "traceId"}


async def over_socket(caller: Caller) -> None:
    """A search that takes too long gets `error`; the connection lives, and its id is free."""
    async with caller.socket() as socket:
        await subscribe(socket, "1", SEARCH, {"text": "by socket"})
        message = await receive(socket)
        assert (message["type"], message["id"]) == ("error", "1")
        timed_out(message["payload"][0])
        await subscribe(socket, "1", "{ viewer { role } }", None)
        assert (await receive(socket))["payload"]["data"] == {"viewer": {"role": "OWNER"}}
        assert (await receive(socket)) == {"type": "complete", "id": "1"}


async def too_long(caller: Caller, world: World) -> tuple[httpx.Response, httpx.Response, dict[str, Any]]:
    """Three operations at once that wait for vectors: over HTTP, over a socket, and a mutation."""
    asked = {
        "input": {"text": card("slow", "Second.\n"), "trainOk": True, "expectedVersion": 1, "idempotencyKey": "k-1"}
    }
    headers = {"Accept": "application/graphql-response+json"}
    search, publishing, _ = await asyncio.gather(
        asyncio.to_thread(caller.answer, SEARCH, {"text": "by http"}, **headers),
        asyncio.to_thread(caller.answer, PUBLISH, asked, **headers),
        over_socket(world.caller("t_acme", "owner")),
    )
    return search, publishing, asked


async def test_what_takes_too_long_is_ended(own_world: MakeWorld, embedder: Embedder) -> None:
    """HTTP answers 503; what was committed stays done and is told to whoever repeats it; nothing else suffers.

    The fixture fails when the server's log tells of a defect, so of a task that nobody looked after.
    """
    world = own_world(
        operation_seconds=SECONDS,
        embedder="openai",
        embedder_address=f"http://127.0.0.1:{embedder.server_port}/v1",
        embedder_openai_model="m",
        embedder_key="k",
        embedder_dimensions="3",
    )
    caller = world.caller("t_acme", "owner")
    assert published(caller, card("slow", "First.\n"))["version"] == 1
    embedder.gate.clear()
    search, publishing, asked = await too_long(caller, world)
    for answer in (search, publishing):
        assert answer.status_code == 503
        assert "data" not in answer.json()
        timed_out(answer.json()["errors"][0])
    # Readers and the one writer are free: what needs no vectors is served while these still hang.
    assert caller.ask('mutation { openRun(input: {title: "Free"}) { userErrors { code } } }')["openRun"] == {
        "userErrors": []
    }
    embedder.gate.set()
    again = caller.ask(PUBLISH, asked)["publishCard"]
    assert again["userErrors"] == []
    assert again["card"]["version"] == 2
    assert caller.ask(SEARCH, {"text": "Second"})["search"]["hits"]
    refused = caller.ask('{ audit(first: 50, filter: {types: ["request.refused"]}) { edges { node { type } } } }')
    assert len(refused["audit"]["edges"]) == 3
