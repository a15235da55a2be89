"""Reserve: declare a file, get an address that takes exactly that file."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from nexus_graph import safeguards
from nexus_graph.assets import model, table
from nexus_graph.assets.labelling import label
from nexus_graph.assets.model import Asset, AssetRules, AssetState, Reservation, Reserved
from nexus_graph.assets.parts import PartOf, link, require_parent
from nexus_graph.safeguards import Deed, Resource
from nexus_graph.safeguards.switches import OBJECTS
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import Conflict
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.blobs.base import Upload
from nexus_graph.stores.journal import Event, RunKind, RunStatus
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Read, Stores, Work


async def reserve(
    stores: Stores,
    rules: AssetRules,
    scope: Scope,
    reservation: Reservation,
    *,
    once: Once | None = None,
) -> Reserved:
    """Reserve an asset of the declared size and checksum, with a presigned upload.

    Bytes that are sealed in this scope already answer with that asset and no upload; its labels become as strict as the
    reservation's. Other scopes are never looked at. Raises Invalid for what breaks a rule, Conflict for an idempotency
    key whose reservation has expired.
    """
    scope.require(Permission.ASSETS_WRITE)
    reservation = model.validated(reservation, rules)
    duplicate = False
    async with stores.work(scope, RunKind.INGEST, once=once) as work:
        if isinstance(answer := await work.earlier_answer(), dict):
            asset = await _again(work, str(answer["asset_id"]))
        else:
            asset, duplicate = await declare(work, rules, reservation, None, work.new_id("asset"))
            if not duplicate:
                await work.keep_answer({"asset_id": asset.asset_id})
    # Outside of the transaction, which must not wait for an object store's credentials. Nothing waits for the bytes of
    # what is here or of a rehearsal.
    waits = asset.state is AssetState.RESERVED and not duplicate and not scope.rehearsal
    return Reserved(asset, await _upload(work, asset) if waits else None, duplicate)


async def declare(
    work: Work,
    rules: AssetRules,
    reservation: Reservation,
    part: PartOf | None,
    asset_id: str,
    *,
    ends: RunStatus | None = RunStatus.SUCCEEDED,
) -> tuple[Asset, bool]:
    """The asset of a valid reservation, inside the work of whoever asks, and whether its bytes are sealed already.

    What is a `part` of another asset has that one's author, whoever asks. Raises what the safeguards refuse, and
    NotFound when the asset that it is a part of is gone.
    """
    allows = part is None or await require_parent(work, part)
    sealed = await work.row(table.FIND_SEALED, sha256=reservation.sha256)
    takes = {} if sealed else {Resource.STORED_BYTES: reservation.size, Resource.ASSETS: 1}
    deed = Deed("reserveAsset", Permission.ASSETS_WRITE, takes, handling=reservation.handling, provider=OBJECTS)
    handling = await safeguards.enforce(work, deed)
    if sealed is not None:
        return await _duplicate(work, table.asset(sealed), reservation, part), True
    rows = await work.write(
        table.ADD,
        asset_id=asset_id,
        filename=reservation.filename,
        content_type=reservation.content_type,
        media_type=model.media_type(reservation.content_type),
        size=reservation.size,
        sha256=reservation.sha256,
        captured_at=None if reservation.captured_at is None else micros(reservation.captured_at),
        capture_location=reservation.capture_location,
        source_ref=reservation.source_ref,
        pii_flags=table.flags(handling),
        declared_train_ok=reservation.train_ok,
        train_ok=handling.train_ok and allows,
        created_by=work.scope.principal.id if part is None else part.parent.created_by,
        created_at=micros(work.now),
        expires_at=micros(work.now + timedelta(seconds=rules.reservation_seconds)),
        object_key=model.object_key(asset_id, reservation.filename),
    )
    asset = table.asset(rows[0])
    work.record(replace(_event(asset, part, duplicate=False), ends=ends))
    return asset, False


async def _duplicate(work: Work, sealed: Asset, reservation: Reservation, part: PartOf | None) -> Asset:
    # Asking again finds it again: the answer needs no keeping, and nothing is written unless something is new.
    labelled = await label(work, sealed.asset_id, reservation.handling)
    linked = part is not None and await link(work, sealed.asset_id, part, reservation.filename, brought=False)
    if linked or labelled != sealed:
        work.record(_event(labelled, part, duplicate=True))
    return labelled


async def _again(work: Work, asset_id: str) -> Asset:
    row = await work.row(table.FIND, asset_id=asset_id)
    if row is not None and row["state"] == AssetState.PURGED and row["duplicate_of"] is not None:
        row = await work.row(table.FIND, asset_id=row["duplicate_of"])
    if row is None or row["state"] == AssetState.PURGED or _expired(work, table.asset(row)):
        raise Conflict("The reservation has expired.", hint="Reserve again with a fresh idempotency key.")
    return table.asset(row)


def _expired(read: Read, asset: Asset) -> bool:
    return asset.state is AssetState.RESERVED and asset.expires_at <= read.now


async def _upload(read: Read, asset: Asset) -> Upload:
    return await read.blobs.upload(
        asset.object_key,
        size=asset.size,
        sha256=asset.sha256,
        content_type=asset.content_type,
        expires_at=asset.expires_at,
    )


def _event(asset: Asset, part: PartOf | None, *, duplicate: bool) -> Event:
    declared: dict[str, Json] = {"content_type": asset.content_type, "sha256": asset.sha256, "size": asset.size}
    found = {} if part is None else part.told
    detail = redact({"input": declared | found, "output": {"duplicate": duplicate}})
    return Event("asset.reserved", "asset", asset.asset_id, detail, asset.handling)
