"""Check: every sealed asset still has its object, byte for byte, and its parts. And how much room the assets take.

An object without an asset is no fault: a crash may leave one, and the sweep takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nexus_graph.assets import table
from nexus_graph.assets.model import AssetFilter, AssetState
from nexus_graph.assets.reading import list_assets
from nexus_graph.safeguards import Resource
from nexus_graph.safeguards.quotas import Held
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.blobs.base import ScopedBlobs, Stat
from nexus_graph.stores.paging import Window
from nexus_graph.stores.work import Read, Stores

_BATCH = 500

Looked = Callable[[int], None]
"""Told how many more assets were looked at."""


async def check(stores: Stores, scope: Scope, *, looked: Looked | None = None) -> list[str]:
    """One line for each sealed asset whose object is missing or is not what was sealed, and for each part that is gone.

    Reads every such object.
    """
    blobs = ScopedBlobs(stores.blobs, scope)
    faults: list[str] = []
    window: Window | None = Window(_BATCH)
    while window is not None:
        page = await list_assets(stores, scope, AssetFilter(states=(AssetState.SEALED,)), window)
        for asset in page.items:
            found = await blobs.measure(asset.object_key)
            if found is None:
                faults.append(f"asset {asset.asset_id}: its object is missing")
            elif found != Stat(asset.size, asset.sha256):
                faults.append(f"asset {asset.asset_id}: its object is not the bytes that were sealed")
            if looked is not None:
                looked(1)
        window = Window(_BATCH, after=page.keys[-1]) if page.has_next else None
    async with stores.read(scope) as read:
        lost = await read.rows(table.LOST_PARTS)
    for part in lost:
        gone = "what it is a part of" if part["is_here"] else "its asset"
        faults.append(f"asset {part['parent_id']}, part {part['position']}: {gone} is gone")
    return faults


async def held(read: Read) -> Mapping[Resource, Held]:
    """What the rows of the assets add up to: used when sealed, reserved before."""
    [row] = await read.rows(table.HELD)
    assets, used = int(row["assets"]), int(row["bytes"])
    return {
        Resource.ASSETS: Held(assets, int(row["all_assets"]) - assets),
        Resource.STORED_BYTES: Held(used, int(row["all_bytes"]) - used),
    }
