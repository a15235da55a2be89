"""Look at assets, list them, and hand out download addresses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from nexus_graph.assets import table
from nexus_graph.assets.model import Asset, AssetFilter, AssetRules, AssetState
from nexus_graph.safeguards import switches
from nexus_graph.scope.errors import Conflict, Invalid, NotFound
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.paging import Page, Window, page
from nexus_graph.stores.work import Stores

_AT_ONCE = 1000
_MOST_TYPES = 100


async def fetch(stores: Stores, scope: Scope, ids: Sequence[str]) -> dict[str, Asset]:
    """The assets of these ids, by id. What is unknown, foreign or purged is not in it."""
    scope.require(Permission.ASSETS_READ)
    wanted = [*dict.fromkeys(ids)]
    found: dict[str, Asset] = {}
    async with stores.read(scope) as read:
        for start in range(0, len(wanted), _AT_ONCE):
            rows = await read.rows(table.FIND_MANY, asset_ids=wanted[start : start + _AT_ONCE])
            found |= {row["asset_id"]: table.asset(row) for row in rows}
    return found


async def list_assets(stores: Stores, scope: Scope, asset_filter: AssetFilter, window: Window) -> Page[Asset]:
    """The assets of the scope, newest first. Raises Invalid for a filter of over 100 content types."""
    scope.require(Permission.ASSETS_READ)
    if len(asset_filter.content_types) > _MOST_TYPES:
        raise Invalid(f"A filter names at most {_MOST_TYPES} content types.", path=("filter", "contentTypes"))
    select, values = table.listed(asset_filter)
    async with stores.read(scope) as read:
        return await page(read, select, ("created_at", "asset_id"), window, table.asset, **values)


async def download(stores: Stores, rules: AssetRules, scope: Scope, asset_id: str) -> str:
    """A presigned address of a sealed asset, journalled before it is handed out.

    Raises NotFound, Conflict for an asset that is not sealed, Halted when the object store is: whoever has an address
    asks us no more where it leads to an object server.
    """
    scope.require(Permission.ASSETS_DOWNLOAD)
    await switches.require(stores, scope, None, switches.OBJECTS)
    async with stores.read(scope) as read:
        row = await read.row(table.FIND, asset_id=asset_id)
    if row is None or row["state"] == AssetState.PURGED:
        raise NotFound("asset")
    asset = table.asset(row)
    if asset.state is not AssetState.SEALED:
        raise Conflict("The asset is not sealed yet.", hint="Upload and seal it first.")
    detail = redact({"input": {"seconds": rules.address_seconds}, "output": {"size": asset.size}})
    event = Event("asset.downloaded", "asset", asset_id, detail, asset.handling)
    await stores.record(scope, RunKind.READ, event)
    return await read.blobs.download(
        asset.object_key,
        filename=asset.filename,
        content_type=asset.content_type,
        expires_at=read.now + timedelta(seconds=rules.address_seconds),
    )
