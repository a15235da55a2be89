"""The engines that the tests run on: the embedded one, or with `--engine postgres` a real Postgres server."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Protocol

import asyncpg
import pytest
from servers.postgres import APPLICATION, OWNER, PostgresServer
from sqlmodel import SQLModel

from nexus_graph.stores.database import postgres as on_postgres
from nexus_graph.stores.database.base import Connection, Database
from nexus_graph.stores.database.place import Place, PostgresPlace
from nexus_graph.stores.database.postgres import PostgresDatabase
from nexus_graph.stores.database.sqlite import SqliteDatabase
from nexus_graph.stores.migrations import migrate
from nexus_graph.stores.signals.local import LocalSignals
from nexus_graph.stores.work import Stores

SIDE = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
"""The environment of a process beside the tests that opens their databases."""

EMBEDDED, POSTGRES = "embedded", "postgres"


class Engine(Protocol):
    """Makes databases that are migrated and empty."""

    def fresh(self, folder: Path) -> Place:
        """A database of its own for a test, whose folder this is."""


class Embedded:
    """A file, copied from one that is migrated once."""

    def __init__(self, empty: bytes) -> None:
        self._empty = empty

    def fresh(self, folder: Path) -> Path:
        """`nexus.db` in the folder."""
        file = folder / "nexus.db"
        file.write_bytes(self._empty)
        return file


class OnPostgres:
    """A database of the server's, copied there from one that is migrated once."""

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
        name = f"test_{next(self._numbers)}"
        self._server.create(name, self._template)
        return self._server.place(name)


def connected(place: Place) -> Database:
    """The database at a place, for somebody to open."""
    if isinstance(place, PostgresPlace):
        return PostgresDatabase(place.address, connections=place.connections, seconds=place.seconds)
    return SqliteDatabase(place)


def place_at(place: Place) -> str:
    """A place, as another process is told of it."""
    return place.address if isinstance(place, PostgresPlace) else str(place)


def place_of(database: Database) -> str:
    """Where a database is, for another process to find."""
    if isinstance(database, PostgresDatabase):
        return database.address
    assert isinstance(database, SqliteDatabase)
    return str(database.path)


def at(place: str) -> Database:
    """The database that another process told of."""
    return PostgresDatabase(place) if "://" in place else SqliteDatabase(Path(place))


@asynccontextmanager
async def behind(stores: Stores) -> AsyncIterator[Connection]:
    """A transaction behind everybody's back: it sees and may change what belongs to anybody."""
    database = stores.database
    if isinstance(database, SqliteDatabase):
        async with database.writing(None) as connection:
            yield connection
        return
    owner = await asyncpg.connect(place_of(database).replace(f"//{APPLICATION}@", f"//{OWNER}@"))
    try:
        async with owner.transaction():
            yield on_postgres._Connection(owner)
    finally:
        await owner.close()


@asynccontextmanager
async def beside(stores: Stores) -> AsyncIterator[Stores]:
    """The stores of another process: the same database and objects, other connections and signals."""
    database = at(place_of(stores.database))
    await database.open()
    try:
        yield replace(stores, database=database, signals=LocalSignals())
    finally:
        await database.close()


def file_of(stores: Stores) -> Path:
    """The file of an embedded database. Skips a test that is about it on other engines."""
    if not isinstance(stores.database, SqliteDatabase):
        pytest.skip("about the file of the embedded database")
    return stores.database.path


def in_use(database: Database) -> int:
    """How many connections somebody reads with."""
    if isinstance(database, PostgresDatabase):
        return int(database._pool.get_size() - database._pool.get_idle_size())
    assert isinstance(database, SqliteDatabase)
    return len(database._readers) - database._idle.qsize()


async def everything_in(stores: Stores) -> str:
    """Every value of every row of the scopes that have a journal."""
    found = []
    for tenant_id, env, _ in await stores.heads():
        async with stores.database.reading((tenant_id, env)) as connection:
            for table in SQLModel.metadata.sorted_tables:
                rows = await connection.rows(f"select * from {table.name}", {})  # noqa: S608 - our own schema
                found += [str(value) for row in rows for value in row]
    return "\n".join(found)
