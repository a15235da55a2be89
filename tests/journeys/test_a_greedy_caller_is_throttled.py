"""A greedy caller is throttled: it spends its own budget, is told when to come back, and nobody else feels it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter

import httpx
import pytest
from journey_house import Caller, MakeWorld, World, http, receive, subscribe
from websockets.exceptions import ConnectionClosed

BURST, PAGE = 1000, 100  # points of an actor; points of the page below
FLAWED = 10  # points of a request that can't run
CARDS = "query Page { cards(first: 99) { edges { node { id } } } }"
BUDGET = """{ budget { actor { left burst perSecond } tenant { left burst perSecond }
  introspection { left burst perSecond } streams { open limit } sockets { open limit } } }"""
REFUSED = """{ audit(first: 100, filter: {types: ["request.refused"]}) {
  edges { node { actor { actorId } payload } } } }"""
VIEWER = {"viewer": {"role": "MEMBER"}}


async def flood(caller: Caller, times: int) -> list[httpx.Response]:
    """As many requests at once."""
    limits = httpx.Limits(max_connections=40)
    async with httpx.AsyncClient(timeout=60, trust_env=False, headers=caller.headers, limits=limits) as client:
        address = f"{caller.server.address}/graphql"
        return await asyncio.gather(*[client.post(address, json={"query": CARDS}) for _ in range(times)])


def throttled(owner: Caller, subject: str) -> list[int]:
    """The numbers of throttled requests of somebody, entry by entry."""
    nodes = [edge["node"] for edge in owner.ask(REFUSED)["audit"]["edges"]]
    payloads = [node["payload"] for node in nodes if node["actor"]["actorId"] == subject]
    return [payload["input"]["count"] for payload in payloads if payload["output"]["code"] == "THROTTLED"]


@pytest.mark.long
async def test_a_flood_passes_exactly_its_budget(own_world: MakeWorld) -> None:
    """Of two hundred requests at once ten fit; others of the tenant, other tenants and the sockets do not feel it."""
    small = {"actor_burst": BURST, "actor_per_second": 1, "tenant_burst": 10_000, "introspection_burst": 2}
    world = own_world(**{name: str(value) for name, value in small.items()})
    member, agent, owner = (world.caller("t_acme", who) for who in ("member", "agent", "owner"))
    began = time.monotonic()
    answers = await flood(member, 200)
    assert time.monotonic() - began < PAGE, "the budget had the time to fill up for one more: too slow to tell"
    assert Counter(answer.status_code for answer in answers) == {200: BURST // PAGE, 429: 200 - BURST // PAGE}
    for answer in answers:
        cost = answer.json()["extensions"]["cost"]
        assert (cost["points"], cost["actor"]["burst"]) == (PAGE, BURST)
        if answer.status_code == 429:
            [error] = answer.json()["errors"]
            assert error["extensions"]["code"] == "THROTTLED"
            assert 0 < error["extensions"]["retryAfter"] <= int(answer.headers["retry-after"]) <= PAGE
            assert "data" not in answer.json()
    for other in (agent, owner, world.caller("t_globex", "member")):
        assert other.answer(CARDS).json()["extensions"]["cost"]["actor"]["left"] == BURST - PAGE
    await journalled(owner, "member@t_acme", 190)
    await on_a_socket(agent)
    introspected(world.caller("t_globex", "member"))
    # Sockets are counted by each process for itself.
    await one_socket_too_many(own_world(1, actor_sockets="2").caller("t_globex", "owner"))
    dearer_than_ever(world.caller("t_globex", "admin"))


async def journalled(owner: Caller, subject: str, count: int) -> None:
    """Every refusal is in the journal, in few entries; the counted ones come within a second or so."""
    for _ in range(20):
        numbers = throttled(owner, subject)
        if sum(numbers) == count:
            break
        await asyncio.sleep(0.5)
    assert sum(numbers) == count
    assert len(numbers) < 60, numbers


async def on_a_socket(agent: Caller) -> None:
    """The first message tells the cost; the operation too many gets an error, and the socket lives."""
    async with agent.socket() as socket:
        many = " ".join(f"a{place}: cards(first: 99) {{ edges {{ node {{ id }} }} }}" for place in range(9))
        await subscribe(socket, "1", f"{{ {many} }}", None)
        first = await receive(socket)
        assert first["payload"]["extensions"]["cost"]["points"] == 9 * PAGE
        assert (await receive(socket))["type"] == "complete"
        await subscribe(socket, "2", CARDS, None)
        refused = await receive(socket)
        assert (refused["id"], refused["type"]) == ("2", "error")
        assert refused["payload"][0]["extensions"]["code"] == "THROTTLED"
        assert refused["payload"][0]["extensions"]["retryAfter"] > 0
        await socket.send(json.dumps({"type": "ping"}))
        assert (await receive(socket))["type"] == "pong"


def introspected(member: Caller) -> None:
    """Two introspections pass, the third waits; other operations go on."""
    query = "{ __schema { queryType { name } } }"
    answers = [member.answer(query) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].json()["extensions"]["cost"]["introspection"] == {"left": 1, "burst": 2, "perSecond": 0.2}
    assert "introspection" in answers[2].json()["errors"][0]["message"]
    assert member.ask("{ viewer { role } }") == VIEWER


async def one_socket_too_many(owner: Caller) -> None:
    """The third connection of an actor is closed when it says who it is; who leaves makes room."""
    async with owner.socket():
        async with owner.socket() as second:
            await subscribe(second, "1", BUDGET, None)
            assert (await receive(second))["payload"]["data"]["budget"]["sockets"] == {"open": 2, "limit": 2}
            async with owner.unacknowledged() as third:
                await third.send(json.dumps({"type": "connection_init", "payload": owner.headers}))
                with pytest.raises(ConnectionClosed) as closed:
                    await receive(third)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 4429
        for _ in range(200):
            if owner.ask(BUDGET)["budget"]["sockets"]["open"] == 1:
                break
            await asyncio.sleep(0.05)
        async with owner.socket():
            pass


def dearer_than_ever(admin: Caller) -> None:
    """What no full budget could pay is said to be so; what can't run costs as well."""
    error = admin.error(CARDS.replace("99", "1000"))
    assert error["extensions"]["code"] == "INVALID"
    assert "1,001 points; the budget of its actor never holds more than 1,000" in error["message"]
    assert admin.answer(CARDS.replace("99", "1000")).json()["extensions"]["cost"]["points"] == FLAWED
    before = admin.ask(BUDGET)["budget"]["actor"]["left"]
    for _ in range(3):
        assert admin.error(CARDS.replace("99", "1000"))["extensions"]["code"] == "INVALID"
    assert admin.ask(BUDGET)["budget"]["actor"]["left"] <= before - 3 * FLAWED, "refusing it was work too"
    before = admin.ask(BUDGET)["budget"]["actor"]["left"]
    assert admin.error("{ noSuchField }")["extensions"]["code"] == "INVALID"
    address = f"{admin.server.address}/graphql"
    broken = http("POST", address, content=b"{", headers=admin.headers | {"Content-Type": "application/json"})
    assert broken.json()["errors"][0]["extensions"]["code"] == "INVALID"
    assert admin.ask(BUDGET)["budget"]["actor"]["left"] <= before - 2 * FLAWED


def test_every_answer_tells_its_cost_and_the_budget_what_is_left(world: World) -> None:
    """The points of the answer, of the budget query and of the settings agree."""
    member = world.caller("t_acme", "member")
    cost = member.answer("{ viewer { role } manifests { title } }").json()["extensions"]["cost"]
    assert cost["points"] == 2
    budget = member.ask(BUDGET)["budget"]
    for name in ("actor", "tenant"):
        assert (cost[name]["burst"], cost[name]["perSecond"]) == (budget[name]["burst"], budget[name]["perSecond"])
        assert 0 < budget[name]["left"] <= budget[name]["burst"]
    assert budget["streams"]["open"] >= 0
    assert budget["sockets"] == {"open": 0, "limit": 100}


def test_a_document_with_thirty_flaws_tells_of_twenty(world: World) -> None:
    """And that there are more."""
    member = world.caller("t_acme", "member")
    flaws = member.answer("{ " + " ".join(f"flaw{place}" for place in range(30)) + " }").json()["errors"]
    assert len(flaws) == 21
    assert flaws[-1]["message"] == "More is wrong than is listed."
