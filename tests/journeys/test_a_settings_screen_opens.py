"""A settings screen opens: one query for all it shows, what its viewer may do, and a stream that tells of changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from journey_house import Caller, MakeWorld, World, subscription_error
from journey_steps import allowing, card, propose, published, retire, with_lock

SCREEN, CHANGED = "settings/SettingsScreen", "settings/SettingsChanged"
BOTH = ["PUBLISH_CARD", "RETIRE_CARD"]
TYPES = ("surface_settings", "app_definition", "connector_config")


@pytest.fixture
def allowed(world: World) -> Iterator[None]:
    """In both tenants settings may be written for a while: an owner proposed it, an admin approved it."""
    with ExitStack() as locks:
        for tenant in ("t_acme", "t_globex"):
            locks.enter_context(allowing(world.caller(tenant, "owner"), world.caller(tenant, "admin"), *TYPES))
        yield


def surface(name: str, body: str = "What the screen is for.\n") -> str:
    """The card of a surface."""
    sections = [{"section": "top", "title": "Top"}]
    return card(f"settings/{name}", body, "surface_settings", title=name, surface=name, sections=sections)


def app(name: str, *surfaces: str, title: str = "An app") -> str:
    """An app card that names surfaces."""
    rituals = [{"ritual": "look", "title": "Look", "cadence": "weekly"}]
    where: Any = list(surfaces)
    return card(f"settings/{name}", "", "app_definition", title=title, app=name, surfaces=where, rituals=rituals)


def connector(name: str, *surfaces: str) -> str:
    """A connector card that names surfaces."""
    more: dict[str, Any] = {"connector": name, "provider": "shop", "surfaces": list(surfaces), "enabled": True}
    return card(f"settings/{name}", "", "connector_config", title=name, **more)


def screen(who: Caller, world: World, name: str) -> Any:
    """What the screen's document answers."""
    return who.ask(world.document(SCREEN), {"surface": name})


@pytest.mark.usefixtures("allowed")
def test_one_query_shows_the_surface_its_apps_and_its_connectors(world: World) -> None:
    """Parsed headers and bodies of the cards that name the surface, by key; retired and foreign ones are left out."""
    owner = world.caller("t_acme", "owner")
    empty = screen(owner, world, "bridge")["settings"]
    assert (empty["card"], empty["apps"], empty["connectors"]) == (None, [], [])
    published(owner, surface("bridge", "Where the ship is steered.\n"))
    published(owner, app("watch", "bridge", "engine_room"))
    published(owner, app("autopilot", "bridge"))
    published(owner, app("galley_menu", "galley"))
    gone = published(owner, app("gone", "bridge"))
    assert retire(owner, gone["id"], 1)["userErrors"] == []
    published(owner, connector("radar", "bridge"))
    published(world.caller("t_globex", "owner"), app("spy", "bridge"))

    shown = screen(world.caller("t_acme", "member"), world, "bridge")
    settings = shown["settings"]
    assert settings["card"]["header"]["sections"] == [{"section": "top", "title": "Top"}]
    assert settings["card"]["body"] == "Where the ship is steered.\n"
    assert [each["key"] for each in settings["apps"]] == ["settings/autopilot", "settings/watch"]
    assert [each["key"] for each in settings["connectors"]] == ["settings/radar"]
    assert settings["connectors"][0]["header"]["provider"] == "shop"
    assert (settings["connectors"][0]["version"], settings["connectors"][0]["publishedBy"]) == (1, "owner@t_acme")


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize(("role", "may"), [("owner", True), ("admin", True), ("member", False)])
def test_every_button_knows_whether_it_may_be_pressed(world: World, role: str, may: bool) -> None:
    """What the screen says of an action is what the action answers, and a blocked one says what would clear it."""
    who = world.caller("t_acme", role)
    shown = screen(who, world, "buttons")
    assert (shown["viewer"]["subject"], shown["viewer"]["role"]) == (f"{role}@t_acme", role.upper())
    actions = {each["action"]: each for each in shown["settings"]["allowedActions"]}
    assert set(actions) == {"publishCard", "retireCard"}
    assert ("cards:publish" in shown["viewer"]["permissions"]) == may
    for action in actions.values():
        assert action["allowed"] == may
        assert (action["blockers"] == []) == may
        for blocker in action["blockers"]:
            assert (blocker["gate"], blocker["code"]) == ("ROLE", "FORBIDDEN")
            assert blocker["message"]
            assert blocker["unblock"]
    text = app(f"pressed_by_{role}", "buttons")
    pressed = who.answer(
        "mutation ($text: String!) { publishCard(input: {text: $text, trainOk: false}) { created } }", {"text": text}
    ).json()
    assert (pressed.get("errors") is None) == may


def test_a_button_that_needs_a_lock_says_so_and_shows_the_open_ones(world: World) -> None:
    """Owners lack a lock; what is proposed for a card of the screen stands there, for a new card too, until it ends."""
    owner, admin = world.caller("t_acme", "owner"), world.caller("t_acme", "admin")
    shown = screen(owner, world, "bow")["settings"]
    publishing = next(each for each in shown["allowedActions"] if each["action"] == "publishCard")
    assert [blocker["code"] for blocker in publishing["blockers"]] == ["LOCK_REQUIRED"]
    assert shown["locks"] == []
    stated: dict[str, Any] = {"text": app("figurehead", "bow"), "trainOk": False, "expectedVersion": 0}
    lock = propose(world.caller("t_acme", "member"), {"publishCard": stated})
    [waiting] = screen(owner, world, "bow")["settings"]["locks"]
    assert (waiting["id"], waiting["state"], waiting["difference"]["text"].count("+")) == (lock["id"], "DRAFT", 9)
    assert screen(owner, world, "stern")["settings"]["locks"] == []
    assert screen(world.caller("t_globex", "owner"), world, "bow")["settings"]["locks"] == []
    with_lock(owner, admin, {"publishCard": stated})
    assert [each["state"] for each in screen(admin, world, "bow")["settings"]["locks"]] == ["APPROVED", "DRAFT"]
    published(owner, stated["text"], trainOk=False)
    assert [each["id"] for each in screen(owner, world, "bow")["settings"]["locks"]] == [lock["id"]]


def test_who_may_not_see_settings_is_refused(world: World) -> None:
    """An agent gets neither the query nor the stream; a malformed surface is told apart from an empty one."""
    agent = world.caller("t_acme", "agent")
    error = agent.error(world.document(SCREEN), {"surface": "bridge"})
    assert (error["extensions"]["code"], error["path"]) == ("FORBIDDEN", ["settings"])
    error = world.caller("t_acme", "member").error(world.document(SCREEN), {"surface": "No Surface"})
    assert (error["extensions"]["code"], error["path"]) == ("INVALID", ["settings"])


async def changes(frames: AsyncIterator[Any], count: int) -> list[Any]:
    """The next changes; heartbeats in between are passed over."""
    found: list[Any] = []
    while len(found) < count:
        frame = (await anext(frames))["settingsChanged"]
        if frame["__typename"] == "SettingsChange":
            found.append(frame)
        else:
            assert frame["__typename"] == "SettingsHeartbeat"
    return found


async def heartbeat(frames: AsyncIterator[Any]) -> str:
    """The cursor of the first frame, which must be a heartbeat."""
    frame = (await anext(frames))["settingsChanged"]
    assert frame["__typename"] == "SettingsHeartbeat"
    return str(frame["cursor"])


async def test_a_screen_is_told_of_every_change_and_resumes_where_it_stopped(own_world: MakeWorld) -> None:
    """Publishing, revising and retiring reach the open stream; a reconnect with a cursor gets what was missed, once."""
    world = own_world(heartbeat_seconds="0.2")
    owner, member = world.caller("t_acme", "owner"), world.caller("t_acme", "member")
    with_lock(owner, world.caller("t_acme", "admin"), {"anyOf": {"actions": BOTH, "cardTypes": TYPES, "uses": 20}})
    document = world.document(CHANGED)
    async with member.stream(document, {"surface": "deck"}) as frames:
        start = await heartbeat(frames)
        first = published(owner, surface("deck"))
        made = published(owner, app("sails", "deck"))
        published(owner, app("anchors", "harbour"))
        assert retire(owner, made["id"], 1)["userErrors"] == []
        seen = await changes(frames, 3)
    told = [(each["cardId"], each["cardType"], each["version"], each["retired"]) for each in seen]
    assert told == [
        (first["id"], "surface_settings", 1, False),
        (made["id"], "app_definition", 1, False),
        (made["id"], "app_definition", 1, True),
    ]
    published(owner, surface("deck", "Said otherwise.\n"), expectedVersion=1)
    moved = published(owner, app("ropes", "deck"))
    published(owner, app("ropes", "harbour"), expectedVersion=1)
    async with member.stream(document, {"surface": "deck", "after": seen[-1]["cursor"]}) as frames:
        later = await changes(frames, 3)
        last = await heartbeat(frames)
    then = [(each["cardId"], each["version"]) for each in later]
    assert then == [(first["id"], 2), (moved["id"], 1), (moved["id"], 2)], "also that a card left the surface"
    async with member.stream(document, {"surface": "deck", "after": start}) as frames:
        assert await changes(frames, 6) == seen + later
    async with member.stream(document, {"surface": "deck", "after": last}) as frames:
        await heartbeat(frames)
    assert screen(member, world, "deck")["settings"]["apps"] == []


@pytest.mark.parametrize("case", ["agent", "another surface's cursor", "no cursor", "no surface"])
async def test_a_stream_that_may_not_be_opened_says_why(world: World, case: str) -> None:
    """Refusals arrive as errors of the subscription, on a connection that stays usable."""
    member = world.caller("t_acme", "member")
    who, variables, code = {
        "agent": (world.caller("t_acme", "agent"), {"surface": "deck"}, "FORBIDDEN"),
        "another surface's cursor": (member, {"surface": "deck", "after": "AAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, "INVALID"),
        "no cursor": (member, {"surface": "deck", "after": "7"}, "INVALID"),
        "no surface": (member, {"surface": "No Surface"}, "INVALID"),
    }[case]
    async with who.socket() as socket:
        for operation in ("1", "2"):
            error = await subscription_error(socket, operation, world.document(CHANGED), variables)
            assert error["extensions"]["code"] == code, error
            assert error["extensions"]["traceId"]
