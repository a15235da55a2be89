"""Parts: assets that were found inside others, such as what came with an e-mail. Lineage, both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry

from nexus_graph import assets
from nexus_graph.api.context import Info
from nexus_graph.api.fields import link
from nexus_graph.api.paging import Connection
from nexus_graph.scope.errors import NotFound
from nexus_graph.scope.permission import Permission

if TYPE_CHECKING:
    from nexus_graph.api.nodes.assets import Asset


@strawberry.type(description="An asset that was found inside another one, such as a file that came with an e-mail.")
class AssetPart:
    """A part."""

    place: str = strawberry.field(description="Where it was found, as a reader of the file would say.")
    filename: str = strawberry.field(description="What it is called there.")
    asset_id: strawberry.Private[str]
    parent_id: strawberry.Private[str]

    @classmethod
    def of(cls, part: assets.AssetPart) -> AssetPart:
        """From the room's value."""
        return cls(place=part.place, filename=part.filename, asset_id=part.asset_id, parent_id=part.parent_id)

    @link(
        Permission.ASSETS_READ,
        "The asset that was found.",
        lambda loaders: loaders.assets,
        lambda own: own.asset_id,
    )
    def asset(self, found: assets.Asset | None) -> Annotated[Asset, strawberry.lazy("nexus_graph.api.nodes.assets")]:
        """Lineage forwards; all assets of the operation at once."""
        return _asset(found)

    @link(
        Permission.ASSETS_READ,
        "The asset that it was found in.",
        lambda loaders: loaders.assets,
        lambda own: own.parent_id,
    )
    def parent(self, found: assets.Asset | None) -> Annotated[Asset, strawberry.lazy("nexus_graph.api.nodes.assets")]:
        """Lineage backwards; all assets of the operation at once."""
        return _asset(found)


def _asset(found: assets.Asset | None) -> Asset:
    from nexus_graph.api.nodes.assets import Asset

    if found is None:
        raise NotFound("asset")
    return Asset.of(found)


async def page_of_parts(
    info: Info, asset_id: str, first: int | None, after: str | None, last: int | None, before: str | None
) -> Connection[AssetPart]:
    """A page of what was found inside an asset."""
    context = info.context
    cursors = context.house.cursors.list_of(context.scope, "parts", asset_id)
    window = cursors.window(first, after, last, before)
    return cursors.connection(await assets.parts(context.house.stores, context.scope, asset_id, window), AssetPart.of)


async def page_of_parents(
    info: Info, asset_id: str, first: int | None, after: str | None, last: int | None, before: str | None
) -> Connection[AssetPart]:
    """A page of where an asset was found."""
    context = info.context
    cursors = context.house.cursors.list_of(context.scope, "part of", asset_id)
    window = cursors.window(first, after, last, before)
    return cursors.connection(await assets.part_of(context.house.stores, context.scope, asset_id, window), AssetPart.of)
