"""Everything is halted: at once, in every process, for one tenant alone; it goes on when two people say so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import pytest
from journey_house import WAIT_SECONDS, Caller, Furnished, Server, World, http, serving, subscription_error
from journey_objects import InBucket
from journey_steps import DERIVE, PROPOSE, card, derive, kept, publish, published, reserve, upload, with_lock

ENGAGE = """mutation Engage($input: EngageKillSwitchInput!) { engageKillSwitch(input: $input) {
  killSwitch { id target name reason engagedBy engagedAt releasedBy releasedAt }
  userErrors { code message hint path } } }"""
RELEASE = """mutation Release($id: ID!) { releaseKillSwitch(input: { switchId: $id }) {
  killSwitch { id releasedBy releasedAt } userErrors { code message ... on BlockedError { changeDigest } } } }"""
SWITCHES = """query Switches($engagedOnly: Boolean!) { killSwitches(engagedOnly: $engagedOnly, first: 100) {
  edges { node { id target name reason releasedBy } } } }"""
FOLLOW = """subscription Follow($id: ID!, $after: String) { runLog(runId: $id, after: $after) { __typename
  ... on RunLogEntry { cursor entry { number } } ... on RunLogEnd { reason } } }"""
CHANGES = """subscription Changes { settingsChanged(surface: "halted") { __typename
  ... on SettingsChange { cardId } ... on SettingsEnd { reason } } }"""
OPEN = 'mutation { openRun(input: { title: "A run" }) { run { id } } }'
APPEND = 'mutation Append($id: ID!) { appendRunLog(input: { runId: $id, text: "x" }) { userErrors { code } } }'
CARDS = "{ cards(first: 1) { edges { node { id } } } }"
STATE = "query State($id: ID!) { card(id: $id) { indexState } }"
SEARCH = '{ search(text: "prices") { complete } }'
PACK = '{ influencePack(ask: { text: "prices" }) { id } }'
DOWNLOAD = "query Download($id: ID!) { asset(id: $id) { downloadAddress } }"
ATOMS = "query Atoms($id: ID!) { asset(id: $id) { atoms(first: 1) { edges { node { id } } } } }"
VERIFY = "query Verify($id: ID!) { verifyAtom(id: $id) { matches } }"
UNSTOPPABLE = (
    "{ viewer { role } killSwitches(first: 1) { edges { cursor } } audit(first: 1) { edges { node { type } } } }"
)
NEW_KEY = 'mutation { createKey(input: { name: "to be ended", days: 1 }) { key { keyId } } }'
END_KEY = "mutation End($id: String!) { revokeKey(input: { keyId: $id }) { key { keyId } userErrors { code } } }"
REASON = "The prices are wrong."


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, furnished: Furnished) -> Iterator[World]:
    """A server of this file's own: to halt a tenant would harm the others' stories."""
    with serving(furnished, tmp_path_factory.mktemp("halted") / "world") as world:
        yield world


def engage(caller: Caller, target: str = "EVERYTHING", name: str = "", **more: Any) -> Any:
    """The switch, engaged."""
    payload = caller.ask(ENGAGE, {"input": {"target": target, "name": name, "reason": REASON} | more})
    assert payload["engageKillSwitch"]["userErrors"] == [], payload
    return payload["engageKillSwitch"]["killSwitch"]


def release(world: World, switch_id: str) -> Any:
    """Release a switch of t_acme: the admin proposes the lock, the owner approves it, the admin releases."""
    owner, admin = world.caller("t_acme", "owner"), world.caller("t_acme", "admin")
    with_lock(admin, owner, {"releaseKillSwitch": {"switchId": switch_id}})
    payload = admin.ask(RELEASE, {"id": switch_id})["releaseKillSwitch"]
    assert payload["userErrors"] == [], payload
    return payload["killSwitch"]


@contextmanager
def halted(world: World, target: str = "EVERYTHING", name: str = "") -> Iterator[Any]:
    """Halted inside, released afterwards."""
    switch = engage(world.caller("t_acme", "owner"), target, name)
    try:
        yield switch
    finally:
        release(world, switch["id"])


def is_halted(caller: Caller, query: str, variables: Any = None) -> bool:
    """Whether a field is refused as HALTED, with since and reason; any other refusal fails."""
    answer = caller.answer(query, variables).json()
    if "errors" not in answer:
        return False
    told = answer["errors"][0]["extensions"]
    assert (told["code"], told["reason"]) == ("HALTED", REASON), answer
    assert told["since"].startswith("20")
    return True


def opened(caller: Caller, entries: int) -> str:
    """A run with its first entry and so many more."""
    run_id = str(caller.ask(OPEN)["openRun"]["run"]["id"])
    for _ in range(entries):
        assert caller.ask(APPEND, {"id": run_id})["appendRunLog"]["userErrors"] == []
    return run_id


async def test_streams_end_requests_are_refused_and_all_goes_on_after_the_release(house: World) -> None:
    """A typed last frame, HALTED for whoever comes, another tenant untouched; afterwards the log has no gap."""
    acme, member, globex = (
        house.caller(*who) for who in (("t_acme", "owner"), ("t_acme", "member"), ("t_globex", "owner"))
    )
    run_id, foreign = opened(acme, 2), opened(globex, 0)
    async with AsyncExitStack() as streams:
        log = await streams.enter_async_context(member.stream(FOLLOW, {"id": run_id}))
        changes = await streams.enter_async_context(member.stream(CHANGES))
        other = await streams.enter_async_context(globex.stream(FOLLOW, {"id": foreign}))
        seen = [(await anext(log))["runLog"] for _ in range(3)]
        assert (await anext(other))["runLog"]["entry"]["number"] == 1
        assert (await anext(changes))["settingsChanged"] == {"__typename": "SettingsHeartbeat"}
        streams.enter_context(halted(house))
        assert await anext(log) == {"runLog": {"__typename": "RunLogEnd", "reason": "HALTED"}}
        assert [frame async for frame in log] == []
        assert await anext(changes) == {"settingsChanged": {"__typename": "SettingsEnd", "reason": "HALTED"}}
        for who in (acme, member, house.caller("t_acme", "agent")):
            assert is_halted(who, CARDS)
        assert is_halted(acme, APPEND, {"id": run_id})
        async with member.socket() as socket:
            error = await subscription_error(socket, "1", FOLLOW, {"id": run_id})
        assert (error["extensions"]["code"], error["extensions"]["reason"]) == ("HALTED", REASON)
        assert not is_halted(globex, CARDS)
        globex.ask(APPEND, {"id": foreign})
        assert (await anext(other))["runLog"]["entry"]["number"] == 2
    assert not is_halted(member, CARDS)
    acme.ask(APPEND, {"id": run_id})
    async with member.stream(FOLLOW, {"id": run_id, "after": seen[1]["cursor"]}) as log:
        assert [(await anext(log))["runLog"]["entry"]["number"] for _ in range(2)] == [3, 4]


def test_what_is_needed_to_get_out_of_it_is_never_halted(house: World) -> None:
    """Look, see why, take rights away, and release: but not without a lock, and not by a member."""
    owner, member = house.caller("t_acme", "owner"), house.caller("t_acme", "member")
    key_id = owner.ask(NEW_KEY)["createKey"]["key"]["keyId"]
    with halted(house) as switch:
        assert switch["engagedBy"] == "owner@t_acme"
        assert engage(house.caller("t_acme", "admin"), reason="Another.") == switch
        assert owner.ask(UNSTOPPABLE)["viewer"] == {"role": "OWNER"}
        shown = member.ask(SWITCHES, {"engagedOnly": True})["killSwitches"]["edges"]
        assert [(each["node"]["id"], each["node"]["reason"]) for each in shown] == [(switch["id"], REASON)]
        assert owner.ask(END_KEY, {"id": key_id})["revokeKey"]["userErrors"] == []
        assert is_halted(owner, NEW_KEY)
        [error] = owner.ask(RELEASE, {"id": switch["id"]})["releaseKillSwitch"]["userErrors"]
        assert (error["code"], len(error["changeDigest"])) == ("LOCK_REQUIRED", 64)
        for caller in (member, house.caller("t_acme", "agent")):
            assert caller.error(RELEASE, {"id": switch["id"]})["extensions"]["code"] == "FORBIDDEN"
            refused = caller.error(ENGAGE, {"input": {"target": "EVERYTHING", "reason": "x"}})
            assert refused["extensions"]["code"] == "FORBIDDEN"
        assert is_halted(owner, CARDS)
    assert owner.ask(SWITCHES, {"engagedOnly": True})["killSwitches"]["edges"] == []
    history = owner.ask(SWITCHES, {"engagedOnly": False})["killSwitches"]["edges"]
    assert (history[0]["node"]["id"], history[0]["node"]["releasedBy"]) == (switch["id"], "admin@t_acme")
    assert not is_halted(owner, NEW_KEY)


def test_a_release_is_never_allowed_in_advance(house: World) -> None:
    """No class of changes holds it, and a lock for a switch needs one that is engaged here: then two people look."""
    owner, admin, globex = (
        house.caller(*who) for who in (("t_acme", "owner"), ("t_acme", "admin"), ("t_globex", "owner"))
    )

    def refusal(caller: Caller, change: Any) -> str:
        asked = {"input": {"change": change, "reason": "In advance."}}
        [error] = caller.ask(PROPOSE, asked)["proposeLock"]["userErrors"]
        return f"{error['code']} {error['message']}"

    for actions in (["RELEASE_KILL_SWITCH"], ["SET_QUOTA", "RELEASE_KILL_SWITCH"]):
        assert "very switch" in refusal(owner, {"anyOf": {"actions": actions, "uses": 9}})
    with_lock(owner, admin, {"anyOf": {"actions": ["SET_QUOTA", "REINDEX"], "uses": 9}})
    unknown = refusal(owner, {"releaseKillSwitch": {"switchId": "switch_1"}})
    with halted(house) as switch:
        [error] = owner.ask(RELEASE, {"id": switch["id"]})["releaseKillSwitch"]["userErrors"]
        assert error["code"] == "LOCK_REQUIRED"
        assert refusal(globex, {"releaseKillSwitch": {"switchId": switch["id"]}}) == unknown
    assert unknown.startswith("NOT_FOUND")
    assert refusal(owner, {"releaseKillSwitch": {"switchId": switch["id"]}}).startswith("CONFLICT")
    assert refusal(owner, {"setQuota": {"resource": "CARDS", "limit": -1}}).startswith("INVALID A limit is 0 to")


def test_an_action_is_halted_alone_and_a_name_must_be_one_that_there_is(house: World) -> None:
    """publishCard is refused and retireCard is not; an unknown name gets the list; a dry run halts nothing."""
    owner = house.caller("t_acme", "owner")
    wrong = owner.ask(ENGAGE, {"input": {"target": "ACTION", "name": "publish", "reason": REASON}})
    [error] = wrong["engageKillSwitch"]["userErrors"]
    assert (error["code"], error["path"]) == ("INVALID", ["input", "name"])
    assert {"publishCard", "runLog", "index", "atoms"} <= set(error["hint"].removeprefix("Known: ")[:-1].split(", "))
    assert engage(owner, "ACTION", "publishCard", dryRun=True)["name"] == "publishCard"
    first = published(owner, card("halted/action"))
    with halted(house, "ACTION", "publishCard"):
        refused = owner.error(
            "mutation P($t: String!) { publishCard(input: { text: $t, trainOk: true }) { created } }",
            {"t": card("halted/other")},
        )
        assert refused["extensions"]["code"] == "HALTED"
        retired = owner.ask(
            "mutation R($id: ID!) { retireCard(input: { cardId: $id, expectedVersion: 1 }) { userErrors { code } } }",
            {"id": first["id"]},
        )
        assert retired["retireCard"]["userErrors"] == []
    assert publish(owner, card("halted/other"))["created"]


def test_the_index_stands_still_and_catches_up(house: World) -> None:
    """Cards stay PENDING and nobody waits for them; after the release they are INDEXED, though nothing new came."""
    owner, globex = house.caller("t_acme", "owner"), house.caller("t_globex", "owner")
    with halted(house, "ACTION", "index"):
        pending = [publish(owner, card(f"halted/index/{place}")) for place in range(2)]
        assert [each["indexState"] for each in pending] == ["PENDING", "PENDING"]
        assert published(globex, card("halted/index"))["indexState"] == "INDEXED"
        assert {owner.ask(STATE, {"id": each["card"]["id"]})["card"]["indexState"] for each in pending} == {"PENDING"}
    for each in pending:
        eventually(lambda: owner.ask(STATE, {"id": each["card"]["id"]})["card"]["indexState"] == "INDEXED")  # noqa: B023


def test_a_provider_is_halted_with_all_that_needs_it(house: World) -> None:
    """Without its embedder nothing is searched or indexed, and everything else goes on."""
    owner, globex = house.caller("t_acme", "owner"), house.caller("t_globex", "owner")
    with halted(house, "PROVIDER", "hashing"):
        assert is_halted(owner, SEARCH)
        assert is_halted(house.caller("t_acme", "agent"), PACK)
        assert publish(owner, card("halted/provider"))["indexState"] == "PENDING"
        assert not is_halted(owner, CARDS)
        assert not is_halted(globex, SEARCH)
    assert not is_halted(owner, SEARCH)


@pytest.mark.parametrize(("target", "name"), [("EVERYTHING", ""), ("PROVIDER", "objects")])
def test_objects_are_halted(house: World, target: str, name: str) -> None:
    """Nothing is read from them and no address is given, in this tenant alone."""
    owner, foreign = house.caller("t_acme", "owner"), house.caller("t_globex", "owner")
    data = f"Read {target}.".encode()
    asset, theirs = (kept(each, "read.txt", "text/plain", data) for each in (owner, foreign))
    derive(owner, asset)
    atom = owner.ask(ATOMS, {"id": asset})["asset"]["atoms"]["edges"][0]["node"]["id"]
    with halted(house, target, name):
        assert is_halted(owner, DERIVE, {"input": {"assetId": asset}})
        assert is_halted(owner, VERIFY, {"id": atom})
        assert is_halted(owner, DOWNLOAD, {"id": asset})
        assert not is_halted(foreign, DOWNLOAD, {"id": theirs})
    assert not is_halted(owner, VERIFY, {"id": atom})
    assert not is_halted(owner, DOWNLOAD, {"id": asset})


@pytest.mark.parametrize(("target", "name"), [("EVERYTHING", ""), ("PROVIDER", "objects")])
def test_addresses_of_objects_are_halted_too(house: World, target: str, name: str) -> None:
    """An address that was handed out before takes and gives nothing: 503, in JSON, with since and reason."""
    if isinstance(house.server.installation.objects, InBucket):
        pytest.skip("an object server knows of no halt: its addresses end by themselves (docs/s3.md)")
    owner = house.caller("t_acme", "owner")
    data = f"Raw {target}.".encode()
    asset = kept(owner, "raw.txt", "text/plain", data)
    address = owner.ask(DOWNLOAD, {"id": asset})["asset"]["downloadAddress"]
    late = reserve(owner, "late.txt", "text/plain", data[::-1])["upload"]
    foreign = house.caller("t_globex", "owner")
    theirs = reserve(foreign, "theirs.txt", "text/plain", data)["upload"]
    with halted(house, target, name) as switch:
        for answer in (http("GET", address), upload(late, data[::-1])):
            assert answer.status_code == 503
            error = answer.json()["error"]
            assert (error["code"], error["reason"]) == ("HALTED", REASON)
            assert switch["id"] in error["hint"]
        assert http("HEAD", address).status_code == 503
        assert http("GET", address[:-1]).status_code == 403
        assert upload(theirs, data).status_code == 201
    assert http("GET", address).content == data
    assert upload(late, data[::-1]).status_code == 201


async def test_every_process_knows_within_a_second(house: World) -> None:
    """Two servers on one folder: engaged in one, felt in the other; the other tenant feels it in neither."""
    second = Server(house.server.installation)
    await asyncio.to_thread(second.start)
    try:
        there = World(second, house.credentials)
        acme, globex = there.caller("t_acme", "member"), there.caller("t_globex", "member")
        run_id, foreign = opened(house.caller("t_acme", "owner"), 0), opened(house.caller("t_globex", "owner"), 0)
        async with acme.stream(FOLLOW, {"id": run_id}) as log, globex.stream(FOLLOW, {"id": foreign}) as other:
            assert (await anext(log))["runLog"]["entry"]["number"] == 1
            assert (await anext(other))["runLog"]["entry"]["number"] == 1
            with halted(house):
                async with asyncio.timeout(1):
                    await asyncio.to_thread(eventually, lambda: is_halted(acme, CARDS))
                    assert (await anext(log))["runLog"] == {"__typename": "RunLogEnd", "reason": "HALTED"}
                for world in (house, there):
                    assert not is_halted(world.caller("t_globex", "member"), CARDS)
                house.caller("t_globex", "owner").ask(APPEND, {"id": foreign})
                assert (await anext(other))["runLog"]["entry"]["number"] == 2
            async with asyncio.timeout(1):
                await asyncio.to_thread(eventually, lambda: not is_halted(acme, CARDS))
    finally:
        assert second.stop() == 0


def eventually(holds: Any) -> None:
    """Wait for something that a follower does in its own time."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
