"""A real server: its own process, its own folder, its own port; two tenants with everybody in them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

START_SECONDS = 30
WAIT_SECONDS = 20


class Installation:
    """A folder with a configuration, and the command line in it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")},
            "NEXUS_EMBEDDER": "hashing",
            "NEXUS_POLL_SECONDS": "0.2",
            **{f"NEXUS_{name.upper()}": value for name, value in settings.items()},
        }

    def run(self, *arguments: str, status: int = 0) -> str:
        """Run `nexus-graph` and return what it printed; fails unless it ends with `status`."""
        done = subprocess.run(
            [sys.executable, "-m", "nexus_graph", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if status == 0 else done.stdout + done.stderr

    def json(self, *arguments: str) -> Any:
        """Run `nexus-graph ... --json` and return the document."""
        return json.loads(self.run(*arguments, "--json"))


class Server:
    """A running server process."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.log = installation.folder / "server.log"

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and wait until it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nexus_graph", "serve", "--port", str(self.port)],
                cwd=self.installation.folder,
                env=self.installation.environment,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if httpx.get(f"{self.address}/readyz", timeout=2, trust_env=False).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.05)
        pytest.fail(f"not ready after {START_SECONDS} s: {self.log.read_text()}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its status."""
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(timeout=20)


class Caller:
    """Somebody who calls the GraphQL door; anonymous unless credentials are given."""

    def __init__(self, server: Server, tenant: str | None, credentials: str | None, env: str | None = "dev") -> None:
        self.server = server
        given = {"Authorization": credentials and f"Bearer {credentials}", "X-Nexus-Tenant": tenant, "X-Nexus-Env": env}
        self.headers = {name: value for name, value in given.items() if value}

    def answer(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        """The whole response."""
        return httpx.post(
            f"{self.server.address}/graphql",
            json={"query": query, "variables": variables or {}},
            headers=self.headers | headers,
            timeout=WAIT_SECONDS,
            trust_env=False,
        )

    def ask(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> Any:
        """The data; fails on any error."""
        answer = self.answer(query, variables, **headers).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def error(self, query: str, variables: dict[str, Any] | None = None) -> Any:
        """The first error; fails when there is none."""
        answer = self.answer(query, variables).json()
        assert answer.get("errors"), answer
        return answer["errors"][0]

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[ClientConnection]:
        """An acknowledged graphql-transport-ws connection."""
        address = self.server.address.replace("http", "ws") + "/graphql"
        async with connect(address, subprotocols=["graphql-transport-ws"], proxy=None) as socket:  # type: ignore[list-item]
            await socket.send(json.dumps({"type": "connection_init", "payload": self.headers}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            yield socket

    @asynccontextmanager
    async def stream(self, query: str, variables: dict[str, Any] | None = None) -> AsyncIterator[AsyncIterator[Any]]:
        """A subscription: yields the data of each frame."""
        async with self.socket() as socket:
            body = {"query": query, "variables": variables or {}}
            await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": body}))

            async def frames() -> AsyncIterator[Any]:
                async for text in socket:
                    message = json.loads(text)
                    if message["type"] == "complete":
                        return
                    assert message["type"] == "next", message
                    yield message["payload"]["data"]

            yield frames()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class World:
    """A server and everybody in its two tenants: `world.caller("t_acme", "owner")`."""

    def __init__(self, server: Server, credentials: dict[tuple[str, str], str]) -> None:
        self.server = server
        self.credentials = credentials

    def caller(self, tenant: str, who: str, env: str = "dev") -> Caller:
        """Somebody of a tenant, calling that tenant."""
        return Caller(self.server, tenant, self.credentials[tenant, who], env)

    def document(self, operation: str) -> str:
        """The text of a document of `schema/operations/`."""
        root = Path(__file__).parents[2] / "schema" / "operations"
        return (root / f"{operation}.graphql").read_text("utf-8")


def people(installation: Installation) -> dict[tuple[str, str], str]:
    """Make both tenants with an owner, an admin, a member and an agent each; returns their credentials."""
    credentials = {}
    for tenant in ("t_acme", "t_globex"):
        place = ("--tenant", tenant, "--env", "dev")
        installation.run("tenant", "create", tenant, "--env", "dev")
        for role in ("owner", "admin", "member"):
            subject = f"{role}@{tenant}"
            installation.run("member", "set", subject, *place, "--role", role)
            credentials[tenant, role] = installation.json("token", subject)["token"]
        credentials[tenant, "agent"] = installation.json("key", "create", "agent", *place)["secret"]
    return credentials


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One server for the stories that do not harm it."""
    installation = Installation(tmp_path_factory.mktemp("world"))
    installation.run("init")
    credentials = people(installation)
    server = Server(installation)
    server.start()
    yield World(server, credentials)
    assert server.stop() == 0, server.log.read_text()
    assert not re.search(r"Traceback|request\.defect", server.log.read_text()), server.log.read_text()
