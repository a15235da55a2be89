"""What follows when the same file is brought in again under stricter labels: its descendants follow the asset.

No flip of a layer: reserving or sealing a duplicate makes the labels of the asset that is here stricter, and the room
of the assets knows nothing of what came of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from nexus_graph.safeguards import switches
from nexus_graph.safeguards.consent.changing import Steps, follow_labels
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.follower import Entry, Follower
from nexus_graph.stores.journal import RunKind
from nexus_graph.stores.work import Stores

FOLLOWER = "consent"


def follower(steps: Steps) -> Follower:
    """Re-evaluates once for every batch in which a duplicate was brought in."""

    async def deed(stores: Stores, scope: Scope, entries: Sequence[Entry]) -> None:
        duplicates = [entry for entry in entries if _is_duplicate(entry)]
        if duplicates:
            async with stores.work(scope, RunKind.ADMIN) as work:
                await follow_labels(work, steps, duplicates[-1].subject_kind, duplicates[-1].subject_id)

    return Follower(FOLLOWER, ("asset.reserved", "asset.purged"), deed, halted=switches.halts(FOLLOWER))


def _is_duplicate(entry: Entry) -> bool:
    output = (entry.payload or {}).get("output", {})
    return bool(output.get("duplicate")) or output.get("reason") == "duplicate"
