"""Keeping session memory: turns, snapshots, labels, bounds and room."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from session_memory import contents, events, names, said, stored

from nexus_graph import sessions
from nexus_graph.safeguards import quotas
from nexus_graph.scope.errors import Conflict, Forbidden, Invalid, NotFound, QuotaExceeded
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.limits import Limits
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.sessions import EntryKind, NewEntry, keeping, model
from nexus_graph.stores.paging import Window
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]


@pytest.fixture
def member(scope_of: MakeScope) -> Scope:
    """A member of t_acme."""
    return scope_of("t_acme", Role.MEMBER)


async def test_turns_are_kept_in_order_and_a_snapshot_stands_for_them(stores: Stores, member: Scope) -> None:
    """Append, append, snapshot, append: exact texts, growing ordinals, and the books know the bytes."""
    await said(stores, member, "chat", "one", "two")
    session = await said(stores, member, "chat", "thré\n")
    assert (session.entries, session.last_ordinal, session.size) == (3, 3, 12)
    assert await contents(stores, member, "chat") == ["one", "two", "thré\n"]
    session = await sessions.put_snapshot(stores, member, "chat", NewEntry('{"all": 3}', True))
    assert (session.entries, session.last_ordinal, session.size) == (1, 4, 10)
    await said(stores, member, "chat", "five")
    found = (await sessions.entries(stores, member, "chat", Window(9))).items
    assert [(entry.ordinal, entry.kind) for entry in found] == [(4, EntryKind.SNAPSHOT), (5, EntryKind.TURN)]
    assert await stored(stores, member) == 14
    assert await sessions.erase(stores, member, "chat") == 2
    assert await stored(stores, member) == 0
    assert await names(stores, member) == []


async def test_two_who_append_at_once_get_different_places(stores: Stores, member: Scope) -> None:
    """Twenty writers of two turns each: forty entries, without a hole or a loss."""
    await asyncio.gather(*(said(stores, member, "chat", f"{each}a", f"{each}b") for each in range(20)))
    found = (await sessions.entries(stores, member, "chat", Window(100))).items
    assert [entry.ordinal for entry in found] == [*range(1, 41)]
    assert {entry.content for entry in found} == {f"{each}{part}" for each in range(20) for part in "ab"}


async def test_each_entry_has_labels_of_its_own(stores: Stores, member: Scope) -> None:
    """Personal data is found in text and in escaped JSON; one refusal to train does not touch its neighbours."""
    entries = [
        NewEntry("Write to zoe@example.com.", True),
        NewEntry('{"to": "zoe\\u0040example.com"}', True),
        NewEntry("Nothing in here.", False),
    ]
    await sessions.append(stores, member, "chat", entries)
    found = (await sessions.entries(stores, member, "chat", Window(9))).items
    assert [entry.handling for entry in found] == [
        Handling(("email",), True),
        Handling(("email",), True),
        Handling((), False),
    ]


async def test_an_opt_out_of_the_installation_is_kept(stores: Stores, member: Scope) -> None:
    """What was kept while it held stays withheld, and while it holds everything is."""
    strict = replace(stores, limits=Limits(train_ok=False))
    await said(strict, member, "chat", "withheld")
    await said(stores, member, "chat", "given")
    for among, expected in ((stores, [False, True]), (strict, [False, False])):
        found = (await sessions.entries(among, member, "chat", Window(9))).items
        assert [entry.handling.train_ok for entry in found] == expected


async def test_the_journal_tells_counts_and_never_content(stores: Stores, member: Scope) -> None:
    """One event a call, reads too; neither a text nor the session's name is in any."""
    await said(stores, member, "the-cellar", "the canary sings", "again")
    await contents(stores, member, "the-cellar")
    await names(stores, member)
    await sessions.put_snapshot(stores, member, "the-cellar", NewEntry("the canary slept", True))
    await sessions.erase(stores, member, "the-cellar")
    told = await events(stores, member)
    assert [(each["action"], each["subject_id"]) for each in told] == [
        ("session.appended", "member@t_acme"),
        ("session.read", "member@t_acme"),
        ("session.listed", "member@t_acme"),
        ("session.snapshot_put", "member@t_acme"),
        ("session.erased", "member@t_acme"),
    ]
    assert json.loads(told[0]["payload"]) == {"input": {"entries": 2, "bytes": 21}, "output": {"replaced": 0}}
    assert json.loads(told[3]["payload"])["output"] == {"replaced": 2}
    assert not [each for each in told if "canary" in str(each) or "cellar" in str(each)]


async def test_a_repetition_changes_nothing(stores: Stores, member: Scope, clock: Any) -> None:
    """The same key is one writing; after the end of the session it says so."""
    once = Once("a key", ["appendSession", "one"])
    for _ in range(2):
        session = await said(stores, member, "chat", "one", once=once, seconds=60)
        assert session.entries == 1
    with pytest.raises(Conflict):
        await said(stores, member, "chat", "two", once=Once("a key", ["appendSession", "two"]))
    erasing = Once("another key", ["eraseSession"])
    assert await sessions.erase(stores, member, "chat", once=erasing) == 1
    assert await sessions.erase(stores, member, "chat", once=erasing) == 1
    with pytest.raises(NotFound):
        await said(stores, member, "chat", "one", once=once, seconds=60)


@pytest.mark.parametrize(
    ("session_id", "texts", "seconds", "path"),
    [
        ("", ["a"], None, "sessionId"),
        ("a/b", ["a"], None, "sessionId"),
        ("a\n", ["a"], None, "sessionId"),
        ("a" * 101, ["a"], None, "sessionId"),
        ("chat", [], None, "entries"),
        ("chat", ["a"] * 101, None, "entries"),
        ("chat", ["a", ""], None, "content"),
        ("chat", ["é" * (128 * 1024) + "!"], None, "content"),
        ("chat", ["a\0b"], None, "content"),
        ("chat", ["\ud800"], None, "content"),
        ("chat", ["a"], 0, "ttlSeconds"),
        ("chat", ["a"], 30 * 86_400 + 1, "ttlSeconds"),
    ],
)
async def test_what_is_out_of_bounds_is_refused_by_name(
    stores: Stores, member: Scope, session_id: str, texts: list[str], seconds: int | None, path: str
) -> None:
    """The error leads to the input, repeats none of it, and nothing is kept."""
    with pytest.raises(Invalid) as raised:
        await said(stores, member, session_id, *texts, seconds=seconds)
    assert raised.value.path[-1] == path
    assert await events(stores, member) == []


async def test_the_largest_is_taken(stores: Stores, member: Scope) -> None:
    """A hundred entries, a name of a hundred characters, 256 KiB, the longest life."""
    name = "Az09._-" + "x" * 93
    session = await said(stores, member, name, *["a"] * 99, "é" * (128 * 1024), seconds=30 * 86_400)
    assert (session.entries, session.size) == (100, 99 + 256 * 1024)
    assert (session.expires_at - session.changed_at).days == 30


async def test_sessions_and_their_entries_are_bounded(
    stores: Stores, member: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One too many of either is a Conflict that leaves all as it was; a snapshot makes room."""
    monkeypatch.setattr(keeping, "MOST_ENTRIES", 3)
    monkeypatch.setattr(keeping, "MOST_SESSIONS", 2)
    await said(stores, member, "one", "a", "b")
    with pytest.raises(Conflict, match="4 entries; it may have 3"):
        await said(stores, member, "one", "c", "d")
    assert await contents(stores, member, "one") == ["a", "b"]
    await sessions.put_snapshot(stores, member, "one", NewEntry("ab", True))
    await said(stores, member, "one", "c", "d")
    await said(stores, member, "two", "a")
    with pytest.raises(Conflict, match="2 sessions of yours already"):
        await said(stores, member, "three", "a")
    await sessions.erase(stores, member, "two")
    await said(stores, member, "three", "a")


async def test_memory_takes_room_and_gives_it_back(stores: Stores, member: Scope) -> None:
    """Its bytes count as stored bytes; a snapshot may use the room of what it replaces."""
    few = replace(stores, limits=Limits(stored_bytes=10))
    await said(few, member, "chat", "12345678")
    with pytest.raises(QuotaExceeded, match="No room for 3 more stored bytes"):
        await said(few, member, "chat", "123")
    await sessions.put_snapshot(few, member, "chat", NewEntry("1234567890", True))
    with pytest.raises(QuotaExceeded):
        await sessions.put_snapshot(few, member, "chat", NewEntry("12345678901", True))
    assert await contents(few, member, "chat") == ["1234567890"]
    check = Scope.system("t_acme", Env.DEV, "check")
    assert await quotas.recount(few, check, [sessions.held]) == []
    await sessions.erase(few, member, "chat")
    await said(few, member, "chat", "1234567890")


async def test_a_rehearsal_keeps_nothing(stores: Stores, member: Scope) -> None:
    """It answers what would be and leaves no trace."""
    rehearsed = replace(member, rehearsal=True)
    assert (await said(stores, rehearsed, "chat", "one")).entries == 1
    assert await sessions.fetch(stores, member, "chat") is None
    assert await events(stores, member) == []


async def test_it_takes_the_right_to(stores: Stores, member: Scope) -> None:
    """Without `sessions:use` nothing is written or read."""
    nobody = replace(member, rights=frozenset())
    for deed in (
        said(stores, nobody, "chat", "one"),
        sessions.put_snapshot(stores, nobody, "chat", NewEntry("one", True)),
        sessions.fetch(stores, nobody, "chat"),
        sessions.entries(stores, nobody, "chat", Window(1)),
        sessions.list_sessions(stores, nobody, Window(1)),
        sessions.erase(stores, nobody, "chat"),
    ):
        with pytest.raises(Forbidden):
            await deed


def test_hostile_json_is_examined_in_bounded_time() -> None:
    """A text that is nested too deep to be looked into is kept as the text that it is."""
    deep = "[" * 100_000 + '"\\u0041"' + "]" * 100_000
    [examined] = model.examine([NewEntry(deep, True)])
    assert examined.handling == Handling((), True)
