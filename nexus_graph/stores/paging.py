"""Keyset paging: one way to cut a sorted list into windows, forward and backward, without counting or skipping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    columns = ", ".join(order)
    bounds: dict[str, Any] = dict(values)
    sql = select
    for name, key, later in (("after", window.after, True), ("before", window.before, False)):
        if key is not None:
            sign = "<" if later == descending else ">"
            sql += f" and ({columns}) {sign} ({', '.join(f':{name}_{place}' for place in range(len(order)))})"
            bounds |= {f"{name}_{place}": value for place, value in enumerate(key)}
    backwards = descending if window.forward else not descending
    direction = " desc" if backwards else " asc"
    sql += f" order by {', '.join(column + direction for column in order)} limit :window_size"
    rows = list(await read.rows(Statement(sql), **bounds, window_size=window.size + 1))
    more = len(rows) > window.size
    rows = rows[: window.size]
    if not window.forward:
        rows.reverse()
    return Page(
        items=tuple(build(row) for row in rows),
        keys=tuple(tuple(row[column.rpartition(".")[2]] for column in order) for row in rows),
        has_next=more if window.forward else window.before is not None,
        has_previous=window.after is not None if window.forward else more,
    )
