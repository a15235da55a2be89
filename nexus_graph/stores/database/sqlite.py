"""The embedded database: one SQLite file in WAL mode, one writing connection, a pool of reading ones.

Every transaction that writes begins IMMEDIATE: a deferred one that reads first and writes later fails under load.
Short reads are done on the spot (`sqlite_reading`). A statement that may write is a hop to the thread of its connection
and back; a transaction that waits for nothing else goes there as a whole, in one hop.
`synchronous=FULL` makes a commit survive a power cut; `secure_delete` leaves no bytes behind a DELETE.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiosqlite

from nexus_graph.scope.errors import Unavailable
from nexus_graph.stores.database.aiosqlite_inside import in_thread
from nexus_graph.stores.database.base import Bound, Connection, Result, Row, ScopeKey, Transaction
from nexus_graph.stores.database.sqlite_errors import translated
from nexus_graph.stores.database.sqlite_reading import Reader, Reading, Turn
from nexus_graph.stores.database.uninterrupted import uninterrupted
from nexus_graph.stores.statement import Value

_READERS = 4
_BUSY_MILLISECONDS = 10_000
_COMPACT_SECONDS = 60.0
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA temp_store=MEMORY",
    f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}",
)
_WRITING = (
    "PRAGMA cache_size=-65536",  # KiB: digests land all over an index
    "PRAGMA wal_autocheckpoint=8000",  # pages of 4 KiB
)
_READING = ("PRAGMA query_only=ON", "PRAGMA busy_timeout=0")  # who is on the spot waits for nobody


class _AtHand:
    """A connection in its own thread: a statement is done when it returns, and nothing is ever waited for."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def rows(self, sql: str, parameters: dict[str, Value]) -> Sequence[Row]:
        with translated():
            return self._connection.execute(sql, parameters).fetchall()

    async def many(self, sql: str, parameters: Iterable[dict[str, Value]]) -> None:
        with translated():
            self._connection.executemany(sql, parameters)

    async def batch(self, statements: Sequence[Bound]) -> int:
        return _all(self._connection, statements)

    async def hold(self, name: str) -> None:
        """Nothing to do: whoever writes holds the whole file."""


class _Connection:
    """A connection with a thread of its own."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def rows(self, sql: str, parameters: dict[str, Value]) -> Sequence[Row]:
        """Run one statement and return its rows, in one hop to the connection's thread."""
        with translated():
            return list(await self._connection.execute_fetchall(sql, parameters))

    async def many(self, sql: str, parameters: Iterable[dict[str, Value]]) -> None:
        """Run one statement for each set of parameters, in one hop."""
        with translated():
            await self._connection.executemany(sql, parameters)

    async def batch(self, statements: Sequence[Bound]) -> int:
        """Run statements whose answers nobody needs, in one hop; how many rows the last one changed."""
        return await in_thread(self._connection, lambda at_hand: _all(at_hand, statements))

    async def hold(self, name: str) -> None:
        """Nothing to do: whoever writes holds the whole file."""

    async def begin(self) -> None:
        """Open a transaction, and take the write lock at once."""
        await self.rows("BEGIN IMMEDIATE", {})

    async def end(self, *, commit: bool) -> None:
        """Close the transaction. Not interrupted by cancellation: it is over, one way or the other, on return."""
        with translated():
            await uninterrupted(self._connection.commit() if commit else self._connection.rollback())

    async def whole(self, transaction: Transaction[Result]) -> Result:
        """A writing transaction from its beginning to its commit, in one hop. Not interrupted by cancellation."""
        return await uninterrupted(in_thread(self._connection, lambda at_hand: _whole(at_hand, transaction)))

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()


class SqliteDatabase:
    """The one SQLite file of an embedded installation. Whoever writes, writes alone."""

    distant = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: _Connection | None = None
        self._writing = asyncio.Lock()
        self._idle: asyncio.Queue[Reader] = asyncio.Queue()
        self._readers: list[Reader] = []

    async def open(self) -> None:
        """Open the connections. Raises Unavailable when the file can't be opened."""
        try:
            self._writer = _Connection(await self._connect(_WRITING))
            turn = Turn()
            for _ in range(_READERS):
                self._readers.append(Reader(await self._connect(_READING), turn, _BUSY_MILLISECONDS))
                self._idle.put_nowait(self._readers[-1])
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connections; the last one to close folds the write-ahead log into the file."""
        readers, self._readers, self._idle = self._readers, [], asyncio.Queue()
        async with self._writing:  # a work under way comes to its end first
            writer, self._writer = self._writer, None
            if writer is not None:
                await writer.close()
        for reader in readers:
            await reader.close()

    async def ready(self) -> None:
        """Raises Unavailable unless a row can be read."""
        async with self.reading(None) as connection:
            await connection.rows("select 1", {})

    def reading(self, key: ScopeKey | None) -> Reading:
        """See `base.Database`."""
        if not self._readers:
            raise _closed()
        return Reading(self._idle)

    @asynccontextmanager
    async def writing(self, key: ScopeKey | None) -> AsyncIterator[Connection]:
        """See `base.Database`."""
        async with self._writing:
            if (writer := self._writer) is None:
                raise _closed()
            try:
                await writer.begin()
                yield writer
                await writer.end(commit=True)
            except (
                BaseException
            ):  # also when a commit failed or was interrupted; after one there is nothing to roll back
                with suppress(sqlite3.Error, Unavailable):
                    await writer.end(commit=False)
                raise

    async def write(self, key: ScopeKey | None, transaction: Transaction[Result]) -> Result:
        """See `base.Database`. Raises RuntimeError, having written nothing, when it awaits more than its connection."""
        async with self._writing:
            if (writer := self._writer) is None:
                raise _closed()
            return await writer.whole(transaction)

    async def batch(self, key: ScopeKey | None, statements: Sequence[Bound]) -> int:
        """See `base.Database`."""
        return await self.write(key, lambda connection: connection.batch(statements))

    async def write_each(self, transactions: Sequence[tuple[ScopeKey, Transaction[None]]]) -> list[Exception | None]:
        """See `base.Database`. One commit for all."""

        async def all_of_them(connection: Connection) -> list[Exception | None]:
            return [await _set_apart(connection, transaction) for _, transaction in transactions]

        return await self.write(None, all_of_them)

    async def forget_deleted(self, seconds: float = _COMPACT_SECONDS) -> None:
        """Leave no byte of what was deleted in any file: write the database anew, and empty the write-ahead log.

        `secure_delete` alone is not enough: when pages are split, copies stay in the room between rows. Writers wait
        meanwhile, about a second for 200 MB; readers do not, and are waited for up to `seconds`. Raises Unavailable.
        """
        async with self._writing:
            if self._writer is None:
                raise _closed()
            connection = _Connection(await self._connect(_WRITING))
            try:
                await connection.rows("PRAGMA temp_store=FILE", {})  # a copy of everything is too much for the memory
                await connection.rows("VACUUM", {})
                deadline = asyncio.get_running_loop().time() + seconds
                while (await connection.rows("PRAGMA wal_checkpoint(TRUNCATE)", {}))[0][0]:
                    if asyncio.get_running_loop().time() > deadline:
                        raise Unavailable("Readers hold on to the database's past.", hint="Try again.")
                    await asyncio.sleep(0.05)
            finally:
                await connection.close()

    def keeps(self, file: Path) -> bool:
        """See `base.Database`."""
        return file.name.startswith(self.path.name)

    async def _connect(self, more: Sequence[str]) -> aiosqlite.Connection:
        with translated():
            connection = await aiosqlite.connect(
                self.path, isolation_level=None, cached_statements=512, check_same_thread=False
            )
            try:
                connection.row_factory = sqlite3.Row
                for pragma in (*_PRAGMAS, *more):
                    await connection.execute_fetchall(pragma)
            except BaseException:
                await connection.close()  # else its thread would keep the process from ending
                raise
        return connection


def _all(connection: sqlite3.Connection, statements: Sequence[Bound]) -> int:
    changed = 0
    with translated():
        for sql, parameters in statements:
            changed = connection.execute(sql, parameters).rowcount
    return changed


def _whole(connection: sqlite3.Connection, transaction: Transaction[Result]) -> Result:
    with translated():
        connection.execute("BEGIN IMMEDIATE")
    try:
        result = _ended(transaction(_AtHand(connection)))
        with translated():
            connection.commit()
        return result
    except BaseException:
        with suppress(sqlite3.Error):
            connection.rollback()
        raise


async def _set_apart(connection: Connection, transaction: Transaction[None]) -> Exception | None:
    """A part of a transaction that is taken back by itself. What makes the whole impossible is raised."""
    await connection.rows("SAVEPOINT apart", {})
    failure: Exception | None = None
    try:
        await transaction(connection)
    except Unavailable:
        raise
    except Exception as error:
        failure = error
        await connection.rows("ROLLBACK TO apart", {})
    await connection.rows("RELEASE apart", {})
    return failure


def _ended(steps: Coroutine[Any, Any, Result]) -> Result:
    """What a coroutine comes to that never waits."""
    try:
        steps.send(None)
    except StopIteration as end:
        result: Result = end.value
        return result
    steps.close()
    raise RuntimeError("A transaction awaited something else than its connection.")


def _closed() -> Unavailable:
    return Unavailable("The database is closed.", hint="The server is stopping; try again.")
