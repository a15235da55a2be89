"""The schema of record, as an erasure sees it: which tables a scope has, and where a name can stand in them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.work import Read

if TYPE_CHECKING:
    from sqlalchemy import Table

_PAGE: Final = 500
_SCOPE: Final = ("tenant_id", "env")

JOURNAL: Final = frozenset({"journal_events", "journal_heads", "journal_runs"})
"""The chain stays; what it tells goes."""

OWN: Final = "erasures"


@dataclass(frozen=True, slots=True)
class Columns:
    """A table: its key within the scope, its columns beside tenant and env, and those of them that hold texts."""

    name: str
    scoped: bool
    key: tuple[str, ...]
    every: tuple[str, ...]
    texts: tuple[str, ...]

    @property
    def here(self) -> str:
        """The condition that keeps a statement inside the scope; ends inside a WHERE clause."""
        return "tenant_id = :tenant_id and env = :env" if self.scoped else "tenant_id = :tenant_id"

    def statement(self, *words: str) -> Statement:
        """A statement over this table: names of the schema of record and named parameters, nothing else."""
        return Statement(" ".join(words), tenant_wide=not self.scoped)

    def delete(self, *conditions: str) -> Statement:
        """Deletes the scope's rows that meet the conditions."""
        return self.statement("delete from", self.name, "where", " and ".join((self.here, *conditions)))

    def count(self) -> Statement:
        """Counts the scope's rows."""
        return self.statement("select count(*) from", self.name, "where", self.here)


async def tables() -> list[Columns]:
    """Every table that has rows of a tenant, those that refer to others first."""
    return [*await asyncio.to_thread(declared)]  # the first one imports for half a second: nobody else waits


@cache
def declared() -> tuple[Columns, ...]:
    """The same, for whoever is alone."""
    from sqlalchemy import Boolean, Float, Integer, LargeBinary, Numeric

    from nexus_graph.stores.tables import schema_of_record

    def columns(table: Table) -> Columns:
        own = [column for column in table.columns if column.name not in _SCOPE]
        textless = (Boolean, Float, Integer, LargeBinary, Numeric)
        return Columns(
            name=table.name,
            scoped="env" in table.columns,
            key=tuple(column.name for column in own if column.primary_key),
            every=tuple(column.name for column in own),
            texts=tuple(column.name for column in own if not isinstance(column.type, textless)),
        )

    return tuple(columns(table) for table in reversed(schema_of_record().sorted_tables))


async def rows(read: Read, table: Columns, columns: tuple[str, ...]) -> AsyncIterator[Row]:
    """Every row of the scope, with its key and these columns, in the order of the key."""
    wanted = ", ".join(dict.fromkeys((*table.key, *columns))) or "tenant_id"
    select = ("select", wanted, "from", table.name, "where", table.here)
    if not table.key:  # one row a scope
        for row in await read.rows(table.statement(*select)):
            yield row
        return
    key = ", ".join(table.key)
    places = ", ".join(f":after_{place}" for place in range(len(table.key)))
    first = table.statement(*select, "order by", key, "limit :most")
    later = table.statement(*select, f"and ({key}) > ({places})", "order by", key, "limit :most")
    found = await read.rows(first, most=_PAGE)
    while found:
        for row in found:
            yield row
        after: dict[str, Value] = {f"after_{place}": found[-1][name] for place, name in enumerate(table.key)}
        found = await read.rows(later, most=_PAGE, **after)
