"""The writing connection of the embedded database: one transaction after the other, and one commit for many.

A commit waits for the disk, which takes longer than what most transactions do. So whoever writes while others wait for
their turn leaves the commit to the last of them: each is set apart by a savepoint, whole or not at all, and none is
told that it is done before all of them are durable.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from time import perf_counter
from typing import Any, Final

import aiosqlite

from nexus_graph.scope.errors import Unavailable
from nexus_graph.stores.database.aiosqlite_inside import at_hand, in_thread
from nexus_graph.stores.database.base import Bound, Result, Row, Transaction
from nexus_graph.stores.database.sqlite_errors import translated
from nexus_graph.stores.database.sqlite_reading import OnTheSpot, Turn
from nexus_graph.stores.database.uninterrupted import settled, uninterrupted
from nexus_graph.stores.statement import Value

MOST_TOGETHER: Final = 256
"""Transactions that share a commit."""
TOGETHER_SECONDS: Final = 0.05
"""How long the first of them may wait for the others."""

_SET_APART, _TAKEN_BACK, _DONE = "SAVEPOINT turn", "ROLLBACK TO turn", "RELEASE turn"
_FEW: Final = 16  # statements, each of one row, as an entry of the journal needs them or what a pack quotes
_SHORT: Final = (_SET_APART, _DONE)


class AtHand:
    """A connection in its own thread: a statement is done when it returns, and nothing is ever waited for."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def rows(self, sql: str, parameters: dict[str, Value]) -> Sequence[Row]:
        return _fetched(self._connection, sql, parameters)

    async def many(self, sql: str, parameters: Iterable[dict[str, Value]]) -> None:
        _each(self._connection, sql, [*parameters])

    async def batch(self, statements: Sequence[Bound]) -> int:
        return _all(self._connection, statements)

    async def hold(self, name: str) -> None:
        """Nothing to do: whoever writes holds the whole file."""


class Connected:
    """A connection with a thread of its own, in which everything runs that may take long.

    What is known to be short runs on the spot, while the thread has nothing to do: rows that are added one by one, and
    reads for as long as they are short.
    """

    def __init__(self, connection: aiosqlite.Connection, turn: Turn) -> None:
        self._connection = connection
        self._spot = OnTheSpot(connection, turn)
        self._elsewhere = 0  # statements that the thread has to run

    async def rows(self, sql: str, parameters: dict[str, Value]) -> Sequence[Row]:
        """Run one statement and return its rows."""
        await self._spot.let_others_in()
        if not self._elsewhere:
            if _adds_a_row(sql):
                return self._spot.run(sql, parameters)
            if _reads(sql) and (rows := self._spot.rows(sql, parameters)) is not None:
                return rows
        return await self._hop(lambda connection: _fetched(connection, sql, parameters))

    async def many(self, sql: str, parameters: Iterable[dict[str, Value]]) -> None:
        """Run one statement for each set of parameters, in one hop at the most."""
        sets = [*parameters]
        if not self._elsewhere and len(sets) <= _FEW and _adds_a_row(sql):
            await self._spot.let_others_in()
            _each(at_hand(self._connection), sql, sets)
        else:
            await self._hop(lambda connection: _each(connection, sql, sets))

    async def batch(self, statements: Sequence[Bound]) -> int:
        """Run statements whose answers nobody needs; how many rows the last one changed."""
        if not self._elsewhere and len(statements) <= _FEW:
            await self._spot.let_others_in()
            return _all(at_hand(self._connection), statements)
        return await self._hop(lambda connection: _all(connection, statements))

    async def hold(self, name: str) -> None:
        """Nothing to do: whoever writes holds the whole file."""

    async def end(self, *, commit: bool) -> None:
        """Close the transaction."""
        with translated():
            await (self._connection.commit() if commit else self._connection.rollback())

    async def _hop(self, function: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run something in the thread. Not interrupted: it is done on return, and the next may run on the spot."""

        def unwatched(connection: sqlite3.Connection) -> Result:
            connection.set_progress_handler(None, 0)
            try:
                return function(connection)
            finally:
                self._spot.watch(connection)

        self._elsewhere += 1
        try:
            return await uninterrupted(in_thread(self._connection, unwatched))
        finally:
            self._elsewhere -= 1

    async def whole(self, transaction: Transaction[Result], *, begins: bool, ends: bool) -> Result:
        """A transaction set apart, in one hop; with the beginning and the commit of all."""
        return await in_thread(
            self._connection, lambda connection: _whole(connection, transaction, begins=begins, ends=ends)
        )

    def at_once(self, sql: str) -> bool:
        """Run a short statement before anything else happens, unless the thread has something to do; whether it was."""
        if self._elsewhere:
            return False
        self._spot.run(sql)
        return True

    @property
    def writes(self) -> bool:
        """Whether a transaction is open."""
        return self._connection.in_transaction

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()


class _Together:
    """Transactions that share a commit: how many, since when, and what it came to."""

    def __init__(self) -> None:
        self.count = 0
        self.since = perf_counter()
        self.committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.committed.add_done_callback(lambda done: done.cancelled() or done.exception())  # all who wait may be gone

    @property
    def is_full(self) -> bool:
        return self.count >= MOST_TOGETHER or perf_counter() - self.since > TOGETHER_SECONDS


class Writer:
    """Who writes, and who waits for it. Everybody takes turns, in the order in which they came."""

    def __init__(self, connection: Connected) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._together: _Together | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[Connected]:
        """When nobody writes, and all that was written is committed."""
        async with self._next():
            await self._commit()
            yield self._connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connected]:
        """A transaction that is committed, with others, on a clean exit, and taken back by itself on an exception."""
        async with self._next():
            together = self._together or await self._begin()
            try:
                await self._connection.rows(_SET_APART, {})
                yield self._connection
                cancelled = None
                if not self._connection.at_once(_DONE):
                    _, cancelled = await settled(self._connection.rows(_DONE, {}))
            except BaseException:
                await uninterrupted(self._take_back(together))
                raise
            await self._leave(together)
        if cancelled is not None:
            raise cancelled
        await asyncio.shield(together.committed)

    async def whole(self, transaction: Transaction[Result]) -> Result:
        """As `transaction`, for one that awaits nothing but its connection: in one hop."""
        async with self._next():
            together = self._together
            ends = together is None and not self._waiting
            try:
                deed = self._connection.whole(transaction, begins=together is None, ends=ends)
                result, cancelled = await settled(deed)
            except BaseException:
                if together is not None:
                    await uninterrupted(self._take_back(together, undone=True))
                raise
            if not ends:
                together = self._together = together or _Together()
                await self._leave(together)
        if cancelled is not None:
            raise cancelled
        if together is not None:
            await asyncio.shield(together.committed)
        return result

    async def close(self) -> None:
        """Close the connection, once the works under way have come to their end."""
        async with self.alone() as connection:
            await connection.close()

    @asynccontextmanager
    async def _next(self) -> AsyncIterator[None]:
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turn.release()

    async def _begin(self) -> _Together:
        try:
            await uninterrupted(self._connection.rows("BEGIN IMMEDIATE", {}))  # meanwhile others come who share it
        except BaseException:
            await self._roll_back()
            raise
        self._together = _Together()
        return self._together

    async def _leave(self, together: _Together) -> None:
        """One more is done: commit, or leave that to whoever waits, and to a turn of its own after them."""
        together.count += 1
        if not self._waiting or together.is_full:
            await self._commit()
        elif together.count == 1:
            closing = asyncio.create_task(self._commit_in_turn(together))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _commit_in_turn(self, together: _Together) -> None:
        async with self._next():
            if self._together is together:
                with suppress(Exception):  # those who wait are told
                    await self._commit()

    async def _commit(self) -> None:
        """Commit what is open; what it came to is told to all who wait. Raises what made it fail."""
        together, self._together = self._together, None
        if together is None:
            return
        try:
            _, cancelled = await settled(self._connection.end(commit=True))
        except BaseException as error:
            await self._roll_back()
            together.committed.set_exception(error if isinstance(error, Exception) else _lost())
            raise
        together.committed.set_result(None)
        if cancelled is not None:
            raise cancelled

    async def _take_back(self, together: _Together, *, undone: bool = False) -> None:
        """Take back one transaction, and commit the others unless somebody else will."""
        try:
            if not undone:
                await self._connection.rows(_TAKEN_BACK, {})
                await self._connection.rows(_DONE, {})
            if not self._connection.writes:
                raise _lost()
        except Exception as error:
            self._together = None
            await self._roll_back()
            together.committed.set_exception(error)
            return
        if not self._waiting or not together.count:
            with suppress(Exception):  # those who wait are told
                await self._commit()

    async def _roll_back(self) -> None:
        with suppress(sqlite3.Error, Unavailable):  # there may be nothing to roll back
            await uninterrupted(self._connection.end(commit=False))


def _lost() -> Unavailable:
    return Unavailable("The database took back what was being written.", hint="Try again.")


def _adds_a_row(sql: str) -> bool:
    return sql.startswith(_SHORT) or (sql.startswith("insert into ") and ") values (" in sql)


def _reads(sql: str) -> bool:
    return sql.startswith("select ")


def _fetched(connection: sqlite3.Connection, sql: str, parameters: dict[str, Value]) -> Sequence[Row]:
    with translated():
        return connection.execute(sql, parameters).fetchall()


def _each(connection: sqlite3.Connection, sql: str, sets: Sequence[dict[str, Value]]) -> None:
    with translated():
        connection.executemany(sql, sets)


def _all(connection: sqlite3.Connection, statements: Sequence[Bound]) -> int:
    changed = 0
    with translated():
        for sql, parameters in statements:
            changed = connection.execute(sql, parameters).rowcount
    return changed


def _whole(connection: sqlite3.Connection, transaction: Transaction[Result], *, begins: bool, ends: bool) -> Result:
    if begins:
        with translated():
            connection.execute("BEGIN IMMEDIATE")
    alone = begins and ends
    try:
        if not alone:
            connection.execute(_SET_APART)
        result = _ended(transaction(AtHand(connection)))
        with translated():
            if alone:
                connection.commit()
            else:
                connection.execute(_DONE)
        return result
    except BaseException:
        with suppress(sqlite3.Error):
            if begins:
                connection.rollback()
            else:
                connection.execute(_TAKEN_BACK)
                connection.execute(_DONE)
        raise


def _ended(steps: Coroutine[Any, Any, Result]) -> Result:
    """What a coroutine comes to that never waits."""
    try:
        steps.send(None)
    except StopIteration as end:
        result: Result = end.value
        return result
    steps.close()
    raise RuntimeError("A transaction awaited something else than its connection.")
