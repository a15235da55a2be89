"""What changed between two versions of a card."""

from __future__ import annotations

import strawberry

from nexus_graph import cards


@strawberry.type(description="A run of changed lines with their surroundings.")
class Hunk:
    """A hunk of a unified diff."""

    old_start: int = strawberry.field(description="First line in the old text, from 1.")
    old_count: int = strawberry.field(description="How many lines of the old text.")
    new_start: int = strawberry.field(description="First line in the new text, from 1.")
    new_count: int = strawberry.field(description="How many lines of the new text.")
    lines: list[str] = strawberry.field(description="Each line behind a space (kept), - (removed) or + (added).")


@strawberry.type(description="What changed between two versions, line by line.")
class CardDifference:
    """A textual diff."""

    text: str = strawberry.field(description="The whole difference in unified form.")
    hunks: list[Hunk] = strawberry.field(description="The same, in parts.")

    @classmethod
    def of(cls, difference: cards.Difference) -> CardDifference:
        """From the room's value."""
        return cls(
            text=difference.text,
            hunks=[
                Hunk(
                    old_start=hunk.old_start,
                    old_count=hunk.old_count,
                    new_start=hunk.new_start,
                    new_count=hunk.new_count,
                    lines=[f"{line.change.value}{line.text}" for line in hunk.lines],
                )
                for hunk in difference.hunks
            ],
        )
