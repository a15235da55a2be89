"""A document is measured in linear time, and refused when it is too large in any way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from graphql import GraphQLSchema, OperationDefinitionNode, parse

from nexus_graph.api.operations import extent
from nexus_graph.api.operations.extent import require_bounded
from nexus_graph.api.operations.lists import require_bounded_lists
from nexus_graph.api.schema import built
from nexus_graph.scope.errors import Invalid

VIEWER = "fragment Last on Query { viewer { role } }"


def refusal(document: str) -> str:
    """Why a document is too large; empty when it is not."""
    try:
        require_bounded(parse(document))
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


def test_fragments_that_double_are_refused_at_once() -> None:
    """Fifty fragments, each spreading the next one twice, would be 2^50 fields."""
    assert f"{extent.MOST_FIELDS:,} fields" in refusal(chain(50, 2))


def test_unknown_and_circular_fragments_are_left_to_their_own_rules() -> None:
    """The measuring ends, and finds nothing to refuse."""
    assert refusal("{ ...Nowhere }") == ""
    assert refusal("{ ...A } fragment A on Query { ...B ...B } fragment B on Query { ...A ...A }") == ""


def many(piece: str, count: int) -> str:
    """So many pieces, each with its number for #."""
    return " ".join(piece.replace("#", str(place)) for place in range(count))


BOUNDS: dict[str, tuple[int, Callable[[int], str]]] = {
    "levels of fields": (extent.DEEPEST, lambda count: "{" + "a{" * count + "b" + "}" * count + "}"),
    "levels of selections": (
        extent.DEEPEST_SELECTION,
        lambda count: "{ ... " * (count - 1) + "{ b }" + " }" * (count - 1),
    ),
    "levels of brackets": (
        extent.DEEPEST_BRACKETS,
        lambda count: "{ a(b: " + "[" * (count - 2) + "]" * (count - 2) + ") }",
    ),
    "fields": (extent.MOST_FIELDS, lambda count: "{" + "b " * count + "}"),
    "aliases": (extent.MOST_ALIASES, lambda count: "{" + many("a#:b", count) + "}"),
    "operations": (extent.MOST_OPERATIONS, lambda count: many("query Q# { b }", count)),
    "fragments.": (extent.MOST_FRAGMENTS, lambda count: "{ b }" + many("fragment F# on A { b }", count)),
    "fragment is spread": (extent.MOST_SPREADS, lambda count: "{ b " + "...F " * count + "}"),
    "inline": (extent.MOST_SPREADS, lambda count: "{" + "... { b } " * count + "}"),
    "variables": (extent.MOST_VARIABLES, lambda count: "query Q(" + many("$a#: A", count) + ") { b }"),
    "declared or used": (extent.MOST_USES, lambda count: "{ b(" + "c: $a " * count + ") }"),
    "A document has at most 100 directives": (
        extent.MOST_DIRECTIVES,
        lambda count: "{" + "b @c " * count + "}",
    ),
    "of one field": (extent.MOST_DIRECTIVES_OF_ONE, lambda count: "{ b " + "@c " * count + "}"),
    "of one operation": (extent.MOST_DIRECTIVES_OF_ONE, lambda count: "query Q " + "@c " * count + "{ b }"),
    "of one variable": (extent.MOST_DIRECTIVES_OF_ONE, lambda count: "query Q($a: A " + "@c " * count + ") { b }"),
    "of one fragment": (
        extent.MOST_DIRECTIVES_OF_ONE,
        lambda count: "{ ...F } fragment F on A { ...G " + "@c " * count + "}",
    ),
    "A name": (extent.LONGEST_NAME, lambda count: "{ " + "n" * count + " }"),
    "A number": (extent.LONGEST_NUMBER, lambda count: "{ b(c: " + "9" * count + ") }"),
    "an exponent": (extent.LONGEST_NUMBER, lambda count: "{ b(c: 1e" + "9" * (count - 2) + ") }"),
    "items": (extent.MOST_LISTED, lambda count: "{ b(c: {d: [" + "1 " * count + "]}) }"),
    "items of a default": (extent.MOST_LISTED, lambda count: "query Q($a: [A] = [" + "1 " * count + "]) { b }"),
}
"""Each way to be large: the most that is allowed, and a document with so many."""


@pytest.mark.parametrize("what", BOUNDS)
def test_each_bound_is_exact(what: str) -> None:
    """The most is allowed and one more is not."""
    most, document = BOUNDS[what]
    assert refusal(document(most)) == ""
    assert f"{most:,}" in refusal(document(most + 1))


@pytest.mark.parametrize("what", ["levels of fields", "levels of selections", "fields", "aliases"])
def test_a_fragment_hides_nothing(what: str) -> None:
    """What is behind a fragment counts wherever that is spread."""
    most, document = BOUNDS[what]
    behind = f"{{ ...F }} fragment F on Query {document(most + 1)}"
    assert f"{most:,}" in refusal(behind)


@pytest.fixture(scope="module")
def graph() -> GraphQLSchema:
    """The server's schema."""
    return built().graph


def list_refusal(graph: GraphQLSchema, declared: str, value: Any) -> str:
    """Why a variable is too long; empty when it is not."""
    [operation] = parse(f"query Q($a: {declared}) {{ __typename }}").definitions
    assert isinstance(operation, OperationDefinitionNode)
    try:
        require_bounded_lists(graph, operation, {"a": value})
    except Invalid as error:
        return error.message
    return ""


def test_a_list_in_a_variable_is_bounded(graph: GraphQLSchema) -> None:
    """Its own items and those of any member; free JSON is one value, and what is no list is left to its type."""
    most = [1] * extent.MOST_LISTED
    for declared, wrapped in (
        ("[ID!]!", lambda items: items),
        ("CardFilterInput", lambda items: {"types": items}),
        ("AppendSessionInput!", lambda items: {"sessionId": "s", "entries": items}),
        ("CardFilterInput", lambda items: {"fields": [{"values": items}]}),
    ):
        assert list_refusal(graph, declared, wrapped(most)) == ""
        assert "1,001 items" in list_refusal(graph, declared, wrapped([*most, 1]))
    assert list_refusal(graph, "AppendRunLogInput!", {"data": {"free": [*most, 1]}}) == ""
    for value in (None, "x", {"types": 7}, {"fields": {"values": None}}):
        assert list_refusal(graph, "CardFilterInput", value) == ""
