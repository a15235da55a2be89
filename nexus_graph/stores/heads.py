"""The heads of all journals as this process knows them: which moved since somebody looked last.

Whoever follows asks a few times a second. With ten thousand tenants the rows of all heads would be most of what a quiet
server reads, so the database is asked for the sum of their numbers, which only grow. Where it differs from ours, those
that moved in the last minute are read; and where that does not explain the sum, since the clock of the process that
moved one is far behind, all are.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from nexus_graph.stores.database.base import Connection, Database, ScopeKey

OVERLAP: Final = 60_000_000
"""Microseconds by which clocks may differ, and commits come later than they say, before all heads are read."""

Head = tuple[ScopeKey, int]
"""A tenant and env, and the last `seq` of its journal."""

_SUM = "select coalesce(cast(sum(seq) as bigint), 0) as total from journal_heads"
_MOVED = "select tenant_id, env, seq, moved_at from journal_heads where moved_at >= :since"
_EVERYTHING = -1


class Heads:
    """What moves gets the next revision; whoever looks says which revision they saw last."""

    def __init__(self) -> None:
        self._known: OrderedDict[ScopeKey, tuple[int, int]] = OrderedDict()  # the last moved at the end
        self._revision, self._sum, self._newest = 0, 0, _EVERYTHING

    async def look(self, database: Database) -> None:
        """Learn what moved. Raises Unavailable."""
        async with database.reading(None) as connection:
            (row,) = await connection.rows(_SUM, {})
            if row["total"] == self._sum:
                return
            if self._newest != _EVERYTHING:
                await self._learn(connection, max(self._newest - OVERLAP, 0))
            if row["total"] != self._sum:
                before, self._known, self._sum = self._known, OrderedDict(), 0
                await self._learn(connection, _EVERYTHING)
                self._revision += 1
                self._known.update((key, (0, self._revision)) for key in before if key not in self._known)

    def moved(self, since: int) -> tuple[int, list[Head]]:
        """The newest revision, and the heads that moved after revision `since`, in no particular order.

        One that is gone has moved to 0.
        """
        found = []
        for key, (seq, revision) in reversed(self._known.items()):
            if revision <= since:
                break
            found.append((key, seq))
        return self._revision, found

    async def _learn(self, connection: Connection, since: int) -> None:
        for row in await connection.rows(_MOVED, {"since": since}):
            key, seq = (row["tenant_id"], row["env"]), row["seq"]
            before = self._known.get(key, (0, 0))[0]
            self._newest = max(self._newest, row["moved_at"])
            if seq != before:
                self._revision += 1
                self._sum += seq - before
                self._known[key] = seq, self._revision
                self._known.move_to_end(key)
