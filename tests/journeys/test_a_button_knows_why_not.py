"""A button knows beforehand whether it may be pressed, and why not; pressing it for a try leaves no trace."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from deed_examples import EXAMPLES, STRATEGIC, Cast, approved, document, done, note, screen
from journey_house import Caller, Furnished, MakeWorld, World, serving
from journey_steps import upload
from shipped import graph

from nexus_graph.stores.tables import schema_of_record

CAN = """query Can($action: String!, $target: ID) { viewer { can(action: $action, target: $target) {
  action allowed blockers { gate code message unblock } } } }"""
GRAPH = graph()
WITHIN_SECONDS = 60
COUNTED = {"rate_buckets"}
"""What asking costs is paid for a dry run too."""
UNKNOWN_BEFOREHAND = {"secret", "upload", "indexState", "downloadAddress"}
"""What a dry run leaves out: nothing could be done with it."""


class Hand:
    """A caller who uploads as well."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.ask = caller.ask

    def upload(self, address: Any, data: bytes) -> int:
        """Send bytes to a presigned upload; the status of the answer."""
        return upload(address, data).status_code


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, furnished: Furnished) -> Iterator[World]:
    """A server for the stories of this file alone: they change quotas, halt and flip consent."""
    with serving(furnished, tmp_path_factory.mktemp("stage") / "world") as world:
        yield world


def cast_of(world: World) -> Cast:
    """The owner and the admin of a tenant."""
    return Cast(Hand(world.caller("t_acme", "owner")), Hand(world.caller("t_acme", "admin")))


def can(caller: Caller, action: str, target: str | None = None) -> Any:
    """What a screen is told."""
    return caller.ask(CAN, {"action": action, "target": target})["viewer"]["can"]


def codes(decision: Any) -> list[str]:
    """The codes of everything that stands in the way."""
    assert decision["allowed"] == (decision["blockers"] == [])
    return [blocker["code"] for blocker in decision["blockers"]]


def press(caller: Caller, mutation: str, given: Mapping[str, Any], *, dry_run: bool = False) -> tuple[Any, list[str]]:
    """The payload of a mutation, if any, and the codes that it was refused with."""
    answer = caller.answer(document(GRAPH, mutation), {"input": {**given, "dryRun": dry_run}}).json()
    payload = (answer.get("data") or {}).get(mutation)
    refused = [error["extensions"]["code"] for error in answer.get("errors", ())]
    return payload, refused + [error["code"] for error in (payload or {}).get("userErrors", ())]


def traces(world: World) -> dict[str, str]:
    """A digest of every table and of every stored object."""
    found = {}
    for name in sorted({*schema_of_record().tables} - COUNTED):
        rows = sorted(map(repr, world.server.installation.query(f'select * from "{name}"')))  # noqa: S608 - a name of a table
        found[name] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    found["objects"] = repr(world.server.installation.objects.written())
    return found


def when_quiet(world: World) -> dict[str, str]:
    """The traces once no follower has anything left to do."""
    deadline, before = time.monotonic() + WITHIN_SECONDS, traces(world)
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = traces(world)
        if now == before:
            return now
        before = now
    pytest.fail("the followers never come to rest")


def shape(value: Any) -> Any:
    """What an answer looks like: its members, and which of them are null."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items() if name not in UNKNOWN_BEFOREHAND}
    return [shape(item) for item in value] if isinstance(value, list) else value is None


def test_everybody_is_told_the_truth(stage: World) -> None:
    """For each role and mutation, `can` and a try agree: who may, who lacks the right, and what lacks a lock."""
    world = stage
    cast = cast_of(world)
    cases = [(mutation, example, example.make(cast)) for mutation, example in EXAMPLES.items()]
    cases += [(mutation, example, example.make(cast)) for mutation, example in STRATEGIC.items() if example.target]
    seen: dict[str, set[str]] = {}
    for who in ("owner", "admin", "member", "agent"):
        caller = world.caller("t_acme", who)
        for mutation, example, given in cases:
            answer = caller.answer(CAN, {"action": mutation, "target": given.get(example.target or "")}).json()
            _, refused = press(caller, mutation, given, dry_run=True)
            if "errors" in answer:
                assert [error["extensions"]["code"] for error in answer["errors"]] == ["NOT_FOUND"] == refused, answer
                continue
            foretold = codes(answer["data"]["viewer"]["can"])
            assert foretold[:1] == refused, (who, mutation, foretold, refused)
            seen.setdefault(who, set()).update(refused or ["done"])
    assert seen["owner"] == {"done", "LOCK_REQUIRED"}
    assert seen["admin"] == {"done", "LOCK_REQUIRED", "FORBIDDEN"}
    assert seen["member"] == seen["agent"] == {"done", "FORBIDDEN"}


def test_a_button_names_all_that_is_in_the_way(stage: World) -> None:
    """Halted, full and without the right at once: `can` names all of it, the deed the first; each clears by itself."""
    world = stage
    owner, member, cast = world.caller("t_acme", "owner"), world.caller("t_acme", "member"), cast_of(world)
    text = {"text": note(), "trainOk": True}
    assert codes(can(owner, "publishCard")) == []
    assert press(owner, "publishCard", text, dry_run=True)[1] == []

    limit = {"resource": "INDEX_WRITES", "limit": 0}
    assert codes(can(owner, "setQuota", "INDEX_WRITES")) == ["LOCK_REQUIRED"]
    assert press(owner, "setQuota", limit)[1] == ["LOCK_REQUIRED"]
    approved(cast, {"setQuota": limit})
    assert codes(can(owner, "setQuota", "INDEX_WRITES")) == []
    assert press(owner, "setQuota", limit)[1] == []
    assert codes(can(owner, "publishCard")) == press(owner, "publishCard", text)[1] == ["QUOTA_EXCEEDED"]
    assert codes(can(member, "publishCard")) == ["QUOTA_EXCEEDED", "FORBIDDEN"]
    assert press(member, "publishCard", text)[1] == ["FORBIDDEN"]

    halt = {"target": "ACTION", "name": "publishCard", "reason": "A drill"}
    switch = {"switchId": done(cast.owner, "engageKillSwitch", "killSwitch { id }", halt)["killSwitch"]["id"]}
    assert codes(can(owner, "publishCard")) == ["HALTED", "QUOTA_EXCEEDED"]
    assert codes(can(member, "publishCard")) == ["HALTED", "QUOTA_EXCEEDED", "FORBIDDEN"]
    assert press(owner, "publishCard", text)[1] == press(member, "publishCard", text)[1] == ["HALTED"]
    [blocker] = can(owner, "releaseKillSwitch", switch["switchId"])["blockers"]
    assert (blocker["gate"], blocker["code"]) == ("STRATEGY_LOCK", "LOCK_REQUIRED")
    assert "proposeLock" in blocker["unblock"]
    approved(cast, {"releaseKillSwitch": switch})
    assert codes(can(owner, "releaseKillSwitch", switch["switchId"])) == []
    assert press(owner, "releaseKillSwitch", switch)[1] == []

    given_back = {"resource": "INDEX_WRITES", "limit": None}
    approved(cast, {"setQuota": given_back})
    assert press(owner, "setQuota", given_back)[1] == []
    assert codes(can(owner, "publishCard")) == press(owner, "publishCard", text)[1] == []


def test_a_dry_run_leaves_no_trace(stage: World) -> None:
    """Every mutation rehearsed: the answer of the real one, and not a row, object or journal entry is different."""
    world = stage
    owner, cast = world.caller("t_acme", "owner"), cast_of(world)
    given = {mutation: example.make(cast) for mutation, example in EXAMPLES.items()}
    refused = {mutation: example.make(cast) for mutation, example in STRATEGIC.items() if mutation != "reindex"}
    before = when_quiet(world)
    rehearsed = {}
    for mutation in given:
        rehearsed[mutation] = press(owner, mutation, given[mutation], dry_run=True)
        assert rehearsed[mutation][1] == [], mutation
        assert traces(world) == before, mutation
    for mutation in refused:
        assert press(owner, mutation, refused[mutation], dry_run=True)[1] == ["LOCK_REQUIRED"], mutation
    for mutation in given:
        press(world.caller("t_acme", "member"), mutation, given[mutation], dry_run=True)
    assert traces(world) == before
    assert rehearsed["createKey"][0]["secret"] is None
    assert rehearsed["reserveAsset"][0]["upload"] is None
    for mutation in given:
        happened = press(owner, mutation, given[mutation])
        assert shape(happened) == shape(rehearsed[mutation]), mutation
        if mutation == "createKey":
            assert happened[0]["secret"].startswith("nxk_")
    assert traces(world) != before


def test_a_spent_budget_is_foretold(own_world: MakeWorld) -> None:
    """With points left for a question and not for a deed, `can` says THROTTLED, and so does the deed."""
    world = own_world(actor_burst="100", actor_per_second="1")
    owner = world.caller("t_acme", "owner")
    assert codes(can(owner, "openRun")) == []
    while codes(can(owner, "openRun")) == []:
        press(owner, "openRun", {"title": "An example"}, dry_run=True)
    assert press(owner, "openRun", {"title": "An example"})[1] == ["THROTTLED"]
    assert codes(can(world.caller("t_acme", "admin"), "openRun")) == []


def test_a_target_elsewhere_is_not_found(world: World) -> None:
    """A card of another tenant, an unknown one and a malformed id answer alike; a field that is none is INVALID."""
    card = done(
        Hand(world.caller("t_globex", "owner")), "publishCard", "card { id }", {"text": note(), "trainOk": True}
    )
    owner = world.caller("t_acme", "owner")
    errors = [
        owner.error(CAN, {"action": "retireCard", "target": each}) for each in (card["card"]["id"], "card_1", "?")
    ]
    assert {error["extensions"]["code"] for error in errors} == {"NOT_FOUND"}
    assert len({error["message"] for error in errors}) == 1
    assert codes(can(world.caller("t_globex", "owner"), "retireCard", card["card"]["id"])) == []
    assert owner.error(CAN, {"action": "retire"})["extensions"]["code"] == "INVALID"


def test_a_lock_for_something_else_opens_no_button(stage: World) -> None:
    """One for a version that was followed by another, or to make an owner a member, allows no retiring or revoking."""
    cast = cast_of(stage)
    owner, text = stage.caller("t_acme", "owner"), screen()
    first = {"text": text, "trainOk": True, "expectedVersion": 0}
    approved(cast, {"publishCard": first})
    card = done(cast.owner, "publishCard", "card { id }", first)["card"]["id"]
    retired = {"cardId": card, "expectedVersion": 1}
    approved(cast, {"retireCard": retired})
    approved(cast, {"publishCard": {"text": text + "Late.\n", "trainOk": True, "expectedVersion": 1}})
    assert codes(can(owner, "publishCard", card)) == codes(can(owner, "retireCard", card)) == []
    assert press(owner, "retireCard", retired, dry_run=True)[1] == []
    second = {"text": text + "More.\n", "trainOk": True, "expectedVersion": 1}
    approved(cast, {"publishCard": second})
    done(cast.owner, "publishCard", "card { id }", second)
    shown = owner.ask("query ($id: ID!) { card(id: $id) { allowedActions { action allowed } } }", {"id": card})
    assert [each["allowed"] for each in shown["card"]["allowedActions"]] == [False, False]
    assert codes(can(owner, "publishCard", card)) == codes(can(owner, "retireCard", card)) == ["LOCK_REQUIRED"]
    assert press(owner, "retireCard", {**retired, "expectedVersion": 2}, dry_run=True)[1] == ["LOCK_REQUIRED"]

    made, unmade = ({"subject": "second@t_acme", "role": role} for role in ("OWNER", "MEMBER"))
    approved(cast, {"setMember": made})
    done(cast.owner, "setMember", "member { role }", made)
    approved(cast, {"setMember": unmade})
    assert codes(can(owner, "revokeMember", "second@t_acme")) == ["LOCK_REQUIRED"]
    assert press(owner, "revokeMember", {"subject": "second@t_acme"})[1] == ["LOCK_REQUIRED"]
    assert codes(can(owner, "setMember", "second@t_acme")) == press(owner, "setMember", unmade)[1] == []
