"""Forget: what one process erased, every other process lets go of as well.

Rows and objects are gone for all at once; what a process holds in memory of a tenant and env is not.
"""

from __future__ import annotations

import asyncio

import structlog

from nexus_graph.safeguards.erasure import table
from nexus_graph.safeguards.erasure.ledger import ErasureKey
from nexus_graph.safeguards.erasure.model import Eraser
from nexus_graph.scope.errors import Unavailable
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.work import Stores

log = structlog.get_logger("nexus_graph.safeguards.erasure")


class Forgetting:
    """Knows the erasures that have ended, whatever the clocks say. One a process."""

    def __init__(self, stores: Stores, eraser: Eraser) -> None:
        self._stores, self._eraser = stores, eraser
        self._seen: frozenset[ErasureKey] | None = None

    async def run(self, poll_seconds: float) -> None:
        """Until cancelled, look every `poll_seconds`."""
        while True:
            try:
                await self.look()
            except Unavailable:
                log.warning("erasure.unseen", hint="The database can't be asked now.")
            except Exception as error:  # tried again: who ended by itself would go unnoticed
                log.error("erasure.unseen", error=type(error).__name__)
            await asyncio.sleep(poll_seconds)

    async def look(self) -> None:
        """Let go of what this process holds of every scope in which an erasure ended since the last look.

        The first look only marks where to begin. Raises Unavailable.
        """
        (row,) = await self._stores.across(table.COUNT_ENDED)
        if self._seen is not None and row["count"] == len(self._seen):
            return
        ended = [(row["tenant_id"], row["env"], row["erasure_id"]) for row in await self._stores.across(table.ENDED)]
        if self._seen is not None:
            for tenant_id, env in sorted({key[:2] for key in ended if key not in self._seen}):
                self._eraser.forget(Scope.system(tenant_id, Env(env), "erasure"))
        self._seen = frozenset(ended)
