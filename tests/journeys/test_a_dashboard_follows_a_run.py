"""A dashboard follows a run: an agent writes, a member watches while it happens, and nothing is lost or told twice."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from journey_house import (
    WAIT_SECONDS,
    Caller,
    MakeWorld,
    World,
    receive,
    subscribe,
    subscription_error,
)
from journey_steps import card, published

FOLLOW, LOG, RUNS = "dashboard/FollowRun", "dashboard/RunLog", "dashboard/Runs"
APPEND = """mutation Append($input: AppendRunLogInput!) { appendRunLog(input: $input) {
  entry { id number type severity payload piiFlags } userErrors { code message path } } }"""
RUN = "query Run($id: ID!) { run(id: $id) { id kind status title entries endedAt counts { type count } } }"


def opened(who: Caller, world: World, title: str) -> str:
    """Open a research run; its id."""
    payload = who.ask(world.document("agent/OpenRun"), {"title": title})["openRun"]
    assert payload["userErrors"] == []
    assert payload["run"]["status"] == "RUNNING"
    return str(payload["run"]["id"])


def append(who: Caller, run_id: str, **entry: Any) -> Any:
    """The whole payload of appendRunLog."""
    return who.ask(APPEND, {"input": {"runId": run_id} | entry})["appendRunLog"]


def closed(who: Caller, world: World, run_id: str, status: str = "SUCCEEDED") -> Any:
    """The whole payload of closeRun."""
    return who.ask(world.document("agent/CloseRun"), {"runId": run_id, "status": status})["closeRun"]


def second_agent(world: World) -> Caller:
    """Another agent of the same tenant."""
    make = 'mutation { createKey(input: {name: "second", days: 1}) { secret userErrors { code } } }'
    secret = world.caller("t_acme", "owner").ask(make)["createKey"]["secret"]
    return Caller(world.server, "t_acme", secret)


async def test_a_run_is_watched_while_it_happens(world: World) -> None:
    """Each entry arrives when it is written, redacted; the end of the run is the last frame."""
    agent, member = world.caller("t_acme", "agent"), world.caller("t_acme", "member")
    run_id = opened(agent, world, "Watched")
    async with member.stream(world.document(FOLLOW), {"runId": run_id}) as stream:

        async def next_entry() -> Any:
            frame = (await anext(stream))["runLog"]
            assert frame["__typename"] == "RunLogEntry", frame
            return frame["entry"]

        entry = await next_entry()
        assert (entry["number"], entry["type"], entry["actor"]["kind"]) == (1, "run.opened", "AGENT")
        text = "Asked zoe@example.com, who pays with 4111 1111 1111 1111."
        written = append(agent, run_id, text=text, data={"reply to": ["zoe@example.com"]}, severity="WARNING")
        entry = await next_entry()
        assert (entry["number"], entry["type"], entry["severity"]) == (2, "run.noted", "WARNING")
        expected = {"text": "Asked [email], who pays with [credit_card].", "data": {"reply to": ["[email]"]}}
        assert entry["payload"]["input"] == expected
        assert written["entry"]["payload"] == entry["payload"], "the answer to the writer is redacted too"
        assert written["entry"]["piiFlags"] == ["credit_card", "email"]
        append(agent, run_id, data=[1, None, {"a": 2.5}])
        assert (await next_entry())["payload"]["input"] == {"data": [1, None, {"a": 2.5}]}
        assert closed(agent, world, run_id)["run"]["status"] == "SUCCEEDED"
        assert (await next_entry())["type"] == "run.closed"
        end = (await anext(stream))["runLog"]
        assert end == {"__typename": "RunLogEnd", "reason": "RUN_ENDED", "status": "SUCCEEDED"}
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
    found = member.ask(RUN, {"id": run_id})["run"]
    assert (found["kind"], found["title"], found["entries"]) == ("RESEARCH", "Watched", 4)
    counts = {each["type"]: each["count"] for each in found["counts"]}
    assert counts == {"run.opened": 1, "run.noted": 2, "run.closed": 1}


@pytest.mark.long
async def test_a_hundred_disconnections_lose_and_repeat_nothing(world: World) -> None:
    """A dashboard that is cut off at random points, politely or not, sees the numbers 1 to n, each once."""
    agent, member = world.caller("t_acme", "agent"), world.caller("t_acme", "member")
    run_id = opened(agent, world, "Cut off")
    document, chance = world.document(FOLLOW), random.Random(100)  # noqa: S311 - a seed, so that it can be repeated
    cut_off = asyncio.Event()

    async def write() -> int:
        written = 1
        while not cut_off.is_set():
            await asyncio.to_thread(append, agent, run_id, text=f"entry {written + 1}")
            written += 1
        await asyncio.to_thread(closed, agent, world, run_id)
        return written + 1

    seen: list[tuple[int, str]] = []
    cursor: str | None = None

    async def watch(most: float) -> Any:
        """Read up to `most` entries and be cut off in one of four ways; returns the end frame if it came."""
        nonlocal cursor
        async with member.socket() as socket:
            await subscribe(socket, "1", document, {"runId": run_id, "after": cursor})
            count = 0
            while count < most:
                message = await receive(socket)
                assert message["type"] == "next", message
                frame = message["payload"]["data"]["runLog"]
                if frame["__typename"] == "RunLogEnd":
                    return frame
                assert frame["__typename"] == "RunLogEntry", frame
                cursor = frame["cursor"]
                entry = frame["entry"]
                seen.append((entry["number"], entry["type"]))
                count += 1
            way = chance.randrange(4)
            if way == 0:
                socket.transport.abort()  # no closing handshake at all
            elif way == 1:
                await socket.send(json.dumps({"id": "1", "type": "complete"}))
                socket.transport.abort()
            elif way == 2:
                await socket.close(1001)
            return None

    writer = asyncio.create_task(write())
    for _ in range(100):
        async with asyncio.timeout(WAIT_SECONDS):
            await watch(chance.randrange(4))
    cut_off.set()
    async with asyncio.timeout(WAIT_SECONDS):
        count = await writer
        end = await watch(float("inf"))
    assert end == {"__typename": "RunLogEnd", "reason": "RUN_ENDED", "status": "SUCCEEDED"}
    assert [number for number, _ in seen] == list(range(1, count + 1))
    assert [kind for _, kind in seen] == ["run.opened", *["run.noted"] * (count - 2), "run.closed"]
    assert count > 50


async def test_a_restart_of_the_server_loses_nothing(own_world: MakeWorld) -> None:
    """A quiet stream beats; at shutdown it ends or closes for a while; the last cursor goes on in the next process."""
    world = own_world(heartbeat_seconds="0.2")
    agent, member = world.caller("t_acme", "agent"), world.caller("t_acme", "member")
    run_id = opened(agent, world, "Restarted")
    numbers: list[int] = []
    beats: list[Any] = []
    cursor = last = None
    async with member.socket() as socket:
        await subscribe(socket, "1", world.document(FOLLOW), {"runId": run_id})
        while len(beats) < 2:
            frame = (await receive(socket))["payload"]["data"]["runLog"]
            if frame["__typename"] == "RunLogHeartbeat":
                beats.append(frame)
            else:
                numbers.append(frame["entry"]["number"])
                cursor = frame["cursor"]
        assert beats[0]["at"] < beats[1]["at"]
        assert beats[0]["seq"] >= 1
        append(agent, run_id, text="before the restart")
        stopping = asyncio.create_task(asyncio.to_thread(world.server.stop))
        while (message := await receive(socket))["type"] == "next":
            last = message["payload"]["data"]["runLog"]
            if last["__typename"] == "RunLogEntry":
                numbers.append(last["entry"]["number"])
                cursor = last["cursor"]
        assert message == {"id": "1", "type": "complete"}
        assert await stopping == 0
        await socket.wait_closed()
        assert socket.close_code == 1012, "service restart: clients come back"
    assert last == {"__typename": "RunLogEnd", "reason": "SHUTDOWN", "status": None}

    await asyncio.to_thread(world.server.start)
    async with member.stream(world.document(FOLLOW), {"runId": run_id, "after": cursor}) as stream:
        append(agent, run_id, text="after the restart")
        closed(agent, world, run_id, "FAILED")
        async for frame in stream:
            if frame["runLog"]["__typename"] == "RunLogEntry":
                numbers.append(frame["runLog"]["entry"]["number"])
            last = frame["runLog"]
    assert numbers == [1, 2, 3, 4]
    assert last == {"__typename": "RunLogEnd", "reason": "RUN_ENDED", "status": "FAILED"}


async def test_pages_of_a_log_and_its_stream_share_their_cursors(world: World) -> None:
    """A page's cursor goes on live; a cursor of another run, or ahead of the run, is refused."""
    agent, member = world.caller("t_acme", "agent"), world.caller("t_acme", "member")
    run_id, other_id = opened(agent, world, "Paged"), opened(agent, world, "Other")
    for number in range(2, 5):
        append(agent, run_id, text=f"entry {number}")
    page = member.ask(world.document(LOG), {"id": run_id, "first": 2})["run"]["log"]
    assert [edge["node"]["number"] for edge in page["edges"]] == [1, 2]
    async with member.stream(
        world.document(FOLLOW), {"runId": run_id, "after": page["pageInfo"]["endCursor"]}
    ) as stream:
        assert [(await anext(stream))["runLog"]["entry"]["number"] for _ in range(2)] == [3, 4]
    async with member.socket() as socket:
        for number, after in enumerate((page["pageInfo"]["endCursor"], "3", "")):
            variables = {"runId": other_id, "after": after}
            error = await subscription_error(socket, str(number), world.document(FOLLOW), variables)
            assert error["extensions"]["code"] == "INVALID"
    error = member.error(world.document(LOG), {"id": other_id, "first": 1, "after": page["pageInfo"]["endCursor"]})
    assert error["extensions"]["code"] == "INVALID"


async def test_an_agent_sees_and_writes_its_own_runs_only(world: World) -> None:
    """Another agent's run is unknown to it; a member sees it and may not write; nobody follows what isn't there."""
    agent, other, member = world.caller("t_acme", "agent"), second_agent(world), world.caller("t_acme", "member")
    run_id = opened(agent, world, "Private")
    assert other.ask(RUN, {"id": run_id})["run"] is None
    assert other.ask("query ($id: ID!) { node(id: $id) { id } }", {"id": run_id})["node"] is None
    assert member.ask(RUN, {"id": run_id})["run"]["title"] == "Private"
    [error] = append(other, run_id, text="mine?")["userErrors"]
    assert error["code"] == "NOT_FOUND"
    [error] = closed(other, world, run_id)["userErrors"]
    assert error["code"] == "NOT_FOUND"
    assert member.error(APPEND, {"input": {"runId": run_id, "text": "x"}})["extensions"]["code"] == "FORBIDDEN"
    stranger = world.caller("t_globex", "owner")
    errors = []
    for who, wanted in ((other, run_id), (other, "run_" + "0" * 32), (stranger, run_id)):
        async with who.socket() as socket:
            errors.append(await subscription_error(socket, "1", world.document(FOLLOW), {"runId": wanted}))
    assert {(each["extensions"]["code"], each["message"]) for each in errors} == {("NOT_FOUND", "No such run here.")}
    assert member.ask(RUN, {"id": run_id})["run"]["entries"] == 1


def test_a_run_takes_what_it_may_and_nothing_after_its_end(world: World) -> None:
    """Sizes, titles and states are checked; the same idempotency key writes one entry."""
    agent = world.caller("t_acme", "agent")
    for title in ("", "  ", "x" * 201):
        [error] = agent.ask(world.document("agent/OpenRun"), {"title": title})["openRun"]["userErrors"]
        assert (error["code"], error["path"]) == ("INVALID", ["input", "title"])
    run_id = opened(agent, world, "Bounded")
    deep: Any = "bottom"
    for _ in range(100):
        deep = [deep]
    for wrong in ({}, {"text": "é" * 8193}, {"data": "x" * 65537}, {"data": 2**60}, {"data": deep}):
        [error] = append(agent, run_id, **wrong)["userErrors"]
        assert error["code"] == "INVALID", error
        assert error["path"][0] == "input"
    once = {"text": "once", "idempotencyKey": "bounded-1"}
    first, again = append(agent, run_id, **once), append(agent, run_id, **once)
    assert first == again
    assert first["entry"]["number"] == 2
    [error] = append(agent, run_id, text="twice", idempotencyKey="bounded-1")["userErrors"]
    assert error["code"] == "CONFLICT"
    for status in ("RUNNING", "REFUSED"):
        [error] = closed(agent, world, run_id, status)["userErrors"]
        assert error["code"] == "INVALID"
    assert closed(agent, world, run_id)["run"]["entries"] == 3
    for payload in (append(agent, run_id, text="late"), closed(agent, world, run_id)):
        [error] = payload["userErrors"]
        assert (error["code"], error["message"]) == ("CONFLICT", "The run has ended as SUCCEEDED.")


def test_runs_are_listed_by_kind_state_and_time(world: World) -> None:
    """Newest first, to members all of them, to an agent its own."""
    agent, other, member = world.caller("t_acme", "agent"), second_agent(world), world.caller("t_acme", "member")
    since = (datetime.now(UTC) - timedelta(milliseconds=1)).isoformat()
    mine = opened(agent, world, "Listed one")
    theirs = opened(other, world, "Listed two")
    closed(other, world, theirs, "FAILED")

    def listed(who: Caller, **chosen: Any) -> list[str]:
        page = who.ask(world.document(RUNS), {"first": 100, "filter": {"startedFrom": since} | chosen})["runs"]
        return [edge["node"]["id"] for edge in page["edges"]]

    research = {"kinds": ["RESEARCH"]}
    assert listed(member, **research) == [theirs, mine]
    assert listed(agent, **research) == [mine]
    assert listed(other, **research) == [theirs]
    assert listed(member, **research, statuses=["FAILED"]) == [theirs]
    assert listed(member, **research, statuses=["RUNNING"]) == [mine]
    assert listed(member, kinds=["EXPORT"]) == []
    assert listed(member, **research, startedTo=since) == []
    page = member.ask(world.document(RUNS), {"first": 1, "filter": {"startedFrom": since} | research})["runs"]
    assert page["pageInfo"]["hasNextPage"]
    after = page["pageInfo"]["endCursor"]
    rest = member.ask(world.document(RUNS), {"first": 1, "after": after, "filter": {"startedFrom": since} | research})
    assert [edge["node"]["id"] for edge in rest["runs"]["edges"]] == [mine]
    error = member.error(world.document(RUNS), {"first": 1, "after": after})
    assert error["extensions"]["code"] == "INVALID", "a cursor is bound to its filter"


def test_requests_are_gathered_in_the_run_that_they_name(world: World) -> None:
    """With X-Nexus-Run a pack and what was read for it stand in the agent's run, which stays open until closed."""
    agent, owner = world.caller("t_acme", "agent"), world.caller("t_acme", "owner")
    published(owner, card("gathered/one", "A card for the gathering.\n", labels=["gathered"]))
    run_id = opened(agent, world, "Gathered")
    ask = {"ask": {"text": "gathering", "k": 1, "filter": {"labels": ["gathered"]}}}
    pack = agent.ask(world.document("agent/RequestPack"), ask, **{"X-Nexus-Run": run_id})["influencePack"]
    agent.ask(world.document("agent/RequestPack"), ask)
    log = agent.ask(world.document(LOG), {"id": run_id, "first": 100})["run"]
    assert log["status"] == "RUNNING"
    entries = [edge["node"] for edge in log["log"]["edges"]]
    assert [entry["number"] for entry in entries] == list(range(1, len(entries) + 1))
    kinds = [entry["type"] for entry in entries]
    assert kinds[:2] == ["run.opened", "pack.served"]
    assert kinds.count("pack.served") == 1, "a request without the header is none of this run"
    assert "cards.read" in kinds
    assert entries[1]["subject"] == {"kind": "pack", "subjectId": pack["id"]}

    closed(agent, world, run_id)
    foreign = opened(second_agent(world), world, "Foreign")
    for named, code in ((run_id, "NOT_FOUND"), (foreign, "NOT_FOUND"), ("run_1", "INVALID")):
        error = agent.error(world.document("agent/RequestPack"), ask, **{"X-Nexus-Run": named})
        assert error["extensions"]["code"] == code, error
    assert owner.ask(RUN, {"id": foreign})["run"]["entries"] == 1
