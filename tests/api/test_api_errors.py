"""Errors have one shape, tell what helps, hide what is ours, and are bounded in number and length."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from graphql import ExecutionResult, GraphQLError, GraphQLSchema, OperationDefinitionNode, build_schema, execute, parse
from graphql.execution.values import get_variable_values

from nexus_graph.api.errors import LONGEST_TEXT, MOST_ERRORS, MOST_FLAWS, MOST_LOCATIONS, formatted
from nexus_graph.api.operations import flaws
from nexus_graph.api.schema import built
from nexus_graph.scope.errors import NotFound, Throttled


@pytest.fixture(scope="module")
def graph() -> GraphQLSchema:
    """The server's schema."""
    return built().graph


def coerced(graph: GraphQLSchema, declared: str, value: Any, *, suggestions: bool = False) -> list[dict[str, Any]]:
    """What is told of a wrong variable."""
    [operation] = parse(f"query Q($a: {declared}) {{ __typename }}").definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert operation.variable_definitions
    found = get_variable_values(
        graph, operation.variable_definitions, {"a": value}, MOST_FLAWS, hide_suggestions=not suggestions
    )
    assert isinstance(found, list)
    return formatted(found, "trace")


def test_field_errors_are_cut_at_a_number() -> None:
    """The most is listed in full, one more is counted in a last error."""
    errors = [GraphQLError("No.", path=["cards", 0], original_error=NotFound("card"))] * (MOST_ERRORS + 7)
    whole, cut = formatted(errors[:MOST_ERRORS], "trace"), formatted(errors, "trace")
    assert len(whole) == MOST_ERRORS
    assert cut[:MOST_ERRORS] == whole
    assert len(cut) == MOST_ERRORS + 1
    assert cut[-1]["message"] == "7 more errors are not listed."
    assert set(cut[-1]["extensions"]) == {"code", "hint", "traceId"}


def test_flaws_are_cut_at_a_number(graph: GraphQLSchema) -> None:
    """Those of a document and of its variables, which are not even counted to the end."""
    assert len(formatted([GraphQLError("No.")] * MOST_FLAWS, "trace")) == MOST_FLAWS
    cut = formatted([GraphQLError("No.")] * 5000, "trace")
    assert (len(cut), cut[-1]["message"]) == (MOST_FLAWS + 1, "More is wrong than is listed.")
    cut = coerced(graph, "[Int!]", ["x"] * 1000)
    assert (len(cut), cut[-1]["message"]) == (MOST_FLAWS + 1, "More is wrong than is listed.")


def test_every_part_of_an_error_is_bounded() -> None:
    """Texts, path and places; the largest answer of errors stays below two megabytes."""
    source = "x\n" * 500
    nodes = [parse("{ a }", no_location=False)] * 50
    wild = GraphQLError("m" * 100_000, nodes, path=["p" * 100_000, 3], original_error=NotFound("k" * 100_000))
    told = formatted([wild] * 1000, "trace")
    first = told[0]
    assert len(first["message"]) == LONGEST_TEXT
    assert first["message"].endswith("…")
    assert len(first["path"][0]) == LONGEST_TEXT
    assert len(first["locations"]) <= MOST_LOCATIONS
    assert len(orjson.dumps(told)) < 2_000_000
    assert len(formatted([GraphQLError(source * 100)], "trace")[0]["message"]) == LONGEST_TEXT


def test_half_a_character_is_told_all_the_same(graph: GraphQLSchema) -> None:
    """No encoder takes one, so that it would be a defect."""
    for declared, value in (
        ("KillSwitchTarget", "\ud800"),
        ("CardFilterInput", {"\ud800": 1}),
        ("Int", "\udfff"),
    ):
        assert b"Variable '$a' has invalid value" in orjson.dumps(coerced(graph, declared, value))
    path = formatted([GraphQLError("\ud800", path=["\ud800"], original_error=NotFound("\ud800"))], "trace")
    assert orjson.dumps(path)


WRONG = [
    ("Int", "x", "Int cannot represent non-integer value."),
    ("Int", True, "Int cannot represent non-integer value."),
    ("Int", 2**40, "Int cannot represent non 32-bit signed integer value."),
    ("Int!", None, "Expected value of non-null type 'Int!' not to be null."),
    ("ID", {"secret": [None]}, "ID cannot represent value."),
    ("[String!]", [{}], "String cannot represent a non string value."),
    ("BigInt!", "x", "Expected value of type 'BigInt': A whole number from"),
    ("DateTime", "2020-01-01", "Expected value of type 'DateTime': A time is RFC 3339 with an offset from UTC."),
    ("CardFilterInput", "x", "Expected value of type 'CardFilterInput' to be an object."),
    ("CardFilterInput", {"typse": 1}, "not to include unknown field 'typse'."),
    ("InfluencePackInput!", {"k": 1}, "to include required field 'text'."),
    ("KillSwitchTarget", "EVERYTHIN", "Value 'EVERYTHIN' does not exist in 'KillSwitchTarget' enum."),
    ("KillSwitchTarget", {"a": 1}, "Enum 'KillSwitchTarget' cannot represent non-string value."),
]


@pytest.mark.parametrize(("declared", "value", "message"), WRONG)
def test_a_wrong_variable_is_told_in_our_words(graph: GraphQLSchema, declared: str, value: Any, message: str) -> None:
    """Which, where in it, and what is wrong: never the value as Python writes it, nor a text of the library's."""
    [error] = coerced(graph, declared, value)
    assert error["message"].startswith("Variable '$a' has invalid value")
    assert message in error["message"]
    assert error["extensions"]["code"] == "INVALID"
    assert error["extensions"]["hint"]
    for ours in ("None", "True", "{'", "secret", "encountered", "found"):
        assert ours not in error["message"]


def test_names_are_suggested_for_variables_only_when_told_to(graph: GraphQLSchema) -> None:
    """Of an input's members, and of an enum's values."""
    for declared, value, name in (
        ("CardFilterInput", {"typse": 1}, "types"),
        ("KillSwitchTarget", "EVERYTHIN", "EVERYTHING"),
    ):
        assert f"Did you mean '{name}'?" in coerced(graph, declared, value, suggestions=True)[0]["message"].replace(
            "the enum value ", ""
        )
        assert name not in coerced(graph, declared, value)[0]["message"].replace("EVERYTHIN'", "")


RESOLVED: list[tuple[str, Any]] = [
    ("Int!", None),
    ("Int", "a secret"),
    ("E", "a secret"),
    ("[Int]", "a secret"),
    ("U", {"a": "a secret"}),
    ("O", 7),
    ("String", {"a": "a secret"}),
]


@pytest.mark.parametrize(("kind", "value"), RESOLVED)
def test_what_the_library_says_of_our_answers_is_hidden(kind: str, value: Any) -> None:
    """Null where none may be, no number, no member of an enum, no list, a union that can't be told: defects of ours."""
    graph = build_schema(
        f"type Query {{ x: {kind} }} enum E {{ A }} type O {{ y: Int }} type P {{ y: Int! }} union U = O | P"
    )
    selected = " { __typename ... on O { y } }" if kind in "UO" else ""
    result = execute(graph, parse(f"{{ x{selected} }}"), {"x": value})
    assert isinstance(result, ExecutionResult)
    if kind == "O":  # a leaf below, of nothing
        assert result.errors is None
        return
    [error] = formatted(result.errors or [], "trace")
    assert error["message"] == "Something went wrong on our side."
    assert error["extensions"] == {"code": "INTERNAL", "hint": "Report the trace id trace.", "traceId": "trace"}
    assert "secret" not in str(error)


def test_an_argument_that_is_found_wrong_late_is_told() -> None:
    """A variable that is missing where an argument must have a value: the library sees it while it executes."""
    graph = build_schema("type Query { x(a: Int! = 1): Int }")
    result = execute(graph, parse("query Q($v: Int) { x(a: $v) }"), None, variable_values={"v": None})
    assert isinstance(result, ExecutionResult)
    [error] = formatted(result.errors or [], "trace")
    assert error["extensions"]["code"] == "INVALID"
    assert error["message"].startswith("Argument 'a'")
    assert "None" not in error["message"]


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        (
            "Cannot query field 'x' on type 'Card'. Did you mean 'id'?",
            "Look up the fields of Card in schema/nexus.graphql.",
        ),
        ("Unknown argument 'x' on field 'Query.card'.", "Look up the arguments of Query.card in schema/nexus.graphql."),
        ("Variable '$a' of type 'Int' used in position expecting type 'ID!'.", "Declare it as $a: ID!."),
        ("Argument 'Query.card(id:)' of type 'ID!' is required, but", "Give it a value of type ID!."),
        ("Whatever else.", "Check the document against schema/nexus.graphql."),
    ],
)
def test_hints_say_what_to_do(message: str, hint: str) -> None:
    """With the names of the message itself."""
    assert flaws.hint(message) == hint


def test_being_too_fast_tells_when_to_come_back() -> None:
    """In seconds."""
    wait = Throttled("Too fast.", retry_after=1.5)
    assert formatted([GraphQLError("Wait.", original_error=wait)], "trace")[0]["extensions"]["retryAfter"] == 1.5


def test_a_hint_is_a_text_or_null() -> None:
    """Never empty."""
    for hint in (None, ""):
        shown = formatted([GraphQLError("Wait.", original_error=Throttled("No.", retry_after=1, hint=hint))], "trace")
        assert shown[0]["extensions"]["hint"] is None
