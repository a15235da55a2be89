"""Writes of the embedded database: many share a commit, and each is whole or not at all."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from nexus_graph.scope.errors import Unavailable
from nexus_graph.stores.database import sqlite_writing
from nexus_graph.stores.database.base import Connection
from nexus_graph.stores.database.sqlite import SqliteDatabase

ADD = "insert into things values (:number)"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    """An open database with an empty table."""
    opened = SqliteDatabase(tmp_path / "nexus.db")
    await opened.open()
    async with opened.writing(None) as connection:
        await connection.rows("create table things (number integer primary key)", {})
    yield opened
    await opened.close()


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One item for each commit that is asked for."""
    made: list[None] = []
    plain = aiosqlite.Connection.commit

    async def counted(connection: aiosqlite.Connection) -> None:
        made.append(None)
        await plain(connection)

    monkeypatch.setattr(aiosqlite.Connection, "commit", counted)
    return made


async def by_steps(database: SqliteDatabase, number: int) -> None:
    """Write a number, statement by statement."""
    async with database.writing(None) as connection:
        await connection.rows(ADD, {"number": number})


async def as_a_whole(database: SqliteDatabase, number: int) -> None:
    """Write a number in one hop."""

    async def transaction(connection: Connection) -> None:
        await connection.rows(ADD, {"number": number})

    await database.write(None, transaction)


async def in_turns(database: SqliteDatabase, number: int) -> None:
    """Every other in one hop."""
    await (as_a_whole if number % 2 else by_steps)(database, number)


WAYS: list[Callable[[SqliteDatabase, int], Any]] = [by_steps, as_a_whole, in_turns]


async def numbers(database: SqliteDatabase) -> set[int]:
    """What a reader sees."""
    async with database.reading(None) as connection:
        return {row[0] for row in await connection.rows("select number from things", {})}


@pytest.mark.parametrize("way", WAYS)
async def test_many_who_write_at_once_share_commits(
    database: SqliteDatabase, commits: list[None], monkeypatch: pytest.MonkeyPatch, way: Any
) -> None:
    """Fifty need a few, not fifty; one alone needs its own."""
    monkeypatch.setattr(sqlite_writing, "TOGETHER_SECONDS", 60.0)  # however busy the machine is
    await asyncio.gather(*(way(database, number) for number in range(50)))
    assert await numbers(database) == set(range(50))
    assert len(commits) <= 3


@pytest.mark.parametrize("way", WAYS)
async def test_what_fails_is_taken_back_alone(database: SqliteDatabase, way: Any) -> None:
    """Its neighbours in the same commit are kept, and it leaves nothing."""

    async def half(number: int) -> None:
        async with database.writing(None) as connection:
            await connection.rows(ADD, {"number": 1000 + number})
            await way_of_failing(connection)

    async def way_of_failing(connection: Connection) -> None:
        await connection.rows(ADD, {"number": 1000})
        await connection.rows(ADD, {"number": 1000})

    deeds = [way(database, number) for number in range(10)]
    deeds[3:3] = [half(number) for number in range(1, 4)]
    results = await asyncio.gather(*deeds, return_exceptions=True)
    assert [type(each).__name__ for each in results if each is not None] == ["IntegrityError"] * 3
    assert await numbers(database) == set(range(10))


@pytest.mark.parametrize("way", WAYS)
async def test_a_commit_that_fails_is_told_to_all_who_shared_it(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch, way: Any
) -> None:
    """Nobody is told that it is done, and nothing of it is there; those who come later write on."""
    plain, failures = aiosqlite.Connection.commit, [sqlite3.OperationalError("database or disk is full")]

    async def commit(connection: aiosqlite.Connection) -> None:
        if failures:
            raise failures.pop()
        await plain(connection)

    monkeypatch.setattr(sqlite_writing, "TOGETHER_SECONDS", 60.0)
    monkeypatch.setattr(aiosqlite.Connection, "commit", commit)
    results = await asyncio.gather(*(way(database, number) for number in range(10)), return_exceptions=True)
    done = {number for number, result in enumerate(results) if result is None}
    assert await numbers(database) == done
    failed = [result for result in results if result is not None]
    assert len(failed) >= 9
    assert all(isinstance(each, Unavailable) for each in failed)
    await way(database, 99)
    assert await numbers(database) == done | {99}


async def test_nobody_is_told_before_it_is_durable(database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the commit takes, everybody waits."""
    plain, may_commit = aiosqlite.Connection.commit, asyncio.Event()

    async def commit(connection: aiosqlite.Connection) -> None:
        await may_commit.wait()
        await plain(connection)

    monkeypatch.setattr(aiosqlite.Connection, "commit", commit)
    tasks = [asyncio.create_task(by_steps(database, number)) for number in range(5)]
    await asyncio.sleep(0.2)
    assert not any(task.done() for task in tasks)
    assert await numbers(database) == set()
    may_commit.set()
    await asyncio.gather(*tasks)
    assert await numbers(database) == set(range(5))


@pytest.mark.parametrize("pause", [0.0, 0.0005, 0.002, 0.005])
@pytest.mark.parametrize("way", WAYS)
async def test_who_is_cancelled_takes_nobody_along(database: SqliteDatabase, way: Any, pause: float) -> None:
    """Wherever it is on its way: the others are done, and it is there as a whole or not at all."""
    tasks = [asyncio.create_task(way(database, number)) for number in range(30)]
    await asyncio.sleep(pause)
    for task in tasks[::3]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    done = {number for number, result in enumerate(results) if result is None}
    assert done >= {number for number in range(30) if number % 3}
    assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
    assert await numbers(database) >= done
    await way(database, 99)
    assert 99 in await numbers(database)


async def test_a_close_waits_for_what_is_not_committed_yet(database: SqliteDatabase, tmp_path: Path) -> None:
    """What is told as done is there afterwards."""
    tasks = [asyncio.create_task(by_steps(database, number)) for number in range(20)]
    await asyncio.sleep(0)
    await database.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    done = {number for number, result in enumerate(results) if result is None}
    with sqlite3.connect(tmp_path / "nexus.db") as other:
        assert {row[0] for row in other.execute("select number from things")} == done
    other.close()
    await database.open()


async def test_a_transaction_that_the_database_ends_takes_its_neighbours_with_it_and_says_so(
    database: SqliteDatabase,
) -> None:
    """Which SQLite does by itself for some errors; nobody is told that it is done."""

    async def ended() -> None:
        async with database.writing(None) as connection:
            await connection.rows(ADD, {"number": 1000})
            await connection.rows("ROLLBACK", {})
            raise LookupError

    tasks = [by_steps(database, 1), by_steps(database, 2), ended(), by_steps(database, 3)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    done = {number for number, result in zip((1, 2, 1000, 3), results, strict=True) if result is None}
    assert await numbers(database) == done
    assert isinstance(results[2], LookupError)
    assert 3 in done


async def test_who_waits_for_another_process_holds_up_nobody(database: SqliteDatabase, tmp_path: Path) -> None:
    """The loop turns until the other one, here a connection of its own, has written; then it is our turn."""
    other = sqlite3.connect(tmp_path / "nexus.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(by_steps(database, 1))
    async with asyncio.timeout(5):  # less than it may wait
        for _ in range(20):
            await asyncio.sleep(0.01)
    assert not waiting.done()
    other.execute("insert into things values (2)")
    other.execute("COMMIT")
    other.close()
    await waiting
    assert await numbers(database) == {1, 2}
