"""An owner exports for training: what may leave does, redacted; what may not is named; equal states, equal bytes."""

from __future__ import annotations

import json
import signal
import time
from typing import Any

from journey_house import STORY_SECONDS, Caller, MakeWorld, World, http
from journey_steps import card, derive, kept, published, sha256

START = """mutation Start($input: StartExportInput!) { startExport(input: $input) {
  export { id state counts { covered } run { id kind } }
  userErrors { __typename code message hint ... on BlockedError { blockers { gate code unblock } } } } }"""
EXPORT = """query Export($id: ID!) { export(id: $id) {
  state kinds counts { covered decided included excluded } manifestDigest requestedBy finishedAt
  run { id kind status log(first: 50) { edges { node { type number payload } } } }
  manifest { digest sizeBytes downloadAddress }
  parts(first: 50) { edges { node { number records sizeBytes digest downloadAddress } } }
  excluded(first: 50) { edges { node { recordId reason layer } } } } }"""
STATE = "query State($id: ID!) { export(id: $id) { state } }"
LOG = """subscription Log($run: ID!) { runLog(runId: $run) {
  __typename ... on RunLogEntry { entry { type number } } ... on RunLogEnd { reason status } } }"""
CONSENT = "mutation Set($input: %sInput!) { %s(input: $input) { changed { cards } userErrors { code } } }"


def start(caller: Caller, *kinds: str, **more: Any) -> Any:
    """The whole payload of startExport."""
    return caller.ask(START, {"input": {"kinds": kinds or ["CARD", "ATOM"]} | more})["startExport"]


def done(caller: Caller, *kinds: str) -> Any:
    """An export that was started and is done, with its id."""
    payload = start(caller, *kinds)
    assert payload["userErrors"] == [], payload
    return ended(caller, payload["export"]["id"])


def ended(caller: Caller, export_id: str) -> Any:
    """An export once it is done, with its id."""
    deadline = time.monotonic() + STORY_SECONDS
    while caller.ask(STATE, {"id": export_id})["export"]["state"] == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    found = caller.ask(EXPORT, {"id": export_id})["export"]
    assert found["state"] == "DONE", found
    return found | {"id": export_id}


def download(file: Any) -> bytes:
    """The bytes of a part or manifest, compared with what the graph tells of them."""
    answer = http("GET", file["downloadAddress"])
    assert answer.status_code == 200
    assert (sha256(answer.content), len(answer.content)) == (file["digest"], file["sizeBytes"])
    return answer.content


def parts(found: Any) -> list[bytes]:
    """The bytes of all parts."""
    return [download(edge["node"]) for edge in found["parts"]["edges"]]


def opt_out(caller: Caller, mutation: str, out: bool) -> Any:
    """Flip consent; the payload."""
    return caller.ask(CONSENT % (mutation[0].upper() + mutation[1:], mutation), {"input": {"optOut": out}})[mutation]


async def test_from_request_to_bytes(own_world: MakeWorld) -> None:
    """Refused while the tenant withholds consent, then exported; a user opts out and the next one leaves theirs out."""
    world = own_world()
    owner, admin = world.caller("t_acme", "owner"), world.caller("t_acme", "admin")
    asset = kept(owner, "notes.txt", "text/plain", b"Mail zoe@example.com.\n\nSecond.\n")
    derive(owner, asset)
    own = published(owner, card("own", "The owner's, from 192.0.2.17.\n"))
    theirs = published(admin, card("theirs", "The admin's.\n"))
    secret = published(owner, card("secret", "Not for training.\n"), trainOk=False)

    assert opt_out(owner, "setTenantConsent", True)["userErrors"] == []
    refused = start(owner)
    assert refused["export"] is None
    [error] = refused["userErrors"]
    assert (error["__typename"], error["code"]) == ("BlockedError", "WITHHELD")
    assert error["blockers"] == [{"gate": "CONSENT", "code": "WITHHELD", "unblock": error["hint"]}]
    assert opt_out(owner, "setTenantConsent", False)["changed"] == {"cards": 2}

    first = done(owner)
    assert first["counts"] == {"covered": 5, "decided": 5, "included": 4, "excluded": 1}
    assert [edge["node"] for edge in first["excluded"]["edges"]] == [
        {"recordId": f"{secret['id']}:1", "reason": "TRAIN_NOT_OK", "layer": "RECORD"}
    ]
    [part] = parts(first)
    lines = [json.loads(line) for line in part.splitlines()]
    assert sorted(line["id"] for line in lines if line["kind"] == "CARD") == sorted(
        [f"{own['id']}:1", f"{theirs['id']}:1"]
    )
    assert [line["content"]["text"] for line in lines if line["piiFlags"] == ["email"]] == ["Mail [email]."]
    assert b"zoe" not in part
    assert b"192.0.2.17" not in part
    assert (first["run"]["kind"], first["run"]["status"]) == ("EXPORT", "SUCCEEDED")
    log = [edge["node"]["type"] for edge in first["run"]["log"]["edges"]]
    assert log == ["export.requested", "export.part_written", "export.finished"]

    second = done(admin)
    assert parts(second) == [part]
    assert download(second["manifest"]) == download(first["manifest"])
    assert second["manifestDigest"] == first["manifestDigest"]

    assert opt_out(admin, "setOwnConsent", True)["changed"] == {"cards": 1}
    third = done(owner)
    assert {"recordId": f"{theirs['id']}:1", "reason": "TRAIN_NOT_OK", "layer": "USER"} in [
        edge["node"] for edge in third["excluded"]["edges"]
    ]
    assert third["counts"]["included"] == 3
    assert theirs["id"].encode() not in b"".join(parts(third))
    closed = owner.answer(EXPORT, {"id": first["id"]}).json()  # its part holds what is withheld now
    assert [error["extensions"]["code"] for error in closed["errors"]] == ["WITHHELD"]
    assert closed["data"]["export"]["parts"]["edges"][0]["node"]["downloadAddress"] is None
    assert download(closed["data"]["export"]["manifest"])

    fourth = start(owner)["export"]
    async with owner.stream(LOG, {"run": fourth["run"]["id"]}) as frames:
        seen = [frame["runLog"] async for frame in frames if frame["runLog"]["__typename"] != "RunLogHeartbeat"]
    assert [frame["entry"]["type"] for frame in seen[:-1]] == log
    assert seen[-1]["status"] == "SUCCEEDED"


def test_an_export_outlives_a_power_cut(own_world: MakeWorld) -> None:
    """Killed while it runs, it goes on by itself, and its bytes are those of one that was never interrupted."""
    world = own_world()
    owner = world.caller("t_acme", "owner")
    for number in range(5):
        published(owner, card(f"power/{number}", f"Words of card {number}.\n"))
    begun = start(owner)["export"]
    assert begun["state"] == "RUNNING"
    world.server.stop(signal.SIGKILL)
    world.server.start()
    found = ended(owner, begun["id"])
    assert found["counts"] == {"covered": 5, "decided": 5, "included": 5, "excluded": 0}
    assert found["run"]["status"] == "SUCCEEDED"
    another = done(owner)
    assert parts(found) == parts(another)
    assert download(found["manifest"]) == download(another["manifest"])


def test_who_may_export(world: World) -> None:
    """Owners and admins; members and agents are refused, and strangers find what they find of no export at all."""
    owner = world.caller("t_acme", "owner")
    for who in ("member", "agent"):
        small = world.caller("t_acme", who)
        assert small.error(START, {"input": {"kinds": ["CARD"]}})["extensions"]["code"] == "FORBIDDEN"
        assert small.error(STATE, {"id": "export_0"})["extensions"]["code"] == "FORBIDDEN"
    empty = start(owner, kinds=[])
    assert empty["userErrors"][0]["code"] == "INVALID"
    export_id = done(world.caller("t_acme", "admin"), "CARD")["id"]
    stranger = world.caller("t_globex", "owner")
    answers = [stranger.ask(EXPORT, {"id": name}) for name in (export_id, "export_0")]
    assert answers == [{"export": None}] * 2
    node = "query Node($id: ID!) { node(id: $id) { id } }"
    assert stranger.ask(node, {"id": export_id}) == {"node": None}
    assert owner.ask(node, {"id": export_id}) == {"node": {"id": export_id}}
    listing = "{ exports(first: 50) { edges { node { id } } } }"
    assert export_id in json.dumps(owner.ask(listing))
    assert export_id not in json.dumps(stranger.ask(listing))


def test_a_dry_run_and_a_repetition(world: World) -> None:
    """A dry run tells what an export would cover and starts none; a key starts one export however often it is sent."""
    owner = world.caller("t_acme", "owner")
    rehearsed = start(owner, dryRun=True)["export"]
    assert rehearsed["run"] is None
    assert owner.ask(STATE, {"id": rehearsed["id"]}) == {"export": None}
    first, again = (start(owner, idempotencyKey="export once")["export"]["id"] for _ in range(2))
    assert first == again
