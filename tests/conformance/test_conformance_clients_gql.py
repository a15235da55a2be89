"""Python's gql, over HTTP and by websocket, on the real server."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Any

import pytest
from conformance_table import Figure
from cutting import Relay, relay
from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportConnectionFailed, TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport
from journey_house import STORY_SECONDS, WAIT_SECONDS, Caller, World
from websockets.exceptions import ConnectionClosedError

ROLE = GraphQLRequest("{ viewer { role } }")
WAYS = ("over HTTP", "by websocket")
REFUSED = {
    "{ nobodyKnowsThis }": "INVALID",
    "{ erasures(first: 1) { edges { cursor } } }": "FORBIDDEN",
    "query ($id: ID!) { node(id: $id) { id } }": "INVALID",
}


def client(caller: Caller, how: str, port: int | None = None, **more: Any) -> Client:
    """A client of somebody; through another port when one is given."""
    address = f"127.0.0.1:{port or caller.server.port}/graphql"
    if how == "over HTTP":
        return Client(transport=HTTPXAsyncTransport(f"http://{address}", headers=caller.headers), **more)
    transport = WebsocketsTransport(
        f"ws://{address}", init_payload=caller.headers, connect_args={"proxy": None}, close_timeout=2
    )
    return Client(transport=transport, execute_timeout=WAIT_SECONDS, **more)


@pytest.mark.parametrize("how", WAYS)
async def test_queries_and_mutations_are_answered(world: World, figure: Figure, how: str) -> None:
    """One session asks and changes, is told of what is wrong, and goes on."""
    answered = 0
    async with asyncio.timeout(STORY_SECONDS), client(world.caller("t_acme", "member"), how) as session:
        open_run = GraphQLRequest(world.document("agent/OpenRun"), variable_values={"title": "by gql"})
        assert (await session.execute(open_run))["openRun"]["run"]["status"] == "RUNNING"
        for document, code in REFUSED.items():
            with pytest.raises(TransportQueryError) as refused:
                await session.execute(GraphQLRequest(document))
            assert [error["extensions"]["code"] for error in refused.value.errors or ()] == [code]
            assert await session.execute(ROLE) == {"viewer": {"role": "MEMBER"}}
            answered += 2
    figure(
        8, f"Python gql {version('gql')}, {how}", f"a mutation, {answered} queries and refusals answered as promised"
    )


@pytest.mark.parametrize("how", WAYS)
async def test_a_client_may_check_its_documents(world: World, how: str) -> None:
    """It fetches the schema, and refuses by itself what the server would."""
    fetching = client(world.caller("t_acme", "owner"), how, fetch_schema_from_transport=True)
    async with asyncio.timeout(STORY_SECONDS), fetching as session:
        assert fetching.schema is not None
        assert "Card" in fetching.schema.type_map
        with pytest.raises(Exception, match="Cannot query field 'nobodyKnowsThis'"):
            await session.execute(GraphQLRequest("{ nobodyKnowsThis }"))
        assert await session.execute(ROLE) == {"viewer": {"role": "OWNER"}}


async def test_credentials_that_are_refused_are_told(world: World) -> None:
    """Over HTTP as an error of GraphQL, by websocket as a close with 4401."""
    stranger = Caller(world.server, "t_acme", "nobody.gave.this")
    async with asyncio.timeout(STORY_SECONDS):
        with pytest.raises(TransportQueryError) as told:
            async with client(stranger, "over HTTP") as session:
                await session.execute(ROLE)
        assert [error["extensions"]["code"] for error in told.value.errors or ()] == ["UNAUTHENTICATED"]
        with pytest.raises(TransportConnectionFailed) as closed:
            async with client(stranger, "by websocket") as session:
                await session.execute(ROLE)
    reason = closed.value.__cause__
    assert isinstance(reason, ConnectionClosedError)
    assert reason.rcvd is not None
    assert reason.rcvd.code == 4401


async def test_a_subscription_resumes(world: World, figure: Figure) -> None:
    """Cut off while it is replayed and again while it is live, a follower sees each entry once."""
    caller = world.caller("t_acme", "member")
    async with asyncio.timeout(STORY_SECONDS), relay(world.server.port) as between:
        numbers, end = await _followed(caller, world, between)
    assert numbers == list(range(1, 12))
    assert end == "RUN_ENDED"
    assert between.connections >= 3
    lost = between.connections - 1
    figure(8, "Python gql, a subscription", f"{len(numbers)} of 11 entries once, the connection lost {lost} times")


async def _followed(caller: Caller, world: World, between: Relay) -> tuple[list[int], str]:
    """Follow a run that is written meanwhile; the numbers of its entries as they came, and how it ended."""
    run_id = caller.ask(world.document("agent/OpenRun"), {"title": "followed by gql"})["openRun"]["run"]["id"]

    def append(count: int) -> None:
        for _ in range(count):
            caller.ask(world.document("agent/AppendRunLog"), {"runId": run_id, "text": "noted"})

    def finish() -> None:
        append(3)
        caller.ask(world.document("agent/CloseRun"), {"runId": run_id, "status": "SUCCEEDED"})

    await asyncio.to_thread(append, 5)
    numbers: list[int] = []
    cursor: str | None = None
    writing: list[asyncio.Task[None]] = []
    while True:
        follow = GraphQLRequest(
            world.document("dashboard/FollowRun"), variable_values={"runId": run_id, "after": cursor}
        )
        try:
            async with client(caller, "by websocket", between.port) as session:
                async for data in session.subscribe(follow):
                    frame = data["runLog"]
                    if frame["__typename"] == "RunLogEnd":
                        await asyncio.gather(*writing)
                        return numbers, frame["reason"]
                    if frame["__typename"] != "RunLogEntry":
                        continue
                    cursor = frame["cursor"]
                    numbers.append(frame["entry"]["number"])
                    # What comes after a cut is written after it, so that it can't have been on its way already.
                    if numbers[-1] in (3, 7):
                        between.cut()
                    if numbers[-1] == 6:
                        writing.append(asyncio.create_task(asyncio.to_thread(append, 1)))
                    if numbers[-1] == 7:
                        writing.append(asyncio.create_task(asyncio.to_thread(finish)))
        except TransportConnectionFailed:
            continue
