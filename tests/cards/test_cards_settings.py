"""A settings screen in one query, and its changes as a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from card_texts import MANIFESTS, app, connector, events, note, publish, surface
from shipped import MANIFESTS as SHIPPED

from nexus_graph import cards
from nexus_graph.cards import SettingsChange, SettingsEnd, SettingsFrame, SettingsHeartbeat
from nexus_graph.scope.errors import Forbidden, Invalid, Unauthenticated
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.feeds import Manner
from nexus_graph.stores.signals.local import LocalSignals
from nexus_graph.stores.streaming import EndReason
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]
TIMEOUT = 20
STRATEGIC = ("surface_settings", "app_definition", "connector_config")


def following(
    stores: Stores,
    scope: Scope,
    after: int | None = 0,
    *,
    name: str = "overview",
    poll: float = 0.02,
    heartbeat: float = 1000,
    **more: Any,
) -> AsyncGenerator[SettingsFrame, None]:
    """Follow with a scope that never changes."""

    async def renew() -> Scope:
        return scope

    return cards.follow_settings(stores, renew, name, after, Manner(poll, heartbeat, **more))


async def take(frames: AsyncGenerator[SettingsFrame, None], count: int) -> list[SettingsFrame]:
    """The next `count` frames; the stream is closed."""
    async with asyncio.timeout(TIMEOUT), aclosing(frames):
        return [await anext(frames) for _ in range(count)]


def told(frames: list[SettingsFrame]) -> list[tuple[str, int, bool]]:
    """Type, version and retirement of changes."""
    return [(each.card_type, each.version, each.retired) for each in frames if isinstance(each, SettingsChange)]


async def test_a_screen_in_one_query(stores: Stores, scope_of: MakeScope) -> None:
    """The surface's card, and the apps and connectors that name it, by key; parsed, current, not retired."""
    scope = scope_of()
    own = (await publish(stores, scope, surface("overview", "screen"))).card
    await publish(stores, scope, surface("runs", "other"))
    later = (await publish(stores, scope, app("weekly", "overview", "runs"))).card
    first = (await publish(stores, scope, app("daily", "overview"))).card
    await publish(stores, scope, app("elsewhere", "runs"))
    gone = (await publish(stores, scope, app("gone", "overview"))).card
    await cards.retire(stores, MANIFESTS, scope, gone.card_id, 1)
    source = (await publish(stores, scope, connector("shop", "overview"))).card
    await publish(stores, scope, note(more="surface: overview\nsurfaces: [overview]\n"))
    found = await cards.settings(stores, SHIPPED, scope, "overview")
    assert found == cards.Settings("overview", own, (first, later), (source,), STRATEGIC)
    assert found.card is not None
    assert found.card.header["sections"] == [{"section": "top", "title": "Top"}]


async def test_a_screen_without_cards(stores: Stores, scope_of: MakeScope) -> None:
    """Nothing is published yet: an empty answer, and no event, since nothing was served."""
    scope = scope_of()
    found = await cards.settings(stores, SHIPPED, scope, "overview")
    assert found == cards.Settings("overview", None, (), (), STRATEGIC)
    assert await events(stores, scope) == []
    with pytest.raises(Invalid) as caught:
        await cards.settings(stores, MANIFESTS, scope, "Over view")
    assert caught.value.path == ("surface",)


async def test_settings_are_a_right(stores: Stores, scope_of: MakeScope) -> None:
    """Members read, journalled once for the screen; agents don't; another tenant and env see their own."""
    await publish(stores, scope_of(), surface("overview", "screen"))
    await publish(stores, scope_of(), app("daily", "overview"))
    member = scope_of(role=Role.MEMBER)
    assert (await cards.settings(stores, MANIFESTS, member, "overview")).card is not None
    assert [event["action"] for event in await events(stores, member)] == ["card.published"] * 2 + ["cards.read"]
    with pytest.raises(Forbidden):
        await cards.settings(stores, MANIFESTS, scope_of(role=Role.AGENT), "overview")
    for elsewhere in (scope_of("t_globex"), scope_of(env=Env.STAGING)):
        assert (await cards.settings(stores, MANIFESTS, elsewhere, "overview")).card is None


async def test_changes_are_told_from_any_cursor(stores: Stores, scope_of: MakeScope) -> None:
    """What was and what comes, once each, in order; other surfaces and other cards are not told."""
    scope = scope_of()
    await publish(stores, scope, surface("overview", "screen"))
    await publish(stores, scope, note())
    await publish(stores, scope, app("daily", "runs"))
    await publish(stores, scope, app("weekly", "runs", "overview"))
    frames = following(stores, scope)
    async with asyncio.timeout(TIMEOUT), aclosing(frames):
        first, second = await anext(frames), await anext(frames)
        assert told([first, second]) == [("surface_settings", 1, False), ("app_definition", 1, False)]
        waiting = asyncio.ensure_future(anext(frames))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await cards.retire(stores, MANIFESTS, scope, cards.card_id_of(scope, "app/weekly"), 1)
        third = await waiting
    assert isinstance(first, SettingsChange)
    assert isinstance(second, SettingsChange)
    assert (second.seq, second.card_id) == (4, cards.card_id_of(scope, "app/weekly"))
    assert told([third]) == [("app_definition", 1, True)]
    assert await take(following(stores, scope, first.seq), 2) == [second, third]


async def test_leaving_a_surface_is_told_there(stores: Stores, scope_of: MakeScope) -> None:
    """A card that names the surface no longer changes that screen too."""
    scope = scope_of()
    await publish(stores, scope, app("daily", "overview"))
    await publish(stores, scope, app("daily", "runs"), expected_version=1)
    await publish(stores, scope, app("daily", "runs").replace("Weekly.", "Daily."), expected_version=2)
    await publish(stores, scope, surface("overview", "screen"))
    frames = await take(following(stores, scope), 3)
    assert told(frames) == [("app_definition", 1, False), ("app_definition", 2, False), ("surface_settings", 1, False)]


async def test_from_now_on(stores: Stores, scope_of: MakeScope) -> None:
    """Without a cursor nothing old is told; the heartbeat carries a cursor that goes on from there."""
    scope = scope_of()
    await publish(stores, scope, app("daily", "overview"))
    (beat,) = await take(following(stores, scope, None, heartbeat=0.01), 1)
    assert isinstance(beat, SettingsHeartbeat)
    assert beat.seq == 1
    await publish(stores, scope, app("weekly", "overview"))
    (change,) = await take(following(stores, scope, beat.seq), 1)
    assert isinstance(change, SettingsChange)
    assert change.card_id == cards.card_id_of(scope, "app/weekly")


async def test_long_histories_come_whole(stores: Stores, scope_of: MakeScope) -> None:
    """More changes than fit into one look are all told, in order."""
    scope = scope_of()
    for version in range(230):
        text = app("daily", "overview").replace("Weekly.", f"Version {version + 1}.")
        await publish(stores, scope, text, expected_version=version)
    frames = await take(following(stores, scope), 230)
    assert [each.version for each in frames if isinstance(each, SettingsChange)] == [*range(1, 231)]


async def test_another_process_is_seen(stores: Stores, scope_of: MakeScope) -> None:
    """A change whose wake-up is lost is found by the slow poll."""
    scope = scope_of()
    deaf = replace(stores, signals=LocalSignals())
    frames = following(deaf, scope, None)
    async with asyncio.timeout(TIMEOUT), aclosing(frames):
        assert isinstance(await anext(frames), SettingsHeartbeat)  # a cursor at once
        waiting = asyncio.ensure_future(anext(frames))
        await asyncio.sleep(0.05)
        await publish(stores, scope, app("daily", "overview"))
        assert told([await waiting]) == [("app_definition", 1, False)]


async def test_the_stream_ends_with_the_right(stores: Stores, scope_of: MakeScope) -> None:
    """Expired, refused, stripped of the right, or the server going down: one last frame says which."""
    scope = scope_of()
    stripped = replace(scope, rights=scope.rights - {Permission.SETTINGS_READ})
    outcomes: list[tuple[Scope | Exception, EndReason]] = [
        (Unauthenticated("over"), EndReason.EXPIRED),
        (Forbidden("out"), EndReason.REVOKED),
        (stripped, EndReason.REVOKED),
    ]
    for start in (0, 1):  # at once, and while it waits
        for outcome, reason in outcomes:
            answers: list[Scope | Exception] = [*[scope] * start, outcome]

            async def renew(answers: list[Scope | Exception] = answers) -> Scope:
                answer = answers.pop(0)
                if isinstance(answer, Exception):
                    raise answer
                return answer

            frames = cards.follow_settings(stores, renew, "overview", 0, Manner(0.01, 1000))
            asyncio.get_running_loop().call_later(0.05, stores.signals.wake, scope.key)  # as what changed it would
            async with asyncio.timeout(TIMEOUT):
                assert [frame async for frame in frames] == [SettingsEnd(reason)]
    stopping = asyncio.Event()
    stopping.set()
    assert await take(following(stores, scope, stopping=stopping), 1) == [SettingsEnd(EndReason.SHUTDOWN)]


@pytest.mark.parametrize(("name", "after"), [("overview", 1), ("overview", -1), ("Over view", 0)])
async def test_a_bad_cursor_is_refused(stores: Stores, scope_of: MakeScope, name: str, after: int) -> None:
    """A cursor ahead of this journal, such as another tenant's, and a malformed surface."""
    await publish(stores, scope_of(), app("daily", "overview"))
    with pytest.raises(Invalid):
        await take(following(stores, scope_of("t_globex"), after, name=name), 1)


async def test_only_the_own_scope_is_followed(stores: Stores, scope_of: MakeScope) -> None:
    """The same app in another tenant and env makes no frame here."""
    for elsewhere in (scope_of("t_globex"), scope_of(env=Env.STAGING)):
        await publish(stores, elsewhere, app("daily", "overview"))
    (frame,) = await take(following(stores, scope_of(), heartbeat=0.01), 1)
    assert isinstance(frame, SettingsHeartbeat)
