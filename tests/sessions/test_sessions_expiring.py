"""The end of session memory: invisible at an instant, swept soon after, gone from the disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from engines import bytes_of, is_embedded
from session_memory import contents, events, names, said, stored

from nexus_graph import sessions
from nexus_graph.scope.errors import NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.limits import Limits
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.sessions import NewEntry
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]
JUST_BEFORE = timedelta(microseconds=2)  # a look at the clock costs a microsecond
AT = timedelta(microseconds=1)


@pytest.fixture
def member(scope_of: MakeScope) -> Scope:
    """A member of t_acme."""
    return scope_of("t_acme", Role.MEMBER)


async def visible(stores: Stores, scope: Scope, clock: Any, at: datetime) -> list[bool]:
    """Whether each way of looking at `chat` shows it, with the clock standing at that instant each time."""
    found = []
    for look in (
        lambda: sessions.fetch(stores, scope, "chat"),
        lambda: names(stores, scope),
        lambda: contents(stores, scope, "chat"),
    ):
        clock.now = at
        found.append(bool(await look()))
    return found


async def test_expiry_is_exact_on_every_path(stores: Stores, member: Scope, clock: Any) -> None:
    """A microsecond before it is there, at the instant it is not: fetched, listed, read or erased."""
    ends = (await said(stores, member, "chat", "one", seconds=60)).expires_at
    assert await visible(stores, member, clock, ends - JUST_BEFORE) == [True] * 3
    assert await visible(stores, member, clock, ends - AT) == [False] * 3
    clock.now = ends - AT
    with pytest.raises(NotFound) as expired:
        await sessions.erase(stores, member, "chat")
    with pytest.raises(NotFound) as unknown:
        await sessions.erase(stores, member, "another")
    assert str(expired.value) == str(unknown.value)


async def test_what_is_written_at_the_instant_begins_anew(stores: Stores, member: Scope, clock: Any) -> None:
    """A microsecond before the end it goes on; at the end a new session begins, and the old entries are deleted."""
    ends = (await said(stores, member, "chat", "one", seconds=60)).expires_at
    clock.now = ends - JUST_BEFORE
    session = await said(stores, member, "chat", "two", seconds=60)
    assert (session.entries, session.last_ordinal) == (2, 2)
    clock.now = session.expires_at - AT
    begun = await said(stores, member, "chat", "three")
    assert (begun.entries, begun.last_ordinal, begun.created_at) == (1, 1, session.expires_at)
    assert await contents(stores, member, "chat") == ["three"]
    assert await stored(stores, member) == 5
    clock.now = begun.expires_at - AT
    snapshot = await sessions.put_snapshot(stores, member, "chat", NewEntry("four", True))
    assert snapshot.last_ordinal == 1
    assert await stored(stores, member) == 4


async def test_the_newest_entry_says_how_long_all_of_it_lives(stores: Stores, member: Scope) -> None:
    """A writing sets the end anew, sooner as well as later; left out, it is the installation's default."""
    for seconds, lives in ((60, 60), (3600, 3600), (10, 10), (None, 86_400)):
        session = await said(stores, member, "chat", "one", seconds=seconds)
        assert session.expires_at - session.changed_at == timedelta(seconds=lives)
    short = replace(stores, limits=Limits(session_seconds=500, longest_session_seconds=100))
    session = await said(short, member, "chat", "one")
    assert session.expires_at - session.changed_at == timedelta(seconds=100)


async def test_the_sweep_takes_what_has_expired_and_tells_each_scope(
    stores: Stores, member: Scope, scope_of: MakeScope, clock: Any
) -> None:
    """Sessions of everybody go, those that live stay; one event a scope, with counts; the room is given back."""
    globex = scope_of("t_globex", Role.MEMBER)
    for scope, session_id, seconds in (
        (member, "one", 60),
        (member, "two", 60),
        (member, "later", 61),
        (scope_of("t_acme", Role.OWNER), "one", 60),
        (globex, "one", 60),
        (replace(member, env=Env.PROD), "one", 9999),
    ):
        await said(stores, scope, session_id, "a", "b", seconds=seconds)
    clock.advance(seconds=60)
    assert await sessions.sweep(stores) == 4
    assert await sessions.sweep(stores) == 0
    assert await names(stores, member) == ["later"]
    assert (await stored(stores, member), await stored(stores, globex)) == (2, 0)
    swept = [each for each in await events(stores, member) if each["action"] == "session.swept"]
    assert [json.loads(each["payload"])["output"] for each in swept] == [{"sessions": 3, "entries": 6}]
    assert (swept[0]["actor_id"], swept[0]["kind"]) == ("sweep", "SESSION")


async def test_a_large_sweep_comes_in_parts(stores: Stores, member: Scope, clock: Any) -> None:
    """More sessions than one transaction takes all go."""
    for each in range(45):
        await said(stores, member, f"s{each}", "a", seconds=1)
    clock.advance(seconds=1)
    assert await sessions.sweep(stores) == 45
    swept = [each for each in await events(stores, member) if each["action"] == "session.swept"]
    assert [json.loads(each["payload"])["output"]["sessions"] for each in swept] == [20, 20, 5]


@pytest.mark.parametrize("how", ["sweep", "erase", "snapshot"])
async def test_the_bytes_are_gone_from_the_disk(
    stores: Stores, member: Scope, clock: Any, tmp_path: Path, how: str
) -> None:
    """After a checkpoint no file of the database holds a word of it; before, they all do what one expects."""
    canary = "zanzibar-" + "canary " * 2000
    await said(stores, member, "chat", canary, "zanzibar-short", seconds=60)
    assert b"zanzibar-" in bytes_of(stores)
    match how:
        case "sweep":
            clock.advance(seconds=60)
            assert await sessions.sweep(stores) == 1
        case "erase":
            await sessions.erase(stores, member, "chat")
        case "snapshot":
            await sessions.put_snapshot(stores, member, "chat", NewEntry("nothing", True))
    if not is_embedded(stores):  # what its server does by itself, sooner or later
        await stores.database.forget_deleted()
    assert b"zanzibar-" not in bytes_of(stores)


async def test_an_erasure_takes_all_sessions_of_a_subject(stores: Stores, scope_of: MakeScope) -> None:
    """Of one subject, or of everybody; inside the work of whoever records it."""
    one, two = scope_of("t_acme", who="one"), scope_of("t_acme", who="two")
    for scope in (one, two):
        await said(stores, scope, "chat", "a", "b")
        await said(stores, scope, "plan", "c")
    system = Scope.system("t_acme", Env.DEV, "erasure")
    for subject, went in (("one", (2, 3)), ("one", (0, 0)), (None, (2, 3))):
        async with stores.work(system, RunKind.ERASE) as work:
            assert await sessions.forget_all(work, subject) == went
            work.record(Event("subject.erased", "subject", "", redact({}), Handling((), train_ok=False)))
        assert await names(stores, one) == []
    assert await names(stores, two) == []
    assert await stored(stores, one) == 0
