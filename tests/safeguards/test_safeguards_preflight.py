"""Preflight through the door: what `viewer.can` says, what a dry run answers, and what then happens are one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from deed_examples import EXAMPLES, STRATEGIC, Cast, document, done, note, screen
from inside_house import TENANT, Inside, InsideCaller, inside
from shipped import graph

from nexus_graph.api import schema as api_schema
from nexus_graph.api.declarations import MUTATION, declarations
from nexus_graph.safeguards import Resource
from nexus_graph.safeguards.quotas import limiting
from nexus_graph.safeguards.rates import Price
from nexus_graph.safeguards.switches import Known, Target
from nexus_graph.safeguards.switches.engaging import engage
from nexus_graph.safeguards.switches.releasing import release
from nexus_graph.scope.scope import Env, Principal, PrincipalKind, Scope
from nexus_graph.stores.work import Read

BUILT = api_schema.built()
GRAPH = graph()
DECLARED = declarations(BUILT)
CAN = """query Can($action: String!, $target: ID) { viewer { can(action: $action, target: $target) {
  action allowed blockers { gate code message unblock } } } }"""
GATES = {"HALTED", "THROTTLED", "QUOTA_EXCEEDED", "FORBIDDEN", "LOCK_REQUIRED", "WITHHELD"}
SEED, STATES, DEEDS = 20261122, 24, 6
KNOWN = Known(frozenset(DECLARED), frozenset({"objects", "hashing"}))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    """One house for all tests of this file."""
    with inside(tmp_path_factory.mktemp("preflight")) as opened:
        yield opened


def can(caller: InsideCaller, action: str, target: str | None = None) -> Any:
    """What a screen is told; None for a target that is not here for the caller."""
    answer = caller.whole(CAN, {"action": action, "target": target})
    if "errors" in answer:
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["NOT_FOUND"], answer
        return None
    return answer["data"]["viewer"]["can"]


def sent(caller: InsideCaller, mutation: str, given: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """What a mutation is refused with: its user errors, or the error of the graph. Empty when it was done."""
    answer = caller.whole(document(GRAPH, mutation), {"input": given | more})
    errors = [{"code": error["extensions"]["code"], "message": error["message"]} for error in answer.get("errors", ())]
    payload = (answer.get("data") or {}).get(mutation) or {}
    return [*errors, *payload.get("userErrors", ())]


def system() -> Scope:
    """The engine in the tenant."""
    return Scope.system(TENANT, Env.DEV, "test")


def halt(house: Inside, dice: random.Random, mutation: str) -> str | None:
    """Perhaps engage a kill switch; its id."""
    halted = dice.choice(
        [None, None, None, (Target.EVERYTHING, ""), (Target.ACTION, mutation), (Target.PROVIDER, "objects")]
    )
    if halted is None or (halted[0] is Target.ACTION and DECLARED[mutation].unstoppable):
        return None
    return house.run(engage(house.house.stores, system(), KNOWN, *halted, "A drill")).switch_id


@pytest.mark.long
def test_nothing_ever_disagrees(house: Inside) -> None:
    """Over random states, roles and mutations: `can` == dry run == the deed, in what is allowed and why not."""
    dice, seen, passed = random.Random(SEED), set[str](), 0  # noqa: S311 - states, not secrets
    cast = Cast(house.caller("owner"), house.caller("admin"))
    for _ in range(STATES):
        for mutation in dice.sample(sorted(EXAMPLES), DEEDS):
            examples = STRATEGIC if mutation in STRATEGIC and dice.random() < 0.5 else EXAMPLES
            example, who = examples[mutation], dice.choice(["owner", "owner", "admin", "member", "agent"])
            given = example.make(cast)
            limited = dice.choice([None, None, None, Resource.STORED_BYTES, Resource.INDEX_WRITES])
            if limited is not None:
                house.run(limiting.set_quota(house.house.stores, system(), limited, 0))
            switch = halt(house, dice, mutation)
            caller = house.caller(who)
            target = given[example.target] if example.target else None
            known = examples is EXAMPLES or mutation not in _BY_CONTENT
            foretold = can(caller, mutation, target) if known else None
            rehearsed, happened = sent(caller, mutation, given, dryRun=True), sent(caller, mutation, given)
            told = f"{mutation} by {who}: {foretold} {rehearsed} {happened}"
            assert rehearsed == happened, told
            refused = [error["code"] for error in happened if error["code"] in GATES]
            codes = [blocker["code"] for blocker in foretold["blockers"]] if foretold else []
            if foretold is None and known:
                assert [error["code"] for error in happened] in (["NOT_FOUND"], ["HALTED"]), told
            elif foretold is not None:
                assert foretold["allowed"] == (codes == []) == (refused == []), told
                # The door asks the switch and the role first, so that a right which is missing hides a missing room.
                assert refused in ([], codes[:1]) or (refused == ["FORBIDDEN"] and "FORBIDDEN" in codes), told
            for error in happened:
                if error.get("blockers"):
                    assert error["blockers"][0]["code"] == error["code"], told
                    assert foretold is None or [each["code"] for each in error["blockers"]] == codes, told
            seen |= {*refused, *codes}
            passed += not happened
            if switch is not None:
                house.run(release(house.house.stores, system(), switch))
            if limited is not None:
                house.run(limiting.set_quota(house.house.stores, system(), limited, None))
    assert seen >= {"HALTED", "QUOTA_EXCEEDED", "FORBIDDEN", "LOCK_REQUIRED"}
    assert passed > STATES


_BY_CONTENT = {"publishCard", "setMember"}
"""Strategic by what is sent, not by what it is done to: `can` does not see the content."""


def test_each_mutation_of_a_document_is_told_of_those_before_it(house: Inside) -> None:
    """What the first left to do is halted by the second, and the third says so of the same card."""
    sent_twice = "publishCard(input: {text: $text, trainOk: true}) { card { allowedActions { action allowed } } }"
    halting = 'engageKillSwitch(input: {target: ACTION, name: "retireCard", reason: "A drill"}) { killSwitch { id } }'
    text = f"mutation Thrice($text: String!) {{ first: {sent_twice} second: {halting} third: {sent_twice} }}"
    answer = house.caller("owner").ask(text, {"text": note()})
    house.run(release(house.house.stores, system(), answer["second"]["killSwitch"]["id"]))
    shown = [{each["action"]: each["allowed"] for each in answer[name]["card"]["allowedActions"]} for name in _TWICE]
    assert shown == [{"publishCard": True, "retireCard": True}, {"publishCard": True, "retireCard": False}]


_TWICE = ("first", "third")


def test_a_budget_that_is_too_small_is_foretold(tmp_path_factory: pytest.TempPathFactory) -> None:
    """With points for a question left but not for a deed, the deed is THROTTLED, and `can` says so."""
    folder = tmp_path_factory.mktemp("budget")
    with inside(folder, actor_burst=100, actor_per_second=1) as opened:
        owner, given = opened.caller("owner"), {"title": "An example"}
        assert can(owner, "openRun")["allowed"]
        left = owner.whole("{ viewer { subject } }")["extensions"]["cost"]["actor"]["left"]
        actor = replace(system(), principal=Principal(PrincipalKind.USER, f"owner@{TENANT}"))
        opened.run(opened.house.rates.take(actor, Price(left - 9)))
        [blocker] = can(owner, "openRun")["blockers"]
        assert (blocker["gate"], blocker["code"]) == ("RATE", "THROTTLED")
        assert [error["code"] for error in sent(owner, "openRun", given)] == ["THROTTLED"]


def test_unknown_actions_and_targets_are_told_apart(house: Inside) -> None:
    """INVALID with all mutations for what is no field; NOT_FOUND, in the same words, for what is not here."""
    owner = house.caller("owner")
    error = owner.whole(CAN, {"action": "publishCards"})["errors"][0]
    assert error["extensions"]["code"] == "INVALID"
    assert all(each.field in error["extensions"]["hint"] for each in DECLARED.values() if each.root == MUTATION)
    assert "errors" not in owner.whole(CAN, {"action": "runLog"})
    error = owner.whole(CAN, {"action": "openRun", "target": "run_1"})["errors"][0]
    assert error["extensions"]["code"] == "INVALID"
    for mutation, example in {**EXAMPLES, **STRATEGIC}.items():
        if example.target is not None and mutation not in ("setMember", "putSessionSnapshot", "eraseSession"):
            error = owner.whole(CAN, {"action": mutation, "target": "nothing-of-ours"})["errors"][0]
            assert error["extensions"]["code"] == "NOT_FOUND", mutation


def test_a_page_of_cards_asks_as_much_as_one(house: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements do not grow with the cards of a page, strategic ones included."""
    owner, admin = house.caller("owner"), house.caller("admin")
    for text in [note() for _ in range(4)] + [screen() for _ in range(4)]:
        if "surface_settings" in text:
            given = {"change": {"publishCard": {"text": text, "trainOk": True}}, "reason": "An example"}
            lock = done(owner, "proposeLock", "lock { id revision changeDigest }", given)["lock"]
            seen = {"lockId": lock["id"], "revision": lock["revision"], "changeDigest": lock["changeDigest"]}
            done(admin, "approveLock", "lock { id }", seen)
        done(owner, "publishCard", "card { id }", {"text": text, "trainOk": True})
    counted: list[str] = []
    rows = Read.rows

    async def counting(self: Read, statement: Any, **values: Any) -> Any:
        counted.append(statement.sql)
        return await rows(self, statement, **values)

    monkeypatch.setattr(Read, "rows", counting)
    sizes = []
    for size in (2, 8):
        counted.clear()
        page = owner.ask(
            f"{{ cards(first: {size}) {{ edges {{ node {{ cardType allowedActions {{ {_ACTION} }} }} }} }} }}"
        )
        nodes = [edge["node"] for edge in page["cards"]["edges"]]
        assert len(nodes) == size
        for card in nodes:
            strategic = card["cardType"] == "surface_settings"
            codes = [[blocker["code"] for blocker in action["blockers"]] for action in card["allowedActions"]]
            assert codes == [["LOCK_REQUIRED"] if strategic else []] * 2, card
        sizes.append(len(counted))
    assert sizes[0] == sizes[1] < 20, sizes


_ACTION = "action allowed blockers { code }"
