"""Attach: what a recipe found whole inside a file becomes an asset of its own, a part of that one.

It has the author of the file, and says nothing of consent by itself: it follows the file. Its seal is told like any
other, so it is derived in its turn. Bytes that are here already become a part as they are. Doing it twice changes
nothing; after a crash, doing it again completes it. What can't be kept is told, and stops nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from nexus_graph import assets
from nexus_graph.assets import Asset, AssetRules, AtHand, PartOf, Reservation
from nexus_graph.atoms.model import UNKEPT, Attachment, LeftOut, Omitted, Recipe, Telling
from nexus_graph.safeguards import switches
from nexus_graph.scope.errors import Conflict, Forbidden, Halted, Invalid, NexusError, QuotaExceeded
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
    # Never larger than what they were found in, which was let in; and nobody else waits to upload them.
    rules = AssetRules(parent.size, _RESERVATION_SECONDS, _RESERVATION_SECONDS)
    files = [_at_hand(PartOf(parent, position, found.place), found) for position, found in enumerate(attachments)]
    results: Sequence[assets.Kept | NexusError]
    try:
        if too_deep:
            raise Invalid(f"It lies more than {assets.DEEPEST} files deep.")
        results = await assets.keep_all(stores, rules, scope, files)
    except (Forbidden, Halted, Invalid) as error:
        results = [error] * len(files)
    kept = 0
    for found, result in zip(attachments, results, strict=True):
        if isinstance(result, Conflict | Forbidden | Halted | Invalid | QuotaExceeded):
            await switches.require(stores, scope, None, switches.OBJECTS)  # then it is not this file's doing
            unkept.add(LeftOut(UNKEPT, f"{_short(found.place)} could not be kept: {result.message.rstrip('.')}"))
        elif isinstance(result, NexusError):
            raise result
        else:
            kept += 1
    return kept, unkept.omitted()


def _at_hand(part: PartOf, found: Attachment) -> AtHand:
    parent = part.parent
    reservation = Reservation.of(
        found.data,
        filename=found.filename,
        content_type=found.content_type,
        train_ok=True,
        captured_at=parent.captured_at,
        capture_location=parent.capture_location,
        source_ref=f"{parent.source_ref or parent.filename}: {found.place}"[:_LONGEST_REFERENCE],
    )
    return AtHand(reservation, found.data, part)


def _short(place: str) -> str:
    return place if len(place) <= _LONGEST_PLACE else f"{place[: _LONGEST_PLACE - 1]}…"
