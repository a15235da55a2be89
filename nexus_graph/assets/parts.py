"""Parts: assets that were found inside other assets, such as what came with an e-mail. One may hang on several.

Consent comes down: an asset that is a part never has more of it than each of those that it is a part of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nexus_graph.assets import table
from nexus_graph.assets.model import Asset, AssetState
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import NotFound
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.paging import Page, Window, page
from nexus_graph.stores.work import Read, Stores, Work

DEEPEST = 16
"""Generations of parts. What lies deeper is not kept."""

_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class PartOf:
    """Where bytes were found: the asset, the position among its parts from 0, and the place in a reader's words."""

    parent: Asset
    position: int
    place: str

    @property
    def told(self) -> dict[str, Json]:
        """The same, as the journal tells it: without the place, which holds a name."""
        return {"parent": self.parent.asset_id, "part": self.position}


@dataclass(frozen=True, slots=True)
class AssetPart:
    """An asset that is a part of another one. `filename` is what it is called there."""

    parent_id: str
    position: int
    asset_id: str
    place: str
    filename: str


async def parts(stores: Stores, scope: Scope, asset_id: str, window: Window) -> Page[AssetPart]:
    """What was found inside an asset, in the order of the file; nothing for one that is not here."""
    scope.require(Permission.ASSETS_READ)
    async with stores.read(scope) as read:
        return await page(read, table.PARTS, ("part.position",), window, _part, descending=False, asset_id=asset_id)


async def part_of(stores: Stores, scope: Scope, asset_id: str, window: Window) -> Page[AssetPart]:
    """Where an asset was found, by the ids of those assets; nothing for one that is not here."""
    scope.require(Permission.ASSETS_READ)
    order = ("part.parent_id", "part.position")
    async with stores.read(scope) as read:
        return await page(read, table.PART_OF, order, window, _part, descending=False, asset_id=asset_id)


async def count_parts(stores: Stores, scope: Scope, asset_ids: Sequence[str]) -> dict[str, int]:
    """How many parts each of these assets has, by id; those without any are not in it."""
    scope.require(Permission.ASSETS_READ)
    found: dict[str, int] = {}
    async with stores.read(scope) as read:
        for start in range(0, len(asset_ids), _AT_ONCE):
            rows = await read.rows(table.COUNT_PARTS, parent_ids=[*asset_ids[start : start + _AT_ONCE]])
            found |= {row["parent_id"]: row["parts"] for row in rows}
    return found


async def depth(read: Read, asset_id: str) -> int:
    """How many generations of assets an asset lies in, at most `DEEPEST`."""
    return int(await read.value(table.PART_DEPTH, asset_id=asset_id, deepest=DEEPEST))


async def require_parent(read: Read, part: PartOf) -> bool:
    """Whether the asset that a part was found in allows training, as things stand. Raises NotFound when it is gone."""
    row = await read.row(table.FIND, asset_id=part.parent.asset_id)
    if row is None or row["state"] != AssetState.SEALED:
        raise NotFound("asset")
    return bool(row["train_ok"])


async def link(work: Work, asset_id: str, part: PartOf, filename: str, *, brought: bool) -> bool:
    """Note that a sealed asset is a part of another one. Its consent follows. Returns whether that was not known."""
    allows = await require_parent(work, part)
    known = await work.row(table.FIND_PART, parent_id=part.parent.asset_id, position=part.position)
    told = (asset_id, part.place, filename)
    if known is not None and (known["asset_id"], known["place"], known["filename"]) == told:
        return False
    await work.write(
        table.PUT_PART,
        parent_id=part.parent.asset_id,
        position=part.position,
        asset_id=asset_id,
        place=part.place,
        filename=filename,
        brought=brought or (known is not None and known["asset_id"] == asset_id and bool(known["brought"])),
    )
    if not allows:
        await withhold(work, asset_id)
    return True


async def withhold(work: Work, asset_id: str) -> None:
    """Take the effective consent from an asset and from all that was found in it."""
    await work.write(table.WITHHOLD, asset_id=asset_id)


def _part(row: Row) -> AssetPart:
    return AssetPart(row["parent_id"], row["position"], row["asset_id"], row["place"], row["filename"])
