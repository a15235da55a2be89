"""Every mutation is gated: it declares its gates, and asks the chain for itself, under its own name and right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any

import pytest
import strawberry
from deed_examples import EXAMPLES, STRATEGIC, Cast, Example, document
from house_tree import DOCS
from inside_house import Inside, inside
from shipped import graph

from nexus_graph import safeguards
from nexus_graph.administration import documenting
from nexus_graph.api import schema as api_schema
from nexus_graph.api.context import Info
from nexus_graph.api.declarations import MUTATION, Declared, declarations, undeclared
from nexus_graph.api.fields import change, read
from nexus_graph.api.idempotency import DeedInput
from nexus_graph.safeguards import Deed, chain
from nexus_graph.safeguards.switches import UNSTOPPABLE
from nexus_graph.scope.permission import Permission
from nexus_graph.stores.work import Read

BUILT = api_schema.built()
GRAPH = graph()
MUTATIONS = [each for each in declarations(BUILT).values() if each.root == MUTATION]


class Walk:
    """A house in which every question to the chain is written down."""

    def __init__(self, opened: Inside, asked: list[Deed]) -> None:
        self.inside = opened
        self._asked = asked

    def deeds(self, mutation: str, example: Example) -> list[Deed]:
        """What the chain is asked when an owner rehearses an example. The answer must not be a defect."""
        owner = self.inside.caller("owner")
        given = example.make(Cast(owner, self.inside.caller("admin")))
        self._asked.clear()
        answer = owner.whole(document(GRAPH, mutation), {"input": {**given, "dryRun": True}})
        assert "errors" not in answer, answer
        return [*self._asked]


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """A walk through a house of its own."""
    asked: list[Deed] = []
    decide = chain.decide

    async def recorded(handle: Read, deed: Deed) -> Any:
        asked.append(deed)
        return await decide(handle, deed)

    with pytest.MonkeyPatch.context() as patch, inside(tmp_path_factory.mktemp("walk")) as opened:
        patch.setattr(chain, "decide", recorded)
        yield Walk(opened, asked)


def faults(declared: Declared, deeds: list[Deed]) -> list[str]:
    """What is wrong between a mutation's declaration and what the chain was asked."""
    found = [] if deeds else ["the chain is not asked"]
    for deed in deeds:
        if deed.action != declared.field:
            found.append(f"asked as {deed.action}")
        if deed.permission != declared.permission:
            found.append(f"asked with {deed.permission}")
        if deed.change is not None and declared.locked is None:
            found.append("may need a lock, and does not declare it")
    return found


def test_every_mutation_has_an_example() -> None:
    """A new verb comes with an example; one that may need a lock with a strategic one; no example is left over."""
    assert EXAMPLES.keys() == {each.field for each in MUTATIONS}
    assert STRATEGIC.keys() == {each.field for each in MUTATIONS if each.locked is not None}


@pytest.mark.parametrize("declared", MUTATIONS, ids=lambda each: each.field)
def test_every_mutation_asks_the_chain(walk: Walk, declared: Declared) -> None:
    """In its own transaction, under its own name and right, once; and with a change where it may need a lock."""
    deeds = walk.deeds(declared.field, EXAMPLES[declared.field])
    assert faults(declared, deeds) == []
    assert len(deeds) == 1
    if declared.locked is not None:
        [deed] = walk.deeds(declared.field, STRATEGIC[declared.field])
        assert faults(declared, [deed]) == []
        assert deed.change is not None


def test_a_verb_that_forgets_the_chain_would_be_seen(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verb without `enforce`, and one under another's name, right or lock, are named."""
    declared = declarations(BUILT)["openRun"]

    async def forgotten(*_: Any) -> None:
        return None

    monkeypatch.setattr(safeguards, "enforce", forgotten)
    assert faults(declared, walk.deeds("openRun", EXAMPLES["openRun"])) == ["the chain is not asked"]
    monkeypatch.undo()
    [deed] = walk.deeds("setMember", STRATEGIC["setMember"])
    assert faults(replace(declarations(BUILT)["setMember"], locked=None), [deed]) != []
    assert len(faults(declared, [deed])) == 3


@strawberry.input(description="An input that can't be a dry run.")
class BareInput:
    """Without `DeedInput`."""

    name: str = strawberry.field(description="A name.")


@strawberry.input(description="An input as it should be.")
class GoodInput(DeedInput):
    """With `DeedInput`."""

    name: str = strawberry.field(description="A name.")


@strawberry.type(description="A payload.")
class PlantedPayload:
    """A payload."""

    user_errors: list[str] = strawberry.field(default_factory=list, description="None.")


async def _planted(
    self: Any, info: Info, input: Annotated[GoodInput, strawberry.argument(description="Good.")]
) -> PlantedPayload:
    return PlantedPayload()


async def _bare(
    self: Any, info: Info, input: Annotated[BareInput, strawberry.argument(description="Bare.")]
) -> PlantedPayload:
    return PlantedPayload()


async def _look(self: Any, info: Info) -> str:
    return ""


PLANTED: Mapping[str, tuple[Any, str | None]] = {
    "gated": (change(Permission.RUNS_WRITE, "Gated.", locked=None)(_planted), None),
    "ungated": (strawberry.mutation(_planted, description="Ungated."), "declares no right or no price"),
    "bare": (change(Permission.RUNS_WRITE, "Bare.", locked=None)(_bare), "takes no input that can be a dry run"),
    "viewer": (change(Permission.RUNS_WRITE, "Twice.", locked=None)(_planted), "bears the name of Query.viewer"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_mutation_without_gates_would_be_seen(name: str) -> None:
    """One past `api.fields`, one without dry run, one with the name of another field: the server does not start."""
    field, fault = PLANTED[name]
    query = strawberry.type(type("Query", (), {"viewer": read(Permission.VIEWER_READ, "Who.")(_look)}))
    mutation = strawberry.type(type("Mutation", (), {name: field}))
    found = undeclared(strawberry.Schema(query=query, mutation=mutation))
    assert found == ([] if fault is None else [f"Mutation.{name} {fault}"])


def test_what_no_switch_halts_says_so_in_the_schema() -> None:
    """The kill switch's list of exemptions and `@unstoppable` name the same fields."""
    assert {each.field for each in declarations(BUILT).values() if each.unstoppable} == UNSTOPPABLE


def test_the_page_of_gates_is_current() -> None:
    """docs/gates.md holds what the chain and the schema say now, and changes with them."""
    page = documenting.render()["gates.md"]
    assert (DOCS / "gates.md").read_text("utf-8") == page, "run `python -m nexus_graph.administration.documenting`"
    declared = [*declarations(BUILT).values()]
    assert documenting.gates_page(chain.ORDER, declared) == page
    dearer = [replace(each, points=each.points + 1) if each.root == MUTATION else each for each in declared]
    assert documenting.gates_page(chain.ORDER, dearer) != page
    assert documenting.gates_page(dict(reversed([*chain.ORDER.items()])), declared) != page
