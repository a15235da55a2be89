"""`serve`: it starts or says why not, tells how it is, and stops when it is told to, with its streams ended first."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from command_line import PLACE, Folder, free_port, until_answered
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

OPEN = 'mutation { openRun(input: { title: "a run" }) { run { id } } }'
FOLLOW = """subscription Follow($id: ID!) { runLog(runId: $id) {
  __typename ... on RunLogEntry { entry { type } } ... on RunLogEnd { reason } } }"""


class Running:
    """A server in a folder, and an owner who calls it."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        folder.good("member", "set", "ann", *PLACE, "--role", "owner")
        token = folder.json("token", "ann")["token"]
        self.headers = {"Authorization": f"Bearer {token}", "X-Nexus-Tenant": "t_acme", "X-Nexus-Env": "dev"}
        self.process = folder.start("serve", "--port", str(self.port))
        until_answered(self.address, self.process, folder.log)

    def get(self, path: str) -> httpx.Response:
        """A plain page."""
        return httpx.get(self.address + path, timeout=10, trust_env=False)

    def ask(self, query: str) -> Any:
        """The data of a document."""
        body = {"query": query}
        answer = httpx.post(f"{self.address}/graphql", json=body, headers=self.headers, timeout=10, trust_env=False)
        return answer.json()["data"]


@pytest.fixture
def running(installed: Folder) -> Iterator[Running]:
    """A running server; it is gone afterwards, whatever happened."""
    server = Running(installed)
    yield server
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(20)


def test_serve_says_why_it_does_not_start(installed: Folder) -> None:
    """A port that is taken and an address that can't be had end with status 2 and what to set."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = installed.bad("serve", "--port", port, status=2)
        assert f"Can't listen on 127.0.0.1:{port}: Address already in use. Set NEXUS_HOST or NEXUS_PORT." in said
    assert "Can't listen on 203.0.113.1:0" in installed.bad("serve", "--port", "0", status=2, host="203.0.113.1")
    assert "Can't listen on no.such.host.invalid" in installed.bad("serve", status=2, host="no.such.host.invalid")
    assert "NEXUS_PORT is wrong" in installed.bad("serve", "--port", "99999", status=2)


@pytest.mark.parametrize("command", ["serve", "check", "migrate"])
def test_a_damaged_database_is_named(installed: Folder, command: str) -> None:
    """One line that names the file, whichever command meets it first; the process ends."""
    (installed.path / "nexus-data" / "nexus.db").write_bytes(b"this is no database at all" * 1000)
    said = installed.bad(command, status=2)
    assert "nexus.db can't be used as a database: file is not a database." in said
    assert "Traceback" not in said


def test_health_and_readiness(running: Running) -> None:
    """/healthz tells that the process lives, /readyz each store's state; without objects the server is not ready."""
    assert running.get("/healthz").json() == {"status": "ok"}
    assert running.get("/readyz").json() == {"status": "ok", "stores": {"database": "ok", "objects": "ok"}}
    objects = running.folder.path / "nexus-data" / "objects"
    shutil.rmtree(objects)
    objects.write_text("no folder")  # root may write anywhere, so a mere change of mode would prove nothing
    answer = running.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "unavailable", "stores": {"database": "ok", "objects": "unavailable"}}
    assert running.get("/healthz").status_code == 200
    objects.unlink()
    assert running.get("/readyz").status_code == 200


def test_an_endless_head_is_not_read_to_its_end(running: Running) -> None:
    """Anybody could send one, without credentials: it is answered with 431 and closed, and others are served on."""
    for piece in (b"X-Much: " + b"y" * 100_000, b"X-Many: y\r\n" * 10_000):
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as connection:
            connection.sendall(b"POST /graphql HTTP/1.1\r\nHost: here\r\n")
            with suppress(OSError):  # closed while we send
                for _ in range(200):
                    connection.sendall(piece)
                pytest.fail("twenty megabytes of headers were read")
    headers = running.headers | {"X-Fitting": "y" * 60_000}
    body = {"query": "{ viewer { role } }" + " " * 50_000}
    with httpx.Client(headers=headers, timeout=10, trust_env=False) as client:  # both requests on one connection
        answers = [client.post(f"{running.address}/graphql", json=body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]


async def test_sigterm_ends_streams_and_then_the_process(running: Running) -> None:
    """On SIGTERM a live stream gets its end and a close with 1012; the process ends with status 0, its data whole."""
    run_id = running.ask(OPEN)["openRun"]["run"]["id"]
    address = running.address.replace("http", "ws") + "/graphql"
    async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as socket:
        await _send(socket, {"type": "connection_init", "payload": running.headers})
        await _send(socket, {"id": "1", "type": "subscribe", "payload": {"query": FOLLOW, "variables": {"id": run_id}}})
        messages = [await _receive(socket), await _receive(socket)]
        assert messages[1]["payload"]["data"]["runLog"]["entry"]["type"] == "run.opened"
        running.process.send_signal(signal.SIGTERM)
        with suppress(ConnectionClosed):
            while True:
                messages.append(await _receive(socket))
        assert socket.close_code == 1012
    assert [message["type"] for message in messages[-2:]] == ["next", "complete"]
    assert messages[-2]["payload"]["data"]["runLog"] == {"__typename": "RunLogEnd", "reason": "SHUTDOWN"}
    assert await asyncio.to_thread(running.process.wait, 20) == 0
    lines = [json.loads(line) for line in running.folder.log.read_text().splitlines()]  # in a pipe every line is JSON
    assert [line["event"] for line in lines if line["event"].startswith("server.")] == [
        "server.ready",
        "server.stopping",
    ]
    assert not [line for line in lines if line["level"] in ("warning", "error")]
    assert running.folder.json("check")["faults"] == []


def test_an_interrupt_ends_with_130(running: Running) -> None:
    """Ctrl-C stops gracefully too, and tells the shell that it was an interrupt."""
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(20) == 130
    assert "Traceback" not in running.folder.log.read_text()


async def _send(socket: ClientConnection, message: dict[str, Any]) -> None:
    await socket.send(json.dumps(message))


async def _receive(socket: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(socket.recv(), 20))
