"""Scalars, enums with described values, and the Node interface: what every file of `nodes` is written with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, NewType, TypeVar

import strawberry

from nexus_graph.api.strawberry_inside import ScalarDefinition, describe_values
from nexus_graph.scope.errors import Invalid

LARGEST_INTEGER = 2**53 - 1

Values = TypeVar("Values", bound=type[Enum])

BigInt = NewType("BigInt", int)

IdempotencyKey = Annotated[
    str | None,
    strawberry.argument(description="Send the same key again to get the same answer without doing it twice."),
]


@strawberry.interface(description="Anything that has an id and can be fetched again by it.")
class Node:
    """The Relay node interface (relay.dev/graphql/objectidentification.htm)."""

    id: strawberry.ID = strawberry.field(description="Opaque and stable. Good in its own tenant and env only.")


def described(values: Values, description: str, meanings: Mapping[str, str], name: str | None = None) -> Values:
    """Make a Python enum a GraphQL enum whose every value is described. Raises KeyError for a value that isn't.

    `name` says of which room it is, where its own name is clear inside that room only.
    """
    describe_values(strawberry.enum(values, name=name, description=description), meanings)
    return values


SCALARS: dict[object, ScalarDefinition] = {
    BigInt: strawberry.scalar(
        name="BigInt",
        description="A whole number of at most 53 bits, as a JSON number: sizes in bytes, journal positions.",
        serialize=int,
        parse_value=lambda value: _whole(value),
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description="Date with time (isoformat)",
        serialize=datetime.isoformat,
        parse_value=lambda value: _instant(value),
    ),
}


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST_INTEGER:
        raise Invalid(f"A whole number from -{LARGEST_INTEGER} to {LARGEST_INTEGER} is needed.")
    return value


def _instant(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is not None and moment.utcoffset() is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Invalid("A time is RFC 3339 with an offset from UTC.", hint="For example 2026-11-01T09:30:00Z.")
