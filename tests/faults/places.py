"""Where the faults happen: an installation, the processes that serve it, and the servers that it stands on."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

from engines import Embedded, OnPostgres
from journey_house import TENANTS, Caller, Credentials, Installation, Server, furnish
from servers.postgres import PostgresServer, postgres_server
from servers.seaweedfs import SeaweedFS, bucket_settings, seaweedfs
from servers.weaviate import WeaviateServer, weaviate_server

from nexus_graph import config
from nexus_graph.administration.directory import development_token
from nexus_graph.stores.migrations import migrate

TENANT = TENANTS[0]
START_SECONDS = 180.0
"""How long a process may take to be ready on a machine that has much to do."""

POSTGRES, OBJECTS, VECTORS = "postgres", "seaweedfs", "weaviate"

_UNBOUNDED = {
    "actor_burst": "1000000000",
    "actor_per_second": "1000000000",
    "tenant_burst": "1000000000",
    "tenant_per_second": "1000000000",
}
_AS_MEANT = ("fsync=on", "full_page_writes=on")  # servers of other tests don't care for their files


@dataclass(slots=True)
class Victim:
    """What can be killed and started again."""

    name: str
    kill: Callable[[], None]
    start: Callable[[], None]


@dataclass(slots=True)
class Place:
    """An installation that is served."""

    installation: Installation
    credentials: Credentials
    servers: list[Server]
    victims: list[Victim] = field(default_factory=list)
    postgres: PostgresServer | None = None
    objects: SeaweedFS | None = None
    vectors: WeaviateServer | None = None

    @property
    def owner(self) -> Caller:
        """The owner, at the first process."""
        return Caller(self.servers[0], TENANT, self.credentials[TENANT, "owner"])

    def addresses(self) -> list[str]:
        """Where clients ask."""
        return [server.address for server in self.servers]

    def token(self, subject: str) -> str:
        """A token of somebody's."""
        settings = config.load({}, self.installation.folder / "nexus.toml", embedder="hashing").config
        return development_token(settings, subject, timedelta(hours=12))

    def serve(self) -> None:
        """Start every process that is not running."""
        for server in self.servers:
            if not server.running:
                server.start(START_SECONDS)


@contextmanager
def embedded(folder: Path, **settings: str) -> Iterator[Place]:
    """One process on SQLite and files."""
    home = folder / "house"
    home.mkdir(parents=True, exist_ok=True)
    empty = folder / "empty.db"
    migrate(empty)
    engine = Embedded(empty.read_bytes())
    credentials = furnish(home, **engine.settings(engine.fresh(folder)))
    with _served(Installation(home, **_UNBOUNDED | settings), credentials, 1) as place:
        yield place


@contextmanager
def production(folder: Path, processes: int = 2, **settings: str) -> Iterator[Place]:
    """Processes of ours on Postgres, SeaweedFS and Weaviate, each in a folder and on ports of its own."""
    home = folder / "house"
    home.mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:
        base = folder / "postgres"
        base.mkdir(exist_ok=True)
        rows = opened.enter_context(postgres_server(base, *_AS_MEANT))
        (folder / "seaweedfs").mkdir()
        objects = opened.enter_context(seaweedfs(folder / "seaweedfs"))
        bucket = _bucket(objects)
        vectors = opened.enter_context(weaviate_server(folder / "weaviate"))
        engine = OnPostgres(rows)
        named = engine.settings(engine.fresh(folder))
        credentials = furnish(home, **named)
        kept = {**bucket_settings(objects, bucket), **vectors.settings("Faults")}
        given = {**_UNBOUNDED, **named, **kept, **settings}
        place = opened.enter_context(_served(Installation(home, **given), credentials, processes))
        place.postgres, place.objects, place.vectors = rows, objects, vectors
        place.victims += [
            Victim(POSTGRES, rows.kill, rows.start),
            Victim(OBJECTS, objects.stop, objects.start),
            Victim(VECTORS, vectors.kill, vectors.start),
        ]
        yield place


@contextmanager
def _served(installation: Installation, credentials: Credentials, processes: int) -> Iterator[Place]:
    servers = [Server(installation) for _ in range(processes)]
    for number, server in enumerate(servers):
        server.log = installation.folder / f"server-{number}.log"
    place = Place(installation, credentials, servers)
    place.victims = [
        Victim(f"process {number}", _killing(server), partial(server.start, START_SECONDS))
        for number, server in enumerate(servers)
    ]
    try:
        place.serve()
        yield place
    finally:
        for server in servers:
            if server.running:
                server.stop(signal.SIGKILL)


def _killing(server: Server) -> Callable[[], None]:
    def kill() -> None:
        server.stop(signal.SIGKILL)

    return kill


def _bucket(server: SeaweedFS) -> str:
    """One that keeps versions, and goes with the server's folder."""
    client, name = server.client(), "faults"
    client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name
