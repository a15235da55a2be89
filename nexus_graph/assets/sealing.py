"""Seal: from here on an asset is evidence. The store, not the caller, says what was uploaded."""

from __future__ import annotations

from nexus_graph import safeguards
from nexus_graph.assets import table
from nexus_graph.assets.labelling import label
from nexus_graph.assets.model import Asset, AssetState
from nexus_graph.assets.parts import PartOf, link
from nexus_graph.safeguards import Deed, quotas
from nexus_graph.safeguards.switches import OBJECTS
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import Conflict, NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.blobs.base import Stat
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Read, Stores, Work


async def seal(stores: Stores, scope: Scope, asset_id: str, *, once: Once | None = None) -> Asset:
    """Seal an uploaded asset, once the store has confirmed its size and checksum. Sealing again changes nothing.

    When the same bytes were sealed meanwhile under another id, the answer is that asset, and this reservation is
    purged. Raises NotFound, and Conflict when nothing or something else was uploaded or the reservation has expired;
    nothing is sealed then.
    """
    scope.require(Permission.ASSETS_WRITE)
    async with stores.read(scope) as read:
        row = await read.row(table.FIND, asset_id=asset_id)
    reserved = row is not None and row["state"] == AssetState.RESERVED
    found = await read.blobs.stat(row["object_key"]) if row is not None and reserved else None
    async with stores.work(scope, RunKind.INGEST, once=once) as work:
        if isinstance(answer := await work.earlier_answer(), dict):
            return await _visible(work, str(answer["asset_id"]))
        asset = await _visible(work, asset_id)
        if asset.state is AssetState.SEALED:
            return asset
        kept = await confirm(work, asset, found, None)
        await work.keep_answer({"asset_id": kept.asset_id})
    if kept.asset_id != asset.asset_id:
        await work.blobs.remove(asset.object_key)
    return kept


async def confirm(work: Work, asset: Asset, found: Stat | None, part: PartOf | None) -> Asset:
    """Seal a reserved asset of which the store holds `found`, inside the work of whoever asks.

    The answer is the asset that has these bytes, if another one was first. It becomes a `part` in the same transaction.
    Raises Conflict as `seal` does, what the safeguards refuse, NotFound when the asset that it is a part of is gone.
    """
    _check(work, asset, found)
    await safeguards.enforce(work, Deed("sealAsset", Permission.ASSETS_WRITE, provider=OBJECTS))
    first = await work.row(table.FIND_SEALED, sha256=asset.sha256)
    kept = await _keep(work, asset, part) if first is None else await _yield(work, asset, first["asset_id"])
    if part is not None:
        await link(work, kept.asset_id, part, asset.filename, brought=first is None)
    return kept


async def _visible(read: Read, asset_id: str) -> Asset:
    row = await read.row(table.FIND, asset_id=asset_id)
    if row is not None and row["duplicate_of"] is not None:
        row = await read.row(table.FIND, asset_id=row["duplicate_of"])
    if row is None or row["state"] == AssetState.PURGED:
        raise NotFound("asset")
    return table.asset(row)


def _check(work: Work, asset: Asset, found: Stat | None) -> None:
    if asset.expires_at <= work.now:
        raise Conflict("The reservation has expired.", hint="Reserve again, upload and seal in time.")
    if found is None:
        raise Conflict("Nothing was uploaded yet.", hint="Send the file to the upload address first.")
    if found != Stat(asset.size, asset.sha256):
        what = "size" if found.size != asset.size else "checksum"
        raise Conflict(
            f"The {what} of the uploaded object is not the declared one.", hint="Reserve again and upload the file."
        )


async def _keep(work: Work, asset: Asset, part: PartOf | None) -> Asset:
    sealed = table.asset((await work.write(table.SEAL, asset_id=asset.asset_id, now=micros(work.now)))[0])
    await quotas.settle(work, sealed.room)
    output: Json = {"content_type": sealed.content_type, "sha256": sealed.sha256, "size": sealed.size}
    detail = redact({"output": output} if part is None else {"input": part.told, "output": output})
    work.record(Event("asset.sealed", "asset", sealed.asset_id, detail, sealed.handling, ends=None))
    return sealed


async def _yield(work: Work, asset: Asset, first_id: str) -> Asset:
    first = await label(work, first_id, Handling(asset.handling.pii_flags, asset.declared_train_ok))
    await work.write(table.PURGE, asset_id=asset.asset_id, duplicate_of=first_id)
    await quotas.give_back(work, asset.room, settled=False)
    detail = redact({"output": {"duplicate_of": first_id, "reason": "duplicate"}})
    work.record(Event("asset.purged", "asset", asset.asset_id, detail, asset.handling))
    return first
