"""Which tables move. They come from the schema of record: a table that is added later moves unless it is named here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from sqlalchemy import Boolean

from nexus_graph import index
from nexus_graph.safeguards.erasure.columns import Columns, declared
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.database.base import Connection, Row
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.tables import schema_of_record
from nexus_graph.stores.work import Read

STAY: Final[Mapping[str, str]] = {
    "follower_turns": "which process of an installation follows",
    "index_copies": "which names on an installation's vector server are used up; there, a copy is made anew",
    "rate_buckets": "how fast an installation is being asked",
    "stream_leases": "which streams an installation's processes hold open",
}
"""Tables that belong to one installation alone, and what of."""

RESTLESS: Final = frozenset({"follower_checkpoints", "quota_usage"})
"""Tables that change without an entry of the journal, once a server runs."""

KEPT: Final = "erasures"
"""Never absent once it is there: the ledger outside tells of its rows, and refuses a database that lacks one."""

LAST: Final = RESTLESS | {"api_keys", "journal_heads", KEPT}
"""Tables by which a tenant and env can be entered or followed, and the one that is kept: written in one transaction,
when all else is proven."""

_FIRST: Final = "journal_events"
"""Copied before every other table: its chain tells whose copy it is."""

_ONLY: Final[Mapping[str, tuple[str, str]]] = {"follower_checkpoints": ("follower", index.KEEPER)}
"""Rows that stay, as a column and its value: the follower that fills a vector server begins anew at the next one."""

PAGE: Final = 200
"""Rows of a batch: a card may have a megabyte."""

Fields = tuple[Value, ...]
"""The values of a row beside tenant and env, in the order of the columns, the same on every engine."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that moves, and the statements for it."""

    columns: Columns
    _flags: frozenset[int]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.columns.name)

    @property
    def scoped(self) -> bool:
        """Whether its rows belong to one env, rather than to all of a tenant."""
        return self.columns.scoped

    def key(self, row: Fields) -> Fields:
        """The key of a row, within its tenant and env."""
        return tuple(row[self.columns.every.index(name)] for name in self.columns.key)

    async def page(self, read: Read, after: Fields | None) -> list[Fields]:
        """The next rows in the order of the key, at most `PAGE`; of a table with one row a scope, that row."""
        key = ", ".join(self.columns.key)
        words = ["select", ", ".join(self.columns.every), "from", self.name, "where", self._here()]
        values: dict[str, Value] = dict(self._stays())
        if after:
            places = ", ".join(f":after_{place}" for place in range(len(after)))
            words.append(f"and ({key}) > ({places})")
            values |= {f"after_{place}": value for place, value in enumerate(after)}
        if key:
            words.append(f"order by {key} limit {PAGE}")
        elif after is not None:
            return []
        statement = self.columns.statement(*words)
        return [self._row(row) for row in await read.rows(statement, **values)]

    async def whole(self, connection: Connection, scope: Scope) -> list[Fields]:
        """All rows, in the order of the key. For small tables."""
        words = ["select", ", ".join(self.columns.every), "from", self.name, "where", self._here()]
        if self.columns.key:
            words.append(f"order by {', '.join(self.columns.key)}")
        found = await connection.rows(self.columns.statement(*words).sql, self._own(scope) | self._stays())
        return [self._row(row) for row in found]

    async def count(self, read: Read) -> int:
        """How many rows move."""
        words = ("select count(*) from", self.name, "where", self._here())
        return int(await read.value(self.columns.statement(*words), **self._stays()))

    async def insert(self, connection: Connection, scope: Scope, rows: Sequence[Fields]) -> None:
        """Add rows, which must not be there."""
        names = self.columns.every
        own = ("tenant_id", "env") if self.scoped else ("tenant_id",)
        places = ", ".join(f":{name}" for name in (*own, *names))
        into = self.columns.statement("insert into", self.name, f"({', '.join((*own, *names))}) values ({places})")
        values = self._own(scope)
        await connection.many(into.sql, [{**values, **dict(zip(names, row, strict=True))} for row in rows])

    async def empty(self, connection: Connection, scope: Scope) -> None:
        """Remove every row of the tenant and env."""
        await connection.rows(self.columns.delete().sql, self._own(scope))

    def _here(self) -> str:
        column, _ = _ONLY.get(self.name, ("", ""))
        return self.columns.here + (f" and {column} <> :stays" if column else "")

    def _stays(self) -> dict[str, Value]:
        return {"stays": _ONLY[self.name][1]} if self.name in _ONLY else {}

    def _own(self, scope: Scope) -> dict[str, Value]:
        own: dict[str, Value] = {"tenant_id": scope.tenant_id}
        return own | {"env": scope.env.value} if self.scoped else own

    def _row(self, row: Row) -> Fields:
        """Engines differ in what is true or false: 1 and 0, or so."""
        return tuple(
            bool(value) if place in self._flags and value is not None else value for place, value in enumerate(row)
        )


@cache
def moving() -> tuple[Table, ...]:
    """Every table that moves before a tenant and env is shown, in the order in which rows can be added."""
    found = [table for table in _every() if table.scoped and table.name not in LAST]
    return tuple(sorted(found, key=lambda table: table.name != _FIRST))


@cache
def shown_last() -> tuple[Table, ...]:
    """The tables by which a tenant and env is shown."""
    return tuple(table for table in _every() if table.scoped and table.name in LAST)


@cache
def directory() -> tuple[Table, ...]:
    """The tables that all envs of a tenant share: who it is, and who may come in."""
    return tuple(table for table in _every() if not table.scoped)


def _every() -> list[Table]:
    """All that move; those that are referred to come first."""
    return [_table(columns) for columns in reversed(declared()) if columns.name not in STAY]


def _table(columns: Columns) -> Table:
    known = schema_of_record().tables[columns.name].columns
    flags = (place for place, name in enumerate(columns.every) if isinstance(known[name].type, Boolean))
    return Table(columns, frozenset(flags))


HEAD: Final = Statement("select seq, hash from journal_heads where tenant_id = :tenant_id and env = :env")
LAST_ENTRY: Final = Statement(
    "select seq, hash from journal_events where tenant_id = :tenant_id and env = :env order by seq desc limit 1"
)
HASH_AT: Final = Statement("select hash from journal_events where tenant_id = :tenant_id and env = :env and seq = :seq")
PACKS: Final = Statement(
    "select pack_id from packs where tenant_id = :tenant_id and env = :env and pack_id > :after "
    "order by pack_id limit 100"
)
LAST_EVENT: Final = Statement(
    "select action, payload from journal_events where tenant_id = :tenant_id and env = :env order by seq desc limit 1"
)
