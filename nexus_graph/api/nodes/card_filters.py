"""The one filter by which lists, searches and packs choose among cards."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import strawberry
from strawberry.scalars import JSON

from nexus_graph.api.scalars import LARGEST_INTEGER, described
from nexus_graph.cards import ArtifactKind, CardFilter, Comparison, FieldCondition
from nexus_graph.scope.errors import Invalid

described(ArtifactKind, "What a card cites.", {"ASSET": "A raw asset.", "ATOM": "A piece derived from one."})
described(
    Comparison,
    "How a header field is compared.",
    {
        "EQUALS": "With exactly one value.",
        "IN": "With any of 1 to 64 values.",
        "RANGE": "With a lower and an upper bound, both included; either may be null.",
    },
)


@strawberry.input(description="A condition on a filterable header field.")
class FieldConditionInput:
    """One condition."""

    field: str = strawberry.field(description="The header field, as the card type's manifest names it.")
    comparison: Comparison = strawberry.field(description="How to compare.")
    values: list[JSON | None] = strawberry.field(description="One value, several, or a lower and an upper bound.")


@strawberry.input(description="Which cards: all conditions together. Unknown fields are refused.")
class CardFilterInput:
    """The one filter over cards."""

    types: list[str] | None = strawberry.field(default=None, description="Of any of these card types.")
    labels: list[str] | None = strawberry.field(default=None, description="With all of these labels.")
    created_from: datetime | None = strawberry.field(default=None, description="Created at or after.")
    created_to: datetime | None = strawberry.field(default=None, description="Created before.")
    artifact_kinds: list[ArtifactKind] | None = strawberry.field(default=None, description="Citing any of these kinds.")
    fields: list[FieldConditionInput] | None = strawberry.field(
        default=None, description="Conditions on header fields."
    )
    include_retired: bool = strawberry.field(default=False, description="Retired cards too; never in search.")


def card_filter(given: CardFilterInput | None) -> CardFilter:
    """The room's filter. Raises Invalid for values that are lists or objects, and for numbers that JSON can't say."""
    if given is None:
        return CardFilter()
    conditions = []
    for position, condition in enumerate(given.fields or ()):
        values: list[Any] = list(condition.values)
        path = ("filter", "fields", position, "values")
        if not all(value is None or isinstance(value, (str, int, float, bool)) for value in values):
            raise Invalid("A field is compared with strings, numbers or booleans.", path=path)
        if any(isinstance(value, (int, float)) and not _exact(value) for value in values):
            raise Invalid("A number is finite, and a whole one has at most 53 bits.", path=path)
        conditions.append(FieldCondition(condition.field, condition.comparison, tuple(values)))
    return CardFilter(
        types=tuple(given.types or ()),
        labels=tuple(given.labels or ()),
        created_from=given.created_from,
        created_to=given.created_to,
        artifact_kinds=tuple(dict.fromkeys(given.artifact_kinds or ())),
        fields=tuple(conditions),
        include_retired=given.include_retired,
    )


def _exact(value: int | float) -> bool:
    return abs(value) <= LARGEST_INTEGER if isinstance(value, int) else math.isfinite(value)
