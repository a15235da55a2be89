"""Leases: how many live streams are open, over all processes of an installation.

A stream takes a lease before its first frame and ends it with its last. Its process renews those of its open streams,
so that whatever is left of a crash, or of an end that went wrong, runs out by itself. Counting and adding are one
transaction: nobody gets one too many. Those that are taken or ended at the same time share one.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NoReturn

import structlog

from nexus_graph.safeguards.model import Resource
from nexus_graph.safeguards.quotas import table
from nexus_graph.safeguards.quotas.model import Held, Usage
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import NexusError, QuotaExceeded
from nexus_graph.scope.limits import Limits
from nexus_graph.scope.scope import Principal, Scope
from nexus_graph.stores.database.base import Connection, Row, ScopeKey
from nexus_graph.stores.rounds import Rounds
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.work import Read, Stores

log = structlog.get_logger("nexus_graph.safeguards")

LIFE: Final = timedelta(seconds=30)
RENEW_SECONDS: Final = 10.0
_LONG = timedelta(hours=1)  # a process that stood still for less finds its leases again


async def open_streams(read: Read) -> tuple[int, int]:
    """How many live streams are open: those of the scope's actor, and all of the tenant and env."""
    actor = read.scope.principal
    row = await read.row(table.OPEN_STREAMS, actor_kind=actor.kind.value, actor_id=actor.id, now=micros(read.now))
    return (row["of_actor"], row["of_scope"]) if row is not None else (0, 0)


def one_too_many(usage: Usage, of_actor: int, limits: Limits) -> QuotaExceeded | None:
    """What stands against one more live stream: the bound of the tenant and env, or that of the actor."""
    if usage.left < 1:
        return usage.exceeded(1)
    if of_actor < limits.actor_streams:
        return None
    return QuotaExceeded(
        f"No room for 1 more live stream: {of_actor} of {limits.actor_streams} that one actor may have are open.",
        hint="Complete a stream that is not needed; the operator sets NEXUS_ACTOR_STREAMS.",
    )


@dataclass(frozen=True, slots=True)
class Lease:
    """That one live stream is open."""

    lease_id: str
    scope: Scope

    @property
    def named(self) -> dict[str, Value]:
        """What names its row."""
        return {"tenant_id": self.scope.tenant_id, "env": self.scope.env.value, "lease_id": self.lease_id}


class Holding:
    """A lease for as long as a block lasts."""

    __slots__ = ("_lease", "_leases")

    def __init__(self, leases: Leases, lease: Lease) -> None:
        self._leases, self._lease = leases, lease

    async def __aenter__(self) -> None:
        await self._leases.take(self._lease)

    async def __aexit__(self, *_: object) -> None:
        await self._leases.end(self._lease)


class Leases:
    """The leases of one process."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._open: dict[str, Scope] = {}
        self._taking = Rounds(self._take)
        self._ending = Rounds(self._end)

    def held(self, scope: Scope) -> Holding:
        """One live stream, counted for as long as the block lasts. Raises QuotaExceeded when it is one too many."""
        return Holding(self, Lease(self._stores.new_id("lease"), scope))

    async def take(self, lease: Lease) -> None:
        """Take one. Raises QuotaExceeded."""
        taken = self._taking.join(lease)
        try:
            await asyncio.shield(taken)
        except asyncio.CancelledError:  # it may be committed all the same
            await _to_its_end(self._give_up(taken, lease))
            raise
        self._open[lease.lease_id] = lease.scope

    async def end(self, lease: Lease) -> None:
        """Give one back. It is done on return, also when this is cancelled."""
        del self._open[lease.lease_id]
        await _to_its_end(self._ending.wait(lease))

    async def renew_forever(self) -> NoReturn:
        """Renew what is held, every ten seconds, until cancelled."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await self.renew()
            except NexusError as error:  # there is time for two more attempts before a lease runs out
                log.warning("leases.renewal_failed", error=error.code)

    async def renew(self) -> None:
        """Give the lease of every open stream of this process its whole life again: one hop, whatever the number."""
        if not self._open:
            return
        expires_at = micros(self._stores.clock() + LIFE)
        sets = [Lease(*held).named | {"expires_at": expires_at} for held in self._open.items()]
        await self._stores.count(lambda connection: connection.many(table.RENEW_LEASE.sql, sets))

    async def _give_up(self, taken: asyncio.Future[None], lease: Lease) -> None:
        with suppress(NexusError):
            await taken
        await self._ending.wait(lease)

    async def _take(self, leases: Sequence[Lease]) -> list[NexusError | None]:
        """Take those for which there is room, in their order and one transaction: each counts those before it."""
        places = defaultdict[ScopeKey, list[Lease]](list)
        for lease in leases:
            places[lease.scope.key].append(lease)

        async def take(connection: Connection) -> dict[str, NexusError]:
            refused: dict[str, NexusError] = {}
            for _, here in sorted(places.items()):  # in one order, so that two rounds don't wait for each other
                refused |= await self._take_here(connection, here)
            return refused

        refused = await self._stores.count(take)
        return [refused.get(lease.lease_id) for lease in leases]

    async def _take_here(self, connection: Connection, leases: Sequence[Lease]) -> dict[str, NexusError]:
        stores, now, scope = self._stores, self._stores.clock(), leases[0].scope
        await _rows(connection, scope, table.HOLD_STREAMS)
        await _rows(connection, scope, table.FORGET_LEASES, long_ago=micros(now - _LONG))
        limits = await _rows(connection, scope, table.OWN_LIMITS, resources=[Resource.LIVE_STREAMS.value])
        limit = limits[0]["upper_limit"] if limits else stores.limits.live_streams
        of_actors: dict[Principal, int] = {}
        of_scope = 0
        for actor in {lease.scope.principal: None for lease in leases}:
            counted = {"actor_kind": actor.kind.value, "actor_id": actor.id}
            [found] = await _rows(connection, scope, table.OPEN_STREAMS, **counted, now=micros(now))
            of_actors[actor], of_scope = found["of_actor"], found["of_scope"]
        refused: dict[str, NexusError] = {}
        sets = list[dict[str, Value]]()
        for lease in leases:
            actor = lease.scope.principal
            usage = Usage(Resource.LIVE_STREAMS, Held(of_scope), limit, None, None)
            if (error := one_too_many(usage, of_actors[actor], stores.limits)) is not None:
                refused[lease.lease_id] = error
                continue
            of_scope, of_actors[actor] = of_scope + 1, of_actors[actor] + 1
            sets.append(
                {
                    **lease.named,
                    "actor_kind": actor.kind.value,
                    "actor_id": actor.id,
                    "expires_at": micros(now + LIFE),
                }
            )
        await connection.many(table.ADD_LEASE.sql, sets)
        return refused

    async def _end(self, leases: Sequence[Lease]) -> list[NexusError | None]:
        try:
            sets = [lease.named for lease in leases]
            await self._stores.count(lambda connection: connection.many(table.END_LEASE.sql, sets))
        except NexusError as error:  # they run out by themselves
            log.warning("leases.end_failed", error=error.code)
        return [None] * len(leases)


async def _to_its_end(deed: Coroutine[None, None, None]) -> None:
    """Wait for a short deed, however often we are cancelled meanwhile: who ends a stream may be cut off, too."""
    task, cancelled = asyncio.create_task(deed), None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def _rows(
    connection: Connection, scope: Scope, statement: Statement, **values: Value | Sequence[Value]
) -> list[Row]:
    own = {"tenant_id": scope.tenant_id, "env": scope.env.value}
    return [*await connection.rows(*statement.bind({**values, **own}))]
