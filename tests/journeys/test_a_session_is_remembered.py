"""A session is remembered by the one whose it is, for as long as it lives, and by nobody else."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from journey_house import WAIT_SECONDS, Caller, MakeWorld, World

APPEND = """mutation Append($input: AppendSessionInput!) { appendSession(input: $input) {
  session { sessionId entryCount expiresAt } userErrors { __typename code message path } } }"""
SNAPSHOT = """mutation Snapshot($input: PutSessionSnapshotInput!) { putSessionSnapshot(input: $input) {
  session { sessionId entryCount } userErrors { __typename code message path } } }"""
ERASE = """mutation Erase($input: EraseSessionInput!) { eraseSession(input: $input) {
  entries userErrors { __typename code message hint path } } }"""
SESSION = """query One($id: String!, $after: String) { session(id: $id) { sessionId entryCount
  entries(first: 2, after: $after) { edges { node { ordinal kind content piiFlags trainOk } }
  pageInfo { hasNextPage endCursor } } } }"""
SESSIONS = """{ sessions(first: 10) { edges { node { sessionId entryCount
  entries(first: 5) { edges { node { content } } } } } } }"""
CURSOR = "{ sessions(first: 1) { pageInfo { endCursor } } }"
AUDIT = """query Audit($filter: AuditFilterInput) { audit(first: 50, filter: $filter) {
  edges { node { type subject { subjectId } actor { actorId } payload } } } }"""


def turns(*texts: str, train_ok: bool = True) -> list[dict[str, Any]]:
    """Entries to append."""
    return [{"content": text, "trainOk": train_ok} for text in texts]


def contents(caller: Caller) -> dict[str, list[str]]:
    """All that a caller's sessions remember, by their names."""
    found = caller.ask(SESSIONS)["sessions"]["edges"]
    return {
        each["node"]["sessionId"]: [entry["node"]["content"] for entry in each["node"]["entries"]["edges"]]
        for each in found
    }


def test_a_session_is_remembered(world: World) -> None:
    """Append, page, replace by a snapshot, erase: by an agent, exactly as it was sent."""
    agent = world.caller("t_acme", "agent")
    entries = [*turns("Hello, I am zoe@example.com.", "Hello Zoë."), *turns('{"n": 1}', train_ok=False)]
    given = {"sessionId": "chat-1", "entries": entries, "idempotencyKey": "chat-1 turn 1"}
    for _ in range(2):
        payload = agent.ask(APPEND, {"input": given})["appendSession"]
        assert (payload["session"]["entryCount"], payload["userErrors"]) == (3, [])
    page = agent.ask(SESSION, {"id": "chat-1"})["session"]["entries"]
    told = {"kind": "TURN", "trainOk": True}
    assert [edge["node"] for edge in page["edges"]] == [
        {"ordinal": 1, "content": "Hello, I am zoe@example.com.", "piiFlags": ["email"], **told},
        {"ordinal": 2, "content": "Hello Zoë.", "piiFlags": [], **told},
    ]
    page = agent.ask(SESSION, {"id": "chat-1", "after": page["pageInfo"]["endCursor"]})["session"]["entries"]
    assert [edge["node"]["content"] for edge in page["edges"]] == ['{"n": 1}']
    assert page["edges"][0]["node"]["trainOk"] is False
    state = {"sessionId": "chat-1", "content": "Zoë said hello.", "trainOk": True}
    assert agent.ask(SNAPSHOT, {"input": state})["putSessionSnapshot"]["session"]["entryCount"] == 1
    assert contents(agent) == {"chat-1": ["Zoë said hello."]}
    assert agent.ask(ERASE, {"input": {"sessionId": "chat-1", "dryRun": True}})["eraseSession"]["entries"] == 1
    assert contents(agent) == {"chat-1": ["Zoë said hello."]}
    assert agent.ask(ERASE, {"input": {"sessionId": "chat-1"}})["eraseSession"]["entries"] == 1
    assert contents(agent) == {}
    refused = agent.ask(APPEND, {"input": {"sessionId": "no such name!", "entries": turns("a")}})["appendSession"]
    assert refused["userErrors"][0]["path"] == ["input", "sessionId"]


def test_nobody_else_reads_it(world: World) -> None:
    """Not the owner, not from another tenant; the audit tells the owner that it happened, and how much."""
    member = world.caller("t_acme", "member")
    given = {"sessionId": "the-cellar", "entries": turns("a zanzibar canary")}
    assert member.ask(APPEND, {"input": given})["appendSession"]["userErrors"] == []
    cursor = member.ask(CURSOR)["sessions"]["pageInfo"]["endCursor"]
    others = [world.caller("t_acme", who) for who in ("owner", "admin", "agent")]
    for other in [*others, world.caller("t_globex", "member")]:
        assert other.ask(SESSION, {"id": "the-cellar"}) == {"session": None}
        assert "the-cellar" not in contents(other)
        answers = [other.ask(ERASE, {"input": {"sessionId": name}}) for name in ("the-cellar", "unknown")]
        assert answers[0] == answers[1]
        assert answers[0]["eraseSession"]["userErrors"][0]["code"] == "NOT_FOUND"
        error = other.error("query($c: String) { sessions(first: 1, after: $c) { edges { cursor } } }", {"c": cursor})
        assert error["extensions"]["code"] == "INVALID"
    assert contents(member) == {"the-cellar": ["a zanzibar canary"]}
    member.ask(ERASE, {"input": {"sessionId": "the-cellar"}})
    told = others[0].ask(AUDIT, {"filter": {"actor": "member@t_acme"}})["audit"]["edges"]
    types = [edge["node"]["type"] for edge in told]
    assert {"session.appended", "session.read", "session.listed", "session.erased"} <= set(types)
    assert "canary" not in json.dumps(told)
    assert "cellar" not in json.dumps(told)


def test_it_ends_on_time(world: World) -> None:
    """A second later it is gone, and the name is free for a new one."""
    member = world.caller("t_globex", "member")
    given = {"sessionId": "short", "entries": turns("soon gone"), "ttlSeconds": 1}
    member.ask(APPEND, {"input": given})
    assert contents(member) == {"short": ["soon gone"]}
    deadline = time.monotonic() + WAIT_SECONDS
    while member.ask(SESSION, {"id": "short"})["session"] is not None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert contents(member) == {}
    again = member.ask(APPEND, {"input": {"sessionId": "short", "entries": turns("anew")}})["appendSession"]
    assert again["session"]["entryCount"] == 1
    assert contents(member) == {"short": ["anew"]}
    member.ask(ERASE, {"input": {"sessionId": "short"}})
    for seconds in (0, -1, 30 * 86_400 + 1):
        given = {"sessionId": "long", "entries": turns("for ever"), "ttlSeconds": seconds}
        [error] = member.ask(APPEND, {"input": given})["appendSession"]["userErrors"]
        assert (error["code"], error["path"]) == ("INVALID", ["input", "ttlSeconds"])
    assert contents(member) == {}


def test_what_has_expired_is_swept(own_world: MakeWorld) -> None:
    """From the disk, and the audit tells that it was; what still lives stays."""
    world = own_world()
    member, owner = world.caller("t_acme", "member"), world.caller("t_acme", "owner")
    for name, words, seconds in (("short", "a gone canary", 1), ("long", "a living canary", 60)):
        member.ask(APPEND, {"input": {"sessionId": name, "entries": turns(words), "ttlSeconds": seconds}})
    installation = world.server.installation

    def kept(words: bytes) -> bool:
        return words in installation.held()

    assert kept(b"a gone canary")
    time.sleep(1.0)
    assert world.server.stop() == 0
    world.server.start()  # the sweep is the first thing that a process does
    swept: list[Any] = []
    deadline = time.monotonic() + WAIT_SECONDS
    while not swept:
        assert time.monotonic() < deadline
        swept = owner.ask(AUDIT, {"filter": {"types": ["session.swept"]}})["audit"]["edges"]
    assert swept[0]["node"]["payload"]["output"] == {"sessions": 1, "entries": 1}
    assert contents(member) == {"long": ["a living canary"]}
    assert world.server.stop() == 0
    if not isinstance(installation.place, Path):  # what its server does by itself, sooner or later
        installation.query("vacuum full")
    assert not kept(b"a gone canary")
    assert kept(b"a living canary")
