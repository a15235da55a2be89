"""The follower that derives atoms from what was sealed, and ends the run in which it was."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from nexus_graph import assets
from nexus_graph.assets import Asset
from nexus_graph.atoms.deriving import Derived, keep, keep_outcome, open_asset, read, told, with_attachments
from nexus_graph.atoms.outcome import Outcome, of_refusal, without_recipe
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
    """Why an asset has no atoms: `atoms.skipped`, or `atoms.refused`, which fails the run.

    `outcome` is kept with the asset; None when that is gone.
    """

    action: str
    detail: dict[str, Json]
    outcome: Outcome | None


def follower(sandbox: Sandbox) -> Follower:
    """Derives atoms from every sealed asset with the usual recipe of its kind.

    A file that no recipe reads is skipped; one that can't be read within the limits is refused, and its run fails.
    """

    async def deed(stores: Stores, scope: Scope, entries: Sequence[Entry]) -> None:
        waiting = await _waiting(stores, scope, entries)
        # Read side by side, kept in the order in which they were sealed.
        outcomes = await asyncio.gather(*(_read(stores, sandbox, scope, sealed.asset) for sealed in waiting))
        for sealed, outcome in zip(waiting, outcomes, strict=True):
            if isinstance(outcome, Derived):
                whole = await with_attachments(stores, scope, outcome)
                await keep(stores, scope, whole, run_id=sealed.run_id)
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
        return _Without("atoms.skipped", {"reason": "the asset is gone"}, None)
    recipe, kind = None, None
    try:
        opened = await open_asset(stores, scope, asset)
        kind = opened.kind
        recipe = recipe_for(kind)
        if recipe is None:
            outcome = without_recipe(kind, stores.clock())
            return _Without("atoms.skipped", told(outcome), outcome)
        return await read(stores, sandbox, opened, recipe, {})
    except (Invalid, Conflict) as error:
        outcome = of_refusal(error, recipe, kind, stores.clock())
        detail: dict[str, Json] = {"op": outcome.op, "opVersion": outcome.op_version}
        return _Without(
            "atoms.refused", {**detail, **told(outcome), "code": error.code, "message": str(error)}, outcome
        )


async def _tell(stores: Stores, scope: Scope, sealed: _Sealed, without: _Without) -> None:
    refused = without.action == "atoms.refused"
    event = Event(
        without.action,
        "asset",
        sealed.entry.subject_id,
        redact({"input": {"seq": sealed.entry.seq}, "output": without.detail}),
        sealed.entry.handling,
        Severity.ERROR if refused else Severity.INFO,
        RunStatus.FAILED if refused else RunStatus.SUCCEEDED,
    )
    async with stores.work(scope, RunKind.DERIVE, run_id=sealed.run_id) as work:
        if without.outcome is not None:
            await keep_outcome(work, sealed.entry.subject_id, without.outcome)
        work.record(event)
