"""Labels of an asset grow: kinds of personal data add up, and what is declared only gets stricter here."""

from __future__ import annotations

from nexus_graph.assets import parts, table
from nexus_graph.assets.model import Asset
from nexus_graph.scope.errors import NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.stores.work import Work


async def label(work: Work, asset_id: str, handling: Handling) -> Asset:
    """Make an asset's labels at least as strict as what `handling` declares, inside the work of whoever found out.

    To add kinds of personal data alone, give a handling that consents. Raises NotFound.
    """
    row = await work.row(table.FIND, asset_id=asset_id)
    if row is None or row["state"] == "PURGED":
        raise NotFound("asset")
    asset = table.asset(row)
    if set(handling.pii_flags) <= set(asset.handling.pii_flags) and (handling.train_ok or not asset.declared_train_ok):
        return asset
    held = table.asset((await work.write(table.HOLD, asset_id=asset_id))[0])  # nobody else labels it until the commit
    flags = table.flags(held.handling & handling)
    rows = await work.write(table.LABEL, asset_id=asset_id, pii_flags=flags, train_ok=handling.train_ok)
    if not handling.train_ok:
        await parts.withhold(work, asset_id)  # from what was found in it as well
    return table.asset(rows[0])
