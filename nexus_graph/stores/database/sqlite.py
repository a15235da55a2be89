"""The embedded database: one SQLite file in WAL mode, one writing connection, a pool of reading ones.

Every transaction that writes begins IMMEDIATE: a deferred one that reads first and writes later fails under load.
Short reads are done on the spot (`sqlite_reading`). A statement that may write is a hop to the thread of its connection
and back; a transaction that waits for nothing else goes there as a whole, in one hop.
`synchronous=FULL` makes a commit survive a power cut; `secure_delete` leaves no bytes behind a DELETE.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite

from nexus_graph.scope.errors import Unavailable
from nexus_graph.stores.database.base import Bound, Connection, Result, ScopeKey, Transaction
from nexus_graph.stores.database.sqlite_errors import translated
from nexus_graph.stores.database.sqlite_reading import Reader, Reading, Turn
from nexus_graph.stores.database.sqlite_writing import Connected, Writer

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


class SqliteDatabase:
    """The one SQLite file of an embedded installation. Whoever writes, writes alone."""

    distant = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: Writer | None = None
        self._idle: asyncio.Queue[Reader] = asyncio.Queue()
        self._readers: list[Reader] = []

    async def open(self) -> None:
        """Open the connections. Raises Unavailable when the file can't be opened."""
        try:
            turn = Turn()
            self._writer = Writer(Connected(await self._connect(_WRITING), turn))
            for _ in range(_READERS):
                self._readers.append(Reader(await self._connect(_READING), turn, _BUSY_MILLISECONDS))
                self._idle.put_nowait(self._readers[-1])
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connections; the last one to close folds the write-ahead log into the file."""
        readers, self._readers, self._idle = self._readers, [], asyncio.Queue()
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
        async with self._open_writer().transaction() as connection:
            yield connection

    async def write(self, key: ScopeKey | None, transaction: Transaction[Result]) -> Result:
        """See `base.Database`. Raises RuntimeError, having written nothing, when it awaits more than its connection."""
        return await self._open_writer().whole(transaction)

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
        async with self._open_writer().alone():
            connection = Connected(await self._connect(_WRITING), Turn())
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

    def _open_writer(self) -> Writer:
        if self._writer is None:
            raise _closed()
        return self._writer

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


def _closed() -> Unavailable:
    return Unavailable("The database is closed.", hint="The server is stopping; try again.")


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
