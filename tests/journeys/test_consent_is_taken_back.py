"""Somebody takes consent back: labels follow along the lineage at once, for the tenant, a user and a single record."""

from __future__ import annotations

from typing import Any

import pytest
from journey_house import Caller, MakeWorld, World
from journey_steps import card, derive, kept, published

CONSENT = "{ consent { installation tenant own effective } }"
CHANGED = "changed { assets atoms cards packs } userErrors { __typename code message path }"
SET_TENANT = f"mutation Set($input: SetTenantConsentInput!) {{ setTenantConsent(input: $input) {{ {CHANGED} }} }}"
SET_OWN = f"mutation Set($input: SetOwnConsentInput!) {{ setOwnConsent(input: $input) {{ {CHANGED} }} }}"
SET_RECORD = f"mutation Set($input: SetTrainOkInput!) {{ setTrainOk(input: $input) {{ {CHANGED} }} }}"
LABELS = """query Labels($asset: ID!, $card: ID!, $pack: ID!) {
  asset(id: $asset) { trainOk atoms(first: 9) { edges { node { trainOk } } } }
  card(id: $card) { trainOk } node(id: $pack) { ... on InfluencePack { trainOk } } }"""
PACK = "query Pack($ask: InfluencePackInput!) { influencePack(ask: $ask) { id trainOk } }"
AUDIT = """query Audit($types: [String!]) { audit(first: 9, filter: { types: $types }) {
  edges { node { payload subject { kind subjectId } } } } }"""
NOTHING = {"assets": 0, "atoms": 0, "cards": 0, "packs": 0}


class Lineage:
    """An asset of the owner's with two atoms, a card of the admin's that cites one, a pack that quotes the card."""

    def __init__(self, world: World, word: str) -> None:
        self.owner, self.admin = world.caller("t_acme", "owner"), world.caller("t_acme", "admin")
        self.asset = kept(self.owner, f"{word}.txt", "text/plain", f"The {word} runs.\n\nAgain.\n".encode())
        derive(self.owner, self.asset)
        answer = self.owner.ask(
            "query Atoms($id: ID!) { asset(id: $id) { atoms(first: 9) { edges { node { id } } } } }", {"id": self.asset}
        )
        self.atom = answer["asset"]["atoms"]["edges"][0]["node"]["id"]
        self.card = published(
            self.admin, card(f"{word}/card", f"The {word} runs.\n", labels=[word], artifact_refs=[self.atom])
        )["id"]
        ask = {"text": f"When does the {word} run?", "filter": {"labels": [word]}}
        self.pack = world.caller("t_acme", "member").ask(PACK, {"ask": ask})["influencePack"]["id"]

    def labels(self) -> tuple[bool, list[bool], bool, bool]:
        """Consent of the asset, its atoms, the card and the pack, as the graph tells it."""
        data = self.owner.ask(LABELS, {"asset": self.asset, "card": self.card, "pack": self.pack})
        atoms = [edge["node"]["trainOk"] for edge in data["asset"]["atoms"]["edges"]]
        return data["asset"]["trainOk"], atoms, data["card"]["trainOk"], data["node"]["trainOk"]


def opt_out(caller: Caller, document: str, out: bool, **more: Any) -> Any:
    """The payload of setTenantConsent or setOwnConsent."""
    [payload] = caller.ask(document, {"input": {"optOut": out} | more}).values()
    return payload


def test_the_tenant_and_then_the_operator_withhold(own_world: MakeWorld) -> None:
    """Everything of this env follows and comes back, the other tenant feels nothing.

    A server that starts with NEXUS_TRAIN_OK=false has taken every label back before it answers.
    """
    world = own_world()
    lineage = Lineage(world, "winch")
    stranger = world.caller("t_globex", "owner")
    other = kept(stranger, "theirs.txt", "text/plain", b"Theirs.")
    assert lineage.labels() == (True, [True, True], True, True)
    rehearsed = opt_out(lineage.owner, SET_TENANT, True, dryRun=True)
    assert rehearsed["changed"] == {"assets": 1, "atoms": 2, "cards": 1, "packs": 1}
    assert lineage.labels() == (True, [True, True], True, True)
    assert opt_out(lineage.owner, SET_TENANT, True) == rehearsed
    assert lineage.labels() == (False, [False, False], False, False)
    told = lineage.admin.ask(CONSENT)["consent"]
    assert told == {"installation": True, "tenant": False, "own": True, "effective": False}
    assert stranger.ask(CONSENT)["consent"]["effective"]
    assert stranger.ask("query Asset($id: ID!) { asset(id: $id) { trainOk } }", {"id": other})["asset"]["trainOk"]
    late = published(lineage.admin, card("late", "Written under the opt-out.\n"))
    assert not late["trainOk"]
    assert opt_out(lineage.owner, SET_TENANT, True)["changed"] == NOTHING
    assert opt_out(lineage.owner, SET_TENANT, False)["changed"] == {"assets": 1, "atoms": 2, "cards": 2, "packs": 1}
    assert lineage.labels() == (True, [True, True], True, True)
    events = lineage.owner.ask(AUDIT, {"types": ["consent.changed"]})["audit"]["edges"]
    assert [edge["node"]["payload"]["input"]["optedOut"] for edge in events] == [False, True]
    assert events[0]["node"]["payload"]["output"] == {"assets": 1, "atoms": 2, "cards": 2, "packs": 1}

    assert world.server.stop() == 0
    world.server.installation.environment["NEXUS_TRAIN_OK"] = "false"
    world.server.start()
    assert lineage.labels() == (False, [False, False], False, False)
    told = lineage.admin.ask(CONSENT)["consent"]
    assert told == {"installation": False, "tenant": True, "own": True, "effective": False}


def test_a_user_takes_their_own_consent_back(world: World) -> None:
    """What they brought in follows, with all that came of it; an agent may do the same for itself."""
    lineage = Lineage(world, "pulley")
    out = opt_out(lineage.admin, SET_OWN, True)["changed"]
    try:
        assert out["cards"] >= 1
        assert out["packs"] >= 1
        assert lineage.labels() == (True, [True, True], False, False)
        assert lineage.admin.ask(CONSENT)["consent"] == {
            "installation": True,
            "tenant": True,
            "own": False,
            "effective": False,
        }
        assert lineage.owner.ask(CONSENT)["consent"]["effective"]
    finally:
        assert opt_out(lineage.admin, SET_OWN, False)["changed"] == out
    assert lineage.labels() == (True, [True, True], True, True)
    agent = world.caller("t_acme", "agent")
    assert opt_out(agent, SET_OWN, True)["userErrors"] == []
    assert opt_out(agent, SET_OWN, False)["userErrors"] == []


def test_a_single_record_is_withheld_and_given(world: World) -> None:
    """An asset's descendants follow it; a foreign id is not found in the same words as an unknown one."""
    lineage = Lineage(world, "crane")
    answer = lineage.owner.ask(SET_RECORD, {"input": {"id": lineage.asset, "trainOk": False}})["setTrainOk"]
    assert answer == {"changed": {"assets": 1, "atoms": 2, "cards": 1, "packs": 1}, "userErrors": []}
    assert lineage.labels() == (False, [False, False], False, False)
    lineage.owner.ask(SET_RECORD, {"input": {"id": lineage.asset, "trainOk": True}})
    lineage.admin.ask(SET_RECORD, {"input": {"id": lineage.card, "trainOk": False}})
    assert lineage.labels() == (True, [True, True], False, False)
    stranger = world.caller("t_globex", "owner")
    payloads = [
        stranger.ask(SET_RECORD, {"input": {"id": name, "trainOk": False}})["setTrainOk"]
        for name in (lineage.asset, lineage.card, "asset_0", "card_0", lineage.atom, lineage.pack)
    ]
    assert payloads[0]["userErrors"][0]["code"] == "NOT_FOUND"
    assert all(payload == payloads[0] for payload in payloads)
    assert lineage.labels() == (True, [True, True], False, False)


@pytest.mark.parametrize("who", ["member", "agent"])
def test_others_do_not_decide_for_the_tenant(world: World, who: str) -> None:
    """Members and agents may neither flip the tenant nor a record; an admin may."""
    small = world.caller("t_acme", who)
    assert small.error(SET_TENANT, {"input": {"optOut": True}})["extensions"]["code"] == "FORBIDDEN"
    assert small.error(SET_RECORD, {"input": {"id": "asset_0", "trainOk": True}})["extensions"]["code"] == "FORBIDDEN"
    admin = world.caller("t_acme", "admin")
    assert opt_out(admin, SET_TENANT, True, dryRun=True)["userErrors"] == []
