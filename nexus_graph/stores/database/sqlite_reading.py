"""Reading connections of the embedded database: what is short is read on the spot, what is not in a thread.

Most statements take a few microseconds, and a hop to a thread and back ten times that. So each is begun where it is
asked for, and given up when it takes longer than the others may be kept waiting for; then it is run again in the
connection's own thread, in the same transaction, which sees the same state.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from math import inf
from time import perf_counter
from typing import Final

import aiosqlite

from nexus_graph.stores.database.aiosqlite_inside import at_hand, in_thread
from nexus_graph.stores.database.base import Bound, Row
from nexus_graph.stores.database.sqlite_errors import translated
from nexus_graph.stores.database.uninterrupted import uninterrupted
from nexus_graph.stores.statement import Value

AT_ONCE_SECONDS: Final = 0.002
"""How long a statement may take on the spot."""
TURN_SECONDS: Final = 0.005
"""How long others may wait in one turn of the event loop before they are let in between two statements."""

_STEPS: Final = 1000  # of SQLite's machine, between two looks at the clock
_NOT_BEGUN: Final = 15  # times that a statement which was given up twice goes where there is time at once
_MOST_TEXTS: Final = 1024
_GIVEN_UP: Final = (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class Turn:
    """How long this turn of the event loop lasts already, as far as a database's readers are concerned."""

    def __init__(self) -> None:
        self._since: float | None = None

    def is_over(self) -> bool:
        """Whether others should be let in now."""
        now = perf_counter()
        if self._since is None:
            self._since = now
            asyncio.get_running_loop().call_soon(self._next)
        return now - self._since > TURN_SECONDS

    def _next(self) -> None:
        self._since = None


class OnTheSpot:
    """Statements that are begun where they are asked for, and given up when they take too long.

    For a connection whose thread has nothing to do meanwhile.
    """

    def __init__(self, connection: aiosqlite.Connection, turn: Turn) -> None:
        self._here = at_hand(connection)
        self._turn = turn
        self._until = inf
        self._texts = dict[str, str]()  # of statements, as they are run here
        self._late = dict[str, int]()  # those that were given up the last time, and how often they are not begun
        self.watch(self._here)

    def watch(self, connection: sqlite3.Connection) -> None:
        """Look at the clock again, after a statement that ran without that in the thread."""
        connection.set_progress_handler(self._is_late, _STEPS)

    async def let_others_in(self) -> None:
        """Wait for the next turn of the event loop, when this one is long enough."""
        if self._turn.is_over():
            await asyncio.sleep(0)

    def rows(self, sql: str, parameters: dict[str, Value]) -> Sequence[Row] | None:
        """The rows of a statement that only reads; None when it was given up, or was twice, not long ago."""
        if self._late and (left := self._late.get(sql, 0)) > 0:
            self._late[sql] = left - 1
            return None
        text = self._texts.get(sql) or self._another(sql)
        self._until = perf_counter() + AT_ONCE_SECONDS
        try:
            rows = self._here.execute(text, parameters).fetchall()
        except sqlite3.DatabaseError as error:
            if not _is_given_up(error):
                with translated():
                    raise
            self._another(sql)
            self._late[sql] = _NOT_BEGUN if sql in self._late else 0
            return None
        finally:
            self._until = inf
        if self._late:
            self._late.pop(sql, None)
        return rows

    def run(self, sql: str, parameters: dict[str, Value] | None = None) -> Sequence[Row]:
        """Run a statement to its end: one that is known to be short."""
        try:
            return self._here.execute(sql, parameters or {}).fetchall()
        except sqlite3.DatabaseError:
            with translated():
                raise

    def _another(self, sql: str) -> str:
        """A text of its own for a statement that is run here, and another one once it was given up.

        Python 3.11's sqlite3 keeps one that was interrupted between two rows as one that is in use for ever, and
        prepares it anew each time. What is run in the thread is never given up.
        """
        if len(self._texts) == _MOST_TEXTS:
            self._texts.clear()
            self._late.clear()
        text = self._texts[sql] = self._texts.get(sql, sql) + " "
        return text

    def _is_late(self) -> bool:
        return perf_counter() > self._until


def _is_given_up(error: sqlite3.DatabaseError) -> bool:
    """Whether it is to be tried where there is time. What is more exact of a code stands above its last byte."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _GIVEN_UP


class Reader:
    """A connection that can't write, and has a thread of its own for what takes long."""

    def __init__(self, connection: aiosqlite.Connection, turn: Turn, busy_milliseconds: int) -> None:
        self._connection = connection
        self._busy_milliseconds = busy_milliseconds
        self._spot = OnTheSpot(connection, turn)
        self._elsewhere = False  # the thread has it until the transaction ends

    async def rows(self, sql: str, parameters: dict[str, Value]) -> Sequence[Row]:
        """Run one statement and return its rows."""
        await self._spot.let_others_in()
        if not self._elsewhere:
            if (rows := self._spot.rows(sql, parameters)) is not None:
                return rows
            self._elsewhere = True
        return await in_thread(self._connection, lambda connection: self._patiently(connection, sql, parameters))

    async def many(self, sql: str, parameters: Iterable[dict[str, Value]]) -> None:
        """Nothing is written here."""
        raise RuntimeError("A reading connection was asked to write.")

    async def batch(self, statements: Sequence[Bound]) -> int:
        """Nothing is written here."""
        raise RuntimeError("A reading connection was asked to write.")

    async def hold(self, name: str) -> None:
        """Nothing to do: who only reads keeps nobody from anything."""

    def begin(self) -> None:
        """Open a transaction; what it sees is settled by its first statement."""
        self._spot.run("BEGIN")

    async def end(self) -> None:
        """Close the transaction. Not interrupted by cancellation: it is over on return."""
        if self._elsewhere:
            await uninterrupted(in_thread(self._connection, _rolled_back))
            self._elsewhere = False
        else:
            self._spot.run("ROLLBACK")

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    def _patiently(self, connection: sqlite3.Connection, sql: str, parameters: dict[str, Value]) -> Sequence[Row]:
        with translated():
            connection.set_progress_handler(None, 0)
            connection.execute(f"PRAGMA busy_timeout={self._busy_milliseconds}")
            try:
                return connection.execute(sql, parameters).fetchall()
            finally:
                connection.execute("PRAGMA busy_timeout=0")
                self._spot.watch(connection)


class Reading:
    """A read transaction on the next connection that is idle."""

    def __init__(self, idle: asyncio.Queue[Reader]) -> None:
        self._idle = idle
        self._reader: Reader | None = None

    async def __aenter__(self) -> Reader:
        reader = await self._idle.get()
        try:
            reader.begin()
        except BaseException:
            self._idle.put_nowait(reader)
            raise
        self._reader = reader
        return reader

    async def __aexit__(self, *_: object) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            try:
                await reader.end()
            finally:
                self._idle.put_nowait(reader)


def _rolled_back(connection: sqlite3.Connection) -> None:
    with translated():
        connection.rollback()
