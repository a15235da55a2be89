"""Attach: what a recipe found whole inside a file becomes an asset of its own, a part of that one.

It has the author of the file, and says nothing of consent by itself: it follows the file. Its seal is told like any
other, so it is derived in its turn. Bytes that are here already become a part as they are. Doing it twice changes
nothing; after a crash, doing it again completes it. What can't be kept is told, and stops nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from nexus_graph import assets
from nexus_graph.assets import Asset, AssetRules, PartOf, Reservation
from nexus_graph.atoms.model import UNKEPT, Attachment, LeftOut, Omitted, Recipe, Telling
from nexus_graph.safeguards import switches
from nexus_graph.scope.errors import Conflict, Forbidden, Halted, Invalid, QuotaExceeded
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.work import Stores

_RESERVATION_SECONDS = 600
_LONGEST_REFERENCE = 2000
_LONGEST_PLACE = 80


async def attach(
    stores: Stores, scope: Scope, parent: Asset, recipe: Recipe, attachments: Sequence[Attachment]
) -> tuple[int, list[Omitted]]:
    """Keep attachments as parts of `parent`. Returns how many are here now, and what could not be kept, and why.

    A rehearsal keeps none. Raises NotFound when the parent is gone, Halted when the object store is, Unavailable.
    """
    unkept = Telling(recipe)
    if not attachments or scope.rehearsal:
        return 0, []
    await switches.require(stores, scope, None, switches.OBJECTS)
    async with stores.read(scope) as read:
        too_deep = await assets.depth(read, parent.asset_id) >= assets.DEEPEST
    kept = 0
    for position, found in enumerate(attachments):
        try:
            if too_deep:
                raise Invalid(f"It lies more than {assets.DEEPEST} files deep.")
            await _keep(stores, scope, PartOf(parent, position, found.place), found)
            kept += 1
        except (Conflict, Forbidden, Halted, Invalid, QuotaExceeded) as error:
            await switches.require(stores, scope, None, switches.OBJECTS)  # then it is not this file's doing
            unkept.add(LeftOut(UNKEPT, f"{_short(found.place)} could not be kept: {error.message.rstrip('.')}"))
    return kept, unkept.omitted()


async def _keep(stores: Stores, scope: Scope, part: PartOf, found: Attachment) -> None:
    parent = part.parent
    # Never larger than what it was found in, which was let in; and nobody else waits to upload it.
    rules = AssetRules(parent.size, _RESERVATION_SECONDS, _RESERVATION_SECONDS)
    reservation = Reservation.of(
        found.data,
        filename=found.filename,
        content_type=found.content_type,
        train_ok=True,
        captured_at=parent.captured_at,
        capture_location=parent.capture_location,
        source_ref=f"{parent.source_ref or parent.filename}: {found.place}"[:_LONGEST_REFERENCE],
    )
    await assets.keep(stores, rules, scope, reservation, found.data, part=part)


def _short(place: str) -> str:
    return place if len(place) <= _LONGEST_PLACE else f"{place[: _LONGEST_PLACE - 1]}…"
