"""Rights change while streams are open: what was taken is gone at once, on the stream and on the next request."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from journey_house import Caller, Server, World, receive, subscribe
from journey_steps import card
from websockets.asyncio.client import ClientConnection

from nexus_graph import config
from nexus_graph.administration.directory import development_token

VIEWER = "{ viewer { subject role permissions } }"
FOLLOW = """subscription Follow($runId: ID!) { runLog(runId: $runId) { __typename
  ... on RunLogEntry { entry { number } } ... on RunLogEnd { reason status } } }"""
CHANGES = """subscription Changes { settingsChanged(surface: "rights") { __typename
  ... on SettingsChange { cardId } ... on SettingsEnd { reason } } }"""
SET = """mutation Set($input: SetMemberInput!) { setMember(input: $input) {
  member { role status } userErrors { code message } } }"""
REVOKE = """mutation Revoke($subject: String!) { revokeMember(input: {subject: $subject}) {
  member { status } userErrors { code message } } }"""
PUBLISH = """mutation Publish($text: String!) { publishCard(input: {text: $text, trainOk: true, dryRun: true}) {
  userErrors { code } } }"""
APPEND = 'mutation Append($id: ID!) { appendRunLog(input: {runId: $id, text: "x"}) { entry { id } } }'
KEYS = "{ keys(first: 100) { edges { node { keyId name createdBy expiresAt revokedAt } } } }"


def newcomer(world: World, subject: str, role: str, lifetime: timedelta = timedelta(hours=1)) -> Caller:
    """A new member of t_acme with a token of its own."""
    folder = world.server.installation.folder
    settings = config.load({}, folder / "nexus.toml", embedder="hashing").config
    owner = world.caller("t_acme", "owner")
    made = owner.ask(SET, {"input": {"subject": subject, "role": role}})["setMember"]
    assert made == {"member": {"role": role, "status": "ACTIVE"}, "userErrors": []}
    return Caller(world.server, "t_acme", development_token(settings, subject, lifetime))


def open_run(who: Caller) -> str:
    """A research run that stays open."""
    opened = who.ask('mutation { openRun(input: {title: "Rights"}) { run { id } } }')
    return str(opened["openRun"]["run"]["id"])


async def last_frame(socket: ClientConnection) -> Any:
    """The last frame of the operation, once it is complete."""
    last = None
    async with asyncio.timeout(10):
        while (message := await receive(socket))["type"] == "next":
            last = message["payload"]["data"]
    assert message["type"] == "complete", message
    return last


async def test_a_revoked_member_is_out_at_once(world: World) -> None:
    """Open streams end as REVOKED, connections close with 4401, idle ones too, and the next request is FORBIDDEN."""
    owner, gone = world.caller("t_acme", "owner"), newcomer(world, "leaver", "MEMBER")
    run_id = open_run(owner)
    async with gone.socket() as following, gone.socket() as watching, gone.socket() as idle:
        await subscribe(following, "1", FOLLOW, {"runId": run_id})
        assert (await receive(following))["payload"]["data"]["runLog"]["entry"]["number"] == 1
        await subscribe(watching, "1", CHANGES, None)
        assert gone.ask(VIEWER)["viewer"]["role"] == "MEMBER"
        revoked = await asyncio.to_thread(owner.ask, REVOKE, {"subject": "leaver"})
        assert revoked["revokeMember"] == {"member": {"status": "REVOKED"}, "userErrors": []}
        assert gone.error(VIEWER)["extensions"]["code"] == "FORBIDDEN"
        owner.ask(
            'mutation ($id: ID!) { appendRunLog(input: {runId: $id, text: "x"}) { entry { id } } }', {"id": run_id}
        )
        end = await last_frame(following)
        assert end == {"runLog": {"__typename": "RunLogEnd", "reason": "REVOKED", "status": None}}
        end = await last_frame(watching)
        assert end == {"settingsChanged": {"__typename": "SettingsEnd", "reason": "REVOKED"}}
        for socket in (following, watching, idle):
            await asyncio.wait_for(socket.wait_closed(), 10)
            assert (socket.close_code, (socket.close_reason or "").split(":")[0]) == (4401, "FORBIDDEN")
    async with gone.unacknowledged() as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": gone.headers}))
        await asyncio.wait_for(socket.wait_closed(), 10)
        assert socket.close_code == 4401


async def test_another_process_knows_of_a_revocation(world: World) -> None:
    """What one process was told counts in every other: streams there end, and the next request is refused."""
    owner, gone = world.caller("t_acme", "owner"), newcomer(world, "leaver-elsewhere", "MEMBER")
    run_id = open_run(owner)
    second = Server(world.server.installation)
    await asyncio.to_thread(second.start)
    try:
        there = Caller(second, "t_acme", gone.headers["Authorization"].removeprefix("Bearer "))
        async with there.socket() as socket:
            await subscribe(socket, "1", FOLLOW, {"runId": run_id})
            assert (await receive(socket))["payload"]["data"]["runLog"]["entry"]["number"] == 1
            assert there.ask(VIEWER)["viewer"]["role"] == "MEMBER"
            await asyncio.to_thread(owner.ask, REVOKE, {"subject": "leaver-elsewhere"})
            assert there.error(VIEWER)["extensions"]["code"] == "FORBIDDEN"
            end = await last_frame(socket)
            assert end == {"runLog": {"__typename": "RunLogEnd", "reason": "REVOKED", "status": None}}
    finally:
        assert second.stop() == 0


async def test_a_new_role_counts_from_the_next_request_on(world: World) -> None:
    """Up and down again, on open connections too; a pending member has no rights at all."""
    owner, mover = world.caller("t_acme", "owner"), newcomer(world, "mover", "MEMBER")
    text = {"text": card("rights/mover")}

    def become(role: str, **more: Any) -> None:
        assert owner.ask(SET, {"input": {"subject": "mover", "role": role} | more})["setMember"]["userErrors"] == []

    assert mover.error(PUBLISH, text)["extensions"]["code"] == "FORBIDDEN"
    async with mover.socket() as socket:
        await subscribe(socket, "1", PUBLISH, text)
        assert (await receive(socket))["payload"]["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        assert (await receive(socket))["type"] == "complete"
        become("ADMIN")
        assert mover.ask(PUBLISH, text) == {"publishCard": {"userErrors": []}}
        await subscribe(socket, "2", PUBLISH, text)
        assert (await receive(socket))["payload"]["data"] == {"publishCard": {"userErrors": []}}
        assert (await receive(socket))["type"] == "complete"
        become("MEMBER")
        assert mover.error(PUBLISH, text)["extensions"]["code"] == "FORBIDDEN"
        assert "cards:publish" not in mover.ask(VIEWER)["viewer"]["permissions"]
    become("MEMBER", pending=True)
    assert mover.error(VIEWER)["extensions"]["code"] == "FORBIDDEN"


def test_only_owners_decide_about_owners_and_one_remains(world: World) -> None:
    """An admin makes members; owners are made and ended by owners, and never the last one."""
    owner, admin, member = (world.caller("t_globex", role) for role in ("owner", "admin", "member"))
    assert admin.error(SET, {"input": {"subject": "x", "role": "OWNER"}})["extensions"]["code"] == "FORBIDDEN"
    assert admin.error(REVOKE, {"subject": "owner@t_globex"})["extensions"]["code"] == "FORBIDDEN"
    assert member.error(SET, {"input": {"subject": "x", "role": "MEMBER"}})["extensions"]["code"] == "FORBIDDEN"
    [error] = owner.ask(REVOKE, {"subject": "owner@t_globex"})["revokeMember"]["userErrors"]
    assert error == {"code": "CONFLICT", "message": "The last owner can't be revoked or changed."}
    [error] = owner.ask(SET, {"input": {"subject": "owner@t_globex", "role": "MEMBER"}})["setMember"]["userErrors"]
    assert error["code"] == "CONFLICT"
    for role in ("AGENT", "SYSTEM"):
        [error] = owner.ask(SET, {"input": {"subject": "x", "role": role}})["setMember"]["userErrors"]
        assert error["code"] == "INVALID"
    [error] = owner.ask(REVOKE, {"subject": "nobody"})["revokeMember"]["userErrors"]
    assert error["code"] == "NOT_FOUND"
    [error] = owner.ask(SET, {"input": {"subject": "two words", "role": "MEMBER"}})["setMember"]["userErrors"]
    assert error["code"] == "INVALID"


async def test_a_revoked_key_ends_its_streams(world: World) -> None:
    """The agent's stream ends as REVOKED and its next request is refused; its secret was shown this once only."""
    owner = world.caller("t_acme", "owner")
    make = 'mutation { createKey(input: {name: "short lived", days: 1}) { secret key { keyId name revokedAt } } }'
    made = owner.ask(make)["createKey"]
    agent = Caller(world.server, "t_acme", made["secret"])
    run_id = open_run(agent)
    async with agent.socket() as socket:
        await subscribe(socket, "1", FOLLOW, {"runId": run_id})
        assert (await receive(socket))["type"] == "next"
        end_key = "mutation ($id: String!) { revokeKey(input: {keyId: $id}) { key { revokedAt } userErrors { code } } }"
        ended = await asyncio.to_thread(owner.ask, end_key, {"id": made["key"]["keyId"]})
        assert ended["revokeKey"]["key"]["revokedAt"] is not None
        assert (await last_frame(socket))["runLog"]["reason"] == "REVOKED"
    assert agent.error(VIEWER)["extensions"]["code"] == "UNAUTHENTICATED"
    listed = json.dumps(owner.ask(KEYS))
    assert made["key"]["keyId"] in listed
    assert made["secret"].removeprefix(f"nxk_{made['key']['keyId']}_") not in listed
    for role in ("member", "agent"):
        who = world.caller("t_acme", role)
        assert who.error(make)["extensions"]["code"] == "FORBIDDEN"
        assert who.error(KEYS)["extensions"]["code"] == "FORBIDDEN"


async def test_a_stream_ends_with_its_token(world: World) -> None:
    """At the token's own expiry, without leeway, as EXPIRED; then the connection closes with 4403: come back."""
    owner = world.caller("t_acme", "owner")
    run_id = open_run(owner)
    brief = newcomer(world, "brief", "MEMBER", timedelta(seconds=3))
    expires = datetime.fromisoformat(brief.ask("{ viewer { expiresAt } }")["viewer"]["expiresAt"])
    async with brief.socket() as socket:
        await subscribe(socket, "1", FOLLOW, {"runId": run_id})
        assert (await receive(socket))["type"] == "next"
        assert await last_frame(socket) == {"runLog": {"__typename": "RunLogEnd", "reason": "EXPIRED", "status": None}}
        assert datetime.now(UTC) >= expires
        await asyncio.wait_for(socket.wait_closed(), 10)
        assert (socket.close_code, (socket.close_reason or "").split(":")[0]) == (4403, "UNAUTHENTICATED")


async def test_an_expired_token_opens_no_stream(world: World) -> None:
    """Once it has run out, neither a request nor a connection is let in."""
    late = newcomer(world, "late", "MEMBER", timedelta(seconds=-31))
    answer = late.answer(VIEWER)
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")
    async with late.unacknowledged() as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": late.headers}))
        await asyncio.wait_for(socket.wait_closed(), 10)
        assert socket.close_code in (4401, 4403)
