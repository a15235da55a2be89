"""Sweep: what has expired is deleted for good. It has been invisible since the instant of its expiry."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import structlog

from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import NexusError
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.sessions import table
from nexus_graph.sessions.forgetting import NOTHING_KEPT, forget
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.work import Stores

log = structlog.get_logger("nexus_graph.sessions")

_BATCH = 20  # of at most 10,000 entries each: one transaction


async def sweep_forever(stores: Stores, seconds: float) -> NoReturn:
    """Sweep every `seconds` until cancelled."""
    while True:
        try:
            count = await sweep(stores)
            if count:
                log.info("sessions.swept", count=count)
        except Exception as error:  # tried again: a sweeper that ended would go unnoticed
            log.error(
                "sessions.sweep_failed", error=error.code if isinstance(error, NexusError) else type(error).__name__
            )
        await asyncio.sleep(seconds)


async def sweep(stores: Stores) -> int:
    """Delete every expired session with its entries, in every scope. Returns how many sessions went."""
    count = 0
    for row in await stores.across(table.SCOPES_OF_EXPIRED, now=micros(stores.clock())):
        scope = Scope.system(row["tenant_id"], Env(row["env"]), "sweep")
        while swept := await _sweep(stores, scope):
            count += swept
    return count


async def _sweep(stores: Stores, scope: Scope) -> int:
    async with stores.read(scope) as read:
        if not await read.rows(table.EXPIRED, now=micros(read.now), most=1):
            return 0
    async with stores.work(scope, RunKind.SESSION) as work:
        expired = await work.rows(table.EXPIRED, now=micros(work.now), most=_BATCH)
        if expired:
            entries = await forget(work, expired)
            told = redact({"output": {"sessions": len(expired), "entries": entries}})
            work.record(Event("session.swept", "session", "", told, NOTHING_KEPT))
    return len(expired)
