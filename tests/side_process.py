"""A process beside the tests that opens their database: what both need, and no more, as its start takes seconds."""

from __future__ import annotations

import os
from pathlib import Path

from nexus_graph.stores.database.base import Database
from nexus_graph.stores.database.place import Place, PostgresPlace
from nexus_graph.stores.database.postgres import PostgresDatabase
from nexus_graph.stores.database.sqlite import SqliteDatabase

SIDE = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
"""The environment of a process beside the tests that opens their databases."""


def connected(place: Place) -> Database:
    """The database at a place, for somebody to open."""
    if isinstance(place, PostgresPlace):
        return PostgresDatabase(place)
    return SqliteDatabase(place)


def place_at(place: Place) -> str:
    """A place, as another process is told of it."""
    return place.address if isinstance(place, PostgresPlace) else str(place)


def place_of(database: Database) -> str:
    """Where a database is, for another process to find."""
    if isinstance(database, PostgresDatabase):
        return database.place.address
    assert isinstance(database, SqliteDatabase)
    return str(database.path)


def at(place: str) -> Database:
    """The database that another process told of."""
    return PostgresDatabase(PostgresPlace(place)) if "://" in place else SqliteDatabase(Path(place))
