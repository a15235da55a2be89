"""The embedded database: what is its own, beside the promises of the port."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from nexus_graph.scope.errors import Unavailable
from nexus_graph.stores.database.base import Database
from nexus_graph.stores.database.sqlite import SqliteDatabase

ADD = "insert into tenants (tenant_id, name, created_at) values (:id, 'x', 0)"
IDS = "select tenant_id from tenants order by tenant_id"


@pytest.fixture
async def database(tmp_path: Path, empty_database: bytes) -> AsyncIterator[SqliteDatabase]:
    """A migrated, empty file."""
    (tmp_path / "nexus.db").write_bytes(empty_database)
    opened = SqliteDatabase(tmp_path / "nexus.db")
    await opened.open()
    yield opened
    await opened.close()


async def ids(database: Database) -> list[str]:
    """Every tenant id that a fresh reader sees."""
    async with database.reading(None) as connection:
        return [row[0] for row in await connection.rows(IDS, {})]


async def test_a_commit_that_fails_is_rolled_back_and_told(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up at the commit is Unavailable, and the next work starts afresh."""
    assert database._writer is not None
    connection = database._writer._connection._connection
    real, failures = connection.commit, [sqlite3.OperationalError("database or disk is full")]

    async def commit() -> None:
        if failures:
            raise failures.pop()
        await real()

    monkeypatch.setattr(connection, "commit", commit)
    with pytest.raises(Unavailable, match="disk is full"):
        async with database.writing(None) as writer:
            await writer.rows(ADD, {"id": "a"})
    async with database.writing(None) as writer:
        await writer.rows(ADD, {"id": "b"})
    assert await ids(database) == ["b"]


async def test_a_busy_file_is_unavailable(database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process that holds the write lock for too long is told as such, and nothing breaks."""
    assert database._writer is not None
    await database._writer._connection.rows("PRAGMA busy_timeout=20", {})
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="busy"):
        async with database.writing(None):
            pass
    other.execute("ROLLBACK")
    other.close()
    async with database.writing(None) as writer:
        await writer.rows(ADD, {"id": "a"})
    assert await ids(database) == ["a"]


async def test_deleted_rows_leave_no_bytes(database: SqliteDatabase) -> None:
    """After a deletion and a close the text is in no file of the database."""
    secret: Any = "a-very-recognisable-name"
    async with database.writing(None) as writer:
        await writer.rows("insert into tenants (tenant_id, name, created_at) values ('t', :name, 0)", {"name": secret})
    async with database.writing(None) as writer:
        await writer.rows("delete from tenants", {})
    await database.close()
    for file in database.path.parent.glob("nexus.db*"):
        assert secret.encode() not in file.read_bytes()


@pytest.mark.parametrize("damage", [0, 1])
async def test_a_damaged_file_is_unavailable_and_no_thread_stays_behind(tmp_path: Path, damage: int) -> None:
    """A start that fails ends: a connection's thread that lived on would keep the process from ending."""
    path = tmp_path / "nexus.db"
    path.write_bytes(b"this is no database at all" * 1000)
    if damage:
        path = tmp_path / "nowhere" / "nexus.db"
    before = threading.active_count()
    with pytest.raises(Unavailable):
        await SqliteDatabase(path).open()
    for _ in range(100):  # a thread ends a moment after its connection
        if threading.active_count() == before:
            return
        await asyncio.sleep(0.01)
    pytest.fail("a thread is left")


async def test_a_file_whose_pages_are_damaged_is_unavailable(database: SqliteDatabase) -> None:
    """Pages that make no sense are told in our words, without what stands in them."""
    await database.close()
    content = bytearray(database.path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    database.path.write_bytes(content)
    with pytest.raises(Unavailable, match="damaged"):
        await database.open()


async def test_a_mistake_in_a_statement_is_not_called_unavailable(database: SqliteDatabase) -> None:
    """Only a busy or broken file is; and no error is its own cause."""
    async with database.reading(None) as connection:
        with pytest.raises(sqlite3.OperationalError) as mistake:
            await connection.rows("select nonsense from nowhere", {})
    assert mistake.value.__cause__ is None


async def test_a_part_of_many_that_waits_is_refused(database: SqliteDatabase) -> None:
    """A whole transaction runs in the connection's thread, which is no place to wait in."""

    async def slow(_: object) -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="awaited something else"):
        await database.write(None, slow)
