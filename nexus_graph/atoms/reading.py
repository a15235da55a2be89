"""Read atoms: by id, and those of an asset. Journalled before they are handed over, one event for each call."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import and_

from nexus_graph import assets
from nexus_graph.atoms import table
from nexus_graph.atoms.model import Atom
from nexus_graph.atoms.outcome import Outcome
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import NotFound
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.paging import Page, Window, page
from nexus_graph.stores.work import Stores

_AT_ONCE = 1000
_MOST_TOLD = 100


async def fetch(stores: Stores, scope: Scope, ids: Sequence[str]) -> dict[str, Atom]:
    """The atoms of these ids, by id, stale ones too. What is unknown, foreign or purged is not in it."""
    scope.require(Permission.ATOMS_READ)
    wanted = [*dict.fromkeys(ids)]
    found: dict[str, Atom] = {}
    async with stores.read(scope) as read:
        for start in range(0, len(wanted), _AT_ONCE):
            rows = await read.rows(table.FIND_MANY, atom_ids=wanted[start : start + _AT_ONCE])
            found |= {row["atom_id"]: table.atom(row) for row in rows}
    atoms = {atom_id: found[atom_id] for atom_id in wanted if atom_id in found}
    await _record_read(stores, scope, [*atoms.values()])
    return atoms


async def stale(stores: Stores, scope: Scope, ids: Sequence[str]) -> dict[str, bool]:
    """Those of the atoms that a newer version of their recipe has replaced, each with True. Serves no content."""
    scope.require(Permission.ATOMS_READ)
    found: dict[str, bool] = {}
    async with stores.read(scope) as read:
        for start in range(0, len(ids), _AT_ONCE):
            rows = await read.rows(table.STALE, atom_ids=[*ids[start : start + _AT_ONCE]])
            found |= {row["atom_id"]: True for row in rows}
    return found


async def outcomes(stores: Stores, scope: Scope, asset_ids: Sequence[str]) -> dict[str, Outcome]:
    """What became of these assets when they were read last, by id; those that nobody has read are not in it."""
    scope.require(Permission.ATOMS_READ)
    found: dict[str, Outcome] = {}
    async with stores.read(scope) as read:
        for start in range(0, len(asset_ids), _AT_ONCE):
            rows = await read.rows(table.OUTCOMES, asset_ids=[*asset_ids[start : start + _AT_ONCE]])
            found |= {row["asset_id"]: table.outcome(row) for row in rows}
    return found


async def outdated(stores: Stores, scope: Scope, *, every: bool = False) -> list[str]:
    """The ids of the assets that may give something else when derived again; of all that were read, with `every`."""
    scope.require(Permission.ATOMS_READ)
    found: list[str] = []
    after = ""
    while True:
        async with stores.read(scope) as read:
            rows = await read.rows(table.EVERY_OUTCOME, after=after, most=_AT_ONCE)
        if not rows:
            return found
        found += [row["asset_id"] for row in rows if every or table.outcome(row).outdated]
        after = rows[-1]["asset_id"]


async def of_asset(stores: Stores, scope: Scope, asset_id: str, window: Window, *, stale: bool = False) -> Page[Atom]:
    """The atoms of an asset, derivation by derivation in the order of the file; with `stale`, outdated ones too.

    Raises NotFound.
    """
    scope.require(Permission.ATOMS_READ)
    if not await assets.fetch(stores, scope, [asset_id]):
        raise NotFound("asset")
    select = table.OF_ASSET if stale else table.FRESH_OF_ASSET
    async with stores.read(scope) as read:
        atoms = await page(read, select, table.ORDER, window, table.atom, descending=False, asset_id=asset_id)
    await _record_read(stores, scope, atoms.items)
    return atoms


async def _record_read(stores: Stores, scope: Scope, atoms: Sequence[Atom]) -> None:
    if not atoms:
        return
    named: list[Json] = [atom.id for atom in atoms[:_MOST_TOLD]]
    handling = reduce(and_, (atom.handling for atom in atoms))
    detail = redact({"input": {"atoms": named, "count": len(atoms)}})
    await stores.record(scope, RunKind.READ, Event("atoms.read", "atom", atoms[0].id, detail, handling))
