"""Verify: does an atom still follow from the raw bytes?"""

from __future__ import annotations

from dataclasses import dataclass

from nexus_graph import assets
from nexus_graph.atoms import deriving, recipes, table
from nexus_graph.atoms.model import Atom
from nexus_graph.atoms.sandbox import Sandbox
from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.errors import Conflict, NotFound
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunKind, Severity
from nexus_graph.stores.work import Stores


@dataclass(frozen=True, slots=True)
class AtomVerification:
    """Two digests: of the text that is kept, and of the atom of this id that the bytes give now, if any."""

    matches: bool
    expected: str
    found: str | None


async def verify(stores: Stores, sandbox: Sandbox, scope: Scope, atom_id: str) -> AtomVerification:
    """Derive an atom again from the raw bytes, with its own recipe and parameters, and compare. Changes nothing.

    Raises NotFound; Conflict when the recipe has moved on to another version; Unavailable.
    """
    scope.require(Permission.ATOMS_READ)
    async with stores.read(scope) as read:
        row = await read.row(table.FIND_MANY, atom_ids=[atom_id])
    if row is None:
        raise NotFound("atom")
    atom = table.atom(row)
    found = await _found(stores, sandbox, scope, atom)
    expected = sha256(atom.text.encode())
    outcome = AtomVerification(expected == found == atom.digest, expected, found)
    detail = redact({"output": {"matches": outcome.matches, "expected": expected, "found": found}})
    severity = Severity.INFO if outcome.matches else Severity.ERROR
    await stores.record(scope, RunKind.READ, Event("atoms.verified", "atom", atom.id, detail, atom.handling, severity))
    return outcome


async def _found(stores: Stores, sandbox: Sandbox, scope: Scope, atom: Atom) -> str | None:
    """The digest of the atom of this id that comes out of the raw bytes, or None."""
    recipe = recipes.RECIPES.get(atom.op)
    if recipe is None or recipe.version != atom.op_version:
        here = "no longer here" if recipe is None else f"at version {recipe.version} now"
        raise Conflict(
            f"The atom was made by {atom.op} at version {atom.op_version}, which is {here}.",
            hint="Derive the asset again, and verify an atom that is not stale.",
        )
    asset = (await assets.fetch(stores, scope, [atom.asset_id])).get(atom.asset_id)
    if asset is None:
        raise NotFound("atom")
    if await deriving.raw_bytes(stores, scope, asset) is None:
        return None
    opened = await deriving.open_asset(stores, scope, asset)
    derived = await deriving.read(stores, sandbox, opened, recipe, atom.params)
    return next((str(row["digest"]) for row in derived.rows if row["atom_id"] == atom.id), None)
