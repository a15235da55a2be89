"""Reads of the embedded database: short ones on the spot, long ones where they hold up nobody."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nexus_graph.scope.errors import Unavailable
from nexus_graph.stores.database import sqlite_reading
from nexus_graph.stores.database.aiosqlite_inside import in_thread
from nexus_graph.stores.database.sqlite import SqliteDatabase

LONG = "with recursive n(i) as (select 1 union all select i + 1 from n where i < :most) select count(*) from n"
MOST = 400_000
"""Rows that take a tenth of a second."""


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    """An open database with one table of one row."""
    opened = SqliteDatabase(tmp_path / "nexus.db")
    await opened.open()
    async with opened.writing(None) as connection:
        await connection.rows("create table things (number integer)", {})
        await connection.rows("insert into things values (1)", {})
    yield opened
    await opened.close()


@pytest.fixture
def hops(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One item for each hop of a reader to a thread."""
    made: list[None] = []
    plain = in_thread

    async def counted(*arguments: object) -> object:
        made.append(None)
        return await plain(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite_reading, "in_thread", counted)
    return made


async def test_a_short_read_takes_no_hop(
    database: SqliteDatabase, hops: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its beginning to its end."""
    monkeypatch.setattr(sqlite_reading, "AT_ONCE_SECONDS", 10.0)  # however busy the machine is
    async with database.reading(None) as connection:
        assert [*(await connection.rows("select number from things", {}))[0]] == [1]
    assert hops == []


async def test_a_long_read_holds_up_nobody(database: SqliteDatabase, hops: list[None]) -> None:
    """Others take their turns while it is under way; what follows in its transaction waits for it."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    counting = asyncio.create_task(count_turns())
    async with database.reading(None) as connection:
        long = connection.rows(LONG, {"most": MOST})
        rows, after = await asyncio.gather(long, connection.rows("select number from things", {}))
        assert rows[0][0] == MOST
        assert after[0][0] == 1
    counting.cancel()
    assert len(hops) == 3, "the long one, the one behind it, and the end"
    assert turns > 5


async def test_the_next_transaction_is_short_again(database: SqliteDatabase, hops: list[None]) -> None:
    """A connection that was in its thread comes back."""
    for _ in range(4):  # as many as there are connections
        async with database.reading(None) as connection:
            await connection.rows(LONG, {"most": MOST // 5})
    hops.clear()
    for _ in range(4):
        async with database.reading(None) as connection:
            await connection.rows("select 1", {})
    assert hops == []


async def test_a_long_read_that_is_given_up_leaves_its_connection_whole(database: SqliteDatabase) -> None:
    """It comes to its end in its thread, and the connection reads on."""
    for _ in range(4):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), database.reading(None) as connection:
                await connection.rows(LONG, {"most": MOST})
    async with database.reading(None) as connection:
        assert (await connection.rows("select number from things", {}))[0][0] == 1


async def test_a_statement_that_was_given_up_is_prepared_anew_once(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.11's sqlite3 would prepare it at each time to come, when it was interrupted between two of its rows."""
    many = "with recursive n(i) as (select 1 union all select i + 1 from n where i < :most) select i from n"
    prepared: list[None] = []

    def count(*_: object) -> int:
        prepared.append(None)
        return sqlite3.SQLITE_OK

    for reader in database._readers:
        reader._spot._here.set_authorizer(count)  # asked whenever a statement is prepared

    async def read(most: int) -> None:
        for _ in database._readers:
            async with database.reading(None) as connection:
                await connection.rows(many, {"most": most})

    with monkeypatch.context() as hasty:
        hasty.setattr(sqlite_reading, "AT_ONCE_SECONDS", 0.0)
        await read(1000)
    monkeypatch.setattr(sqlite_reading, "AT_ONCE_SECONDS", 10.0)
    await read(1)
    prepared.clear()
    await read(1)
    assert prepared == []


async def test_a_statement_that_was_given_up_twice_is_not_begun_on_the_spot_for_a_while(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be done twice each time is done once, and tried again later."""
    reader, begun = database._readers[0], 0
    plain = reader._spot._another
    monkeypatch.setattr(database, "_idle", asyncio.Queue())
    database._idle.put_nowait(reader)

    async def read(times: int, most: int) -> None:
        for _ in range(times):
            async with database.reading(None) as connection:
                assert (await connection.rows(LONG, {"most": most}))[0][0] == most

    def given_up(sql: str) -> str:
        nonlocal begun
        begun += 1
        return plain(sql)

    monkeypatch.setattr(reader._spot, "_another", given_up)
    with monkeypatch.context() as hasty:
        hasty.setattr(sqlite_reading, "AT_ONCE_SECONDS", 0.0)
        await read(1, 1000)
        assert begun == 2  # for its first text, and for the next one
        await read(1, 1000)
        assert begun == 3
        await read(15, 1000)
        assert begun == 3
        await read(1, 1000)
        assert begun == 4
        await read(15, 1000)
    monkeypatch.setattr(sqlite_reading, "AT_ONCE_SECONDS", 10.0)
    await read(1, 10)
    assert reader._spot._late == {}


async def test_all_statements_of_a_read_see_one_state_wherever_they_run(database: SqliteDatabase) -> None:
    """A statement that is run again in the thread sees what the first ones saw."""
    async with database.reading(None) as connection:
        before = await connection.rows("select count(*) from things", {})
        async with database.writing(None) as writer:
            await writer.rows("insert into things values (2)", {})
        await connection.rows(LONG, {"most": MOST})
        after = await connection.rows("select count(*) from things", {})
    assert before[0][0] == after[0][0] == 1


@pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY])
async def test_a_busy_database_is_waited_for_elsewhere(database: SqliteDatabase, hops: list[None], code: int) -> None:
    """Not on the spot. That another process mends the log can't be had here, so SQLite's word for it is put in."""
    reader = database._readers[0]
    here, failures = reader._spot._here, [sqlite3.OperationalError("database is locked")]
    failures[0].sqlite_errorcode = code

    class Busy:
        def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
            if failures and sql.startswith("select"):
                raise failures.pop()
            return here.execute(sql, *parameters)  # type: ignore[arg-type]

        def rollback(self) -> None:
            here.rollback()

    reader._spot._here = Busy()  # type: ignore[assignment]
    async with database.reading(None) as connection:
        assert (await connection.rows("select count(*) from things", {}))[0][0] == 1
    assert len(hops) == 2


async def test_many_short_reads_let_others_in(database: SqliteDatabase) -> None:
    """However many follow one another without waiting for anything."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count_turns())
    for _ in range(3000):
        async with database.reading(None) as connection:
            await connection.rows("select number from things", {})
    counting.cancel()
    assert turns >= 3


async def test_a_reading_connection_writes_nothing(database: SqliteDatabase) -> None:
    """Neither by the engine nor by the handle."""
    async with database.reading(None) as connection:
        with pytest.raises((sqlite3.OperationalError, Unavailable), match="readonly"):
            await connection.rows("insert into things values (3)", {})
        with pytest.raises(RuntimeError):
            await connection.many("insert into things values (3)", [])
        with pytest.raises(RuntimeError):
            await connection.batch([])
        await connection.hold("anything")
