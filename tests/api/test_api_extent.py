"""A document is measured in linear time, and refused when it asks for too much."""

from __future__ import annotations

import pytest
from graphql import parse, validate
from graphql.type import GraphQLSchema

from nexus_graph.api.extent import DEEPEST, MOST_ALIASES, MOST_FIELDS, BoundedExtent
from nexus_graph.api.schema import build
from nexus_graph.scope.errors import Invalid

VIEWER = "fragment Last on Query { viewer { role } }"


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    """The server's schema."""
    return build()._schema


def refusal(schema: GraphQLSchema, document: str) -> str:
    """Why a document is too large; empty when it is not."""
    try:
        validate(schema, parse(document), [BoundedExtent])
    except Invalid as error:
        return error.message
    return ""


def chain(length: int, spreads: int) -> str:
    """Fragments that each spread the next one so many times."""
    links = [
        f"fragment F{place} on Query {{ {f'...F{place + 1} ' * spreads} }}" if place < length - 1 else VIEWER
        for place in range(length)
    ]
    return "{ ...F0 } " + " ".join(links).replace(f"...F{length - 1} ", "...Last ")


def test_fragments_that_double_are_refused_at_once(schema: GraphQLSchema) -> None:
    """Sixty fragments, each spreading the next one twice, would be 2^60 fields."""
    assert f"{MOST_FIELDS:,} fields" in refusal(schema, chain(60, 2))


def test_a_long_chain_of_fragments_is_measured(schema: GraphQLSchema) -> None:
    """As long as a document's tokens allow: four hundred fragments that lead to one field."""
    assert refusal(schema, chain(400, 1)) == ""


def test_unknown_and_circular_fragments_are_left_to_their_own_rules(schema: GraphQLSchema) -> None:
    """The measuring ends, and finds nothing to refuse."""
    assert refusal(schema, "{ ...Nowhere }") == ""
    assert refusal(schema, "{ ...A } fragment A on Query { ...B ...B } fragment B on Query { ...A ...A }") == ""


@pytest.mark.parametrize(
    ("most", "what", "document"),
    [
        (DEEPEST, "levels", lambda count: "{" + "a{" * count + "b" + "}" * count + "}"),
        (MOST_FIELDS, "fields", lambda count: "{" + "b " * count + "}"),
        (MOST_ALIASES, "aliases", lambda count: "{" + "".join(f"a{place}:b " for place in range(count)) + "}"),
    ],
)
def test_each_bound_is_exact(schema: GraphQLSchema, most: int, what: str, document: object) -> None:
    """The most is allowed and one more is not, also behind a fragment."""
    assert callable(document)
    assert refusal(schema, document(most)) == ""
    assert what in refusal(schema, document(most + 1))
    behind = "{ ...F } fragment F on Query " + document(most + 1)
    assert what in refusal(schema, behind)
