"""Postgres, 15 or newer: one database for any number of processes.

A read is one REPEATABLE READ, READ ONLY transaction, begun ahead where its tenant and env have just read (`begun`).
A write is READ COMMITTED, and its first statement takes an advisory lock on tenant and env, so that each of its
statements sees all that was committed before: one writer a scope.
The settings `nexus.tenant_id` and `nexus.env` of the transaction are what the row-level security of every table looks
at. Who crosses tenants becomes the role `nexus_doors` until the transaction ends; see `migrations.walls`.

Nothing is kept on a connection between transactions but prepared statements, so a pooler may stand in between.

Every answer is waited for a bounded time, also of BEGIN and COMMIT: a server whose network is cut says nothing. A
connection that was silent is thrown away, and a process that was is taken back by the server.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import asyncpg

from nexus_graph.scope.errors import Unavailable
from nexus_graph.stores.database.base import Bound, Connection, Entangled, Result, Row, ScopeKey, Transaction
from nexus_graph.stores.database.begun import Begun
from nexus_graph.stores.database.place import PostgresPlace
from nexus_graph.stores.database.placeholders import filled, numbered
from nexus_graph.stores.database.pooling import is_direct, require_kept
from nexus_graph.stores.database.postgres_errors import FAILED, translated, unknown
from nexus_graph.stores.database.uninterrupted import uninterrupted
from nexus_graph.stores.statement import Value

DOORS: Final = "nexus_doors"
"""The role of what crosses tenants."""

_APPLICATION = "nexus-graph"
_CONNECT_SECONDS = 5.0
_LATER_SECONDS = 2.0  # longer than the server may take, so that what it says of its own limits comes first
_ABSENCES = 6  # how many times what a statement may take a process may be silent inside a transaction that writes
_ATTEMPTS = 4
_STATEMENTS = 512  # prepared on each connection
_READS = "ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_WRITES = "ISOLATION LEVEL READ COMMITTED, READ WRITE"
_OWN_TABLES = (
    "select oid::regclass::text from pg_class where relkind = 'r' and relowner = current_user::regrole order by 1"
)


class _Connection:
    """A connection inside a transaction."""

    def __init__(self, pool: Any, connection: Any) -> None:
        self._pool = pool
        self._connection = connection
        self._silent = False

    @property
    def lost(self) -> bool:
        """Whether the server has gone, or let it go."""
        try:
            return bool(self._connection.is_closed())
        except asyncpg.InterfaceError:  # the pool knows by now
            return True

    async def begin(self, how: str) -> None:
        """Open a transaction with its settings."""
        with self._answering():
            await self._connection.execute(how)

    async def commit(self) -> str:
        """End it; what the server says that it did. Not interrupted by cancellation."""
        with self._answering():
            ended: str = await uninterrupted(self._connection.execute("COMMIT"))
            return ended

    async def take_back(self) -> None:
        """End it without a trace, whatever became of it."""
        if not self._silent:
            try:
                await uninterrupted(self._connection.execute("ROLLBACK"))
            except FAILED:
                self._silent = True

    async def give_back(self) -> None:
        """To the pool; one of which it isn't known what became of its transaction is thrown away."""
        with suppress(*FAILED):
            if self._silent:
                self._connection.terminate()
            await self._pool.release(self._connection)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        with translated():
            try:
                yield
            except TimeoutError as error:
                self._silent = True
                raise Unavailable("The database does not answer.", hint="Try again.") from error

    async def rows(self, sql: str, parameters: dict[str, Value]) -> Sequence[Row]:
        """See `base.Connection`."""
        text, names = numbered(sql)
        with self._answering():
            found: Sequence[Row] = await self._connection.fetch(text, *[parameters[name] for name in names])
            return found

    async def many(self, sql: str, parameters: Iterable[dict[str, Value]]) -> None:
        """See `base.Connection`."""
        text, names = numbered(sql)
        with self._answering():
            await self._connection.executemany(text, [[values[name] for name in names] for values in parameters])

    async def batch(self, statements: Sequence[Bound]) -> int:
        """See `base.Connection`."""
        with self._answering():
            ended: str = await self._connection.execute("; ".join(filled(*each) for each in statements))
            return int(ended.rpartition(" ")[2])  # INSERT 0 1

    async def hold(self, name: str) -> None:
        """See `base.Connection`."""
        with self._answering():
            await self._connection.execute(_lock(name))


class PostgresDatabase:
    """A database on a Postgres server, reached with the role of the application, which owns nothing there."""

    distant = True

    def __init__(self, place: PostgresPlace) -> None:
        self.place = place
        self._pool: Any = None
        self._direct = False
        self._under_way = self._waiting = 0
        self._ending: set[asyncio.Task[None]] = set()
        self._begun = Begun[_Connection](place.connections // 2, self._let_go)
        self._idle = asyncio.Event()
        milliseconds = round(place.seconds * 1000)
        self._limits = f"SET LOCAL statement_timeout = {milliseconds}; SET LOCAL lock_timeout = {milliseconds}"
        self._absence = f"SET LOCAL idle_in_transaction_session_timeout = {_ABSENCES * milliseconds}"

    async def open(self) -> None:
        """See `base.Database`. Raises ConfigurationError behind a pooler that can't keep prepared statements."""
        with translated():
            pool = asyncpg.create_pool(
                self.place.address,
                min_size=0,  # else asyncpg restores the least number beside us, and a restart sees them collide
                max_size=self.place.connections,
                timeout=_CONNECT_SECONDS,
                command_timeout=self.place.seconds + _LATER_SECONDS,
                statement_cache_size=_STATEMENTS if self.place.prepared else 0,
                max_cacheable_statement_size=0,
                server_settings={"application_name": _APPLICATION},
                reset=_nothing,
            )
            self._pool = await pool
            self._idle.set()
            try:
                self._direct = await is_direct(self._pool)
                if self.place.prepared and not self._direct:
                    await require_kept(self._pool)
            except BaseException:
                await self.close()
                raise

    async def close(self) -> None:
        """See `base.Database`."""
        pool, self._pool = self._pool, None
        if pool is not None:
            self._begun.close()
            await self._idle.wait()
            with suppress(*FAILED):
                await pool.close()

    async def ready(self) -> None:
        """See `base.Database`."""
        async with self.reading(None) as connection:
            await connection.rows("select 1", {})

    @asynccontextmanager
    async def reading(self, key: ScopeKey | None) -> AsyncIterator[Connection]:
        """See `base.Database`. A migration that waits for what it reads may take it back: Unavailable, for a moment."""
        begin = _begin(f"BEGIN {_READS}", self._limits, *_whose(key))
        held = None if key is None else self._begun_before(key)
        begun = held is not None
        held = held or await self._acquired()
        try:
            if not begun:
                await held.begin(begin)
            yield held
        except Entangled as error:
            raise Unavailable("The database is busy.", hint="Try again.") from error
        finally:  # what was read is true: nobody waits until the server has let go of it
            self._later(self._ended(held, key, begin))

    @asynccontextmanager
    async def writing(self, key: ScopeKey | None) -> AsyncIterator[Connection]:
        """See `base.Database`."""
        held = await self._acquired()
        try:
            await held.begin(_begin(f"BEGIN {_WRITES}", self._limits, self._absence, *_whose(key), *_turn(key)))
            yield held
            with unknown():
                ended = await held.commit()
            if ended != "COMMIT":  # a statement had failed and its error was caught: the server took all back
                raise RuntimeError("A transaction went on after a statement that failed.")
        except BaseException:
            await uninterrupted(self._release(held, take_back=True))
            raise
        await uninterrupted(self._release(held))

    async def write(self, key: ScopeKey | None, transaction: Transaction[Result]) -> Result:
        """See `base.Database`. Not interrupted by cancellation."""

        async def whole() -> Result:
            async with self.writing(key) as connection:
                return await transaction(connection)

        return await _again(whole)

    async def batch(self, key: ScopeKey | None, statements: Sequence[Bound]) -> int:
        """See `base.Database`. Not interrupted by cancellation.

        What the server gets in one message without a BEGIN is one transaction.
        """
        begin = _begin(f"SET TRANSACTION {_WRITES}", self._limits, *_whose(key), *_turn(key))

        async def whole() -> int:
            held = await self._acquired()
            try:
                with unknown():
                    return await held.batch([(begin, {}), *statements])
            finally:
                await self._release(held)

        return await _again(whole)

    async def write_each(self, transactions: Sequence[tuple[ScopeKey, Transaction[None]]]) -> list[Exception | None]:
        """See `base.Database`. A commit each: those that come at once are flushed together by the server."""
        came_to = await asyncio.gather(
            *(self.write(key, transaction) for key, transaction in transactions), return_exceptions=True
        )
        for each in came_to:
            if isinstance(each, BaseException) and not isinstance(each, Exception):
                raise each
        return [each if isinstance(each, Exception) else None for each in came_to]

    async def forget_deleted(self) -> None:
        """See `base.Database`: write every table anew, and the planner's statistics, which hold samples of values.

        The owner of tables and database alone may. Readers and writers of a table wait meanwhile. The server's log and
        its backups are its operator's.
        """
        if self.place.owner is None:
            raise Unavailable(
                "What was deleted can't be forgotten without the role that owns the tables.",
                hint="Set NEXUS_POSTGRES_OWNER where erasures are carried out.",
            )
        with translated():
            owner = await asyncpg.connect(self.place.owner, timeout=_CONNECT_SECONDS, statement_cache_size=0)
            try:
                await owner.execute(f"SET lock_timeout = {round(self.place.seconds * 1000)}")
                for row in await owner.fetch(_OWN_TABLES):
                    await owner.execute(f"VACUUM (FULL, ANALYZE) {row[0]}")
                await owner.execute("VACUUM (FULL) pg_catalog.pg_statistic")
            finally:
                await owner.close()

    def keeps(self, file: Path) -> bool:
        """See `base.Database`. Its files are the server's."""
        return False

    async def _acquired(self) -> _Connection:
        pool = self._pool
        if pool is None:
            raise Unavailable("The database is closed.", hint="The server is stopping; try again.")
        self._enter()
        self._waiting += 1
        try:
            if not pool.get_idle_size() and pool.get_size() == pool.get_max_size():
                self._begun.let_go()
            with translated():
                return _Connection(pool, await pool.acquire(timeout=self.place.seconds))
        except BaseException:
            self._leave()
            raise
        finally:
            self._waiting -= 1

    def _begun_before(self, key: ScopeKey) -> _Connection | None:
        while (held := self._begun.take(key)) is not None:
            if not held.lost:
                self._enter()
                return held
            self._let_go(held)
        return None

    async def _ended(self, held: _Connection, key: ScopeKey | None, begin: str) -> None:
        """End a read, and begin the next one of the same tenant and env.

        Unless somebody waits for a connection, or a pooler could lend it to somebody else meanwhile.
        """
        if key is not None and self._direct and self._is_spare():
            with suppress(Unavailable, *FAILED):
                await held.begin(f"ROLLBACK; {begin}")
                if self._is_spare():
                    self._begun.keep(key, held)
                    self._leave()
                    return
        await self._release(held, take_back=True)

    def _is_spare(self) -> bool:
        return self._pool is not None and not self._waiting

    def _let_go(self, held: _Connection) -> None:
        self._enter()
        self._later(self._release(held, take_back=True))

    def _later(self, ending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(ending)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _release(self, held: _Connection, *, take_back: bool = False) -> None:
        try:
            if take_back:
                await held.take_back()
            await held.give_back()
        finally:
            self._leave()

    def _enter(self) -> None:
        self._under_way += 1
        self._idle.clear()

    def _leave(self) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._idle.set()


async def _again(whole: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Do a transaction, and again when it was taken back for another's sake. Not interrupted by cancellation."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(Entangled):
            return await uninterrupted(whole())
    return await uninterrupted(whole())


async def _nothing(_: Any) -> None:
    """Between two users of a connection there is nothing to take back: a transaction takes its settings with it."""


def _begin(*settings: str) -> str:
    return "; ".join(settings)


def _whose(key: ScopeKey | None) -> Iterator[str]:
    if key is None:
        yield f"SET LOCAL ROLE {DOORS}"
    else:
        tenant_id, env = (_quoted(part) for part in key)
        yield f"SET LOCAL nexus.tenant_id = {tenant_id}; SET LOCAL nexus.env = {env}"


def _turn(key: ScopeKey | None) -> Iterator[str]:
    if key is not None:
        yield _lock("/".join(key))


def _lock(name: str) -> str:
    """Equal names are one lock; different ones share one in a case of 2**64."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    return f"SELECT pg_advisory_xact_lock({number})"


def _quoted(text: str) -> str:
    if "\\" in text or "\0" in text:
        raise ValueError(f"{text!r} is no tenant or env")
    return "'" + text.replace("'", "''") + "'"
