"""Point 2: how sockets end that one would rather keep: late, expired, revoked, one too many, at the server's end."""

from __future__ import annotations

import asyncio
import json
import signal
from datetime import timedelta
from typing import Any

import pytest
from conformance_table import Figure
from journey_house import Caller, MakeWorld, World
from websocket_bytes import RawSocket, frame, websocket

from nexus_graph import config
from nexus_graph.administration.directory import development_token

OPEN_RUN = 'mutation { openRun(input: {title: "An end"}) { run { id } } }'
FOLLOW = """subscription Follow($runId: ID!) { runLog(runId: $runId) { __typename
  ... on RunLogEntry { entry { number } } ... on RunLogEnd { reason } } }"""
SET = """mutation ($subject: String!) { setMember(input: {subject: $subject, role: MEMBER}) { userErrors { code } } }"""
REVOKE = "mutation ($subject: String!) { revokeMember(input: {subject: $subject}) { userErrors { code } } }"
CREATE_KEY = 'mutation { createKey(input: {name: "brief", days: 1}) { secret key { keyId } } }'
REVOKE_KEY = "mutation ($id: String!) { revokeKey(input: {keyId: $id}) { userErrors { code } } }"
VIEWER = {"id": "1", "type": "subscribe", "payload": {"query": "{ viewer { role } }"}}


def newcomer(world: World, subject: str, seconds: float = 3600) -> Caller:
    """A new member of t_acme, with a token that lives so long."""
    settings = config.load({}, world.server.installation.folder / "nexus.toml", embedder="hashing").config
    made = world.caller("t_acme", "owner").ask(SET, {"subject": subject})
    assert made["setMember"]["userErrors"] == []
    return Caller(world.server, "t_acme", development_token(settings, subject, timedelta(seconds=seconds)))


async def following(socket: RawSocket, run_id: str) -> None:
    """Follow a run, until its first frame is there."""
    payload = {"query": FOLLOW, "variables": {"runId": run_id}}
    await socket.say({"id": "log", "type": "subscribe", "payload": payload})
    assert (await socket.message())["type"] == "next"


async def last_words(socket: RawSocket) -> tuple[str, int, str]:
    """Why the stream on a socket ended, the code that closed the socket then, and the code in its reason."""
    last: Any = None
    while (message := await socket.message())["type"] == "next":
        last = message["payload"]["data"]["runLog"]
    assert message == {"id": "log", "type": "complete"}
    code, reason = await socket.closed()
    return last["reason"], code, reason.partition(":")[0]


async def silent(world: World) -> tuple[int, str]:
    """Says nothing."""
    async with websocket(world.server.port) as socket:
        return await socket.closed()


async def evasive(world: World) -> tuple[int, str]:
    """Says something now and then, but not who it is."""
    async with websocket(world.server.port) as socket:
        for _ in range(4):
            await socket.say({"type": "ping"})
            await asyncio.sleep(0.5)
        return await socket.closed()


async def half(world: World) -> tuple[int, str]:
    """Begins to say who it is."""
    async with websocket(world.server.port) as socket:
        await socket.send(frame('{"type": "connection_init"')[:20])
        return await socket.closed()


async def expiring_idle(world: World) -> tuple[int, str]:
    """Is admitted, and says nothing."""
    brief = await asyncio.to_thread(newcomer, world, "brief-idler", 3)
    async with websocket(world.server.port, init=brief.headers) as socket:
        return await socket.closed()


async def expiring_stream(world: World, run_id: str) -> tuple[str, int, str]:
    """Follows a run."""
    brief = await asyncio.to_thread(newcomer, world, "brief-follower", 3)
    async with websocket(world.server.port, init=brief.headers) as socket:
        await following(socket, run_id)
        return await last_words(socket)


async def test_sockets_end_with_their_time(world: World, figure: Figure) -> None:
    """Who does not say who they are is closed with 4408; whose token runs out with 4403, after their streams' end."""
    owner = world.caller("t_acme", "owner")
    run_id = (await asyncio.to_thread(owner.ask, OPEN_RUN))["openRun"]["run"]["id"]
    late = 4408, "Connection initialisation timeout"
    async with websocket(world.server.port, init=owner.headers) as control:
        await following(control, run_id)
        quiet = asyncio.gather(silent(world), evasive(world), half(world))
        idle, stream = await asyncio.gather(expiring_idle(world), expiring_stream(world, run_id))
        assert [*await quiet] == [late, late, late]
        assert (idle[0], idle[1].partition(":")[0]) == (4403, "UNAUTHENTICATED")
        assert stream == ("EXPIRED", 4403, "UNAUTHENTICATED")
        expired = await asyncio.to_thread(newcomer, world, "expired", -60)
        async with websocket(world.server.port) as socket:
            await socket.say({"type": "connection_init", "payload": expired.headers})
            assert (await socket.closed())[0] == 4403
        await control.say(VIEWER)
        assert (await control.message())["id"] == "1", "a neighbour notices nothing"
    figure(2, "a client that does not say who it is", "closed with 4408 after 3 s, pings or half a message or not")
    figure(2, "a token that runs out", "streams end as EXPIRED, then 4403; idle sockets, too")


async def test_idle_sockets_end_with_their_rights(world: World, figure: Figure) -> None:
    """With 4401, by a signal when the member or key is revoked here, by the slow poll when another process does it."""
    owner = world.caller("t_acme", "owner")
    here, there = [newcomer(world, name) for name in ("revoked-here", "revoked-there")]
    key = owner.ask(CREATE_KEY)["createKey"]
    agent = Caller(world.server, "t_acme", key["secret"])
    port = world.server.port
    async with (
        websocket(port, init=here.headers) as first,
        websocket(port, init=here.headers) as second,
        websocket(port, init=agent.headers) as third,
        websocket(port, init=there.headers) as fourth,
        websocket(port, init=owner.headers) as control,
    ):
        await asyncio.to_thread(owner.ask, REVOKE, {"subject": "revoked-here"})
        await asyncio.to_thread(owner.ask, REVOKE_KEY, {"id": key["key"]["keyId"]})
        place = ("--tenant", "t_acme", "--env", "staging")
        installation = world.server.installation
        await asyncio.to_thread(installation.run, "member", "revoke", "revoked-there", *place)
        for socket in (first, second, third, fourth):
            code, reason = await socket.closed()
            assert (code, reason.partition(":")[0]) == (4401, "FORBIDDEN")
        await control.say(VIEWER)
        assert (await control.message())["type"] == "next"
    figure(2, "idle sockets of a revoked member or key", "closed with 4401, by another process and in another env too")


async def test_a_server_has_room_for_so_many_and_ends_them_all(own_world: MakeWorld, figure: Figure) -> None:
    """One too many is closed with 1013, of an actor with 4429; at the end each is closed with 1012, after SHUTDOWN."""
    world = own_world(sockets="6", actor_sockets="4", request_seconds="1.5")
    owner, member = world.caller("t_acme", "owner"), world.caller("t_acme", "member")
    run_id = owner.ask(OPEN_RUN)["openRun"]["run"]["id"]
    port = world.server.port
    async with websocket(port, init=owner.headers) as halfway:
        await halfway.send(frame('{"type": "ping"}')[:9])
        assert await halfway.closed() == (1008, "The message was not finished in time")
    async with (
        websocket(port, init=owner.headers) as streaming,
        websocket(port, init=owner.headers) as busy,
        websocket(port, init=owner.headers) as idle,
        websocket(port, init=owner.headers) as another,
        websocket(port, init=member.headers) as neighbour,
    ):
        async with websocket(port) as fifth:
            await fifth.say({"type": "connection_init", "payload": owner.headers})
            assert await fifth.closed() == (4429, "Too many connections")
        for socket in (streaming, busy):
            await following(socket, run_id)
        async with websocket(port) as unacknowledged:
            async with websocket(port) as seventh:
                assert await seventh.closed() == (1013, "Too many connections to this server")
            assert world.server.process is not None
            world.server.process.send_signal(signal.SIGTERM)
            assert await last_words(streaming) == ("SHUTDOWN", 1012, "The server goes down")
            assert await last_words(busy) == ("SHUTDOWN", 1012, "The server goes down")
            for socket in (idle, another, neighbour, unacknowledged):
                assert await socket.closed() == (1012, "The server goes down")
    assert await asyncio.to_thread(world.server.stop) == 0
    figure(2, "a socket beyond those that the server, or an actor, may have", "closed with 1013, or 4429")
    figure(2, "sockets when the server goes down", "all closed with 1012, streams after SHUTDOWN and complete")


async def test_the_operation_beyond_the_last_is_refused_and_paid(world: World, figure: Figure) -> None:
    """The 101st stream is an `error` that is journalled and paid; a completed one makes room, and frees its lease."""
    owner = world.caller("t_acme", "owner")
    run_id = owner.ask(OPEN_RUN)["openRun"]["run"]["id"]
    payload = {"query": FOLLOW, "variables": {"runId": run_id}}
    async with websocket(world.server.port, init=owner.headers) as socket:
        asked = [{"id": str(at), "type": "subscribe", "payload": payload} for at in range(102)]
        await socket.send(b"".join(frame(json.dumps(each)) for each in asked))
        heard: dict[str, Any] = {}
        while len(heard) < 102:
            message = await socket.message()
            heard.setdefault(message["id"], message)
        errors = {name: message["payload"] for name, message in heard.items() if message["type"] == "error"}
        assert set(errors) == {"100", "101"}
        assert errors["100"][0]["extensions"]["code"] == "INVALID"
        trace_id = errors["100"][0]["extensions"]["traceId"]
        refused = '{ audit(first: 100, filter: {types: ["request.refused"]}) { edges { node { traceId } } } }'
        told = (await asyncio.to_thread(owner.ask, refused))["audit"]["edges"]
        assert [edge["node"]["traceId"] for edge in told].count(trace_id) == 2
        await until_live(owner, 100)
        for at in range(60):
            await socket.say({"id": str(at), "type": "complete"})
        await until_live(owner, 40)
        await socket.say({"id": "again", "type": "subscribe", "payload": payload})
        while (message := await socket.message())["id"] != "again":
            pass
        assert message["type"] == "next"
    figure(
        2, "operations of one socket", "100; the next is refused, journalled and paid; completed ones free their lease"
    )


async def until_live(owner: Caller, count: int) -> None:
    """Until the tenant has so many live streams: those of earlier tests may be on their way out."""
    used = -1
    for _ in range(200):
        quotas = (await asyncio.to_thread(owner.ask, "{ quotas { resource used } }"))["quotas"]
        used = next(each["used"] for each in quotas if each["resource"] == "LIVE_STREAMS")
        if used == count:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"{used} live streams, not {count}")
