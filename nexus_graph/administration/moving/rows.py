"""Rows: compared page by page in the order of their keys, and added where the target ends.

What the target holds of a table is the beginning of what the source holds, or it is of another time: then all of that
tenant and env is copied anew. So nothing is kept of how far a copy is, and no batch is written twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nexus_graph.administration.console import Ticker
from nexus_graph.administration.moving.tables import KEPT, PAGE, Fields, Table, directory, moving, shown_last
from nexus_graph.scope.errors import Conflict
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.database.base import Connection
from nexus_graph.stores.work import Stores

_TIMES: Final = 2


class Stale(Exception):
    """The target's rows are not the beginning of the source's. Its text names the table."""


@dataclass(slots=True)
class Copied:
    """How many rows were written, and how many were there."""

    written: int = 0
    there: int = 0
    anew: bool = False


async def copy(source: Stores, target: Stores, scope: Scope, tick: Ticker) -> Copied:
    """Copy every row of a tenant and env that is not shown last. Its writers must wait meanwhile.

    What the target holds of another time is removed first. Raises Conflict when the source does not stand still.
    """
    anew = False
    for _ in range(_TIMES):
        copied = Copied(anew=anew)
        try:
            every = await total(source, scope)
            for table in moving():
                await _table(source, target, scope, table, copied, every, tick)
        except Stale:
            await remove(target, scope)
            anew = True
        else:
            return copied
    raise Conflict("The source's rows change while they are copied.", hint="Stop its servers, and run it again.")


async def total(source: Stores, scope: Scope) -> int:
    """How many rows of a tenant and env are copied before it is shown."""
    async with source.read(scope) as read:
        return sum([await table.count(read) for table in moving()])


async def _table(
    source: Stores, target: Stores, scope: Scope, table: Table, copied: Copied, every: int, tick: Ticker
) -> None:
    after: Fields | None = None
    while True:
        async with source.read(scope) as read:
            theirs = await table.page(read, after)
        async with target.read(scope) as read:
            ours = await table.page(read, after)
        if ours != theirs[: len(ours)]:
            raise Stale(table.name)
        if missing := theirs[len(ours) :]:
            await _add(target, scope, table, missing)
        copied.written += len(missing)
        copied.there += len(ours)
        tick(f"Copying {'/'.join(scope.key)}: rows", total=every, advance=len(theirs))
        if len(theirs) < PAGE:
            return
        after = table.key(theirs[-1])


async def _add(target: Stores, scope: Scope, table: Table, rows: list[Fields]) -> None:
    async def deed(connection: Connection) -> None:
        await table.insert(connection, scope, rows)

    await target.database.write(scope.key, deed)


async def remove(target: Stores, scope: Scope) -> None:
    """Take a copy away again: first out of sight, the journal last, so that it is known until the end whose it is."""

    async def hide(connection: Connection) -> None:
        for table in shown_last():
            if table.name != KEPT:
                await table.empty(connection, scope)

    await target.database.write(scope.key, hide)
    for table in reversed(moving()):

        async def deed(connection: Connection, table: Table = table) -> None:
            await table.empty(connection, scope)

        await target.database.write(scope.key, deed)
    await target.database.forget_deleted()  # something of it may have been erased at the source since


Both = tuple[Table, list[Fields], list[Fields]]
"""A table, its rows at the source, and those at the target."""


async def show(source: Stores, target: Stores, scope: Scope, wanted: Sequence[Table]) -> list[Both]:
    """Write tables by which a tenant, or one env of it, is entered and followed, in one transaction.

    Returns them as they were read within it: from its end on, whoever runs at the target goes on with them.
    """
    found = await _whole(source, scope, wanted)

    async def deed(connection: Connection) -> list[Both]:
        for table, rows in found:
            await table.empty(connection, scope)
            await table.insert(connection, scope, rows)
        return [(table, rows, await table.whole(connection, scope)) for table, rows in found]

    return await target.database.write(scope.key, deed)


async def shown(source: Stores, target: Stores, scope: Scope, wanted: Sequence[Table]) -> list[Both]:
    """What both sides hold of such tables; nothing is written."""
    sides = await _whole(source, scope, wanted), await _whole(target, scope, wanted)
    return [(table, theirs, ours) for (table, theirs), (_, ours) in zip(*sides, strict=True)]


async def _whole(stores: Stores, scope: Scope, wanted: Sequence[Table]) -> list[tuple[Table, list[Fields]]]:
    async with stores.database.reading(scope.key) as connection:
        return [(table, await table.whole(connection, scope)) for table in wanted]


async def lacks_directory(target: Stores, scope: Scope) -> bool:
    """Whether the tenant is not there: an earlier run was ended before its last step."""
    async with target.read(scope) as read:
        return not any([await table.count(read) for table in directory()])
