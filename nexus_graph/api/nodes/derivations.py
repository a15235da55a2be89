"""What became of an asset when it was read: whether its text is in its atoms, and what was left out."""

from __future__ import annotations

from datetime import datetime

import strawberry

from nexus_graph.api.scalars import described
from nexus_graph.atoms import DerivationState, Outcome

STATES = {
    "NOT_ASKED": "Nobody has read it yet.",
    "NO_RECIPE": "No recipe reads files of its kind.",
    "NO_TEXT": "It was read, and no text was found in it; the reason says why.",
    "PARTLY_READ": "Its text is in its atoms but for what the reason names.",
    "DONE": "All of its text is in its atoms.",
    "REFUSED": "It could not be read, and nothing new is in its atoms; the reason says why.",
}

described(DerivationState, "How much of an asset's text is in its atoms.", STATES)


@strawberry.type(description="What a recipe met in a file and did not read.")
class LeftOut:
    """An omission."""

    what: str = strawberry.field(description="What it is, in the recipe's words, such as `textless page`.")
    places: list[str] = strawberry.field(description="Where, as a reader of the file would say; the first 20 places.")
    count: int = strawberry.field(description="How often.")
    intended: bool = strawberry.field(
        description="Whether a reader of the file does not see it either, such as hidden text."
    )


@strawberry.type(description="The outcome of the last derivation of an asset.")
class AssetDerivation:
    """An outcome."""

    state: DerivationState = strawberry.field(description="How much of the text is in the atoms.")
    reason: str | None = strawberry.field(description="Why not all; null when NOT_ASKED or DONE.")
    left_out: list[LeftOut] = strawberry.field(description="What was met and not read.")
    media_type: str | None = strawberry.field(
        description="The kind that was decided from bytes, name and declared type; null before it was looked at."
    )
    media_type_reason: str | None = strawberry.field(description="What decided the kind, and what was overruled.")
    op: str | None = strawberry.field(description="The recipe that was used; null where there was none.")
    op_version: str | None = strawberry.field(description="Its version.")
    outdated: bool = strawberry.field(
        description="Whether deriving again may give something else: its recipe has a new version, or there is one now."
    )
    atoms: int = strawberry.field(description="How many atoms came of it.")
    derived_at: datetime | None = strawberry.field(description="When it was read last; null when NOT_ASKED.")

    @classmethod
    def of(cls, outcome: Outcome) -> AssetDerivation:
        """From the room's value."""
        return cls(
            state=outcome.state,
            reason=outcome.reason,
            left_out=[
                LeftOut(
                    what=omitted.what,
                    places=[*omitted.places],
                    count=omitted.count,
                    intended=outcome.intends(omitted),
                )
                for omitted in outcome.left_out
            ],
            media_type=outcome.kind.media_type if outcome.kind else None,
            media_type_reason=outcome.kind.reason if outcome.kind else None,
            op=outcome.op,
            op_version=outcome.op_version,
            outdated=outcome.outdated,
            atoms=outcome.atoms,
            derived_at=outcome.at,
        )
