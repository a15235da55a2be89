"""Point 2: a stream ticket opens websockets and event streams where no header can be sent, and nothing else."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from conformance_answers import check_answer
from conformance_table import Figure
from journey_house import WAIT_SECONDS, Caller, World, http
from websocket_bytes import RawSocket, answer, frame, handshake, tcp, websocket

from nexus_graph import config
from nexus_graph.administration.directory import development_token
from nexus_graph.scope.scope import Env, Principal, PrincipalKind, Scope
from nexus_graph.tenants.tickets import Tickets

CREATE = """mutation ($dryRun: Boolean = false) { createStreamTicket(input: {dryRun: $dryRun}) {
  ticket expiresAt userErrors { code } } }"""
VIEWER = "{ viewer { subject role tenantId env } }"
OPEN_RUN = 'mutation { openRun(input: {title: "By ticket"}) { run { id } } }'
FOLLOW = "subscription Follow($runId: ID!) { runLog(runId: $runId) { __typename } }"
SET = """mutation ($subject: String!) { setMember(input: {subject: $subject, role: MEMBER}) { userErrors { code } } }"""
REVOKE = "mutation ($subject: String!) { revokeMember(input: {subject: $subject}) { userErrors { code } } }"


def made(caller: Caller) -> str:
    """A ticket."""
    payload = caller.ask(CREATE)["createStreamTicket"]
    assert payload["userErrors"] == []
    return str(payload["ticket"])


def forged(world: World, *, ago: float = 0.0, credentials: float = 3600.0) -> str:
    """A ticket of an owner that was made so many seconds ago, with credentials that end in so many."""
    settings = config.load({}, world.server.installation.folder / "nexus.toml", embedder="hashing").config
    now = datetime.now(UTC)
    who = Principal(PrincipalKind.USER, "owner@t_acme")
    end = now + timedelta(seconds=credentials)
    scope = replace(Scope.system("t_acme", Env.DEV, "test"), principal=who, expires_at=end)
    tickets = Tickets(settings.signing_secret.get_secret_value(), settings.ticket_seconds)
    return tickets.write(scope, "ticket_1", now - timedelta(seconds=ago))[0]


def asked(world: World, ticket: str | None, query: str = VIEWER, **headers: str) -> httpx.Response:
    """A query by GET, with a ticket in the address."""
    parameters = {"query": query} | ({} if ticket is None else {"ticket": ticket})
    return http("GET", f"{world.server.address}/graphql", params=parameters, headers=headers)


async def viewed(socket: RawSocket) -> Any:
    """Who the server takes the client for."""
    await socket.say({"id": "v", "type": "subscribe", "payload": {"query": VIEWER}})
    message = await socket.message()
    assert await socket.message() == {"id": "v", "type": "complete"}
    return message["payload"]["data"]["viewer"]


async def closing(world: World, address: str, payload: Any) -> tuple[int, str]:
    """The code, and that in the reason, with which a connection is closed that is not let in."""
    async with websocket(world.server.port, address) as socket:
        await socket.say({"type": "connection_init", "payload": payload})
        code, reason = await socket.closed()
        return code, reason.partition(":")[0]


@pytest.mark.parametrize("who", ["owner", "member", "agent"])
async def test_a_ticket_opens_streams(world: World, who: str) -> None:
    """In the address of a websocket, in its connection_init, by GET for a query and an event stream; not once only."""
    caller = world.caller("t_acme", who)
    viewer = caller.ask(VIEWER)["viewer"]
    run_id = caller.ask(OPEN_RUN)["openRun"]["run"]["id"]
    ticket = made(caller)
    address = f"/graphql?ticket={ticket}"
    for init in ({}, {"X-Nexus-Tenant": "t_acme", "X-Nexus-Env": "dev"}):
        async with websocket(world.server.port, address, init=init) as socket:
            assert await viewed(socket) == viewer
    async with websocket(world.server.port, init={"ticket": ticket}) as socket:
        assert await viewed(socket) == viewer
        payload = {"query": FOLLOW, "variables": {"runId": run_id}}
        await socket.say({"id": "log", "type": "subscribe", "payload": payload})
        assert (await socket.message())["payload"]["data"]["runLog"]["__typename"] == "RunLogEntry"
    answered = asked(world, ticket)
    assert answered.json()["data"]["viewer"] == viewer
    assert answered.headers["referrer-policy"] == "no-referrer"
    parameters = {"query": FOLLOW, "variables": json.dumps({"runId": run_id}), "ticket": ticket}
    async with (
        httpx.AsyncClient(timeout=WAIT_SECONDS, trust_env=False) as client,
        client.stream(
            "GET", f"{world.server.address}/graphql", params=parameters, headers={"Accept": "text/event-stream"}
        ) as stream,
    ):
        assert stream.status_code == 200
        told = await anext(line async for line in stream.aiter_lines() if line.startswith("data: {"))
        assert json.loads(told.removeprefix("data: "))["data"]["runLog"]["__typename"] == "RunLogEntry"
    log = world.server.log.read_text()
    assert ticket not in log
    assert ticket.rpartition(".")[2] not in log
    assert "ticket=" not in log


async def test_a_ticket_does_nothing_else(world: World, figure: Figure) -> None:
    """No mutation, no further ticket, no bearer; and no bearer is a ticket. A dry run makes none."""
    owner, token = world.caller("t_acme", "owner"), world.credentials["t_acme", "owner"]
    ticket = made(owner)
    async with websocket(world.server.port, init={"ticket": ticket}) as socket:
        for query in (OPEN_RUN, CREATE):
            await socket.say({"id": "1", "type": "subscribe", "payload": {"query": query}})
            message = await socket.message()
            assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "INVALID")
        assert (await viewed(socket))["role"] == "OWNER"
    for query in (OPEN_RUN, CREATE):
        assert asked(world, ticket, query).status_code == 405
        posted = http("POST", f"{world.server.address}/graphql?ticket={ticket}", json={"query": query})
        assert posted.status_code == 401
    assert Caller(world.server, "t_acme", ticket).answer(VIEWER).status_code == 401
    assert await closing(world, "/graphql", {**owner.headers, "Authorization": f"Bearer {ticket}"}) == (
        4401,
        "UNAUTHENTICATED",
    )
    for wrong in (token, world.credentials["t_acme", "agent"], ticket[:-4] + "AAAA", "", "x" * 3000):
        assert asked(world, wrong).status_code == 401
        assert await closing(world, f"/graphql?ticket={wrong}", {}) == (4401, "UNAUTHENTICATED")
        assert await closing(world, "/graphql", {"ticket": wrong}) == (4401, "UNAUTHENTICATED")
    assert owner.ask(CREATE, {"dryRun": True})["createStreamTicket"] == {
        "ticket": None,
        "expiresAt": None,
        "userErrors": [],
    }
    figure(2, "stream tickets as a bearer, or the reverse; mutations and further tickets by ticket", "all refused")


async def test_a_ticket_is_for_one_place(world: World) -> None:
    """Beside another tenant or env it is refused, as anybody's; and so is a second proof beside it."""
    owner = world.caller("t_acme", "owner")
    ticket = made(owner)
    for place in ({"X-Nexus-Tenant": "t_globex"}, {"X-Nexus-Env": "prod"}):
        assert asked(world, ticket, **place).status_code == 403
        assert await closing(world, f"/graphql?ticket={ticket}", place) == (4401, "FORBIDDEN")
    assert asked(world, ticket, **{"X-Nexus-Env": "nowhere"}).status_code == 400
    assert asked(world, ticket, **owner.headers).status_code == 400
    assert await closing(world, f"/graphql?ticket={ticket}", owner.headers) == (4401, "INVALID")
    stated = {"X-Nexus-Tenant": "t_acme", "X-Nexus-Env": "dev"}
    assert asked(world, ticket, **stated).json()["data"]["viewer"]["tenantId"] == "t_acme"


async def test_a_stream_outlives_its_ticket_and_not_its_credentials(world: World, figure: Figure) -> None:
    """A late ticket closes with 4403; a stream goes on when its ticket runs out, and ends with the credentials."""
    late = forged(world, ago=120)
    assert asked(world, late).status_code == 401
    assert await closing(world, f"/graphql?ticket={late}", {}) == (4403, "UNAUTHENTICATED")
    nearly, brief = forged(world, ago=58.5), forged(world, credentials=2)
    async with (
        websocket(world.server.port, init={"ticket": nearly}) as first,
        websocket(world.server.port, init={"ticket": brief}) as second,
    ):
        code, reason = await second.closed()
        assert (code, reason.partition(":")[0]) == (4403, "UNAUTHENTICATED")
        assert (await viewed(first))["role"] == "OWNER"
    assert asked(world, nearly).status_code == 401, "by then it had run out"
    figure(2, "a stream that a ticket opened", "goes on when the ticket runs out, ends with its credentials")


async def test_a_ticket_carries_no_rights(world: World) -> None:
    """Whoever loses their place has a ticket for nothing, and the sockets that it opened are closed."""
    owner = world.caller("t_acme", "owner")
    assert owner.ask(SET, {"subject": "ticketed"})["setMember"]["userErrors"] == []
    settings = config.load({}, world.server.installation.folder / "nexus.toml", embedder="hashing").config
    caller = Caller(world.server, "t_acme", development_token(settings, "ticketed", timedelta(hours=1)))
    ticket = made(caller)
    assert asked(world, ticket).json()["data"]["viewer"]["role"] == "MEMBER"
    async with websocket(world.server.port, init={"ticket": ticket}) as socket:
        assert (await asyncio.to_thread(owner.ask, REVOKE, {"subject": "ticketed"}))["revokeMember"]["userErrors"] == []
        assert (await socket.closed())[0] == 4401
    assert asked(world, ticket).status_code == 403
    assert await closing(world, f"/graphql?ticket={ticket}", {}) == (4401, "FORBIDDEN")


async def test_a_foreign_page_opens_no_socket(world: World) -> None:
    """The handshake is refused over HTTP, as JSON, before anything is said; this server's own pages may."""
    async with tcp(world.server.port) as socket:
        await socket.send(handshake(Origin="https://elsewhere.example"))
        status, headers, body = await answer(socket)
        assert (status, headers["content-type"].partition(";")[0]) == (403, "application/json")
        assert check_answer(orjson.loads(body)) == "FORBIDDEN"
    async with websocket(world.server.port, Origin=world.server.address) as socket:
        await socket.send(frame(json.dumps({"type": "ping"})))
        assert await socket.message() == {"type": "pong"}
