"""Forget: what one process erased, every other process lets go of as well.

Rows and objects are gone for all at once; what a process holds in memory of a tenant and env is not.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from nexus_graph.safeguards.erasure import table
from nexus_graph.safeguards.erasure.model import Eraser
from nexus_graph.scope.errors import Unavailable
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.work import Stores

log = structlog.get_logger("nexus_graph.safeguards.erasure")

OVERLAP: Final = 60_000_000
"""Microseconds by which clocks of processes may differ, and commits come later than they say."""


class Forgetting:
    """Knows the erasures that ended lately. One a process."""

    def __init__(self, stores: Stores, eraser: Eraser) -> None:
        self._stores, self._eraser = stores, eraser
        self._seen: frozenset[str] = frozenset()
        self._since: int | None = None

    async def run(self, poll_seconds: float) -> None:
        """Until cancelled, look every `poll_seconds`."""
        while True:
            try:
                await self.look()
            except Unavailable:
                log.warning("erasure.unseen", hint="The database can't be asked now.")
            await asyncio.sleep(poll_seconds)

    async def look(self) -> None:
        """Let go of what this process holds of every scope in which an erasure ended since the last look.

        The first look only marks where to begin. Raises Unavailable.
        """
        async with self._stores.database.reading(None) as connection:
            first = self._since is None
            if self._since is None:
                (row,) = await connection.rows(table.NEWEST, {})
                self._since = (row["ended_at"] or 0) - OVERLAP
            rows = await connection.rows(table.ENDED, {"since": self._since})
        for row in rows:
            if not first and row["erasure_id"] not in self._seen:
                self._eraser.forget(Scope.system(row["tenant_id"], Env(row["env"]), "erasure"))
        if rows:
            self._since = max(self._since, rows[-1]["ended_at"] - OVERLAP)
        self._seen = frozenset(row["erasure_id"] for row in rows)
