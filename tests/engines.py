"""The engines that the tests run on: the embedded one, or real servers.

`--engine postgres` keeps rows on Postgres, for rooms and stories; `--engine production` objects in a bucket and vectors
on Weaviate too, for stories alone: a room is handed its stores.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import pytest
from servers.postgres import APPLICATION, PostgresServer
from servers.seaweedfs import SeaweedFS, bucket_settings
from servers.weaviate import WeaviateServer
from side_process import at, place_of

import nexus_graph.app  # noqa: F401 - every room declares its tables
from nexus_graph.scope.ids import new_id
from nexus_graph.stores.database import postgres as on_postgres
from nexus_graph.stores.database.base import Connection, Database
from nexus_graph.stores.database.place import Place, PostgresPlace
from nexus_graph.stores.database.placeholders import numbered
from nexus_graph.stores.database.postgres import PostgresDatabase
from nexus_graph.stores.database.sqlite import SqliteDatabase
from nexus_graph.stores.migrations import migrate
from nexus_graph.stores.signals.local import LocalSignals
from nexus_graph.stores.statement import Value
from nexus_graph.stores.tables import schema_of_record
from nexus_graph.stores.work import Stores

EMBEDDED, POSTGRES, PRODUCTION = "embedded", "postgres", "production"


class Engine(Protocol):
    """Makes databases that are migrated and empty."""

    processes: int
    """How many a server is made of."""

    def fresh(self, folder: Path) -> Place:
        """A database of its own for a test, whose folder this is."""

    def settings(self, place: Place) -> dict[str, str]:
        """What a server has to be told to use it."""

    def copy(self, place: Place) -> Place:
        """Another that holds the same; of an embedded one, the folder is copied instead."""

    def discard(self, place: Place) -> None:
        """Let go of a database that nobody uses any more."""


class Embedded:
    """A file, copied from one that is migrated once."""

    processes = 1

    def __init__(self, empty: bytes) -> None:
        self._empty = empty

    def fresh(self, folder: Path) -> Path:
        """`nexus.db` in the folder."""
        file = folder / "nexus.db"
        file.write_bytes(self._empty)
        return file

    def settings(self, place: Place) -> dict[str, str]:
        """Nothing: it lies in the data folder."""
        return {}

    def copy(self, place: Place) -> Place:
        """The same: it goes with the folder."""
        return place

    def discard(self, place: Place) -> None:
        """It goes with the folder."""


class OnPostgres:
    """A database of the server's, copied there from one that is migrated once."""

    processes = 2

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._numbers = count()
        self._template: str | None = None

    def fresh(self, folder: Path) -> PostgresPlace:
        """A copy of the migrated one."""
        if self._template is None:
            self._template = "empty"
            self._server.create(self._template)
            migrate(self._server.place(self._template))
        return self._copied(self._template)

    def settings(self, place: Place) -> dict[str, str]:
        """Both roles' addresses."""
        assert isinstance(place, PostgresPlace)
        return {"postgres": place.address, "postgres_owner": place.owner or ""}

    def copy(self, place: Place) -> Place:
        """A copy that the server makes."""
        return self._copied(name_of(place))

    def _copied(self, template: str) -> PostgresPlace:
        name = f"test_{next(self._numbers)}"
        self._server.create(name, template)
        return self._server.place(name)

    def discard(self, place: Place) -> None:
        """Drop it: a server with a thousand databases takes long to end."""
        self._server.sql(f"drop database {name_of(place)} with (force)")


class InProduction(OnPostgres):
    """The same, with a place of its own in a bucket that keeps versions and collections of its own on Weaviate."""

    def __init__(self, rows: PostgresServer, objects: SeaweedFS, vectors: WeaviateServer, bucket: str) -> None:
        super().__init__(rows)
        self._objects = objects
        self._vectors = vectors
        self._bucket = bucket

    def settings(self, place: Place) -> dict[str, str]:
        """All three servers, and what is its own there by the name of its database."""
        objects = bucket_settings(self._objects, self._bucket, name_of(place))
        return {**super().settings(place), **objects, **self._vectors.settings(_collections(place))}

    def copy(self, place: Place) -> Place:
        """A copy of its rows: there must not be any objects yet."""
        found = self._objects.client().list_object_versions(Bucket=self._bucket, Prefix=f"{name_of(place)}/")
        assert "Versions" not in found, "only rows are copied"
        return super().copy(place)

    def discard(self, place: Place) -> None:
        """Drop the database and the collections; objects go with the server's folder."""
        super().discard(place)
        self._vectors.drop(_collections(place))


def name_of(place: Place) -> str:
    """The name of a database on a server."""
    assert isinstance(place, PostgresPlace)
    return place.address.rpartition("/")[2]


def _collections(place: Place) -> str:
    """How the names of its collections begin."""
    return name_of(place).title().replace("_", "")


@asynccontextmanager
async def behind(stores: Stores) -> AsyncIterator[Connection]:
    """A transaction behind everybody's back: it sees and may change what belongs to anybody."""
    database = stores.database
    if isinstance(database, SqliteDatabase):
        async with database.writing(None) as connection:
            await connection.rows("pragma defer_foreign_keys = on", {})
            yield connection
        return
    superuser = await asyncpg.connect(place_of(database).replace(f"//{APPLICATION}@", "//postgres@"))
    try:
        async with superuser.transaction():
            await superuser.execute("set local session_replication_role = replica")  # foreign keys are not looked at
            yield on_postgres._Connection(None, superuser)
    finally:
        await superuser.close()


def query(place: Place, sql: str, **values: Value) -> list[tuple[Any, ...]]:
    """A statement behind everybody's back, where no loop runs."""
    if isinstance(place, Path):
        with closing(sqlite3.connect(place)) as database, database:
            return database.execute(sql, values).fetchall()

    async def ask() -> list[tuple[Any, ...]]:
        text, names = numbered(sql)
        superuser = await asyncpg.connect(place.address.replace(f"//{APPLICATION}@", "//postgres@"))
        try:
            return [tuple(row) for row in await superuser.fetch(text, *[values[name] for name in names])]
        finally:
            await superuser.close()

    return _in_a_thread(ask)


def _in_a_thread(deed: Callable[[], Coroutine[Any, Any, list[tuple[Any, ...]]]]) -> list[tuple[Any, ...]]:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(deed())).result()


@asynccontextmanager
async def beside(stores: Stores) -> AsyncIterator[Stores]:
    """The stores of another process: the same database and objects, other connections and signals."""
    database = at(place_of(stores.database))
    await database.open()
    try:
        yield replace(stores, database=database, signals=LocalSignals(), process=new_id("process"))
    finally:
        await database.close()


def is_embedded(stores: Stores) -> bool:
    """Whether the database is a file of ours."""
    return isinstance(stores.database, SqliteDatabase)


def file_of(stores: Stores) -> Path:
    """The file of an embedded database. Skips a test that is about it on other engines."""
    if not isinstance(stores.database, SqliteDatabase):
        pytest.skip("about the file of the embedded database")
    return stores.database.path


async def all_free(database: Database) -> None:
    """Wait until nobody reads: on a server, what ended is free a moment later. Raises TimeoutError."""
    async with asyncio.timeout(10):
        while _in_use(database):  # noqa: ASYNC110 - a number
            await asyncio.sleep(0.01)


def _in_use(database: Database) -> int:
    if isinstance(database, PostgresDatabase):
        return int(database._pool.get_size() - database._pool.get_idle_size())
    assert isinstance(database, SqliteDatabase)
    return len(database._readers) - database._idle.qsize()


async def migrated(stores: Stores) -> None:
    """Bring a database to the newest schema, as between two versions of the program."""
    database = stores.database
    await database.close()
    assert isinstance(database, PostgresDatabase | SqliteDatabase)
    await asyncio.to_thread(migrate, database.place if isinstance(database, PostgresDatabase) else database.path)
    await database.open()


def bytes_of(stores: Stores) -> bytes:
    """All that the files of a database hold, once what is under way to them has arrived."""
    return b"".join(file.read_bytes() for file in files_at(place_of(stores.database)))


def files_at(place: str) -> list[Path]:
    """The files of a database, once what is under way to them has arrived; without a Postgres server's log."""
    if "://" in place:
        ask = (
            "select current_setting('data_directory') || '/base/' || oid "
            "from pg_database where datname = current_database()"
        )
        query(PostgresPlace(place), "checkpoint")
        [(folder,)] = query(PostgresPlace(place), ask)
        return [file for file in sorted(Path(folder).iterdir()) if file.is_file()]
    with closing(sqlite3.connect(place)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    return sorted(Path(place).parent.glob(f"{Path(place).name}*"))


async def everything_in(stores: Stores) -> str:
    """Every value of every row of the scopes that have a journal."""
    found = []
    for tenant_id, env, _ in await stores.heads():
        async with stores.database.reading((tenant_id, env)) as connection:
            for table in schema_of_record().sorted_tables:
                rows = await connection.rows(f"select * from {table.name}", {})  # noqa: S608 - our own schema
                found += [str(value) for row in rows for value in row]
    return "\n".join(found)
