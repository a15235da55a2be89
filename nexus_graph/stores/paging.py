"""Keyset paging: one way to cut a sorted list into windows, forward and backward, without counting or skipping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.work import Read

Item = TypeVar("Item")
Key = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """`size` items from the front (`forward`) or the back of what lies strictly between `after` and `before`."""

    size: int
    forward: bool = True
    after: Key | None = None
    before: Key | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Items in list order, the key of each, and whether there is more on either side."""

    items: tuple[Item, ...]
    keys: tuple[Key, ...]
    has_next: bool
    has_previous: bool


async def page(
    read: Read,
    select: str,
    order: Sequence[str],
    window: Window,
    build: Callable[[Row], Item],
    *,
    descending: bool = True,
    **values: Value | Sequence[Value],
) -> Page[Item]:
    """A page of `select`, a statement that ends inside its WHERE clause, sorted by the columns `order` (a unique key).

    One statement whatever the size. The columns of `order` must be among those selected.
    """
    bounds: dict[str, Any] = dict(values)
    for name, key in (("after", window.after), ("before", window.before)):
        if key is not None:
            bounds |= {f"{name}_{place}": value for place, value in enumerate(key)}
    statement = _statement(
        select, tuple(order), window.after is not None, window.before is not None, window.forward, descending
    )
    rows = list(await read.rows(statement, **bounds, window_size=window.size + 1))
    more = len(rows) > window.size
    rows = rows[: window.size]
    if not window.forward:
        rows.reverse()
    names = [column.rpartition(".")[2] for column in order]
    return Page(
        items=tuple(map(build, rows)),
        keys=tuple([tuple([row[name] for name in names]) for row in rows]),
        has_next=more if window.forward else window.before is not None,
        has_previous=window.after is not None if window.forward else more,
    )


@lru_cache(maxsize=1024)
def _statement(
    select: str, order: tuple[str, ...], after: bool, before: bool, forward: bool, descending: bool
) -> Statement:
    """The statement of a window of a list, which depends on no value."""
    columns, sql = ", ".join(order), select
    for name, given, later in (("after", after, True), ("before", before, False)):
        if given:
            sign = "<" if later == descending else ">"
            sql += f" and ({columns}) {sign} ({', '.join(f':{name}_{place}' for place in range(len(order)))})"
    direction = " desc" if descending == forward else " asc"
    return Statement(f"{sql} order by {', '.join(column + direction for column in order)} limit :window_size")
