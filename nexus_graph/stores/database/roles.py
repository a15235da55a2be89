"""Connections to a Postgres server with a role of one's own choosing, for the proof of isolation.

The owner's sees every row of every tenant. The application's is bare: no statement of ours names a scope on it, and
nothing that is tried on it stays.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from nexus_graph.scope.errors import ConfigurationError, Unavailable
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.database.place import PostgresPlace
from nexus_graph.stores.database.placeholders import numbered
from nexus_graph.stores.statement import Value
from nexus_graph.stores.whole import Attempt

_CONNECT_SECONDS = 10.0
_LOCK_SECONDS = 5
_STRANGE = (
    "select c.relname from pg_class c where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace "
    "and c.relowner <> current_user::regrole "
    "and not exists (select 1 from pg_roles where rolname = current_user and (rolsuper or rolbypassrls)) order by 1"
)
_FAILED: Final = (OSError, asyncpg.InterfaceError)


class EveryRow:
    """A read transaction of the owner's. See `base.Connection`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def rows(self, sql: str, parameters: dict[str, Value]) -> Sequence[Row]:
        """Run one statement with named parameters, and return its rows."""
        text, names = numbered(sql)
        found: Sequence[Row] = await self._connection.fetch(text, *[parameters[name] for name in names])
        return found


class Bare:
    """See `whole.Attacker`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def attempt(self, sql: str, *before: str) -> Attempt:
        """See `whole.Attacker`."""

        async def deed() -> Attempt:
            return Attempt(await self._connection.fetch(sql))

        return await self._taken_back(deed, before)

    async def copied_out(self, table: str, sought: Sequence[bytes], *before: str) -> tuple[Attempt, list[bytes]]:
        """See `whole.Attacker`."""
        longest = max(len(each) for each in sought)
        found: set[bytes] = set()
        rest = b"\n"

        async def take(data: bytes) -> None:
            nonlocal rest
            found.update(each for each in sought if each in rest + data)
            rest = (rest + data)[-longest:]

        async def deed() -> Attempt:
            await self._connection.copy_from_table(table, output=take)
            return Attempt()

        return await self._taken_back(deed, before), sorted(found)

    async def copied_in(self, table: str, columns: Sequence[str], row: Sequence[str], *before: str) -> Attempt:
        """See `whole.Attacker`."""

        async def deed() -> Attempt:
            line = "\t".join(row).encode() + b"\n"
            await self._connection.copy_to_table(table, source=_pieces(line), columns=columns)
            return Attempt()

        return await self._taken_back(deed, before)

    async def _taken_back(self, deed: Any, before: Sequence[str]) -> Attempt:
        try:
            begin = ("BEGIN", f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'", *before)
            try:
                await self._connection.execute("; ".join(begin))
                found: Attempt = await deed()
                return found
            except asyncpg.PostgresError as error:
                message = str(error.args[0]) if error.args else ""
                said = " ".join(filter(None, (message, error.detail, error.hint, error.context)))
                return Attempt(code=error.sqlstate, message=message, said=said)
            finally:
                await self._connection.execute("ROLLBACK")
        except _FAILED as error:
            raise Unavailable(f"The connection to the database was lost ({type(error).__name__}).") from error


@asynccontextmanager
async def every_row(place: PostgresPlace) -> AsyncIterator[EveryRow]:
    """A connection that sees every row as of now, with the owner's role.

    Raises ConfigurationError without its address, or when that leads in as somebody who does not own every table.
    """
    if place.owner is None:
        raise ConfigurationError(
            "NEXUS_POSTGRES_OWNER is missing: only the role that owns the tables sees every row. Without it a search "
            "would look at less, and find nothing there."
        )
    async with (
        _connected(place.owner) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        if strange := await connection.fetch(_STRANGE):
            names = ", ".join(row[0] for row in strange)
            raise ConfigurationError(f"NEXUS_POSTGRES_OWNER leads in as somebody who does not own {names}.")
        yield EveryRow(connection)


async def sample(place: PostgresPlace) -> None:
    """Let the planner take its samples of every table now, as it does from time to time by itself.

    Raises ConfigurationError without the owner's address.
    """
    if place.owner is None:
        raise ConfigurationError("NEXUS_POSTGRES_OWNER is missing: the owner alone may have samples taken.")
    async with _connected(place.owner) as connection:
        for row in await connection.fetch(
            "select oid::regclass::text from pg_class where relkind = 'r' and relowner = current_user::regrole"
        ):
            await connection.execute(f"ANALYZE {row[0]}")


@asynccontextmanager
async def bare(place: PostgresPlace) -> AsyncIterator[Bare]:
    """A connection with the application's role, as somebody has it who got hold of one."""
    async with _connected(place.address) as connection:
        yield Bare(connection)


@asynccontextmanager
async def _connected(address: str) -> AsyncIterator[Any]:
    try:
        connection = await asyncpg.connect(address, timeout=_CONNECT_SECONDS, statement_cache_size=0)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise Unavailable(f"The Postgres database can't be reached ({type(error).__name__}).") from error
    try:
        yield connection
    finally:
        await connection.close()


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data
