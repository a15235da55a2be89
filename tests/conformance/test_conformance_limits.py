"""Point 6: every way to ask for too much ends at a bound, and what is under the bounds is checked in bounded time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from adversarial_documents import documents
from adversarial_search import seconds_of
from conformance_table import Figure
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    OverlappingFieldsCanBeMergedRule,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
    specified_rules,
)
from journey_house import World, http, receive, subscribe
from websockets.exceptions import ConnectionClosedError

from nexus_graph.api.graphql_core_inside import few_comparisons
from nexus_graph.api.operations import documents as documents_read
from nexus_graph.api.operations import extent
from nexus_graph.api.operations.documents import MOST_COMPARED, MOST_TOKENS
from nexus_graph.api.operations.operation import LONGEST_DOCUMENT
from nexus_graph.api.schema import Schema, built

MOST_CALLS = 1_000_000
"""Calls of functions while a document is checked: a measure of work that is the same on every machine."""
MILLISECONDS = 100
WORST = 3
MUCH_WORK = ("an object of many unknown members", "unknown members with large values", "equal long objects")
"""Those of the documents that take the most calls."""


@pytest.fixture(scope="module")
def schema() -> Schema:
    """The server's schema."""
    return built()


def calls_of(schema: Schema, text: str) -> int:
    """How many functions are called until a document is priced or its refusal is told."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        seconds_of(schema, text)
    finally:
        sys.setprofile(before)
    return calls


def test_no_document_is_much_work(schema: Schema, figure: Figure, pytestconfig: pytest.Config) -> None:
    """Of many that are made to be, none raises anything but a refusal; the worst are measured and their work counted.

    CPU time is told and not asserted on, since a machine may be slow; the count of calls is asserted on. All documents
    are tried when the page is rendered, a quarter of them otherwise.
    """
    known = list(documents())
    assert len(known) >= 140
    assert all(len(text) <= LONGEST_DOCUMENT for _, text in known)
    hostile = dict(known if pytestconfig.getoption("--conformance") else known[::4])
    once = {name: seconds_of(schema, text) for name, text in hostile.items()}
    worst = sorted(once, key=lambda name: -once[name])[:WORST]
    seconds = max(min(seconds_of(schema, hostile[name]) for _ in range(2)) for name in worst)
    texts = dict(known)
    assert max(calls_of(schema, texts[name]) for name in MUCH_WORK) <= MOST_CALLS
    took = f"worst of {len(hostile)} documents: {seconds * 1000:.0f} ms of {MILLISECONDS} ms, measured"
    figure(6, "processor time until a document made to be costly is refused or accepted", took)


def test_what_was_costly_would_be_seen(schema: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the bound on comparisons one of the documents takes several times the calls that are allowed."""
    more = few_comparisons(6 * MOST_COMPARED)
    pairs = zip(specified_rules, documents_read._RULES, strict=True)
    rules = [more if rule is OverlappingFieldsCanBeMergedRule else bounded for rule, bounded in pairs]
    monkeypatch.setattr(documents_read, "_RULES", rules)
    text = dict(documents())["one variable, very often"]
    assert calls_of(schema, text) > MOST_CALLS


def repeated(piece: str, count: int) -> str:
    """So many pieces, each with its number for #."""
    return " ".join(piece.replace("#", str(place)) for place in range(count))


def fields(count: int) -> str:
    """So many fields: few are written, a fragment of ten is spread often."""
    tens, rest = divmod(count, 10)
    return "{ " + "...F " * tens + "__typename " * rest + "} fragment F on Query { " + "__typename " * 10 + "}"


AT_THE_DOOR: dict[str, tuple[int, str, Callable[[int], str]]] = {
    "characters": (LONGEST_DOCUMENT, "65,536", lambda count: "{ viewer { role } } #".ljust(count, "x")),
    "tokens": (MOST_TOKENS, "4000 tokens", lambda count: "{ viewer { role } } " + "#\n" * (count - 6)),
    "fields": (extent.MOST_FIELDS, "1,000 fields", fields),
    "aliases": (extent.MOST_ALIASES, "60 aliases", lambda count: "{" + repeated("a#: __typename", count) + "}"),
    "operations": (extent.MOST_OPERATIONS, "at most 20", lambda count: repeated("query Q# { __typename }", count)),
    "spreads": (extent.MOST_SPREADS, "400 places", lambda count: "{" + "... { a } " * count + "}"),
    "directives": (
        extent.MOST_DIRECTIVES,
        "100 directives",
        lambda count: "{ viewer { " + "role @skip(if: false) " * count + "} }",
    ),
    "directives at one place": (
        extent.MOST_DIRECTIVES_OF_ONE,
        "5 directives",
        lambda count: "{ viewer { role " + "@x " * count + "} }",
    ),
    "characters of a name": (
        extent.LONGEST_NAME,
        "256 characters",
        lambda count: "{ " + "n" * count + ": viewer { role } }",
    ),
    "digits": (extent.LONGEST_NUMBER, "64 characters", lambda count: "{ node(id: " + "9" * count + ") { id } }"),
    "the same leaf": (141, "too often", lambda count: "{ viewer { " + "role " * count + "} }"),
}
"""What is bounded: the most, words of the refusal, and a document with so many."""


def listed(graph: GraphQLSchema) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """Every list that can be sent: the root type, its field, the argument, and the path of members to it."""
    for root in (graph.query_type, graph.mutation_type, graph.subscription_type):
        assert root is not None
        for name, field in root.fields.items():
            for argument, given in field.args.items():
                for path in _lists(given.type, ()):
                    yield root.name, name, argument, path


def _bare(kind: Any) -> Any:
    return kind.of_type if isinstance(kind, GraphQLNonNull) else kind


def _lists(kind: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    kind = _bare(kind)
    if isinstance(kind, GraphQLList):
        yield path
        yield from _lists(kind.of_type, (*path, "[]"))
    if isinstance(kind, GraphQLInputObjectType) and len(path) < 8:
        for member, field in kind.fields.items():
            yield from _lists(field.type, (*path, member))


def sample(kind: Any, path: tuple[str, ...] | None, items: int) -> Any:
    """A value of a type with what it needs, and so many items in the list at the path; one in every other."""
    kind = _bare(kind)
    if isinstance(kind, GraphQLList):
        item = sample(kind.of_type, path[1:] if path else None, items)
        return [item] * (items if path == () else 1)
    if isinstance(kind, GraphQLInputObjectType):
        chosen = [path[0]] if path else []
        needed = [name for name, field in kind.fields.items() if is_required_input_field(field)]
        names = dict.fromkeys([*chosen, *needed])
        value = {
            name: sample(kind.fields[name].type, path[1:] if path and name in chosen else None, items) for name in names
        }
        return value | ({"dryRun": True} if "dryRun" in kind.fields else {})
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    return {"Int": 1, "BigInt": 1, "Boolean": True, "DateTime": "2026-11-01T09:30:00Z"}.get(kind.name, "x")


def asking(
    graph: GraphQLSchema, root: str, name: str, argument: str, path: tuple[str, ...], items: int
) -> tuple[str, Any]:
    """A document that sends a list of so many items, and its variables."""
    kind = graph.type_map[root]
    assert isinstance(kind, GraphQLObjectType)
    field = kind.fields[name]
    needed = {each: given for each, given in field.args.items() if each == argument or is_required_argument(given)}
    declared = " ".join(f"${each}: {given.type}" for each, given in needed.items())
    given = " ".join(f"{each}: ${each}" for each in needed)
    variables = {each: sample(one.type, path if each == argument else None, items) for each, one in needed.items()}
    more = " first: 1" if "first" in field.args and "first" not in needed else ""
    selected = "" if is_leaf_type(get_named_type(field.type)) else " { __typename }"
    return f"{root.lower()} Q({declared}) {{ {name}({given}{more}){selected} }}", variables


def test_every_list_that_can_be_sent_is_bounded(world: World, schema: Schema, figure: Figure) -> None:
    """A thousand items are answered or refused by a rule, never with a defect; one more is refused for its length."""
    graph = schema.graph
    caller = world.caller("t_acme", "owner")
    slots = list(listed(graph))
    assert len({name for _, name, _, _ in slots}) >= 10
    for root, name, argument, path in slots:
        most, more = (asking(graph, root, name, argument, path, items) for items in (1000, 1001))
        for error in caller.answer(*most).json().get("errors", ()):
            assert error["extensions"]["code"] != "INTERNAL", (name, path)
            assert "list of" not in error["message"], (name, path)
        assert "a list of 1,001 items" in caller.error(*more)["message"], (name, path)
    inner = {
        f"{owner.name}.{name}"
        for owner in graph.type_map.values()
        if isinstance(owner, (GraphQLObjectType, GraphQLInterfaceType))
        for name, field in owner.fields.items()
        if any(True for given in field.args.values() for _ in _lists(given.type, ()))
    }
    assert inner == {f"{root}.{name}" for root, name, _, _ in slots}  # none hangs on a field below the roots
    figure(6, "lists in arguments and inputs that end at a bound", f"{len(slots)} of {len(slots)}")


@pytest.mark.parametrize("what", AT_THE_DOOR)
def test_each_bound_is_exact_at_the_door(world: World, what: str) -> None:
    """The most passes the bound, whatever else is said of it; one more is refused with words that name the bound."""
    most, words, document = AT_THE_DOOR[what]
    caller = world.caller("t_acme", "member")
    passed = caller.answer(document(most)).json()
    assert words not in str(passed.get("errors", "")), passed
    refused = caller.error(document(most + 1))
    assert words in refused["message"]
    assert refused["extensions"]["code"] == "INVALID"
    assert refused["extensions"]["hint"]


def test_the_bounds_are_counted(figure: Figure) -> None:
    """So many are tried on both sides by the test above."""
    figure(
        6, "bounds of a document tried at the door, each with the most that is allowed and one more", len(AT_THE_DOOR)
    )


async def test_a_batch_is_refused_on_every_way_in(world: World, figure: Figure) -> None:
    """Several requests in one would be one price for many: not answered, with a hint; one by itself is."""
    caller = world.caller("t_acme", "member")
    one = {"query": "{ viewer { role } }"}
    for batch in ([one, one], [one], []):
        answer = http("POST", f"{caller.server.address}/graphql", json=batch, headers=caller.headers)
        assert answer.status_code == 400
        [error] = answer.json()["errors"]
        assert error["extensions"]["code"] == "INVALID"
        assert error["extensions"]["hint"] == "Send each by itself."
    async with caller.socket() as socket:
        await subscribe(socket, "1", one["query"], None)
        assert (await receive(socket))["payload"]["data"] == {"viewer": {"role": "MEMBER"}}
        assert (await receive(socket))["type"] == "complete"
        await socket.send('{"id": "2", "type": "subscribe", "payload": [{"query": "{ viewer { role } }"}]}')
        with pytest.raises(ConnectionClosedError, match="4400"):
            await receive(socket)
    figure(6, "batches", "refused, over HTTP with 400 and on a websocket with 4400")
