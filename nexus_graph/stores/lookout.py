"""One lookout for all live streams of a process: which tenants' journals moved, and in which of them rights did.

While anybody follows, the heads are looked at once a poll, however many follow; where nothing moves nobody is woken and
nothing is read. What another process wrote is found that way, in this env of a tenant or in another: a membership
counts in all of them.

A stream does not look up its principal's rights before each frame. Whatever gives or takes them is journalled in the
same transaction, so they are as they were while the journals of the tenant hold no such entry more: that is asked of
the database after each look, once for all who wait, and answered with a mark that grows.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextvars import Context
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from nexus_graph.scope.errors import NexusError
from nexus_graph.scope.scope import Env
from nexus_graph.stores.statement import Statement, Values

if TYPE_CHECKING:
    from nexus_graph.stores.work import Stores

log = structlog.get_logger("nexus_graph.streams")

OF_RIGHTS: Final = (
    "erasure.completed",
    "erasure.confirmed",
    "erasure.erased",
    "erasure.failed",
    "erasure.progressed",
    "erasure.replayed",
    "key.revoked",
    "member.changed",
    "switch.engaged",
    "switch.released",
)
"""Actions after which somebody may see more, or less, than before."""

_HEADS = Statement(
    "select head.env, head.seq, exists (select 1 from journal_events entry "
    "where entry.tenant_id = head.tenant_id and entry.env = head.env and entry.seq > case head.env "
    "when 'dev' then cast(:dev as bigint) when 'staging' then cast(:staging as bigint) else cast(:prod as bigint) end "
    "and entry.action in (:actions...)) as changed from journal_heads head where head.tenant_id = :tenant_id",
    tenant_wide=True,
)
UNKNOWN: Final = float("inf")
"""Higher than every mark."""


class Watched(Protocol):
    """Somebody who waits for a tenant's journals to move."""

    tenant_id: str
    poll_seconds: float

    def wake(self) -> None:
        """They moved, or it can't be known."""


class Lookout:
    """Looks for all who are entered, for as long as there are any. `mark` is that of the last change of rights."""

    def __init__(self) -> None:
        self.mark = 0
        self._watched = defaultdict[str, set[Watched]](set)
        self._seen: dict[str, dict[str, int]] = {}
        self._changed: dict[str, int] = {}
        self._poll_seconds = UNKNOWN
        self._task: asyncio.Task[None] | None = None

    def enter(self, stores: Stores, watched: Watched) -> None:
        """Look for one more."""
        self._watched[watched.tenant_id].add(watched)
        if self._task is None or watched.poll_seconds < self._poll_seconds:
            self._stop()
            self._poll_seconds = min(watched.poll_seconds, self._poll_seconds)
            self._task = asyncio.get_running_loop().create_task(self._watch(stores), context=Context())

    def leave(self, watched: Watched) -> None:
        """One waits no more."""
        tenant_id = watched.tenant_id
        self._watched[tenant_id].discard(watched)
        if not self._watched[tenant_id]:
            for known in (self._watched, self._seen, self._changed):
                known.pop(tenant_id, None)
        if not self._watched:
            self._stop()
            self._poll_seconds = UNKNOWN

    async def rights_changed(self, stores: Stores, tenant_id: str) -> float:
        """The mark of the last change of rights in a tenant, as the database has it now. Raises Unavailable."""
        await stores.shared.once(("rights", tenant_id), lambda: self._look(stores, tenant_id))
        return self.rights_known(tenant_id)

    def rights_known(self, tenant_id: str) -> float:
        """That mark as it was at the last look; higher than any while nobody has looked."""
        return self._changed.get(tenant_id, UNKNOWN)

    async def _look(self, stores: Stores, tenant_id: str) -> None:
        seen = self._seen.get(tenant_id)
        after = {env.value: -1 if seen is None else seen.get(env.value, 0) for env in Env}
        asked: Values = {**after, "tenant_id": tenant_id, "actions": OF_RIGHTS}
        async with stores.database.reading(None) as connection:
            rows = await connection.rows(*_HEADS.bind(asked))
        heads: dict[str, int] = {row["env"]: row["seq"] for row in rows}
        changed = seen is None or any(heads.get(env, 0) < seq for env, seq in seen.items())
        if tenant_id in self._watched:
            self._seen[tenant_id] = heads
            if changed or any(row["changed"] for row in rows):
                self.mark += 1
                self._changed[tenant_id] = self.mark

    async def _watch(self, stores: Stores) -> None:
        revision = 0
        while True:
            await asyncio.sleep(self._poll_seconds)
            try:
                revision, heads = await stores.moved(revision)
                tenants = {tenant_id for (tenant_id, _), _ in heads}
            except Exception as error:  # whoever waits shall meet it
                tenants = {*self._watched}
                if not isinstance(error, NexusError):
                    log.error("streams.unwatched", error=type(error).__name__)
            for tenant_id in tenants & self._watched.keys():
                for watched in [*self._watched[tenant_id]]:
                    watched.wake()

    def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
