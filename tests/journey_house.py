"""A real server to tell stories on: its own process, folder and port; two tenants with everybody in them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from engines import Engine, files_at, query
from journey_objects import Objects, objects_of
from program import Program
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedOK
from websockets.typing import Subprotocol

from nexus_graph import config
from nexus_graph.administration.directory import development_token
from nexus_graph.administration.installing import install
from nexus_graph.engines import open_stores
from nexus_graph.scope.scope import Env, Scope, Surface
from nexus_graph.stores.database.place import Place, PostgresPlace
from nexus_graph.stores.migrations import migrate
from nexus_graph.stores.statement import Value
from nexus_graph.tenants import keys, membership

TENANTS = ("t_acme", "t_globex")
ROLES = ("owner", "admin", "member")
Credentials = dict[tuple[str, str], str]
Furnished = tuple[Path, Credentials, Engine, Place]

START_SECONDS = 60
COMMAND_SECONDS = 120
WAIT_SECONDS = 60
STORY_SECONDS = 60
PROTOCOL = Subprotocol("graphql-transport-ws")


class Installation:
    """A folder with a configuration, and the command line in it."""

    def __init__(self, folder: Path, **settings: str | None) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")},
            "NEXUS_EMBEDDER": "hashing",
            "NEXUS_POLL_SECONDS": "0.2",
            **{f"NEXUS_{name.upper()}": value for name, value in settings.items() if value is not None},
        }

    @property
    def place(self) -> Place:
        """Where its database is."""
        address = self.environment.get("NEXUS_POSTGRES")
        return PostgresPlace(address) if address else self.folder / "nexus-data" / "nexus.db"

    @property
    def objects(self) -> Objects:
        """Where its objects lie."""
        return objects_of(self.folder / "nexus-data" / "objects", self.environment)

    def held(self) -> bytes:
        """All that it keeps, names and bytes: files, files of its database, objects in all their versions."""
        own = [path for path in (self.folder / "nexus-data").rglob("*") if path.is_file()]
        rows = [] if isinstance(self.place, Path) else files_at(self.place.address)
        files = [(str(path), path.read_bytes()) for path in [*own, *rows]]
        return b"\n".join(name.encode() + b"\n" + data for name, data in [*files, *self.objects.all()])

    def query(self, sql: str, **values: Value) -> list[tuple[Any, ...]]:
        """A statement behind everybody's back."""
        return query(self.place, sql, **values)

    def run(self, *arguments: str, status: int = 0, seconds: float = COMMAND_SECONDS) -> str:
        """Run `nexus-graph` and return what it printed; fails unless it ends with `status`."""
        with tempfile.TemporaryDirectory() as said:
            out, err = Path(said, "out"), Path(said, "err")
            ended = Program(self.folder, self.environment, *arguments, out=out, err=err).wait(seconds)
            assert ended == status, f"{arguments}: {ended}\n{out.read_text()}\n{err.read_text()}"
            return out.read_text() if status == 0 else out.read_text() + err.read_text()

    def json(self, *arguments: str) -> Any:
        """Run `nexus-graph ... --json` and return the document."""
        return json.loads(self.run(*arguments, "--json"))


class Server:
    """A running server process."""

    def __init__(self, installation: Installation, processes: int = 1) -> None:
        self.installation = installation
        self._processes = processes
        self.port = free_port()
        self.process: Program | None = None
        self.log = installation.folder / "server.log"

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, seconds: float = START_SECONDS) -> None:
        """Start, and wait until it is ready."""
        command = ("serve", "--port", str(self.port), "--workers", str(self._processes))
        place = self.installation
        self.process = Program(place.folder, place.environment, *command, out=self.log, err=self.log)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if http("GET", f"{self.address}/readyz").status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.05)
        pytest.fail(f"not ready after {seconds} s: {self.log.read_text()}")

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def check_log(self, since: int = 0) -> None:
        """Fail when the log tells of a defect, from its character `since` on."""
        defect = re.compile(r'Traceback|request\.defect|"level": ?"(error|critical)"')
        told = [line for line in self.log.read_text()[since:].splitlines() if defect.search(line)]
        assert told == [], told

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its status."""
        assert self.process is not None
        workers = children(self.process.pid) if how == signal.SIGKILL else []
        self.process.send_signal(how)
        for worker in workers:  # the power goes for all of them
            with suppress(ProcessLookupError):
                os.kill(worker, how)
        return self.process.wait(WAIT_SECONDS)


class Caller:
    """Somebody who calls the GraphQL door; anonymous unless credentials are given."""

    def __init__(self, server: Server, tenant: str | None, credentials: str | None, env: str | None = "dev") -> None:
        self.server = server
        given = {"Authorization": credentials and f"Bearer {credentials}", "X-Nexus-Tenant": tenant, "X-Nexus-Env": env}
        self.headers = {name: value for name, value in given.items() if value}

    def answer(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        """The whole response."""
        body = {"query": query, "variables": variables or {}}
        return http("POST", f"{self.server.address}/graphql", json=body, headers=self.headers | headers)

    def ask(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> Any:
        """The data; fails on any error."""
        answer = self.answer(query, variables, **headers).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def error(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> Any:
        """The first error; fails when there is none."""
        answer = self.answer(query, variables, **headers).json()
        assert answer.get("errors"), answer
        return answer["errors"][0]

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[ClientConnection]:
        """An acknowledged graphql-transport-ws connection. Whoever holds it too long fails: heartbeats never end."""
        async with asyncio.timeout(STORY_SECONDS), self.unacknowledged() as socket:
            await socket.send(json.dumps({"type": "connection_init", "payload": self.headers}))
            assert (await receive(socket))["type"] == "connection_ack"
            yield socket

    def unacknowledged(self) -> connect:
        """A graphql-transport-ws connection on which nobody has said who they are."""
        address = self.server.address.replace("http", "ws") + "/graphql"
        # Unread messages are kept without bound: a full queue would hold up the closing handshake.
        return connect(
            address, subprotocols=[PROTOCOL], proxy=None, open_timeout=WAIT_SECONDS, close_timeout=2, max_queue=None
        )

    @asynccontextmanager
    async def stream(self, query: str, variables: dict[str, Any] | None = None) -> AsyncIterator[AsyncIterator[Any]]:
        """A subscription: yields the data of each frame. Waiting for one frame too long fails."""
        async with self.socket() as socket:
            await subscribe(socket, "1", query, variables)
            yield frames(socket)


async def subscribe(socket: ClientConnection, operation: str, query: str, variables: dict[str, Any] | None) -> None:
    """Begin an operation on an acknowledged connection."""
    body = {"query": query, "variables": variables or {}}
    await socket.send(json.dumps({"id": operation, "type": "subscribe", "payload": body}))


async def subscription_error(
    socket: ClientConnection, operation: str, query: str, variables: dict[str, Any] | None = None
) -> Any:
    """The first error of an operation that is refused, whichever message brings it."""
    await subscribe(socket, operation, query, variables)
    while (message := await receive(socket))["id"] != operation:
        pass  # a frame of another stream
    if message["type"] == "error":
        return message["payload"][0]
    assert message["payload"]["data"] is None, message
    assert (await receive(socket)) == {"id": operation, "type": "complete"}
    return message["payload"]["errors"][0]


async def receive(socket: ClientConnection) -> Any:
    """The next message."""
    return json.loads(await asyncio.wait_for(socket.recv(), WAIT_SECONDS))


async def frames(socket: ClientConnection) -> AsyncIterator[Any]:
    """The data of each `next` message, until `complete` or a normal close."""
    while True:
        try:
            message = await receive(socket)
        except ConnectionClosedOK:
            return
        if message["type"] == "complete":
            return
        assert message["type"] == "next", message
        yield message["payload"]["data"]


def http(method: str, address: str, **request: Any) -> httpx.Response:
    """One request on a connection of its own."""
    with httpx.Client(timeout=WAIT_SECONDS, trust_env=False, verify=False) as client:  # noqa: S501 - plain http
        return client.request(method, address, **request)


def children(pid: int) -> list[int]:
    """The processes that a process has started and that have not ended."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class World:
    """A server and everybody in its two tenants: `world.caller("t_acme", "owner")`."""

    def __init__(self, server: Server, credentials: Credentials) -> None:
        self.server = server
        self.credentials = credentials

    def caller(self, tenant: str, who: str, env: str = "dev") -> Caller:
        """Somebody of a tenant, calling that tenant."""
        return Caller(self.server, tenant, self.credentials[tenant, who], env)

    def document(self, operation: str) -> str:
        """The text of a document of `schema/operations/`."""
        root = Path(__file__).parents[1] / "schema" / "operations"
        return (root / f"{operation}.graphql").read_text("utf-8")


MakeWorld = Callable[..., World]


@contextmanager
def copied(furnished: Furnished, folder: Path, **settings: str | None) -> Iterator[Installation]:
    """A copy of what is furnished."""
    source, _, engine, place = furnished
    shutil.copytree(source, folder)
    copy = engine.copy(place)
    yield Installation(folder, **{**engine.settings(copy), **settings})
    engine.discard(copy)


@contextmanager
def serving(
    furnished: Furnished, folder: Path, processes: int | None = None, /, **settings: str | None
) -> Iterator[World]:
    """A server on a copy of what is furnished, of as many processes as its engine is tried with.

    In the end it stops well, and its log tells of no defect.
    """
    with copied(furnished, folder, **settings) as installation:
        server = Server(installation, processes or furnished[2].processes)
        try:
            server.start()
            yield World(server, furnished[1])
        finally:
            if server.running:
                assert server.stop() == 0, server.log.read_text()
        server.check_log()


def furnish(folder: Path, **given: str) -> Credentials:
    """Make an installation with an owner, an admin, a member and an agent in each tenant; returns their credentials."""
    install(folder)
    settings = config.load({}, folder / "nexus.toml", embedder="hashing", **given).config
    migrate(settings.database)

    async def deed() -> Credentials:
        credentials = {}
        async with open_stores(settings) as stores:
            for tenant in TENANTS:
                scope = Scope.system(tenant, Env.DEV, "command_line", surface=Surface.COMMAND_LINE)
                await membership.create_tenant(stores, scope, tenant)
                for role in ROLES:
                    subject = f"{role}@{tenant}"
                    await membership.set_member(stores, scope, subject, role)
                    credentials[tenant, role] = development_token(settings, subject, timedelta(hours=12))
                credentials[tenant, "agent"] = (await keys.create_key(stores, scope, "agent", 90))[1]
        return credentials

    return asyncio.run(deed())
