"""Keep: bytes at hand become sealed assets, many at a time, without an upload.

Objects come before rows: first all of them are stored, then all assets are reserved and sealed in one transaction, each
of them whole or not at all. A crash between the two leaves objects that no asset knows, and the sweep takes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from nexus_graph.assets import model, table
from nexus_graph.assets.model import Asset, AssetRules, Reservation
from nexus_graph.assets.parts import PartOf
from nexus_graph.assets.reserving import declare
from nexus_graph.assets.sealing import confirm
from nexus_graph.safeguards import switches
from nexus_graph.scope.errors import Invalid, NexusError
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.blobs.base import ScopedBlobs, Stat
from nexus_graph.stores.journal import RunKind
from nexus_graph.stores.work import Stores, Verb, Work

Kept = tuple[Asset, bool]
"""The asset that has the bytes, and whether it is new: False where they were here before."""


@dataclass(frozen=True, slots=True)
class AtHand:
    """Bytes, what is declared of them (`Reservation.of(data, ...)`), and where they were found, if inside an asset."""

    reservation: Reservation
    data: bytes = field(repr=False)
    part: PartOf | None = None


async def keep(
    stores: Stores,
    rules: AssetRules,
    scope: Scope,
    reservation: Reservation,
    data: bytes,
    *,
    part: PartOf | None = None,
) -> Kept:
    """Keep one file. Raises as `reserve` and `seal` do."""
    [kept] = await keep_all(stores, rules, scope, [AtHand(reservation, data, part)])
    if isinstance(kept, NexusError):
        raise kept
    return kept


async def keep_all(stores: Stores, rules: AssetRules, scope: Scope, files: Sequence[AtHand]) -> list[Kept | NexusError]:
    """Keep files: what each came to, in order. One that is refused does not stop the others.

    Raises Forbidden, Halted when the object store is, Unavailable; nothing is kept then.
    """
    scope.require(Permission.ASSETS_WRITE)
    await switches.require(stores, scope, None, switches.OBJECTS)
    judged = [_coming(file, rules, stores.new_id("asset")) for file in files]
    coming = [each for each in judged if isinstance(each, _Coming)]
    async with stores.read(scope) as read:
        rows = await read.rows(table.SEALED_ALREADY, sha256s=[each.reservation.sha256 for each in coming])
    here = {row["sha256"] for row in rows}
    new = [each for each in coming if each.reservation.sha256 not in here]
    blobs = ScopedBlobs(stores.blobs, scope)
    for each, stat in zip(
        new, await asyncio.gather(*(blobs.put(each.key, each.file.data) for each in new)), strict=True
    ):
        each.stored = stat
    results = iter(await stores.works(scope, RunKind.INGEST, [Verb(partial(_keep, rules, each)) for each in coming]))
    came_to = [next(results) if isinstance(each, _Coming) else each for each in judged]
    kept = {asset.asset_id for asset, is_new in (each for each in came_to if isinstance(each, tuple)) if is_new}
    await asyncio.gather(*(blobs.remove(each.key) for each in new if each.asset_id not in kept))
    return came_to


@dataclass(slots=True)
class _Coming:
    """A file on its way: a valid reservation, the id that it will have, and what was stored of it."""

    file: AtHand
    reservation: Reservation
    asset_id: str
    stored: Stat | None = None

    @property
    def key(self) -> str:
        return model.object_key(self.asset_id, self.reservation.filename)


def _coming(file: AtHand, rules: AssetRules, asset_id: str) -> _Coming | Invalid:
    try:
        return _Coming(file, model.validated(file.reservation, rules), asset_id)
    except Invalid as error:
        return error


async def _keep(rules: AssetRules, coming: _Coming, work: Work) -> Kept:
    part = coming.file.part
    asset, is_here = await declare(work, rules, coming.reservation, part, coming.asset_id, ends=None)
    return (asset, False) if is_here else (await confirm(work, asset, coming.stored, part), True)
