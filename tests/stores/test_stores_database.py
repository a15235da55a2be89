"""The embedded database: snapshots, rollback, and a writer that survives whatever happens to a task."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from nexus_graph.scope.errors import Unavailable
from nexus_graph.stores.database import Database
from nexus_graph.stores.work import Stores

ADD = "insert into tenants (tenant_id, name, created_at) values (:id, 'x', 0)"
IDS = "select tenant_id from tenants order by tenant_id"


async def ids(database: Database) -> list[str]:
    """Every tenant id that a fresh reader sees."""
    async with database.reading() as connection:
        return [row[0] for row in await connection.rows(IDS, {})]


async def test_readers_see_neither_uncommitted_rows_nor_later_ones(stores: Stores) -> None:
    """A snapshot stays as it was at its first look while a writer writes and commits."""
    database = stores.database
    async with database.reading() as reader:
        assert await reader.rows(IDS, {}) == []
        async with database.writing() as writer:
            await writer.rows(ADD, {"id": "a"})
            assert len(await writer.rows(IDS, {})) == 1
            assert await ids(database) == []
        assert await reader.rows(IDS, {}) == []
    assert await ids(database) == ["a"]


async def test_a_reader_cannot_write(stores: Stores) -> None:
    """The reading connections are read-only in the database itself."""
    async with stores.database.reading() as connection:
        with pytest.raises(Unavailable):
            await connection.rows(ADD, {"id": "a"})


async def test_an_exception_rolls_everything_back(stores: Stores) -> None:
    """Rows written before the failure are gone, and the next work is not disturbed."""

    async def fail() -> None:
        async with stores.database.writing() as writer:
            await writer.rows(ADD, {"id": "a"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with stores.database.writing() as writer:
        await writer.rows(ADD, {"id": "b"})
    assert await ids(stores.database) == ["b"]


async def test_cancelling_at_any_await_leaves_all_or_nothing(stores: Stores) -> None:
    """Works of two rows, cancelled after a random number of steps: pairs only, and the writer goes on."""
    database, chance = stores.database, random.Random(11)  # noqa: S311 - a repeatable one

    async def pair(place: int) -> None:
        async with database.writing() as writer:
            await writer.rows(ADD, {"id": f"{place:03}a"})
            await asyncio.sleep(0)
            await writer.rows(ADD, {"id": f"{place:03}b"})

    outcomes = set()
    for place in range(150):
        task = asyncio.create_task(pair(place))
        for _ in range(chance.randrange(1, 25)):
            await asyncio.sleep(chance.choice((0, 0.0001)))
        task.cancel()
        if chance.random() < 0.5:
            await asyncio.sleep(0)
            task.cancel()  # a second time, while it rolls back or commits
        outcomes.add(type((await asyncio.gather(task, return_exceptions=True))[0]))
        async with database.writing() as writer:
            await writer.rows(ADD, {"id": f"{place:03}c"})
    kept = await ids(database)
    assert len([name for name in kept if name.endswith("c")]) == 150
    assert [name[:-1] for name in kept if name.endswith("a")] == [name[:-1] for name in kept if name.endswith("b")]
    assert outcomes == {asyncio.CancelledError, type(None)}


async def test_cancelled_readers_give_their_connections_back(stores: Stores) -> None:
    """Readers cancelled while waiting for, opening and using a connection leave all four of them usable."""

    async def look() -> None:
        async with stores.database.reading() as connection:
            await connection.rows(IDS, {})
            await asyncio.sleep(0.001)

    for steps in range(40):
        tasks = [asyncio.create_task(look()) for _ in range(9)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert stores.database._idle.qsize() == 4
    async with asyncio.timeout(10):
        await asyncio.gather(*(look() for _ in range(9)))


async def test_a_commit_that_fails_is_rolled_back_and_told(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up at the commit is Unavailable, and the next work starts afresh."""
    assert stores.database._writer is not None
    connection = stores.database._writer._connection
    real, failures = connection.commit, [sqlite3.OperationalError("database or disk is full")]

    async def commit() -> None:
        if failures:
            raise failures.pop()
        await real()

    monkeypatch.setattr(connection, "commit", commit)
    with pytest.raises(Unavailable, match="disk is full"):
        async with stores.database.writing() as writer:
            await writer.rows(ADD, {"id": "a"})
    async with stores.database.writing() as writer:
        await writer.rows(ADD, {"id": "b"})
    assert await ids(stores.database) == ["b"]


async def test_a_mistake_in_a_statement_is_not_called_unavailable(stores: Stores) -> None:
    """Only a busy or broken file is; and no error is its own cause."""
    async with stores.database.reading() as connection:
        with pytest.raises(sqlite3.OperationalError) as mistake:
            await connection.rows("select nonsense from nowhere", {})
    assert mistake.value.__cause__ is None


async def test_a_closed_database_is_unavailable(stores: Stores) -> None:
    """Reading, writing and waiting for the writer all end in the same clear error."""
    database = stores.database
    entered, leave = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with database.writing() as writer:
            entered.set()
            await leave.wait()
            await writer.rows(ADD, {"id": "a"})

    async def late() -> None:
        async with database.writing():
            pass

    holder = asyncio.create_task(hold())
    await entered.wait()
    closing = asyncio.create_task(database.close())
    waiter = asyncio.create_task(late())
    await asyncio.sleep(0)
    leave.set()
    await asyncio.gather(holder, closing)  # the work under way was allowed to end
    with pytest.raises(Unavailable):
        await waiter
    with pytest.raises(Unavailable):
        await ids(database)
    await database.open()
    assert await ids(database) == ["a"]


async def test_a_busy_file_is_unavailable(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process that holds the write lock for too long is told as such, and nothing breaks."""
    assert stores.database._writer is not None
    await stores.database._writer.rows("PRAGMA busy_timeout=20", {})
    other = sqlite3.connect(stores.database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="busy"):
        async with stores.database.writing():
            pass
    other.execute("ROLLBACK")
    other.close()
    async with stores.database.writing() as writer:
        await writer.rows(ADD, {"id": "a"})
    assert await ids(stores.database) == ["a"]


async def test_deleted_rows_leave_no_bytes(stores: Stores) -> None:
    """After a deletion and a close the text is in no file of the database."""
    secret: Any = "a-very-recognisable-name"
    async with stores.database.writing() as writer:
        await writer.rows("insert into tenants (tenant_id, name, created_at) values ('t', :name, 0)", {"name": secret})
    async with stores.database.writing() as writer:
        await writer.rows("delete from tenants", {})
    await stores.database.close()
    for file in stores.database.path.parent.glob("nexus.db*"):
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
        await Database(path).open()
    for _ in range(100):  # a thread ends a moment after its connection
        if threading.active_count() == before:
            return
        await asyncio.sleep(0.01)
    pytest.fail("a thread is left")


async def test_a_file_whose_pages_are_damaged_is_unavailable(stores: Stores) -> None:
    """Pages that make no sense are told in our words, without what stands in them."""
    await stores.database.close()
    content = bytearray(stores.database.path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    stores.database.path.write_bytes(content)
    with pytest.raises(Unavailable, match="damaged"):
        await stores.database.open()
