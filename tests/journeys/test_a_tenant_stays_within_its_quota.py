"""A tenant stays within its quota: a refusal says how much there is and how to get more, and then there is more."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from journey_house import WAIT_SECONDS, Caller, MakeWorld, World, receive, subscribe, subscription_error
from journey_steps import card, kept, publish, reserve, retire, upload

QUOTAS = "{ quotas { resource used reserved limit period resetsAt } }"
SET = """mutation Set($input: SetQuotaInput!) { setQuota(input: $input) { quota { resource used limit }
  userErrors { __typename code hint ... on BlockedError { changeDigest blockers { gate code } } } } }"""
PROPOSE = """mutation Propose($input: ProposeLockInput!) { proposeLock(input: $input) {
  lock { id revision changeDigest } userErrors { message } } }"""
APPROVE = """mutation Approve($input: ApproveLockInput!) { approveLock(input: $input) {
  lock { state } userErrors { message } } }"""
CHANGES = 'subscription { settingsChanged(surface: "none") { __typename } }'


@pytest.fixture
def small(own_world: MakeWorld) -> World:
    """A server that gives each tenant and env little."""
    limits = {"assets": "3", "stored_bytes": "100", "cards": "2", "live_streams": "3"}
    return own_world(
        actor_streams="2", heartbeat_seconds="0.2", **{f"quota_{name}": value for name, value in limits.items()}
    )


def figures(caller: Caller) -> dict[str, tuple[int, int, int]]:
    """Used, reserved and limit of each resource."""
    found = caller.ask(QUOTAS)["quotas"]
    return {each["resource"]: (each["used"], each["reserved"], each["limit"]) for each in found}


def refused(payload: Any) -> str:
    """The message of the one refusal for want of room."""
    [error] = payload["userErrors"]
    assert (error["__typename"], error["code"]) == ("BlockedError", "QUOTA_EXCEEDED")
    return str(error["message"])


def test_a_tenant_stays_within_its_quota(small: World) -> None:
    """Files and cards up to the limit and not one more; a lock makes room, and another tenant feels nothing."""
    owner, admin = small.caller("t_acme", "owner"), small.caller("t_acme", "admin")
    kept(admin, "a.txt", "text/plain", b"a" * 40)
    waiting = reserve(admin, "b.txt", "text/plain", b"b" * 50)
    assert figures(owner)["STORED_BYTES"] == (40, 50, 100)
    assert refused(reserve(admin, "c.txt", "text/plain", b"c" * 11)) == (
        "No room for 11 more stored bytes (STORED_BYTES): 40 of 100 are used and 50 reserved."
    )
    with ThreadPoolExecutor(8) as pool:  # one asset is left, whoever asks first
        asked = [pool.submit(reserve, admin, f"{each}.txt", "text/plain", b"%d" % each) for each in range(8)]
        answers = [each.result() for each in asked]
    assert sum(not answer["userErrors"] for answer in answers) == 1
    assert figures(owner)["ASSETS"] == (1, 2, 3)
    assert upload(waiting["upload"], b"b" * 50).status_code == 201  # what was promised is there

    for key in ("one", "two"):
        assert publish(admin, card(key))["userErrors"] == []
    assert refused(publish(admin, card("three"))).startswith("No room for 1 more cards (CARDS): 2 of 2 are used.")
    assert publish(admin, card("one", "Revised.\n"), expectedVersion=1)["userErrors"] == []
    assert retire(admin, publish(admin, card("two"))["card"]["id"], 1)["userErrors"] == []
    assert figures(owner)["CARDS"] == (2, 0, 2)
    assert figures(owner)["INDEX_WRITES"][0] == 4

    raised = {"resource": "CARDS", "limit": 3}
    [error] = owner.ask(SET, {"input": raised})["setQuota"]["userErrors"]
    assert (error["code"], error["blockers"]) == ("LOCK_REQUIRED", [{"gate": "STRATEGY_LOCK", "code": "LOCK_REQUIRED"}])
    lock = owner.ask(PROPOSE, {"input": {"change": {"setQuota": raised}, "reason": "More cards."}})["proposeLock"][
        "lock"
    ]
    assert lock["changeDigest"] == error["changeDigest"]
    decided = {"lockId": lock["id"], "revision": lock["revision"], "changeDigest": lock["changeDigest"]}
    assert admin.ask(APPROVE, {"input": decided})["approveLock"]["lock"] == {"state": "APPROVED"}
    assert owner.ask(SET, {"input": raised})["setQuota"] == {
        "quota": {"resource": "CARDS", "used": 2, "limit": 3},
        "userErrors": [],
    }
    assert publish(admin, card("three"))["userErrors"] == []
    other = small.caller("t_globex", "owner")
    assert figures(other) == {name: (0, 0, limit) for name, (_, _, limit) in figures(other).items()}
    assert figures(other)["CARDS"][2] == 2
    assert publish(other, card("one"))["userErrors"] == []


async def test_live_streams_are_counted(small: World) -> None:
    """Two of one actor, three of the tenant; the next is told so, and gets its place when another ends."""
    member, admin = small.caller("t_acme", "member"), small.caller("t_acme", "admin")
    async with member.socket() as socket, admin.socket() as other:
        for name in ("1", "2"):
            await begin(socket, name)
        error = await subscription_error(socket, "3", CHANGES)
        assert error["extensions"]["code"] == "QUOTA_EXCEEDED"
        assert error["message"] == "No room for 1 more live stream: 2 of 2 that one actor may have are open."
        await begin(other, "1")
        error = await subscription_error(other, "2", CHANGES)
        assert error["message"] == "No room for 1 more live streams (LIVE_STREAMS): 3 of 3 are used."
        await asyncio.to_thread(until, admin, 3)
        await socket.send(json.dumps({"id": "1", "type": "complete"}))
        await asyncio.to_thread(until, admin, 2)
        await begin(other, "2")
    await asyncio.to_thread(until, admin, 0)  # sockets that closed hold nothing


def until(caller: Caller, streams: int) -> None:
    """Wait until so many are open."""
    deadline = time.monotonic() + WAIT_SECONDS
    while figures(caller)["LIVE_STREAMS"][0] != streams:
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def begin(socket: Any, name: str) -> None:
    """Open a stream and wait for its first frame."""
    await subscribe(socket, name, CHANGES, None)
    while True:
        message = await receive(socket)
        assert message["type"] == "next", message
        if message["id"] == name:
            return
