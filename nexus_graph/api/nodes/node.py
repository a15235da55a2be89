"""`node` and `nodes`: anything with an id, fetched again by it."""

from __future__ import annotations

import asyncio
from typing import Annotated

import strawberry

from nexus_graph.api.context import Info
from nexus_graph.api.fields import read
from nexus_graph.api.nodes.assets import Asset
from nexus_graph.api.nodes.atoms import Atom
from nexus_graph.api.nodes.cards import Card, CardVersion
from nexus_graph.api.nodes.exports import TrainingExport
from nexus_graph.api.nodes.locks import StrategyLock
from nexus_graph.api.nodes.packs import InfluencePack
from nexus_graph.api.nodes.runs import ResearchRun
from nexus_graph.api.scalars import Node
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.permission import Permission

MOST_NODES = 100


@strawberry.type
class NodeQuery:
    """Object identification."""

    @read(Permission.VIEWER_READ, "Anything by its id; null when there is none here that you may see.")
    async def node(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> Node | None:
        """One node."""
        return await _find(info, str(id))

    @read(Permission.VIEWER_READ, "Several at once, at most 100, in the order of the ids; null where there is none.")
    async def nodes(
        self, info: Info, ids: Annotated[list[strawberry.ID], strawberry.argument(description="Their ids.")]
    ) -> list[Node | None]:
        """Several nodes."""
        if len(ids) > MOST_NODES:
            raise Invalid(f"At most {MOST_NODES} ids at once, not {len(ids)}.", path=("ids",))
        return await asyncio.gather(*[_find(info, str(node_id)) for node_id in ids])


async def _find(info: Info, node_id: str) -> Node | None:
    context = info.context
    loaders, scope = context.loaders, context.scope
    kind = node_id.partition("_")[0]
    if kind == "card" and ":" in node_id:
        card_id, _, version = node_id.partition(":")
        known = version.isdecimal() and len(version) < 10 and scope.may(Permission.CARDS_READ)
        card = await loaders.card_versions.load((card_id, int(version))) if known else None
        return CardVersion.of(card) if card else None
    if kind == "card" and scope.may(Permission.CARDS_READ):
        card = await loaders.cards.load(node_id)
        return Card.of(card) if card else None
    if kind == "asset" and scope.may(Permission.ASSETS_READ):
        asset = await loaders.assets.load(node_id)
        return Asset.of(asset) if asset else None
    if kind == "atom" and scope.may(Permission.ATOMS_READ):
        atom = await loaders.atoms.load(node_id)
        return Atom.of(atom) if atom else None
    if kind == "lock" and scope.may(Permission.LOCKS_READ):
        lock = await loaders.locks.load(node_id)
        return StrategyLock.of(lock) if lock else None
    if kind == "pack" and scope.may(Permission.PACKS_READ):
        pack = await loaders.packs.load(node_id)
        return InfluencePack.of(pack) if pack else None
    if kind == "export" and scope.may(Permission.EXPORTS_READ):
        export = await loaders.exports.load(node_id)
        return TrainingExport.of(export) if export else None
    if kind == "run" and scope.may(Permission.RUNS_READ):
        run = await loaders.runs.load(node_id)
        return ResearchRun.of(run) if run else None
    return None
