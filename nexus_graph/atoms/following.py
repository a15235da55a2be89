"""The follower that derives atoms from what was sealed, and ends the run in which it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nexus_graph import assets
from nexus_graph.assets import Asset
from nexus_graph.atoms.deriving import Derived, keep, read
from nexus_graph.atoms.recipes import recipe_for
from nexus_graph.atoms.sandbox import Sandbox
from nexus_graph.safeguards import switches
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Conflict, Invalid
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.follower import Entry, Follower
from nexus_graph.stores.journal import Event, RunKind, RunStatus, Severity
from nexus_graph.stores.outcomes import outcomes
from nexus_graph.stores.work import Stores

FOLLOWER = "atoms"
_OUTCOMES = ("atoms.derived", "atoms.refused", "atoms.skipped")
_BATCH = 4  # files of one scope in a row: each may take as long as a derivation is allowed


@dataclass(frozen=True, slots=True)
class _Sealed:
    """An entry that waits for its outcome: the asset, None when that is gone, and the run that it belongs to."""

    entry: Entry
    asset: Asset | None
    run_id: str | None


@dataclass(frozen=True, slots=True)
class _Without:
    """Why an asset has no atoms: `atoms.skipped`, or `atoms.refused`, which fails the run."""

    action: str
    reason: Json


def follower(sandbox: Sandbox) -> Follower:
    """Derives atoms from every sealed asset with the default recipe of its type.

    A file that no recipe reads is skipped; one that can't be read within the limits is refused, and its run fails.
    """

    async def deed(stores: Stores, scope: Scope, entries: Sequence[Entry]) -> None:
        for sealed in await _waiting(stores, scope, entries):
            outcome = await _read(stores, sandbox, scope, sealed.asset)
            if isinstance(outcome, Derived):
                await keep(stores, scope, outcome, run_id=sealed.run_id)
            else:
                await _tell(stores, scope, sealed, outcome)

    return Follower(FOLLOWER, ("asset.sealed",), deed, batch=_BATCH, halted=switches.halts(FOLLOWER, switches.OBJECTS))


async def _waiting(stores: Stores, scope: Scope, entries: Sequence[Entry]) -> list[_Sealed]:
    """The entries whose outcome is not in their run yet. After a crash, entries come a second time."""
    async with stores.read(scope) as read:
        known = await outcomes(read, entries, _OUTCOMES)
    found = await assets.fetch(stores, scope, [entry.subject_id for entry in entries])
    return [
        _Sealed(entry, found.get(entry.subject_id), known.run_of(entry))
        for entry in entries
        if not known.is_told(entry)
    ]


async def _read(stores: Stores, sandbox: Sandbox, scope: Scope, asset: Asset | None) -> Derived | _Without:
    if asset is None:
        return _Without("atoms.skipped", {"reason": "the asset is gone"})
    recipe = recipe_for(asset.content_type, asset.filename)
    if recipe is None:
        return _Without("atoms.skipped", {"reason": "no recipe reads this type"})
    try:
        return await read(stores, sandbox, scope, asset, recipe, {})
    except (Invalid, Conflict) as error:
        detail = {"op": recipe.op, "opVersion": recipe.version, "code": error.code, "message": str(error)}
        return _Without("atoms.refused", detail)


async def _tell(stores: Stores, scope: Scope, sealed: _Sealed, outcome: _Without) -> None:
    refused = outcome.action == "atoms.refused"
    event = Event(
        outcome.action,
        "asset",
        sealed.entry.subject_id,
        redact({"input": {"seq": sealed.entry.seq}, "output": outcome.reason}),
        sealed.entry.handling,
        Severity.ERROR if refused else Severity.INFO,
        RunStatus.FAILED if refused else RunStatus.SUCCEEDED,
    )
    async with stores.work(scope, RunKind.DERIVE, run_id=sealed.run_id) as work:
        work.record(event)
