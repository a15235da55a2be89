"""Servers are replaced one after the other, behind the proxy of docs/deploy, and clients lose nothing."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from engines import OnPostgres
from journey_house import PROTOCOL, Caller, Credentials, Installation, Server, furnish, http, receive, subscribe
from journey_steps import card, kept, published
from servers.nginx import Nginx, nginx
from servers.process import free_ports
from servers.seaweedfs import SeaweedFS, bucket_settings
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

SECONDS = 120
OPEN = "mutation Open($input: OpenRunInput!) { openRun(input: $input) { run { id } userErrors { message } } }"
NOTE = """mutation Note($input: AppendRunLogInput!) {
  appendRunLog(input: $input) { entry { number } userErrors { message } } }"""
CLOSE = "mutation Close($input: CloseRunInput!) { closeRun(input: $input) { run { id } userErrors { message } } }"
FOLLOW = """subscription Follow($runId: ID!, $after: String) { runLog(runId: $runId, after: $after) {
  __typename ... on RunLogEntry { cursor entry { number type payload } } ... on RunLogEnd { reason } } }"""
ASSET = "query Asset($id: ID!) { asset(id: $id) { downloadAddress } }"
NEWER = """create table newer (tenant_id text not null, env text not null, asset_id text not null,
  foreign key (tenant_id, env, asset_id) references assets (tenant_id, env, asset_id))"""
AWAY = {502, 503, 504}
"""What a proxy answers for a server that went away during a request."""


@dataclass(slots=True)
class House:
    """Two servers on the same engines, and the proxy before them."""

    servers: tuple[Server, Server]
    proxy: Nginx
    credentials: Credentials

    def caller(self, who: str) -> Caller:
        """Somebody of t_acme who knows the proxy alone."""
        return Caller(_At(self.proxy.graph), "t_acme", self.credentials["t_acme", who])  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _At:
    """A server, as far as a caller knows it."""

    address: str


@pytest.fixture
def house(tmp_path: Path, on_postgres: OnPostgres, s3_server: SeaweedFS) -> Iterator[House]:
    """Two processes that were started each by itself, behind nginx, with rows on Postgres and objects in a bucket."""
    place = on_postgres.fresh(tmp_path)
    folder = tmp_path / "house"
    folder.mkdir()
    credentials = furnish(folder, **on_postgres.settings(place))
    graph, store, *ports = free_ports(4)
    with s3_server.bucket() as bucket, nginx((graph, store), (ports[0], ports[1]), s3_server.ports[0]) as proxy:
        settings = {
            **on_postgres.settings(place),
            **bucket_settings(s3_server, bucket),
            "s3_public_endpoint": proxy.objects,
            "public_url": proxy.graph,
            "metrics_token": "a-token-of-the-scraper",
        }
        servers = []
        for number, port in enumerate(ports, 1):
            server = Server(Installation(folder, **settings))
            server.port, server.log = port, folder / f"server-{number}.log"
            servers.append(server)
        try:
            for server in servers:
                server.start()
            yield House((servers[0], servers[1]), proxy, credentials)
        finally:
            statuses = [server.stop() for server in servers if server.running]
        assert statuses == [0, 0]
        for server in servers:
            server.check_log()
    on_postgres.discard(place)


def trusting() -> ssl.SSLContext:
    """Believes any certificate: the proxy's was made a moment ago."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def requests_of(server: Server) -> int:
    """How many requests for the graph it has answered."""
    return server.log.read_text().count('"route": "/graphql"')


def test_the_proxy_passes_what_is_for_clients_and_nothing_else(house: House) -> None:
    """Queries reach both servers, files go by the bucket's own address, large tokens and requests pass to the limit."""
    owner, graph = house.caller("owner"), house.proxy.graph
    made = published(owner, card("behind", "Behind a proxy.\n"))
    asset = kept(owner, "behind.txt", "text/plain", b"bytes " * 200_000)
    address = owner.ask(ASSET, {"id": asset})["asset"]["downloadAddress"]
    assert address.startswith(house.proxy.objects)
    assert http("GET", address).content == b"bytes " * 200_000
    for _ in range(10):
        assert owner.ask("query One($id: ID!) { card(id: $id) { title } }", {"id": made["id"]})
    assert all(requests_of(server) for server in house.servers)
    assert http("GET", f"{graph}/healthz").json() == {"status": "ok"}
    for path in ("/metrics", "/readyz", "/graphiql", "/objects/x", "/"):
        assert http("GET", f"{graph}{path}").status_code == 404
    long = owner.answer("{ viewer { role } }", Authorization=f"Bearer {'x' * 24_000}").json()
    assert long["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    large = {"query": "{ viewer { role } }", "extensions": {"note": "x" * 1_900_000}}
    assert http("POST", f"{graph}/graphql", json=large, headers=owner.headers).status_code == 200
    large["extensions"] = {"note": "x" * 2_200_000}
    assert http("POST", f"{graph}/graphql", json=large, headers=owner.headers).status_code == 413
    http("GET", f"{graph}/graphql?ticket=a-secret-of-somebody")
    assert "/graphql" in house.proxy.log
    assert "a-secret-of-somebody" not in house.proxy.log
    assert "X-Amz-Signature" not in house.proxy.log


async def test_an_event_stream_is_not_held_back(house: House) -> None:
    """The first event is here while the stream goes on."""
    agent = house.caller("agent")
    run_id = agent.ask(OPEN, {"input": {"title": "Streamed"}})["openRun"]["run"]["id"]
    body = {"query": FOLLOW, "variables": {"runId": run_id}}
    headers = {**agent.headers, "Accept": "text/event-stream"}
    async with (
        asyncio.timeout(SECONDS),
        httpx.AsyncClient(verify=trusting(), trust_env=False, timeout=SECONDS) as client,
        client.stream("POST", f"{house.proxy.graph}/graphql", json=body, headers=headers) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("data: ") and "run.opened" in line:
                return
    pytest.fail("the stream ended before its first entry")


@dataclass(slots=True)
class Told:
    """What a writer was told, and a follower."""

    written: list[int] = field(default_factory=list)
    followed: list[Any] = field(default_factory=list)
    repeated: int = 0
    reconnected: int = 0
    enough: asyncio.Event = field(default_factory=asyncio.Event)


async def write(house: House, run_id: str, told: Told) -> None:
    """Write entries, one after the other; what was not answered is sent again under its idempotency key."""
    agent = house.caller("agent")
    async with httpx.AsyncClient(
        base_url=house.proxy.graph, headers=agent.headers, verify=trusting(), trust_env=False, timeout=SECONDS
    ) as client:
        number = 0
        while not told.enough.is_set():
            number += 1
            entry = {"runId": run_id, "data": {"number": number}, "idempotencyKey": f"note-{number}"}
            while True:
                answer = await client.post("/graphql", json={"query": NOTE, "variables": {"input": entry}})
                if answer.status_code not in AWAY:
                    break
                told.repeated += 1
                await asyncio.sleep(0.05)
            payload = answer.json()["data"]["appendRunLog"]
            assert payload["userErrors"] == [], payload
            told.written.append(number)
            await asyncio.sleep(0.01)


async def follow(house: House, run_id: str, told: Told) -> None:
    """Follow the run until it ends; whenever the connection does, go on from the last cursor."""
    after: str | None = None
    while True:
        async for frame in frames(house, run_id, after):
            if frame["__typename"] == "RunLogEntry":
                after = frame["cursor"]
                told.followed.append(frame["entry"])
            elif frame["__typename"] == "RunLogEnd" and frame["reason"] == "RUN_ENDED":
                return
        told.reconnected += 1
        await asyncio.sleep(0.05)


async def frames(house: House, run_id: str, after: str | None) -> AsyncIterator[Any]:
    """The frames of one connection, until it ends however it ends."""
    address = house.proxy.graph.replace("https", "wss") + "/graphql"
    try:
        async with connect(address, subprotocols=[PROTOCOL], ssl=trusting(), proxy=None, close_timeout=2) as socket:
            await socket.send(json.dumps({"type": "connection_init", "payload": house.caller("agent").headers}))
            assert (await receive(socket))["type"] == "connection_ack"
            await subscribe(socket, "1", FOLLOW, {"runId": run_id, "after": after})
            while (message := await receive(socket))["type"] == "next":
                yield message["payload"]["data"]["runLog"]
    except (ConnectionClosed, InvalidStatus):
        return


async def test_a_rolling_restart_loses_no_entry(house: House) -> None:
    """Each server ends with status 0 while the other answers; every entry is kept once, and told once, in order."""
    agent, told = house.caller("agent"), Told()
    opened = await asyncio.to_thread(agent.ask, OPEN, {"input": {"title": "Through a restart"}})
    run_id = opened["openRun"]["run"]["id"]
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(write(house, run_id, told))
        tasks.create_task(follow(house, run_id, told))
        for _ in range(2):
            for server in house.servers:
                await _more(told)
                assert await asyncio.to_thread(server.stop) == 0
                await _more(told)
                await asyncio.to_thread(server.start)
        await _more(told)
        told.enough.set()
        await writing
        await asyncio.to_thread(agent.ask, CLOSE, {"input": {"runId": run_id, "status": "SUCCEEDED"}})
    entries = [entry for entry in told.followed if entry["type"] == "run.noted"]
    assert [entry["payload"]["input"]["data"]["number"] for entry in entries] == told.written
    assert [entry["number"] for entry in told.followed] == list(range(1, len(told.followed) + 1))
    assert told.written == list(range(1, len(told.written) + 1))
    assert told.reconnected >= 2
    assert all(requests_of(server) for server in house.servers)
    print(f"{len(told.written)} written, {told.repeated} repeated, {told.reconnected} times reconnected")  # noqa: T201


async def test_servers_go_on_while_the_schema_moves_on(house: House) -> None:
    """A migration fails no request of servers that run, which go on beside a newer schema; one that starts is refused.

    The newer version is played: a table as 0017 makes it, and a revision that this program does not know.
    """
    agent, told = house.caller("agent"), Told()
    opened = await asyncio.to_thread(agent.ask, OPEN, {"input": {"title": "Through a migration"}})
    run_id = opened["openRun"]["run"]["id"]
    installation = house.servers[0].installation
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(write(house, run_id, told))
        tasks.create_task(follow(house, run_id, told))
        for _ in range(3):
            await _more(told)
            await asyncio.to_thread(installation.run, "migrate")
        await asyncio.to_thread(installation.query, NEWER)
        await asyncio.to_thread(installation.query, "update alembic_version set version_num = '9999'")
        await _more(told)
        for command in (("serve", "--port", "0"), ("migrate",)):
            refused = await asyncio.to_thread(installation.run, *command, status=2)
            assert "at schema 9999, which a newer version" in " ".join(refused.split())
        await _more(told)
        told.enough.set()
        await writing
        await asyncio.to_thread(agent.ask, CLOSE, {"input": {"runId": run_id, "status": "SUCCEEDED"}})
    entries = [entry for entry in told.followed if entry["type"] == "run.noted"]
    assert [entry["payload"]["input"]["data"]["number"] for entry in entries] == told.written
    assert told.repeated == 0


async def _more(told: Told) -> None:
    """Wait until ten more entries are written and ten more are followed."""
    written, followed = len(told.written) + 10, len(told.followed) + 10
    while len(told.written) < written or len(told.followed) < followed:  # noqa: ASYNC110 - what is waited for is a number
        await asyncio.sleep(0.02)
