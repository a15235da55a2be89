"""A subject is erased: planned, confirmed by digest, done through a power cut, proven, and again after a restore."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from journey_house import WAIT_SECONDS, Caller, Installation, MakeWorld, World
from journey_steps import card, derive, kept, published

from nexus_graph import config
from nexus_graph.administration.directory import development_token
from nexus_graph.engines import open_stores
from nexus_graph.scope.scope import Env, Scope

SUE = "sue.canary.7731"
CANARIES = (SUE, "canary-card-words", "canary-asset-bytes", "canary-file-name", "canary-session-words", "canary-key")
STAYS = ("owner-card-words", "owner-asset-bytes")

MEMBER = "mutation Set($input: SetMemberInput!) { setMember(input: $input) { member { role } userErrors { code } } }"
REMEMBER = """mutation Remember($input: AppendSessionInput!) {
  appendSession(input: $input) { session { sessionId } userErrors { message } } }"""
PACK = "query Pack($ask: InfluencePackInput!) { influencePack(ask: $ask) { id refs { cardId } } }"
PLAN = """mutation Plan($input: PlanErasureInput!) { planErasure(input: $input) {
  erasure { id state subjectDigest plan { digest counts { store count } mentions { store count } } run { id } }
  userErrors { code message } } }"""
EXECUTE = """mutation Execute($input: ExecuteErasureInput!) { executeErasure(input: $input) {
  erasure { id state run { kind status } } userErrors { code message } } }"""
ERASURE = """query Erasure($id: ID!) { erasure(id: $id) {
  state findings { place } certificate { digest content }
  run { kind status log(first: 50) { edges { node { type payload } } } } } }"""
PROOF = """query Proof($id: ID!) { node(id: $id) { ... on InfluencePack {
  erased request refs { cardId erased excerpt { text } version { text } }
  verification { holds erased faults } replay { same differences { kind } } } } }"""
CARD = "query One($id: ID!) { card(id: $id) { text } }"


def left(world: World, *words: str) -> set[str]:
    """Which of these words the installation holds anywhere, in a name or in bytes."""
    held = world.server.installation.held()
    return {word for word in words if word.encode() in held}


def sue_comes(world: World) -> Caller:
    """Makes her an admin; the caller that she is."""
    owner = world.caller("t_acme", "owner")
    made = owner.ask(MEMBER, {"input": {"subject": SUE, "role": "ADMIN"}})["setMember"]
    assert made["userErrors"] == []
    settings = config.load({}, world.server.installation.folder / "nexus.toml", embedder="hashing").config
    return Caller(world.server, "t_acme", development_token(settings, SUE, timedelta(hours=1)))


def furnish(caller: Caller, word: str) -> list[str]:
    """A file and two cards; the cards' ids."""
    asset = kept(caller, f"{word}-file-name.txt", "text/plain", f"{word}-asset-bytes in a paragraph.\n".encode())
    derive(caller, asset)  # not left to the follower: atoms that come after a plan would make it another state
    return [str(published(caller, card(f"{word}-key-{n}", f"{word}-card-words {n}\n"))["id"]) for n in range(2)]


def plan(caller: Caller, **more: Any) -> Any:
    """The whole payload of planErasure for Sue; fails when it was refused."""
    payload = caller.ask(PLAN, {"input": {"kind": "SUBJECT", "subject": SUE} | more})["planErasure"]
    assert payload["userErrors"] == [], payload
    return payload


def execute(caller: Caller, erasure_id: str, digest: str, **more: Any) -> Any:
    """The whole payload of executeErasure; fails when it was refused."""
    asked = {"erasureId": erasure_id, "digest": digest} | more
    payload = caller.ask(EXECUTE, {"input": asked})["executeErasure"]
    assert payload["userErrors"] == [], payload
    return payload


def certified(caller: Caller, erasure_id: str) -> Any:
    """The erasure, once it is certified."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        found = caller.ask(ERASURE, {"id": erasure_id})["erasure"]
        if found["state"] == "CERTIFIED":
            return found
        assert found["state"] in ("CONFIRMED", "ERASED"), found
        time.sleep(0.1)
    pytest.fail(f"not certified after {WAIT_SECONDS} s: {found}")


def refusal(caller: Caller, document: str, **asked: Any) -> str:
    """The code of the one error that a mutation which did nothing answers."""
    answer = caller.answer(document, {"input": asked}).json()
    if answer.get("errors"):
        return str(answer["errors"][0]["extensions"]["code"])
    [payload] = answer["data"].values()
    assert payload["erasure"] is None, payload
    [error] = payload["userErrors"]
    return str(error["code"])


def chain_holds(installation: Installation) -> bool:
    """Whether the hash chain of t_acme/dev holds, as `audit verify` proves it."""
    given = {name: value for name, value in installation.environment.items() if name.startswith("NEXUS_POSTGRES")}
    settings = config.load(given, installation.folder / "nexus.toml", embedder="hashing").config

    async def deed() -> bool:
        async with open_stores(settings) as stores, stores.read(Scope.system("t_acme", Env.DEV, "test")) as read:
            return (await read.verify_journal())[1] is None

    return asyncio.run(deed())


def test_a_subject_leaves_no_byte_and_no_restore_brings_one_back(own_world: MakeWorld, tmp_path: Path) -> None:
    """Refused to all but an owner with the right digest; then gone from every file, also after a kill and a restore."""
    world = own_world()
    server, folder = world.server, world.server.installation.folder
    owner, sue = world.caller("t_acme", "owner"), sue_comes(world)
    hers = furnish(sue, "canary")
    furnish(owner, "owner")
    remembered = {"sessionId": "s1", "entries": [{"content": "canary-session-words", "trainOk": False}]}
    assert sue.ask(REMEMBER, {"input": remembered})["appendSession"]["userErrors"] == []
    pack = sue.ask(PACK, {"ask": {"text": "what of canary-card-words?", "k": 4}})["influencePack"]
    assert len(pack["refs"]) == 4

    for who in ("admin", "member", "agent"):
        assert refusal(world.caller("t_acme", who), PLAN, kind="SUBJECT", subject=SUE) == "FORBIDDEN"
    assert refusal(owner, PLAN, kind="SUBJECT", subject="owner@t_acme") == "CONFLICT"
    assert plan(owner, dryRun=True)["erasure"]["state"] == "PLANNED"
    planned = plan(owner)["erasure"]
    erasure_id, digest = planned["id"], planned["plan"]["digest"]
    counts = {item["store"]: item["count"] for item in planned["plan"]["counts"]}
    assert (counts["cards"], counts["assets"], counts["sessions"], counts["packs"]) == (2, 1, 1, 1)
    assert planned["plan"]["mentions"] == []
    confirmation = {"erasureId": erasure_id, "digest": digest}
    for who in ("admin", "member", "agent"):
        assert refusal(world.caller("t_acme", who), EXECUTE, **confirmation) == "FORBIDDEN"
    assert refusal(world.caller("t_globex", "owner"), EXECUTE, **confirmation) == "NOT_FOUND"
    assert world.caller("t_globex", "owner").ask(ERASURE, {"id": erasure_id})["erasure"] is None
    assert refusal(owner, EXECUTE, **confirmation | {"digest": "0" * 64}) == "CONFLICT"
    assert execute(owner, erasure_id, digest, dryRun=True)["erasure"]["state"] == "CONFIRMED"
    assert owner.ask(ERASURE, {"id": erasure_id})["erasure"]["state"] == "PLANNED"
    assert left(world, *CANARIES) == set(CANARIES)

    shutil.copytree(folder / "nexus-data", tmp_path / "backup")  # nobody writes now
    assert execute(owner, erasure_id, digest)["erasure"]["run"] == {"kind": "ERASE", "status": "RUNNING"}
    server.stop(signal.SIGKILL)
    server.start()
    done = certified(owner, erasure_id)
    assert done["findings"] == []
    assert done["run"]["status"] == "SUCCEEDED"
    told = [edge["node"]["type"] for edge in done["run"]["log"]["edges"]]
    assert (told[0], told[-1]) == ("erasure.confirmed", "erasure.completed")
    assert left(world, *CANARIES) == set()
    assert left(world, *STAYS) == set(STAYS)

    found = owner.ask(PROOF, {"id": pack["id"]})["node"]
    assert found["erased"]
    assert found["request"]["text"] == ""
    for ref in found["refs"]:
        gone = ref["cardId"] in hers
        assert (ref["erased"], ref["excerpt"] is None, ref["version"] is None) == (gone, gone, gone)
    assert found["verification"] == {"holds": False, "erased": True, "faults": []}
    assert {difference["kind"] for difference in found["replay"]["differences"]} == {"ERASED"}
    assert owner.ask(CARD, {"id": hers[0]})["card"] is None

    assert server.stop() == 0
    assert left(world, *CANARIES) == set()
    assert SUE not in (folder / "erasures.jsonl").read_text()
    assert chain_holds(server.installation)

    if not isinstance(server.installation.place, Path):
        return  # a server's backups are restored with its own tools
    shutil.rmtree(folder / "nexus-data")
    shutil.copytree(tmp_path / "backup", folder / "nexus-data")
    said = server.installation.run("serve", "--port", str(server.port), status=2)
    assert "nexus-graph erasure replay" in said
    assert erasure_id in said
    assert f"{erasure_id} of t_acme/dev: CERTIFIED" in server.installation.run("erasure", "replay")
    assert left(world, *CANARIES) == set()
    assert chain_holds(server.installation)
    server.start()
    assert certified(owner, erasure_id)["certificate"]["digest"]
    assert left(world, *STAYS) == set(STAYS)


def test_a_tenants_env_is_emptied(own_world: MakeWorld) -> None:
    """Refused to all but an owner with the right digest; then nobody comes in, and only the chain is left of it.

    It was the tenant's last env, so the certificate is where an operator looks: in the ledger.
    """
    world = own_world()
    owner, other = world.caller("t_acme", "owner"), world.caller("t_globex", "owner")
    furnish(owner, "canary")
    furnish(other, "owner")
    asked = {"kind": "TENANT_ENV"}
    for who in ("admin", "member", "agent"):
        assert refusal(world.caller("t_acme", who), PLAN, **asked) == "FORBIDDEN"
    assert refusal(owner, PLAN, **asked, subject=SUE) == "INVALID"
    planned = owner.ask(PLAN, {"input": asked})["planErasure"]["erasure"]
    confirmation = {"erasureId": planned["id"], "digest": planned["plan"]["digest"]}
    assert refusal(world.caller("t_acme", "admin"), EXECUTE, **confirmation) == "FORBIDDEN"
    assert refusal(owner, EXECUTE, **confirmation | {"digest": "0" * 64}) == "CONFLICT"
    assert refusal(other, EXECUTE, **confirmation) == "NOT_FOUND"
    words = ("canary-card-words", "canary-asset-bytes", "canary-file-name", "canary-key", "owner@t_acme")
    assert left(world, *words, *STAYS) == {*words, *STAYS}

    assert execute(owner, *confirmation.values())["erasure"]["run"] == {"kind": "ERASE", "status": "RUNNING"}
    deadline = time.monotonic() + WAIT_SECONDS
    while not (entries := world.server.installation.json("erasure", "ledger")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [(entry["erasure_id"], entry["tenant_id"], entry["env"]) for entry in entries] == [
        (planned["id"], "t_acme", "dev")
    ]
    assert owner.error("{ viewer { role } }")["extensions"]["code"] == "FORBIDDEN"
    assert other.ask("{ viewer { role } }") == {"viewer": {"role": "OWNER"}}
    assert world.server.stop() == 0
    assert left(world, *words, *STAYS) == set(STAYS)
    assert chain_holds(world.server.installation)
