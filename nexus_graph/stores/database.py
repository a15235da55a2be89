"""The embedded database: one SQLite file in WAL mode, one writing connection, a pool of reading ones.

Every transaction that writes begins IMMEDIATE: a deferred one that reads first and writes later fails under load.
`synchronous=FULL` makes a commit survive a power cut; `secure_delete` leaves no bytes behind a DELETE.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import aiosqlite

from nexus_graph.scope.errors import Unavailable
from nexus_graph.stores.statement import Value

Row = sqlite3.Row
Result = TypeVar("Result")

_READERS = 4
_BUSY_MILLISECONDS = 10_000
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA temp_store=MEMORY",
    f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}",
)


class Connection:
    """One database connection, held by one task at a time."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def rows(self, sql: str, parameters: dict[str, Value]) -> Sequence[Row]:
        """Run one statement and return its rows, in one hop to the connection's thread."""
        try:
            return list(await self._connection.execute_fetchall(sql, parameters))
        except sqlite3.OperationalError as error:
            raise _unavailable(error) from error

    async def many(self, sql: str, parameters: Iterable[dict[str, Value]]) -> None:
        """Run one statement for each set of parameters, in one hop."""
        try:
            await self._connection.executemany(sql, parameters)
        except sqlite3.OperationalError as error:
            raise _unavailable(error) from error

    async def begin(self, *, write: bool) -> None:
        """Open a transaction; a writing one takes the write lock at once."""
        await self.rows("BEGIN IMMEDIATE" if write else "BEGIN", {})

    async def end(self, *, commit: bool) -> None:
        """Close the transaction. Not interrupted by cancellation: it is over, one way or the other, on return."""
        await _uninterrupted(self._connection.commit() if commit else self._connection.rollback())

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()


class Database:
    """The one SQLite file of an embedded installation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: Connection | None = None
        self._writing = asyncio.Lock()
        self._idle: asyncio.Queue[Connection] = asyncio.Queue()
        self._readers: list[Connection] = []

    async def open(self) -> None:
        """Open the connections. Raises Unavailable when the file can't be opened."""
        self._writer = await self._connect()
        self._readers = [await self._connect(read_only=True) for _ in range(_READERS)]
        for reader in self._readers:
            self._idle.put_nowait(reader)

    async def close(self) -> None:
        """Close the connections; the last one to close folds the write-ahead log into the file."""
        for reader in self._readers:
            await reader.close()
        self._readers = []
        if self._writer is not None:
            await self._writer.close()
            self._writer = None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection inside a read transaction: every statement sees the same state."""
        connection = await self._idle.get()
        try:
            try:
                await connection.begin(write=False)
                yield connection
            finally:
                await connection.end(commit=False)
        finally:
            self._idle.put_nowait(connection)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Connection]:
        """The connection inside a write transaction: commits on a clean exit, rolls back on any exception."""
        if self._writer is None:
            raise Unavailable("The database is closed.")
        async with self._writing:
            try:
                await self._writer.begin(write=True)
                yield self._writer
            except BaseException:
                await self._writer.end(commit=False)
                raise
            try:
                await self._writer.end(commit=True)
            except sqlite3.Error as error:
                with suppress(sqlite3.Error):
                    await self._writer.end(commit=False)
                raise _unavailable(error) from error

    async def _connect(self, *, read_only: bool = False) -> Connection:
        try:
            connection = await aiosqlite.connect(self.path, isolation_level=None, cached_statements=512)
            connection.row_factory = sqlite3.Row
            for pragma in _PRAGMAS:
                await connection.execute_fetchall(pragma)
            if read_only:
                await connection.execute_fetchall("PRAGMA query_only=ON")
        except sqlite3.OperationalError as error:
            raise _unavailable(error) from error
        return Connection(connection)


async def _uninterrupted(awaitable: Awaitable[Result]) -> Result:
    task = asyncio.ensure_future(awaitable)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _unavailable(error: sqlite3.Error) -> Exception:
    text = str(error)
    if "locked" in text or "busy" in text:
        return Unavailable("The database is busy with another process.", hint="Try again.")
    if "unable to open" in text or "disk" in text or "full" in text or "readonly" in text:
        return Unavailable(f"The database can't be used: {text}.", hint="Check the data folder and its disk.")
    return error
