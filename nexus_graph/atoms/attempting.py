"""Derive as the engine does by itself: whatever comes of it is told, and kept with the asset."""

from __future__ import annotations

from dataclasses import dataclass

from nexus_graph.assets import Asset
from nexus_graph.atoms.deriving import Derived, keep_outcome, open_asset, read, stale_others, told
from nexus_graph.atoms.outcome import Outcome, of_refusal, without_recipe
from nexus_graph.atoms.recipes import recipe_for
from nexus_graph.atoms.sandbox import Sandbox
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Conflict, Invalid
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import Redacted
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunStatus, Severity
from nexus_graph.stores.work import Stores, Work


@dataclass(frozen=True, slots=True)
class Without:
    """Why an asset has no new atoms: `atoms.skipped`, or `atoms.refused`, which fails the run.

    `outcome` is kept with the asset; None when that is gone.
    """

    action: str
    detail: dict[str, Json]
    outcome: Outcome | None


async def attempt(stores: Stores, sandbox: Sandbox, scope: Scope, asset: Asset) -> Derived | Without:
    """Read an asset with the usual recipe of its kind; nothing is kept yet. Raises Halted, Unavailable."""
    recipe, kind = None, None
    try:
        opened = await open_asset(stores, scope, asset)
        kind = opened.kind
        recipe = recipe_for(kind)
        if recipe is None:
            outcome = without_recipe(kind, stores.clock())
            return Without("atoms.skipped", told(outcome), outcome)
        return await read(stores, sandbox, opened, recipe, {})
    except (Invalid, Conflict) as error:
        outcome = of_refusal(error, recipe, kind, stores.clock())
        detail: dict[str, Json] = {"op": outcome.op, "opVersion": outcome.op_version}
        return Without("atoms.refused", {**detail, **told(outcome), "code": error.code, "message": str(error)}, outcome)


async def tell(without: Without, asset_id: str, detail: Redacted, handling: Handling, work: Work) -> None:
    """Keep the outcome of a file that has no new atoms, and tell it."""
    refused = without.action == "atoms.refused"
    event = Event(
        without.action,
        "asset",
        asset_id,
        detail,
        handling,
        Severity.ERROR if refused else Severity.INFO,
        RunStatus.FAILED if refused else RunStatus.SUCCEEDED,
    )
    if without.outcome is not None:
        await keep_outcome(work, asset_id, without.outcome)
        await stale_others(work, asset_id, without.outcome)
    work.record(event)
