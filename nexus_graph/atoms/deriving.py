"""Derive: from the bytes of a sealed asset to atoms, all of them or none."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from email.message import Message
from typing import Any

from nexus_graph import assets, safeguards
from nexus_graph.assets import Asset, AssetState
from nexus_graph.atoms import table
from nexus_graph.atoms.attaching import attach
from nexus_graph.atoms.model import Attachment, Params, Reading, Recipe
from nexus_graph.atoms.outcome import Outcome, of_reading, unread, without
from nexus_graph.atoms.recipes import Kind, kind_of, recipe_for, recipe_named
from nexus_graph.atoms.sandbox import Sandbox, unless_short
from nexus_graph.safeguards import Deed, switches
from nexus_graph.scope.canonical import Json, sha256
from nexus_graph.scope.errors import Conflict, Invalid, NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import find, redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.blobs.base import ScopedBlobs
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.statement import Value
from nexus_graph.stores.work import Stores, Work

_AT_ONCE = 1000
_SHORT = 2**20  # bytes that are hashed in a millisecond or two


@dataclass(frozen=True, slots=True)
class Derivation:
    """What a derivation came to: how many atoms it has, how many of them are new, how many older ones went stale.

    `attached` is how many attachments of the file are here as its parts.
    """

    asset_id: str
    op: str
    op_version: str
    atoms: int
    made: int
    staled: int
    attached: int = 0


@dataclass(frozen=True, slots=True)
class Opened:
    """The bytes of a sealed asset, and what kind of file they are."""

    asset: Asset
    data: bytes
    kind: Kind


@dataclass(frozen=True, slots=True)
class Derived:
    """Atoms that are not kept yet, as rows, and what was found out on the way. `encoding` is None for a binary file.

    `attachments` are not kept yet either; `attached` is how many are.
    """

    asset: Asset
    recipe: Recipe
    params: Params
    rows: Sequence[dict[str, Value]]
    outcome: Outcome
    pii_flags: tuple[str, ...]
    encoding: str | None
    guessed: bool
    attachments: Sequence[Attachment] = ()
    attached: int = 0


async def derive(
    stores: Stores,
    sandbox: Sandbox,
    scope: Scope,
    asset_id: str,
    op: str | None,
    params: Params,
    *,
    once: Once | None = None,
) -> Derivation:
    """Derive atoms from a sealed asset with the recipe `op`, or the usual one of its kind. Twice changes nothing.

    Attachments of the file are kept as assets of their own. Raises NotFound; Conflict for an asset that is not sealed
    or whose bytes are lost; Invalid for an unknown recipe or parameter and for a file that can't be read within the
    limits; Unavailable. Nothing is kept in these cases.
    """
    scope.require(Permission.ATOMS_DERIVE)
    asset = (await assets.fetch(stores, scope, [asset_id])).get(asset_id)
    if asset is None:
        raise NotFound("asset")
    named = None if op is None else recipe_named(op)
    opened = await open_asset(stores, scope, asset)
    recipe = named or recipe_for(opened.kind)
    if recipe is None:
        hint = "Name one in op; `recipes` lists them."
        raise Invalid(f"No text can be read: {unread(opened.kind)}.", hint=hint, path=("op",))
    derived = await read(stores, sandbox, opened, recipe, params)
    deed = Deed("deriveAtoms", Permission.ATOMS_DERIVE, provider=switches.OBJECTS)
    if derived.attachments:
        async with stores.read(scope) as snapshot:
            (await safeguards.decide(snapshot, deed)).require()
        derived = await with_attachments(stores, scope, derived)
    return await keep(stores, scope, derived, once, deed=deed)


async def with_attachments(stores: Stores, scope: Scope, derived: Derived) -> Derived:
    """Keep the attachments of what was derived; the outcome tells what could not be kept. Raises as `attach` does."""
    attached, unkept = await attach(stores, scope, derived.asset, derived.recipe, derived.attachments)
    if not unkept:
        return replace(derived, attachments=(), attached=attached)
    outcome = without(derived.outcome, derived.recipe, unkept)
    flags = tuple(sorted({*derived.pii_flags, *(finding.kind for finding in find(outcome.reason or ""))}))
    return replace(derived, attachments=(), attached=attached, outcome=outcome, pii_flags=flags)


async def open_asset(stores: Stores, scope: Scope, asset: Asset) -> Opened:
    """The bytes of an asset. Raises Conflict when it is not sealed or its bytes are lost, Halted, Unavailable."""
    if asset.state is not AssetState.SEALED:
        raise Conflict("The asset is not sealed yet.", hint="Upload and seal it first.")
    data = await raw_bytes(stores, scope, asset)
    if data is None:
        raise Conflict("The object store no longer holds the bytes that were sealed.", hint="Restore the object.")
    return Opened(asset, data, kind_of(data, asset.filename, asset.content_type))


async def read(stores: Stores, sandbox: Sandbox, opened: Opened, recipe: Recipe, params: Params) -> Derived:
    """The atoms of an asset, read in the sandbox and kept nowhere.

    What the kind suggests, and the charset of the content type, are parameters unless others are given. Raises Invalid,
    Unavailable.
    """
    params = {**recipe.hints.get(opened.kind.media_type, {}), **params}
    declared = charset(opened.asset.content_type)
    if declared is not None and "charset" in recipe.parameters:
        params = {"charset": declared, **params}
    params = recipe.complete(params)
    reading = await sandbox.derive(recipe.op, opened.data, params)
    return await unless_short(len(reading.drafts), _derived, opened, recipe, params, reading, stores.clock())


async def raw_bytes(stores: Stores, scope: Scope, asset: Asset) -> bytes | None:
    """The bytes that were sealed; None when the object store holds nothing or something else in their place.

    Raises Halted when the object store is halted.
    """
    await switches.require(stores, scope, None, switches.OBJECTS)
    try:
        data = await ScopedBlobs(stores.blobs, scope).read(asset.object_key)
    except NotFound:
        return None
    found = await asyncio.to_thread(sha256, data) if len(data) > _SHORT else sha256(data)
    return data if found == asset.sha256 else None


def charset(content_type: str) -> str | None:
    """The charset that a content type declares, or None."""
    message = Message()
    message["content-type"] = content_type
    return message.get_content_charset() or None


async def keep(
    stores: Stores,
    scope: Scope,
    derived: Derived,
    once: Once | None = None,
    *,
    deed: Deed | None = None,
) -> Derivation:
    """Keep what was derived, in one transaction. Ends the run.

    `deed` is what somebody asked for, None when the engine derives by itself. Raises NotFound for an asset that went
    away, and what the safeguards refuse.
    """
    async with stores.work(scope, RunKind.DERIVE, once=once) as work:
        earlier: Any = await work.earlier_answer()
        if earlier is not None:
            return Derivation(**earlier)
        if deed is not None:
            await safeguards.enforce(work, deed)
        derivation = await add(derived, work)
        await work.keep_answer(asdict(derivation))
    return derivation


async def add(derived: Derived, work: Work) -> Derivation:
    """Add new atoms, mark those of other versions of the recipe as stale, keep the outcome, and tell it all.

    The asset's labels take on what was found in its atoms. Raises NotFound for an asset that went away.
    """
    asset_id, recipe = derived.asset.asset_id, derived.recipe
    own: dict[str, Value] = {"asset_id": asset_id, "op": recipe.op, "op_version": recipe.version}
    asset = await assets.label(work, asset_id, Handling(derived.pii_flags, train_ok=True))
    made = await _add(work, own, derived, asset.handling.train_ok)
    staled = await stale_others(work, asset_id, derived.outcome)
    derivation = Derivation(asset_id, recipe.op, recipe.version, len(derived.rows), made, staled, derived.attached)
    await keep_outcome(work, asset_id, derived.outcome)
    work.record(Event("atoms.derived", "asset", asset_id, redact(_told(derived, derivation)), asset.handling))
    return derivation


async def keep_outcome(work: Work, asset_id: str, outcome: Outcome) -> None:
    """Make this the outcome of the asset's last derivation."""
    await work.write(table.PUT_OUTCOME, asset_id=asset_id, **table.outcome_values(outcome, work.now))


async def stale_others(work: Work, asset_id: str, outcome: Outcome) -> int:
    """Mark the atoms that other versions of the recipe made as stale, and its own as current. How many went stale."""
    if outcome.op is None:
        return 0
    own: dict[str, Value] = {"asset_id": asset_id, "op": outcome.op, "op_version": outcome.op_version}
    if not await work.value(table.MISLABELLED, **own):
        return 0
    return sum(bool(row["stale"]) for row in await work.write(table.RELABEL, **own))


async def _add(work: Work, own: Mapping[str, Value], derived: Derived, train_ok: bool) -> int:
    # Consent is what the asset's is in this transaction, whatever it was when the file was read.
    kept = await work.rows(table.KEPT, **own, params=table.parameters(derived.params))
    known = {row["atom_id"] for row in kept}
    new = [{**row, "train_ok": train_ok} for row in derived.rows if row["atom_id"] not in known]
    for start in range(0, len(new), _AT_ONCE):
        await work.write_many(table.ADD, new[start : start + _AT_ONCE])
    return len(new)


def _derived(opened: Opened, recipe: Recipe, params: Params, reading: Reading, now: datetime) -> Derived:
    asset = opened.asset
    outcome = of_reading(reading, recipe, opened.kind, now)
    flags = {flag for found in reading.pii_flags for flag in found}
    flags |= {finding.kind for finding in find(outcome.reason or "")}
    decoded = None if recipe.decode is None else recipe.decode(opened.data, params)
    return Derived(
        asset=asset,
        recipe=recipe,
        params=params,
        rows=table.new_rows(asset, recipe, params, reading, now),
        outcome=outcome,
        pii_flags=tuple(sorted(flags)),
        encoding=None if decoded is None else decoded.encoding,
        guessed=decoded is not None and decoded.guessed,
        attachments=reading.attachments,
    )


def _told(derived: Derived, derivation: Derivation) -> Json:
    output: dict[str, Json] = {"atoms": derivation.atoms, "made": derivation.made, "staled": derivation.staled}
    output |= told(derived.outcome)
    if derivation.attached:
        output["attached"] = derivation.attached
    if derived.encoding is not None:
        output |= {"encoding": derived.encoding, "encodingGuessed": derived.guessed}
    return {
        "input": {"op": derivation.op, "opVersion": derivation.op_version, "params": dict(derived.params)},
        "output": output,
    }


def told(outcome: Outcome) -> dict[str, Json]:
    """An outcome as the journal tells it."""
    known: dict[str, Json] = {"state": outcome.state.value, "reason": outcome.reason}
    if outcome.kind is not None:
        known |= {"mediaType": outcome.kind.media_type, "mediaTypeReason": outcome.kind.reason}
    left_out: dict[str, Json] = {omitted.what: omitted.count for omitted in outcome.left_out}
    return known | {"leftOut": left_out}
