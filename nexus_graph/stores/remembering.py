"""A read that asks each question once: within one state, the same statement has the same answer."""

from __future__ import annotations

from collections.abc import Sequence

from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.work import Read


class Remembering(Read):
    """The same state as another handle, with every answer kept: for many decisions about one moment."""

    def __init__(self, read: Read) -> None:
        super().__init__(read._connection, read.scope, read.blobs, read.now, read.limits)
        self._known: dict[tuple[object, ...], Sequence[Row]] = {}

    async def rows(self, statement: Statement, **values: Value | Sequence[Value]) -> Sequence[Row]:
        """All rows that a statement answers with, now or when it was asked before."""
        given = ((name, value if isinstance(value, str | bytes) else _fixed(value)) for name, value in values.items())
        question = (statement.sql, *sorted(given, key=lambda pair: pair[0]))
        if question not in self._known:
            self._known[question] = await super().rows(statement, **values)
        return self._known[question]


def _fixed(value: Value | Sequence[Value]) -> object:
    return tuple(value) if isinstance(value, Sequence) else value
