"""An operation that takes too long is ended and cleaned up, and its caller is told so; the next ones are served."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from inside_house import Inside, inside
from journey_house import Caller, MakeWorld, World, receive, subscribe
from journey_steps import PUBLISH, card, published

from nexus_graph.api.operations.execution import LONGEST_ANSWER
from nexus_graph.api.operations.persisted import digest_of
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.work import Work

OPEN_RUN = "mutation ($title: String!) { openRun(input: {title: $title}) { userErrors { code } } }"
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


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    """A house of this process."""
    with inside(tmp_path_factory.mktemp("execution")) as opened:
        yield opened


def test_a_mutation_that_takes_too_long_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that it wrote, when it is ended within its transaction; the next one writes."""
    tell = Work.tell

    async def tell_late(work: Work) -> None:
        await tell(work)
        await asyncio.sleep(30)

    with inside(tmp_path, operation_seconds=0.5) as house:
        caller = house.caller("owner")
        with monkeypatch.context() as late:
            late.setattr(Work, "tell", tell_late)
            [error] = caller.whole(OPEN_RUN, {"title": "Late"})["errors"]
        assert error["extensions"]["code"] == "TIMED_OUT"
        assert caller.ask(OPEN_RUN, {"title": "In time"})["openRun"] == {"userErrors": []}
        runs = caller.ask("{ runs(first: 50) { edges { node { title } } } }")["runs"]["edges"]
        assert [run["node"]["title"] for run in runs if run["node"]["title"]] == ["In time"]


def test_an_answer_is_bounded(house: Inside) -> None:
    """A text that is asked for many times over, or many texts, are refused before they are written; paid and told."""
    line, body = "A long line of a large card.\n", "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Card { body } } }"
    most = LONGEST_ANSWER // (36_000 * len(line))
    many = body.replace("body", " ".join(f"a{at}: body" for at in range(60)))
    caller = house.caller("owner")
    large = {"input": {"text": card("large", line * 36_000), "trainOk": True}}
    card_id = caller.ask(PUBLISH, large)["publishCard"]["card"]["id"]
    assert len(caller.ask(body, {"ids": [card_id] * most})["nodes"]) == most
    for document, times in ((body, most + 1), (many, 99)):
        answer = caller.whole(document, {"ids": [card_id] * times})
        [error] = answer["errors"]
        assert (error["extensions"]["code"], "data" in answer) == ("INVALID", False)
        assert answer["extensions"]["cost"]["points"] > times


def test_an_erasure_forgets_documents(house: Inside) -> None:
    """What was learnt by its digest has to be sent again: it may have held words of who is erased."""
    text = '{ search(text: "words of somebody", k: 1) { hits { rank } } }'

    def answer(**more: str) -> Any:
        body = {"documentId": f"sha256:{digest_of(text)}", **more}
        return house.send("POST", "/graphql", json=body, headers=house.caller("owner").headers).json()

    assert "errors" not in answer(query=text)
    assert "errors" not in answer()
    house.house.eraser.forget(Scope.system("t_acme", Env.DEV, "test"))
    assert answer()["errors"][0]["message"] == "PersistedQueryNotFound"
