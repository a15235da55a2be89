"""A real Weaviate on loopback. `.ci/servers/weaviate` builds its program; without it the tests skip and say so."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import httpx
import pytest

from nexus_graph.stores.vectors.base import NOTHING, Book, Copy, Rest, Space
from nexus_graph.stores.vectors.weaviate import WeaviateVectors
from nexus_graph.stores.vectors.weaviate_client import WeaviateConnection
from nexus_graph.stores.vectors.weaviate_offloading import Shelf
from servers.process import CACHE, Process, free_ports, program, start

KEY = "a key of the tests' own"
_PREFIXES = count()


@dataclass(slots=True)
class MemoryBook:
    """Where copies are known, for tests of an index alone."""

    copies: dict[Space, Copy] = field(default_factory=dict)

    async def find(self, space: Space) -> Copy | None:
        """See `base.Book`."""
        return self.copies.get(space)

    async def begin(self, space: Space, after: int) -> Copy | None:
        """See `base.Book`."""
        if (0 if (before := self.copies.get(space)) is None else before.epoch) != after:
            return None
        self.copies[space] = Copy(after + 1, NOTHING)
        return self.copies[space]

    async def move(self, space: Space, epoch: int, generation: int) -> bool:
        """See `base.Book`."""
        before = self.copies.get(space)
        if before is None or before.epoch != epoch or before.rest is not None:
            return False
        self.copies[space] = Copy(epoch, max(before.generation, generation))
        return True

    async def use(self, space: Space, copy: Copy) -> bool:
        """See `base.Book`."""
        return self.copies[space].rest is None

    async def offload(self, space: Space, epoch: int, before: int) -> bool:
        """See `base.Book`. However long ago it was used."""
        return self.copies[space].rest is None and self._rests(space, epoch, Rest(before, ""))

    async def offloaded(self, space: Space, epoch: int, contents: str) -> bool:
        """See `base.Book`."""
        return self._rests(space, epoch, Rest(0, contents))

    async def onloaded(self, space: Space, epoch: int) -> bool:
        """See `base.Book`."""
        return self._rests(space, epoch, None)

    def _rests(self, space: Space, epoch: int, rest: Rest | None) -> bool:
        before = self.copies[space]
        if before.epoch == epoch:
            self.copies[space] = Copy(epoch, before.generation, rest)
        return before.epoch == epoch

    async def end(self, tenant_id: str, env: str, but: str | None) -> None:
        """See `base.Book`."""
        for space, copy in self.copies.items():
            if (space.tenant_id, space.env) == (tenant_id, env) and space.definition_id != but:
                self.copies[space] = Copy(copy.epoch + 1, NOTHING)


@dataclass(slots=True)
class WeaviateServer:
    """A server that can be killed and started again on the same ports over the same folder."""

    path: Path
    folder: Path
    http: int
    grpc: int
    process: Process | None = None
    gossip: tuple[int, ...] = ()
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where it answers HTTP."""
        return f"http://127.0.0.1:{self.http}"

    @property
    def grpc_address(self) -> str:
        """Where it answers gRPC."""
        return f"http://127.0.0.1:{self.grpc}"

    def start(self) -> None:
        """Start it and wait until it is ready."""
        gossip, data, raft, raft_inside = self.gossip
        environment = {
            "PERSISTENCE_DATA_PATH": str(self.folder / "data"),
            "CLUSTER_HOSTNAME": "node1",
            "CLUSTER_BIND_ADDR": "127.0.0.1",
            "CLUSTER_ADVERTISE_ADDR": "127.0.0.1",
            "CLUSTER_GOSSIP_BIND_PORT": str(gossip),
            "CLUSTER_DATA_BIND_PORT": str(data),
            "RAFT_PORT": str(raft),
            "RAFT_INTERNAL_RPC_PORT": str(raft_inside),
            "RAFT_BOOTSTRAP_EXPECT": "1",
            "RAFT_JOIN": "node1",
            "RAFT_TIMEOUTS_MULTIPLIER": "1",
            "GRPC_PORT": str(self.grpc),
            "GO_PROFILING_DISABLE": "true",
            "DISABLE_TELEMETRY": "true",
            "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "false",
            "AUTHENTICATION_APIKEY_ENABLED": "true",
            "AUTHENTICATION_APIKEY_ALLOWED_KEYS": KEY,
            "AUTHENTICATION_APIKEY_USERS": "nexus-graph",
            "AUTHORIZATION_ADMINLIST_ENABLED": "true",
            "AUTHORIZATION_ADMINLIST_USERS": "nexus-graph",
            "API_BASED_MODULES_DISABLED": "true",
            "DEFAULT_VECTORIZER_MODULE": "none",
            "LOG_LEVEL": "warning",
            **self.more,
        }
        command: list[str | Path] = [self.path, "--scheme", "http", "--host", "127.0.0.1", "--port", str(self.http)]
        self.process = start(command, self.folder / "log", self._ready, environment=environment)

    def vectors(
        self, book: Book | None = None, prefix: str | None = None, shelf: Shelf | None = None
    ) -> WeaviateVectors:
        """An index on it, in collections of its own unless the prefix of another is given. Not open yet."""
        connection = WeaviateConnection(self.address, self.grpc_address, KEY)
        return WeaviateVectors(connection, book or MemoryBook(), prefix or f"Test{next(_PREFIXES)}", shelf)

    def settings(self, prefix: str) -> dict[str, str]:
        """Those that choose it for every tenant, in collections whose names begin so."""
        named = {"address": self.address, "grpc_address": self.grpc_address, "key": KEY, "prefix": prefix}
        return {"vectors": "weaviate", "vectors_least": "1", **{f"weaviate_{name}": named[name] for name in named}}

    def drop(self, prefix: str) -> None:
        """Remove the collections whose names begin so."""
        with httpx.Client(base_url=self.address, headers={"Authorization": f"Bearer {KEY}"}, timeout=20) as client:
            for each in client.get("/v1/schema").raise_for_status().json()["classes"]:
                if each["class"].startswith(f"{prefix}_"):
                    client.delete(f"/v1/schema/{each['class']}").raise_for_status()

    def kill(self) -> None:
        """End it without a warning."""
        if self.process is not None:
            self.process.end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it take connections and answer nothing."""
        if self.process is not None:
            self.process.popen.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self.process is not None:
            self.process.popen.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.end()

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.address}/v1/.well-known/ready", timeout=1).status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def weaviate_server(folder: Path, more: Mapping[str, str] | None = None) -> Iterator[WeaviateServer]:
    """A server with nothing in it, until the context closes. Skips the test where its program is missing.

    `more`: what else its environment holds.
    """
    path = program("weaviate-server", "weaviate", CACHE / "weaviate-server-v1.35.2")
    http, grpc, *inside = free_ports(6)
    folder.mkdir(parents=True, exist_ok=True)
    server = WeaviateServer(path, folder, http, grpc, gossip=tuple(inside), more=more or {})
    server.start()
    try:
        yield server
    finally:
        server.end()


@pytest.fixture(scope="session")
def weaviate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeaviateServer]:
    """One server for the tests that do not harm it."""
    with weaviate_server(tmp_path_factory.mktemp("weaviate")) as server:
        yield server
