"""Sweep: reservations that were never sealed, and objects that belong to nobody.

A crash between an object and its row leaves only what is swept here: an object whose asset is purged, one that no asset
knows, and temporary files. What might still be on its way is given a day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NoReturn

import structlog

from nexus_graph.assets import table
from nexus_graph.assets.model import Asset, AssetState
from nexus_graph.safeguards import quotas
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import NexusError, Unavailable
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.blobs.base import ScopedBlobs
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.work import Stores

log = structlog.get_logger("nexus_graph.assets")

GRACE = timedelta(days=1)
_BATCH = 500


async def sweep(stores: Stores) -> int:
    """Purge expired reservations and remove orphaned objects, in every scope. Returns how many of both went."""
    return await sweep_expired(stores) + await sweep_orphans(stores)


async def sweep_forever(stores: Stores, seconds: float) -> NoReturn:
    """Sweep until cancelled: reservations every `seconds`, orphans at the start and once a day."""
    orphans_due = stores.clock()
    while True:
        try:
            count = await sweep_expired(stores)
            if stores.clock() >= orphans_due:
                count += await sweep_orphans(stores)
                orphans_due = stores.clock() + GRACE
            if count:
                log.info("assets.swept", count=count)
        except Unavailable:
            log.warning("assets.sweep_put_off")
        except Exception as error:  # tried again: a sweeper that ended would go unnoticed
            log.error(
                "assets.sweep_failed", error=error.code if isinstance(error, NexusError) else type(error).__name__
            )
        await asyncio.sleep(seconds)


async def sweep_expired(stores: Stores) -> int:
    """Purge every unsealed reservation that has expired, with its object. Returns how many."""
    count = 0
    for row in await stores.across(table.SCOPES_OF_EXPIRED, now=micros(stores.clock())):
        scope = Scope.system(row["tenant_id"], Env(row["env"]), "sweep")
        while purged := await _purge(stores, scope):
            count += len(purged)
            for asset in purged:
                await ScopedBlobs(stores.blobs, scope).remove(asset.object_key)
    return count


async def sweep_orphans(stores: Stores) -> int:
    """Remove objects of purged assets, and objects and temporary files older than a day that no asset knows."""
    old = stores.clock() - GRACE
    count = await stores.blobs.clear_unfinished(old)
    for tenant_id, env, _ in await stores.heads():
        scope = Scope.system(tenant_id, Env(env), "sweep")
        blobs = ScopedBlobs(stores.blobs, scope)
        keys: list[str] = []
        async for key in blobs.keys("raw/"):
            keys.append(key)
            if len(keys) == _BATCH:
                count += await _remove_orphans(stores, scope, blobs, keys, old)
                keys = []
        count += await _remove_orphans(stores, scope, blobs, keys, old)
    return count


async def _purge(stores: Stores, scope: Scope) -> Sequence[Asset]:
    async with stores.read(scope) as read:
        if not await read.rows(table.EXPIRED, now=micros(read.now), most=1):
            return ()
    async with stores.work(scope, RunKind.INGEST) as work:
        expired = [table.asset(row) for row in await work.rows(table.EXPIRED, now=micros(work.now), most=_BATCH)]
        for asset in expired:
            await work.write(table.PURGE, asset_id=asset.asset_id, duplicate_of=None)
            await quotas.give_back(work, asset.room, settled=False)
            detail = redact({"output": {"reason": "expired"}})
            work.record(Event("asset.purged", "asset", asset.asset_id, detail, asset.handling))
    return expired


async def _remove_orphans(stores: Stores, scope: Scope, blobs: ScopedBlobs, keys: Sequence[str], old: datetime) -> int:
    owners = {key: key.split("/")[1] for key in keys}
    async with stores.read(scope) as read:
        rows = await read.rows(table.STATES, asset_ids=[*dict.fromkeys(owners.values())])
    states = {row["asset_id"]: row["state"] for row in rows}
    count = 0
    for key, asset_id in owners.items():
        state = states.get(asset_id)
        if state == AssetState.PURGED or (state is None and await _is_older(blobs, key, old)):
            await blobs.remove(key)
            count += 1
    return count


async def _is_older(blobs: ScopedBlobs, key: str, old: datetime) -> bool:
    return key in [found async for found in blobs.keys(key, stored_before=old)]
