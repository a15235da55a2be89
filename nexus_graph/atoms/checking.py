"""Prove that atoms are what was derived, and derive again those that are not.

An atom holds when its text has its digest and its id follows from asset, recipe, parameters and span; a derivation
holds when it has as many atoms as the journal tells. Damaged and missing atoms come out of the raw bytes again, as long
as the recipe is still at the version that made them.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

import orjson

from nexus_graph import assets
from nexus_graph.assets import Asset
from nexus_graph.atoms import table
from nexus_graph.atoms.deriving import Derived, open_asset, read
from nexus_graph.atoms.model import Params, Span, atom_id
from nexus_graph.atoms.recipes import RECIPES
from nexus_graph.atoms.sandbox import Sandbox
from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.errors import Conflict, Forbidden, Invalid
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Role, Scope
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.statement import Value
from nexus_graph.stores.work import Stores, Work

_TEXTS: Final = 64
_AT_ONCE: Final = 1000

Looked = Callable[[int], None]
"""Told how many more atoms were looked at."""


@dataclass(frozen=True, slots=True, order=True)
class _Derivation:
    """What the journal tells of a derivation. `params` is canonical JSON, as rows keep it."""

    asset_id: str
    op: str
    op_version: str
    params: str


@dataclass(frozen=True, slots=True)
class _Damage:
    """`atoms`: damaged ones by the asset that they name; `derivations`: all that may give them, or have lost some."""

    atoms: dict[str, set[str]] = field(default_factory=dict)
    derivations: set[_Derivation] = field(default_factory=set)


async def check(
    stores: Stores, sandbox: Sandbox, scope: Scope, *, repair: bool = False, looked: Looked | None = None
) -> list[str]:
    """One line for each atom that is not what was derived, and for each derivation with another number of atoms.

    With `repair`, derive those again and write their rows anew. For the engine itself (the command line): raises
    Forbidden; Unavailable when files can't be read now.
    """
    if scope.role is not Role.SYSTEM:
        raise Forbidden("Only the engine itself checks atoms.", hint="Use the command line.")
    damage = _Damage()
    faults = [
        *await _look_at_atoms(stores, scope, damage, looked),
        *await _look_at_derivations(stores, scope, damage),
    ]
    if repair:
        await _mend(stores, sandbox, scope, damage)
    return faults


async def _look_at_atoms(stores: Stores, scope: Scope, damage: _Damage, looked: Looked | None) -> list[str]:
    faults: list[str] = []
    after = ""
    while True:
        async with stores.read(scope) as snapshot:
            rows = await snapshot.rows(table.WHOLE_ATOMS, after=after, most=_TEXTS)
        if not rows:
            return faults
        for row in rows:
            if reason := _fault(row):
                faults.append(f"atom {row['atom_id']}: {reason}")
                damage.atoms.setdefault(row["asset_id"], set()).add(row["atom_id"])
        after = rows[-1]["atom_id"]
        if looked is not None:
            looked(len(rows))


def _fault(row: Row) -> str | None:
    if row["asset_sha256"] is None:
        return "its asset is gone"
    if not isinstance(row["text"], str) or sha256(row["text"].encode()) != row["digest"]:
        return "its text does not have its digest"
    try:
        params, span = orjson.loads(row["params"]), Span(**orjson.loads(row["span"]))
        named = atom_id(row["asset_sha256"], row["op"], row["op_version"], params, span)
    except (ValueError, TypeError):
        named = None
    return None if row["atom_id"] == named else "its id does not follow from its asset, recipe and place"


async def _look_at_derivations(stores: Stores, scope: Scope, damage: _Damage) -> list[str]:
    """Compare what the journal tells with the rows; note the derivations of assets with damaged atoms."""
    faults: dict[str, None] = {}
    after = 0
    while True:
        async with stores.read(scope) as snapshot:
            events = await snapshot.rows(table.DERIVATIONS, after=after, most=_AT_ONCE)
            if not events:
                return [*faults]
            ids = [event["asset_id"] for event in events]
            counted = await snapshot.rows(table.COUNTS, asset_ids=ids)
        kept = {_Derivation(*(row[name] for name in _Derivation.__slots__)): row["atoms"] for row in counted}
        for derivation, atoms in filter(None, map(_told, events)):
            found = kept.get(derivation, 0)
            if found != atoms:
                faults[f"asset {derivation.asset_id}: {found} of {atoms} atoms of {derivation.op} are here"] = None
            if found != atoms or derivation.asset_id in damage.atoms:
                damage.derivations.add(derivation)
        after = events[-1]["seq"]


def _told(event: Row) -> tuple[_Derivation, int] | None:
    """The derivation that an event tells of, and its number of atoms; None of what was erased."""
    try:
        payload = orjson.loads(event["payload"] or "")
        told, atoms = payload["input"], int(payload["output"]["atoms"])
        params = table.parameters(told["params"])
        return _Derivation(event["asset_id"], str(told["op"]), str(told["opVersion"]), params), atoms
    except (ValueError, TypeError, KeyError):
        return None


async def _mend(stores: Stores, sandbox: Sandbox, scope: Scope, damage: _Damage) -> None:
    """Derive again all that is damaged, and then forget what no derivation of its asset gave."""
    left = {atom for atoms in damage.atoms.values() for atom in atoms}
    whole: dict[str, Asset] = {}
    lost: set[str] = set()  # assets of which something can't be derived again
    for derivation in sorted(damage.derivations):
        derived = await _derive(stores, sandbox, scope, derivation)
        if derived is None:
            lost.add(derivation.asset_id)
        else:
            whole[derivation.asset_id] = derived.asset
            left -= await _write(stores, scope, derived, left)
    for asset_id in sorted(whole.keys() - lost):
        if strangers := damage.atoms.get(asset_id, set()) & left:
            async with stores.work(scope, RunKind.DERIVE) as work:
                await _forget(work, strangers)
                _record(work, whole[asset_id], 0, len(strangers))


async def _derive(stores: Stores, sandbox: Sandbox, scope: Scope, derivation: _Derivation) -> Derived | None:
    recipe = RECIPES.get(derivation.op)
    asset = (await assets.fetch(stores, scope, [derivation.asset_id])).get(derivation.asset_id)
    if recipe is None or recipe.version != derivation.op_version or asset is None:
        return None
    params: Params = orjson.loads(derivation.params)
    try:
        return await read(stores, sandbox, await open_asset(stores, scope, asset), recipe, params)
    except (Invalid, Conflict):
        return None


async def _write(stores: Stores, scope: Scope, derived: Derived, damaged: AbstractSet[str]) -> set[str]:
    """Give a derivation the atoms that it has: write damaged and missing ones, forget others. Returns their ids."""
    recipe = derived.recipe
    given = {str(row["atom_id"]) for row in derived.rows}
    own: dict[str, Value] = {"asset_id": derived.asset.asset_id, "op": recipe.op, "op_version": recipe.version}
    async with stores.work(scope, RunKind.DERIVE) as work:
        rows = await work.rows(table.KEPT, **own, params=table.parameters(derived.params))
        kept = {row["atom_id"] for row in rows}
        wrong = [row for row in derived.rows if row["atom_id"] in damaged or row["atom_id"] not in kept]
        for start in range(0, len(wrong), _AT_ONCE):
            await work.write_many(table.PUT, wrong[start : start + _AT_ONCE])
        await _forget(work, kept - given)
        _record(work, derived.asset, len(wrong), len(kept - given))
    return given


async def _forget(work: Work, ids: AbstractSet[str]) -> None:
    await work.write_many(table.FORGET, [{"atom_id": atom} for atom in sorted(ids)])


def _record(work: Work, asset: Asset, written: int, forgotten: int) -> None:
    detail = redact({"output": {"written": written, "forgotten": forgotten}})
    work.record(Event("atoms.repaired", "asset", asset.asset_id, detail, asset.handling))
