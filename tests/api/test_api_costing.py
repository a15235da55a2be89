"""The price of a document is known before it runs, and does not depend on how cleverly it is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from graphql import OperationDefinitionNode, get_introspection_query, parse, validate
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_graph.api.operations.costing import HIGHEST, MOST_VALUES, UNSIZED, points
from nexus_graph.api.operations.planning import MOST_MEMBERS, price_key
from nexus_graph.api.schema import Schema, built
from nexus_graph.scope.errors import Invalid

SCHEMA: Schema = built()
POINTS = points(SCHEMA)


def price(document: str, variables: dict[str, Any] | None = None) -> int:
    """The points of a valid document's first operation."""
    parsed = parse(document)
    assert validate(SCHEMA.graph, parsed) == []
    operation = next(each for each in parsed.definitions if isinstance(each, OperationDefinitionNode))
    return SCHEMA.prices.price(parsed, operation, variables).points


def introspections(document: str) -> int:
    """The introspections of a document."""
    parsed = parse(document)
    operation = next(each for each in parsed.definitions if isinstance(each, OperationDefinitionNode))
    return SCHEMA.prices.price(parsed, operation, None).introspections


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("{ __typename }", 1),
        ("{ viewer { subject role } }", 1),
        ("{ a: viewer { subject } b: viewer { role } viewer { role } }", 3),
        ("{ cards(first: 20) { edges { cursor node { id title } } pageInfo { hasNextPage } } }", 1 + 20),
        ("{ cards(last: 7) { pageInfo { hasNextPage } } }", 1),
        # a page of 10 cards, each with its state and what it cites: 5 of them, each atom with its asset
        (
            "{ cards(first: 10) { edges { node { indexState artifacts { ... on Atom { asset { id } } } } } } }",
            1 + 10 * (1 + 1 + 1 + UNSIZED * 1),
        ),
        # pages within a page
        (
            "{ assets(first: 3) { edges { node { atoms(first: 4) { edges { node { asset { id } } } } } } } }",
            1 + 3 * (1 + 1 + 4 * (1 + 1)),
        ),
        ('{ nodes(ids: ["a", "b", "c"]) { ... on Card { indexState } } }', 1 + 3 * (1 + 1)),
        ('{ nodes(ids: "a") { id } }', 1 + 1),
        # a size counts for the lists of its field, not for what stands beside them
        (
            '{ influencePack(ask: {text: "x", k: 4}) { digest refs { version { id } } verification { holds } } }',
            20 + 4 * (1 + 1) + 10,
        ),
        ('{ search(text: "x") { hits { rank } } }', 10 + 10),
        ('{ search(text: "x", k: 3) { hits { version { id } } } }', 10 + 3 * (1 + 1)),
        ("{ manifests { singleton } }", 1),
        ('mutation { deriveAtoms(input: {assetId: "x"}) { userErrors { code } } }', 50),
        ('subscription { runLog(runId: "x") { ... on RunLogEntry { cursor } } }', 10),
        # fragments count wherever they are spread, also those that exclude each other
        (
            "{ ...Two cards(first: 2) { edges { node { ...Both } } } } "
            "fragment Two on Query { viewer { role } ...One } "
            "fragment One on Query { v: viewer { role } } "
            "fragment Both on Card { indexState versions(first: 2) { edges { node { current { ...State } } } } } "
            "fragment State on Card { i: indexState }",
            2 + 1 + 2 * (1 + 1 + 1 + 2 * (1 + 1 + 1)),
        ),
        ("{ viewer @skip(if: true) { role } a: viewer @include(if: false) { role } }", 1),
        ("{ ... @skip(if: true) { manifests { singleton } } b: manifests { singleton } viewer { role } }", 2),
    ],
)
def test_prices_by_hand(document: str, expected: int) -> None:
    """Fields, pages within pages, lists without a size, aliases, fragments and directives, reckoned on paper."""
    assert price(document) == expected


PAGE = (
    "query Page($n: Int = 5, $no: Boolean = true) { cards(first: $n) { edges { node { indexState @skip(if: $no) } } } }"
)
PACK = "query Pack($ask: InfluencePackInput!) { influencePack(ask: $ask) { refs { rank } } }"
FEW = 'query Few($k: Int) { influencePack(ask: {text: "x", k: $k}) { refs { rank } } }'
NODES = "query Nodes($ids: [ID!]!) { nodes(ids: $ids) { id } }"


@pytest.mark.parametrize(
    ("document", "variables", "expected"),
    [
        (PAGE, {}, 1 + 5),
        (PAGE, {"n": 50}, 1 + 50),
        (PAGE, {"n": 50, "no": False}, 1 + 50 * 2),
        (PAGE, {"n": 3.0}, 1 + 3),
        (PAGE, {"n": None}, 1 + 1),
        (PAGE, {"n": -5}, 1),
        (PAGE, {"n": 1e300, "no": False}, HIGHEST),
        (PAGE, {"n": float("inf")}, HIGHEST),
        (PAGE, {"n": "many"}, 1 + 1),
        (PACK, {"ask": {"text": "x", "k": 100}}, 20 + 100),
        (PACK, {"ask": {"text": "x"}}, 20 + 10),
        (PACK, {"ask": 7}, 20 + 10),
        (FEW, {"k": 2}, 20 + 2),
        (FEW, {}, 20 + 10),
        (NODES, {"ids": ["a"] * 40}, 1 + 40),
        (NODES, {"ids": "a"}, 1 + 1),
    ],
)
def test_variables_count_like_literals(document: str, variables: dict[str, Any], expected: int) -> None:
    """Given, defaulted, in an input object, of the wrong kind: the field refuses those, the price ends."""
    if document is FEW:
        document = document.replace("$k: Int)", "$k: Int! = 10)")
    assert price(document, variables) == expected


def test_what_is_sent_counts_where_it_is_used() -> None:
    """A point for each KiB of an argument, literal or variable, each time: to look through a megabyte is work."""
    field = 'appendSession(input: {sessionId: "s", entries: [{content: %s, trainOk: true}]}) { __typename }'
    small, large = (price("mutation { %s }" % (field % json.dumps("x" * size))) for size in (1, 2048))
    assert large == small + 2
    thrice = " ".join(f"a{place}: {field % '$text'}" for place in range(3))
    for kib in (1, 64, 1024):
        document = f"mutation M($text: String!) {{ {thrice} }}"
        assert price(document, {"text": "x" * 1024 * kib}) == 3 * (small + kib)
    given = "mutation M($input: AppendSessionInput!) { appendSession(input: $input) { __typename } }"
    entries = [{"content": "x" * 512, "trainOk": True}] * 4
    assert price(given, {"input": {"sessionId": "s", "entries": entries}}) == small + 2


@pytest.mark.parametrize(
    ("document", "urgent"),
    [
        ('mutation { engageKillSwitch(input: {target: EVERYTHING, reason: "x"}) { killSwitch { id } } }', True),
        ("{ viewer { role } killSwitches(first: 1) { edges { node { id } } } }", True),
        ("{ viewer { role } cards(first: 1) { edges { node { id } } } }", False),
        ("{ ...All } fragment All on Query { cards(first: 1) { edges { node { id } } } }", False),
    ],
)
def test_what_no_switch_halts_is_urgent(document: str, urgent: bool) -> None:
    """An operation of such fields alone is paid by its actor alone; anything beside them makes it an ordinary one."""
    parsed = parse(document)
    operation = next(each for each in parsed.definitions if isinstance(each, OperationDefinitionNode))
    assert SCHEMA.prices.price(parsed, operation, None).urgent == urgent


def test_introspection_is_counted_by_itself() -> None:
    """Once for each root field that asks for it, also behind a fragment; what it selects is free, but for aliases."""
    fragment = "fragment F on Query { __schema { types { name } } viewer { role } }"
    assert (
        introspections(f'{{ __schema {{ types {{ name }} }} a: __type(name: "Card") {{ name }} ...F }} {fragment}') == 3
    )
    assert price("{ __schema { types { fields { name } } } viewer { role } }") == 1
    assert introspections("{ __typename viewer { role } }") == 0
    aliased = "fragment A on __Type { a: fields { name } b: fields { name c: __typename } }"
    selected = "types { fields { type { ...A ofType { ...A } } } }"
    assert introspections(f"{{ __schema {{ {selected} }} }} {aliased}") == 7
    assert introspections(get_introspection_query()) == 1


def test_fragments_that_double_are_priced_at_once() -> None:
    """A thousand levels of doubling cost no time and the highest price."""
    links = " ".join(f"fragment F{at} on Query {{ ...F{at + 1} ...F{at + 1} }}" for at in range(60))
    document = parse(f"{{ ...F0 }} {links} fragment F60 on Query {{ viewer {{ role }} }}")
    operation = next(each for each in document.definitions if isinstance(each, OperationDefinitionNode))
    assert SCHEMA.prices.price(document, operation, None).points == HIGHEST


LEAVES = st.sampled_from(["viewer { role }", "manifests { singleton }", 'card(id: "x") { indexState }'])
PAGES = st.builds(
    lambda first, inner: f"cards(first: {first}) {{ edges {{ node {{ {inner} }} }} }}",
    st.integers(1, 100),
    st.sampled_from(["id", "indexState", "versions(first: 3) { edges { node { id } } }"]),
)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.one_of(LEAVES, PAGES), min_size=1, max_size=8))
def test_a_document_costs_what_its_aliases_cost(fields: list[str]) -> None:
    """However many are put together, with aliases or behind a fragment: nothing is cheaper in company."""
    aliased = " ".join(f"a{place}: {field}" for place, field in enumerate(fields))
    alone = sum(price(f"{{ {field} }}") for field in fields)
    assert price(f"{{ {aliased} }}") == alone
    assert price(f"{{ ...F }} fragment F on Query {{ {aliased} }}") == alone
    assert price(f"{{ ...F ... on Query {{ ...F }} }} fragment F on Query {{ {aliased} }}") == 2 * alone


def test_every_declared_field_has_its_points() -> None:
    """The table that the documentation prints holds what the schema declares, and nothing that is free."""
    declared = {
        f"{name}.{field}"
        for name, kind in SCHEMA.graph.type_map.items()
        for field in getattr(kind, "fields", {})
        if f"{name}.{field}" in POINTS
    }
    assert set(POINTS) == declared
    assert (POINTS["Query.search"], POINTS["Query.influencePack"], POINTS["Mutation.deriveAtoms"]) == (10, 20, 50)
    assert "Card.title" not in POINTS
    assert min(POINTS.values()) >= 1


@pytest.mark.parametrize("leaf", ["number", "__typename"])
def test_an_answer_has_so_many_values(leaf: str) -> None:
    """Ten thousand entries with a few fields are allowed, with as many as aliases allow not: free fields take time."""

    def measured(fields: int, first: int = 100) -> None:
        leaves = " ".join(f"a{place}: {leaf}" for place in range(fields))
        entries = f"log(first: {first}) {{ edges {{ node {{ {leaves} }} }} }}"
        document = parse(f"{{ runs(first: 100) {{ edges {{ node {{ {entries} }} }} }} }}")
        assert validate(SCHEMA.graph, document) == []
        operation = document.definitions[0]
        assert isinstance(operation, OperationDefinitionNode)
        SCHEMA.prices.require_bounded(document, operation, None)

    most = next(fields for fields in range(1, 60) if 10_000 * (fields + 3) > MOST_VALUES) - 2
    measured(most)
    measured(60, first=20)
    with pytest.raises(Invalid, match="values; it may have 250,000"):
        measured(60)


_MANY = (
    "query Many($ids: [ID!]!, $text: String!, $k: Int!, $filter: CardFilterInput, $first: Int) {"
    "  nodes(ids: $ids) { id ... on Card { indexState } }"
    "  search(text: $text, k: $k, filter: $filter) { hits { version { id } } }"
    "  cards(first: $first, filter: $filter) { edges { node { id indexState } } } }"
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from([0.0, 1.0]) | st.text("abc", max_size=1500),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["first", "k", "ids"]), inner),
    max_leaves=8,
)
_VARIABLES = st.dictionaries(st.sampled_from(["ids", "text", "k", "filter", "first"]), _VALUES)


@given(_VARIABLES)
@settings(max_examples=300, deadline=None)
def test_variables_of_one_key_have_one_price(variables: dict[str, Any]) -> None:
    """Other texts of the same length change neither; whatever else is changed changes the key."""
    others = _with(variables, lambda value: "z" * len(value) if isinstance(value, str) else value)
    assert price_key("Many", others) == price_key("Many", variables)
    assert price(_MANY, others) == price(_MANY, variables)
    for kind in (str, bool, int, float, list, dict):
        changed = _with(variables, lambda value, kind=kind: _other(value) if type(value) is kind else value)  # type: ignore[misc]
        assert (price_key("Many", changed) == price_key("Many", variables)) == (repr(changed) == repr(variables))


def _with(value: Any, change: Callable[[Any], Any]) -> Any:
    """The value with each part of it changed."""
    if isinstance(value, dict):
        return change({name: _with(each, change) for name, each in value.items()})
    return change([_with(each, change) for each in value] if isinstance(value, list) else value)


def _other(value: Any) -> Any:
    """A value of the same kind that says something else."""
    if isinstance(value, dict):
        return {**value, "more": 1}
    if isinstance(value, bool):
        return not value
    return [*value, None] if isinstance(value, list) else value + ("z" if isinstance(value, str) else 1)


def test_a_price_is_not_looked_for_among_many_values() -> None:
    """What takes as long to look for as to work out is worked out."""
    assert price_key(None, {"ids": ["x"] * MOST_MEMBERS}) is None
    assert price_key(None, {"ids": ["x"] * (MOST_MEMBERS // 2)}) is not None
