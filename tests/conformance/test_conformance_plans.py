"""What a plan tells of a value is what the ordinary executor would tell: for operations over the whole graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any

import orjson
import pytest
from conformance_operations import MAKE, PACK, Root, operations, roots
from graphql import GraphQLSchema, build_schema
from graphql.execution.executor import CollectedErrors
from hypothesis import HealthCheck, given, settings
from inside_house import Inside, inside
from journey_steps import publish, reserve, seal

from nexus_graph import cards as room
from nexus_graph import index
from nexus_graph.api import context
from nexus_graph.api.fields import follow
from nexus_graph.api.graphql_core_inside import planned_executor
from nexus_graph.api.nodes import cards
from nexus_graph.api.operations.linking import told
from nexus_graph.api.operations.planning import Plan
from nexus_graph.api.schema import built

BOUNDED, LONG = 2, 60
"""Operations of each root field."""
WHOLE = """{ cards(first: 5) { edges { cursor node { __typename id version labels digest title key publishedAt
  same: digest publishedBy header indexState artifacts { ... on Asset { id filename } ... on Atom { id } } } }
  pageInfo { hasNextPage } } nodes(ids: ["%s", "%s", "run_1"]) { __typename id ... on Card { title body }
  ... on Asset { filename sizeBytes } } }"""


class NoPlan(Plan):
    """Knows nothing: all goes the ordinary way."""

    def shape(self, *_: Any) -> None:
        """None."""

    def telling(self, *_: Any) -> None:
        """None."""

    def fields(self, kind: Any, selected: Any, collect: Any) -> Any:
        """Each as it is selected."""
        return tuple((name, nodes, None, None) for name, nodes in selected.items())


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Inside]:
    """A house of its own, with plenty of everything to spend."""
    plenty = {f"{whose}_{what}": 10**9 for whose in ("actor", "tenant") for what in ("burst", "per_second")}
    with inside(tmp_path, **plenty) as made:
        yield made


@pytest.fixture
def ids(house: Inside) -> list[str]:
    """Ids of an asset, an atom, a card, a pack, and more."""
    owner: Any = house.caller("owner")
    data = b"One paragraph.\n\nAnother one.\n"
    reserved = reserve(owner, "notes.txt", "text/plain", data)
    assert owner.upload(reserved["upload"], data) == 201
    asset = seal(owner, reserved["asset"]["id"])["asset"]["id"]
    made = owner.ask(MAKE, {"asset": asset})
    atom = made["atoms"]["asset"]["atoms"]["edges"][0]["node"]["id"]
    card = publish(owner, f"---\nkey: planned\ncard_type: note\ntitle: A\nartifact_refs: [{atom}]\n---\nA card.\n")
    rest = [payload[kind]["id"] for kind, payload in made.items() if kind != "atoms"]
    return [asset, atom, card["card"]["id"], owner.ask(PACK)["influencePack"]["id"], *rest]


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Compares what a plan tells of each value with the ordinary way, whoever asks; counts types."""
    planned, counted = planned_executor(built()), Counter[str]()
    plain = planned.complete_value

    def ordinary(self: Any) -> Any:
        other = copy(self)
        other.plan, other.collected_errors = NoPlan(self.schema), CollectedErrors()
        return other

    def complete_value(self: Any, kind: Any, nodes: Any, info: Any, path: Any, result: Any, context: Any) -> Any:
        asked = (kind, nodes, info, path, result, context)
        if isinstance(self.plan, NoPlan):
            return plain(self, *asked)
        if (shape := self.plan.shape(kind, nodes, self.selected)) is not None:
            try:
                found = shape(result)
            except Exception:
                counted["left to the ordinary way"] += 1
            else:
                other = ordinary(self)
                assert orjson.dumps(found) == orjson.dumps(other.complete_value(*asked)), path
                assert not other.collected_errors.errors
                counted[str(kind)] += 1
        elif (tell := self.plan.telling(kind, nodes, self.selected)) is not None:
            return in_rounds(self, tell, *asked)
        return plain(self, *asked)

    async def in_rounds(self: Any, tell: Any, kind: Any, *rest: Any) -> Any:
        try:
            found = await told(tell, rest[3], self.context_value)
        except Exception:
            counted["left to the ordinary way"] += 1
        else:
            other = ordinary(self)
            expected = other.complete_value(kind, *rest)
            expected = await expected if self.is_awaitable(expected) else expected
            assert orjson.dumps(found) == orjson.dumps(expected), rest[2]
            assert not other.collected_errors.errors
            counted[f"{kind} in rounds"] += 1
        return await plain(self, kind, *rest)

    monkeypatch.setattr(planned, "complete_value", complete_value)
    return counted


@pytest.fixture(scope="module")
def graph() -> GraphQLSchema:
    """The released graph."""
    return build_schema((Path(__file__).parents[2] / "schema" / "nexus.graphql").read_text("utf-8"))


def explored(house: Inside, graph: GraphQLSchema, ids: list[str], root: Root, examples: int) -> None:
    """Ask generated operations of one root field."""
    owner = house.caller("owner")

    @settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
    )
    @given(operations(graph, root, ids))
    def ask(document: str) -> None:
        answer = owner.whole(document)
        assert not any(error["extensions"]["code"] == "INTERNAL" for error in answer.get("errors", ())), answer

    ask()


@pytest.mark.parametrize("examples", [BOUNDED, pytest.param(LONG, marks=pytest.mark.long)], ids=["bounded", "long"])
@pytest.mark.usefixtures("several")
def test_both_ways_answer_the_same(
    house: Inside, graph: GraphQLSchema, ids: list[str], compared: Counter[str], examples: int
) -> None:
    """Every root field of queries and mutations, with generated selections, arguments and aliases."""
    for root in roots(graph):
        if root.name != "engageKillSwitch":  # what it halts answers nothing any more
            explored(house, graph, ids, root, examples)
    house.caller("owner").ask(WHOLE % (ids[2], ids[0]))
    house.caller("owner").ask(LINKED)
    assert len(compared) > 20, compared
    assert sum(name.endswith("in rounds") for name in compared) > 2, compared


WRONG: dict[str, Any] = {
    "digest": None,
    "version": "one",
    "labels": 5,
    "title": ["a", "list"],
    "published_at": "yesterday",
    "published_by": LookupError("nobody"),
    "pii_flags": None,
}


def test_what_is_not_expected_is_told_as_ever(house: Inside, ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A null that may not be, or a value of another type: the same data, errors and places with and without a plan."""
    content, owner, document = cards._content, house.caller("owner"), WHOLE % (ids[2], ids[0])
    for attribute, wrong in WRONG.items():
        with monkeypatch.context() as patched:
            patched.setattr(cards, "_content", lambda card: content(card) | {attribute: wrong})  # noqa: B023 - used here
            planned = owner.whole(f"{document} # {attribute}")
            patched.setattr(Plan, "of", classmethod(lambda *_: None))
            ordinary = owner.whole(f"{document} # {attribute} in the ordinary way")
        for answer in (planned, ordinary):
            del answer["extensions"]
            for error in answer.get("errors", ()):
                del error["extensions"]["traceId"], error["extensions"]["hint"]  # which names the trace
        assert planned == ordinary
        assert ("errors" in planned) == (attribute != "pii_flags"), planned


LINKED = """
{ influencePacks(first: 3) { edges { node { id refs { rank version { id digest current { id title indexState } } } } } }
  search(text: "a card", k: 5) { hits { rank version { __typename id current { key } } } } }"""


@pytest.fixture
def several(house: Inside, ids: list[str]) -> None:
    """A pack that refers to several cards."""
    owner: Any = house.caller("owner")
    for number in range(4):
        publish(owner, f"---\nkey: planned/{number}\ncard_type: note\ntitle: Card {number}\n---\nA card, {number}.\n")
    follower = index.follower(house.house.index)
    while house.run(follower.catch_up(house.house.stores)):
        continue
    owner.ask('{ influencePack(ask: { text: "which card" }) { id } }')


@pytest.mark.usefixtures("several")
def test_what_many_links_lead_to_is_read_and_told_once(house: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """One call for each kind of thing and round, whatever the number of links; and the answer of the ordinary way."""
    owner, calls = house.caller("owner"), Counter[str]()
    for name in ("fetch_versions", "fetch"):
        plain = getattr(room, name)

        def counted(*arguments: Any, name: str = name, plain: Any = plain) -> Any:
            calls[name] += 1
            return plain(*arguments)

        monkeypatch.setattr(room, name, counted)
    planned = owner.ask(LINKED)
    assert [len(edge["node"]["refs"]) for edge in planned["influencePacks"]["edges"]] == [5, 0]
    assert dict(calls) == {"fetch_versions": 1, "fetch": 1}
    monkeypatch.setattr(Plan, "of", classmethod(lambda *_: None))
    assert owner.ask(f"{LINKED} # in the ordinary way") == planned
    assert dict(calls) == {"fetch_versions": 2, "fetch": 2}


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize("most", [3, *range(10, 30), 10_000])
def test_links_count_as_they_would_one_by_one(house: Inside, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """An operation that asks for too much is told so at the same places; one that does not is answered."""
    monkeypatch.setattr(context, "MOST_ITEMS", most)
    planned = house.caller("owner").whole(LINKED)
    monkeypatch.setattr(Plan, "of", classmethod(lambda *_: None))
    ordinary = house.caller("owner").whole(f"{LINKED} # in the ordinary way")
    assert ("errors" in planned) == ("errors" in ordinary)
    assert most not in (3, 10_000) or ("errors" in planned) == (most == 3), planned
    assert {error["message"] for error in planned.get("errors", ())} == {
        error["message"] for error in ordinary.get("errors", ())
    }


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize("round_", [1, 2, 3])
def test_a_link_that_is_refused_is_told_as_ever(house: Inside, monkeypatch: pytest.MonkeyPatch, round_: int) -> None:
    """Whatever stands in the way of many at once, they are followed one by one, and count once."""
    owner, plain, left = house.caller("owner"), follow, round_
    expected = owner.ask(LINKED)
    needed = next(
        most
        for most in range(1, 100)
        if (monkeypatch.setattr(context, "MOST_ITEMS", most), "errors" not in owner.whole(LINKED))[1]
    )
    monkeypatch.setattr(context, "MOST_ITEMS", needed)

    async def refused(*arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 1:
            raise LookupError("it is not followed in rounds")
        return await plain(*arguments)

    monkeypatch.setattr("nexus_graph.api.operations.linking.follow", refused)
    assert owner.ask(LINKED) == expected


SPREAD_TWICE = """
{ first: cards(first: 2) { ...Page edges { node { title } } }
  second: cards(first: 2) { ...Page }
  third: cards(first: 2) { ...Page edges { node { version } } } }
fragment Page on CardConnection { edges { cursor node { id header } } }"""


def test_a_fragment_that_is_spread_beside_other_fields_is_another_selection(house: Inside, ids: list[str]) -> None:
    """At each of its places what is selected there, and nothing of another place, in whichever order they are run."""
    assert ids
    for _ in range(2):
        data = house.caller("owner").ask(SPREAD_TWICE)
        nodes = [data[place]["edges"][0] for place in ("first", "second", "third")]
        assert [sorted(each["node"]) for each in nodes] == [
            ["header", "id", "title"],
            ["header", "id"],
            ["header", "id", "version"],
        ]
