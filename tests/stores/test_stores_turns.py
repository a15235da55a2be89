"""Turns: of several processes one follows a scope, and another goes on when it dies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from engines import beside

from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores import turns
from nexus_graph.stores.follower import Entry, Follower
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.work import Stores

ScopeOf = Callable[..., Scope]
EVENT = Event("wanted", "card", "card_1", redact({}), Handling((), train_ok=True))


async def write(stores: Stores, scope: Scope) -> None:
    """An entry that the followers want."""
    async with stores.work(scope, RunKind.INGEST) as work:
        work.record(EVENT)


class Seen:
    """A follower that notes what it was handed, in some process."""

    def __init__(self, name: str, told: list[tuple[str, int]]) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()
        self._name = name
        self._told = told
        self.follower = Follower("f", ("wanted",), self._deed, batch=1)

    async def _deed(self, stores: Stores, scope: Scope, entries: Sequence[Entry]) -> None:
        self.entered.set()
        await self.gate.wait()
        self._told += [(self._name, entry.seq) for entry in entries]


async def test_one_process_follows_a_scope_at_a_time(stores: Stores, scope_of: ScopeOf) -> None:
    """While one is at it the other does nothing; another scope is free for it."""
    told: list[tuple[str, int]] = []
    one, two = Seen("one", told), Seen("two", told)
    async with beside(stores) as elsewhere:
        await write(stores, scope_of())
        one.gate.clear()
        busy = asyncio.create_task(one.follower.catch_up(stores))
        await one.entered.wait()
        assert not await two.follower.catch_up(elsewhere)
        await write(elsewhere, scope_of("t_globex"))
        assert await two.follower.catch_up(elsewhere)
        one.gate.set()
        assert await busy
        assert told == [("two", 1), ("one", 1)]
        assert not await two.follower.catch_up(elsewhere)
        await write(stores, scope_of())
        assert not await two.follower.catch_up(elsewhere), "who had the last turn has the next for a while"
        assert await one.follower.catch_up(stores)


async def test_who_ends_leaves_its_turn_to_the_next(stores: Stores, scope_of: ScopeOf) -> None:
    """A process that stops, or a command that is through, lets go at once."""
    told: list[tuple[str, int]] = []
    one, two = Seen("one", told), Seen("two", told)
    async with beside(stores) as elsewhere:
        await write(stores, scope_of())
        running = asyncio.create_task(one.follower.run(stores, 0.01))
        await one.entered.wait()
        await write(stores, scope_of())
        while len(told) < 2:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
        assert await two.follower.is_elsewhere(elsewhere, scope_of())
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert not await two.follower.is_elsewhere(elsewhere, scope_of())
        await write(stores, scope_of())
        assert await two.follower.catch_up(elsewhere)
        assert [name for name, _ in told] == ["one", "one", "two"]


async def test_the_turn_of_a_dead_process_runs_out(stores: Stores, scope_of: ScopeOf, clock: Any) -> None:
    """Seconds later another goes on where it was."""
    told: list[tuple[str, int]] = []
    dead, heir = Seen("dead", told), Seen("heir", told)
    async with beside(stores) as elsewhere:
        for _ in range(2):
            await write(stores, scope_of())
        assert await dead.follower.catch_up(stores)
        assert not await heir.follower.catch_up(elsewhere)
        clock.advance(seconds=turns.LENGTH.total_seconds() - 1)
        assert not await heir.follower.catch_up(elsewhere)
        clock.advance(seconds=1)
        assert await heir.follower.catch_up(elsewhere)
        assert told == [("dead", 1), ("heir", 2)]


async def test_a_long_deed_keeps_its_turn_and_a_lost_turn_ends_it(
    stores: Stores, scope_of: ScopeOf, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is prolonged meanwhile; a process that slept through its end stops, and moves nothing."""
    monkeypatch.setattr("nexus_graph.stores.follower._LOOK_SECONDS", 0.01)
    told: list[tuple[str, int]] = []
    one, two = Seen("one", told), Seen("two", told)
    async with beside(stores) as elsewhere:
        await write(stores, scope_of())
        one.gate.clear()
        busy = asyncio.create_task(one.follower.catch_up(stores))
        await one.entered.wait()
        for _ in range(10):
            clock.advance(seconds=turns.LENGTH.total_seconds() / 2)
            await asyncio.sleep(0.1)  # a few looks
            assert not await two.follower.catch_up(elsewhere)
        with monkeypatch.context() as asleep:
            asleep.setattr("nexus_graph.stores.follower._LOOK_SECONDS", 0.2)
            await asyncio.sleep(0.1)
            clock.advance(seconds=turns.LENGTH.total_seconds() + 1)
            assert await two.follower.catch_up(elsewhere)
        assert not await busy
        assert told == [("two", 1)]


async def test_of_many_who_take_a_turn_one_has_it(stores: Stores, scope_of: ScopeOf) -> None:
    """At the same moment, from two sets of connections."""
    async with beside(stores) as elsewhere:
        for number in range(10):
            taken = await asyncio.gather(
                *(turns.take(each, scope_of(), f"f{number}") for each in (stores, elsewhere)),
            )
            assert sorted(taken) == [False, True]
    assert timedelta(seconds=10) > turns.LENGTH
