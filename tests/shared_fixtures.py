"""What every test starts from: an empty embedded installation, two tenants, and nobody signed in.

What is told from outside starts from a real server instead: a furnished installation, made once and copied.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from engines import POSTGRES, PRODUCTION, Embedded, Engine, InProduction, OnPostgres
from journey_house import Furnished, MakeWorld, World, furnish, serving
from program import preload
from servers.offloading import offloading
from servers.postgres import PostgresServer, postgres
from servers.seaweedfs import SeaweedFS, s3_server
from servers.weaviate import WeaviateServer, weaviate
from shipped import POLICY
from side_process import connected

from nexus_graph.scope.policy import Policy
from nexus_graph.scope.scope import Env, Principal, PrincipalKind, Role, Scope, Surface
from nexus_graph.stores.blobs.files import FileBlobs
from nexus_graph.stores.database.postgres import _Connection as OnServer
from nexus_graph.stores.database.sqlite_reading import Reader
from nexus_graph.stores.database.sqlite_writing import AtHand, Connected
from nexus_graph.stores.migrations import migrate
from nexus_graph.stores.signals.local import LocalSignals
from nexus_graph.stores.work import Stores

__all__ = ["offloading", "postgres", "s3_server", "weaviate"]

SECRET = "a signing secret for tests only, 32+"
ACME, GLOBEX = "t_acme", "t_globex"
MakeScope = Callable[..., Scope]


class Clock:
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now

    def advance(self, **amount: float) -> None:
        """Move on by `timedelta(**amount)`."""
        self.now += timedelta(**amount)


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at 2026-11-01 09:00 UTC until it is moved; each look costs a microsecond."""
    return Clock()


@pytest.fixture(scope="session")
def policy() -> Policy:
    """The shipped policy."""
    return POLICY


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a migrated, empty database: made once, copied by every test."""
    path = tmp_path_factory.mktemp("empty") / "nexus.db"
    migrate(path)
    return path.read_bytes()


@pytest.fixture(scope="session")
def on_postgres(postgres: PostgresServer) -> OnPostgres:
    """Databases on a real Postgres server."""
    return OnPostgres(postgres)


@pytest.fixture(scope="session")
def in_production(
    postgres: PostgresServer, s3_server: SeaweedFS, weaviate: WeaviateServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InProduction]:
    """Databases on Postgres, objects on SeaweedFS, vectors on Weaviate."""
    preload("asyncpg", "aiobotocore.session", "weaviate")  # each process of ours would import its drivers anew
    with s3_server.bucket(versions="Enabled") as bucket:
        yield InProduction(postgres, s3_server, weaviate, bucket)


@pytest.fixture(scope="session")
def engine(pytestconfig: pytest.Config, empty_database: bytes, request: pytest.FixtureRequest) -> Engine:
    """What the databases of this run are made by."""
    chosen = {POSTGRES: "on_postgres", PRODUCTION: "in_production"}.get(pytestconfig.getoption("engine"))
    if chosen is None:
        return Embedded(empty_database)
    made: Engine = request.getfixturevalue(chosen)
    return made


@pytest.fixture
async def stores(tmp_path: Path, clock: Clock, engine: Engine) -> AsyncIterator[Stores]:
    """Real stores on an empty database and in an empty folder."""
    if isinstance(engine, InProduction):
        pytest.skip("a room is handed its stores: `--engine postgres` tries it on a server")
    place = engine.fresh(tmp_path)
    opened = connected(place)
    await opened.open()
    blobs = FileBlobs(tmp_path / "objects", secret=SECRET, address="http://127.0.0.1:8300", clock=clock)
    yield Stores(opened, blobs, LocalSignals(), clock)
    await opened.close()
    engine.discard(place)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that is run, whichever way; cleared where counting is to begin."""
    sent: list[str] = []
    for connection in (Connected, AtHand, Reader, OnServer):

        async def counted(self: Any, sql: str, parameters: Any, plain: Any = connection.rows) -> Any:
            sent.append(sql)
            return await plain(self, sql, parameters)

        monkeypatch.setattr(connection, "rows", counted)
    return sent


@pytest.fixture
def scope_of(policy: Policy, clock: Clock) -> MakeScope:
    """Makes scopes: `scope_of("t_acme", Role.ADMIN)`; in env dev unless another is named."""

    def make(tenant_id: str = ACME, role: Role = Role.OWNER, env: Env = Env.DEV, who: str | None = None) -> Scope:
        kind = PrincipalKind.AGENT if role is Role.AGENT else PrincipalKind.USER
        system = Scope.system(tenant_id, env, "test", surface=Surface.GRAPHQL)
        return replace(
            system,
            principal=Principal(kind, who or f"{role}@{tenant_id}"),
            role=role,
            rights=policy.rights[role],
            policy_version=policy.version,
            expires_at=clock.now + timedelta(days=1),
        )

    return make


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Furnished:
    """A folder and a database with two tenants and nothing else, and the credentials of everybody in them."""
    folder = tmp_path_factory.mktemp("furnished")
    place = engine.fresh(tmp_path_factory.mktemp("furnished_database"))
    return folder, furnish(folder, **engine.settings(place)), engine, place


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, furnished: Furnished) -> Iterator[World]:
    """One server for the stories that do not harm it."""
    with serving(furnished, tmp_path_factory.mktemp("worlds") / "world") as world:
        yield world
        assert world.server.running, world.server.log.read_text()


@pytest.fixture
def own_world(tmp_path: Path, furnished: Furnished) -> Iterator[MakeWorld]:
    """Starts servers of the test's own, each on a fresh copy: `own_world(heartbeat_seconds="0.2")`.

    A setting that is None is the engine's own and taken away.
    """
    numbers = count()
    with ExitStack() as servers:

        def make(processes: int | None = None, /, **settings: str | None) -> World:
            return servers.enter_context(serving(furnished, tmp_path / f"world-{next(numbers)}", processes, **settings))

        yield make
