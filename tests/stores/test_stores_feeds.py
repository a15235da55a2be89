"""Streams that wait: nothing is read while nothing moves, what comes is read once for all, and no right is outlived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from engines import behind, beside

from nexus_graph import runs
from nexus_graph.runs import EndFrame, EndReason, EntryFrame, Frame, HeartbeatFrame
from nexus_graph.safeguards.switches import Known, Target
from nexus_graph.safeguards.switches.engaging import engage
from nexus_graph.scope.errors import Forbidden, NotFound, Unauthenticated
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.feeds import Manner
from nexus_graph.stores.journal import Event, RunKind, RunStatus
from nexus_graph.stores.work import Stores
from nexus_graph.tenants import keys, membership

ScopeOf = Callable[..., Scope]
POLL, TIMEOUT = 0.05, 20
MANNER = Manner(POLL, 1000)
LOOK = "number > :after"


async def tell(
    stores: Stores, scope: Scope, run_id: str, action: str = "run.noted", *, ends: RunStatus | None = None
) -> None:
    """One entry."""
    async with stores.work(scope, RunKind.RESEARCH, run_id=run_id) as work:
        work.record(Event(action, "run", run_id, redact({}), Handling((), train_ok=False), ends=ends))


@dataclass
class Reader:
    """Somebody who follows: `handed` while they wait or read on, `told` the ordinary way; `slow` takes nothing."""

    handed: list[Frame] = field(default_factory=list)
    told: list[Frame] = field(default_factory=list)
    slow: bool = False
    renewed: int = 0
    refusal: Exception | None = None

    def take(self, frames: Sequence[Frame]) -> int:
        """What a socket does."""
        if self.slow:
            return 0
        self.handed += frames
        return len(frames)

    @property
    def numbers(self) -> list[int]:
        """Of the entries, handed or told."""
        frames = sorted((*self.handed, *self.told), key=lambda frame: getattr(frame, "cursor", 0))
        return [frame.cursor for frame in frames if isinstance(frame, EntryFrame)]

    async def read(self, stores: Stores, scope: Scope, run_id: str, after: int = 0, manner: Manner = MANNER) -> None:
        """Until the stream ends."""

        async def renew() -> Scope:
            self.renewed += 1
            if self.refusal is not None:
                raise self.refusal
            return scope

        async with aclosing(runs.follow(stores, renew, run_id, after, manner, self.take)) as frames:
            async for frame in frames:
                self.told.append(frame)


@asynccontextmanager
async def following(stores: Stores, scope: Scope, run_id: str, count: int, **more: Any) -> AsyncIterator[list[Reader]]:
    """Some who stand at the tip of a run with one entry."""
    readers = [Reader() for _ in range(count)]
    tasks = [asyncio.create_task(reader.read(stores, scope, run_id, **more)) for reader in readers]
    try:
        await until(lambda: all(reader.numbers == [1] for reader in readers))
        await asyncio.sleep(2 * POLL)
        yield readers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    """Wait for what must come."""
    async with asyncio.timeout(TIMEOUT):
        while not true():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.005)


async def test_waiting_reads_nothing(stores: Stores, scope_of: ScopeOf, statements: list[str]) -> None:
    """However many follow, in however many tenants: one look at the sum of all heads a poll, and nobody is renewed."""
    acme, globex = scope_of(), scope_of("t_globex")
    for scope in (acme, globex):
        await tell(stores, scope, "run_1")
    async with following(stores, acme, "run_1", 20) as mine, following(stores, globex, "run_1", 20) as theirs:
        statements.clear()
        renewed = sum(reader.renewed for reader in (*mine, *theirs))
        await asyncio.sleep(10 * POLL)
        looks = [sql for sql in statements if sql != "BEGIN"]
        assert {sql.split(" from ")[1] for sql in looks} == {"journal_heads"}
        assert 5 <= len(looks) <= 11
        assert sum(reader.renewed for reader in (*mine, *theirs)) == renewed


async def test_what_comes_is_read_once_for_all(stores: Stores, scope_of: ScopeOf, statements: list[str]) -> None:
    """One look hands an entry to everybody at the tip, as the very same frame."""
    await tell(stores, scope_of(), "run_1")
    async with following(stores, scope_of(), "run_1", 30) as readers:
        statements.clear()
        await tell(stores, scope_of(), "run_1")
        await until(lambda: all(reader.numbers == [1, 2] for reader in readers))
        looks = len([sql for sql in statements if LOOK in sql])
        assert looks in (1, 2), "the second one where a poll came in between, and noticed it as well"
        assert len({id(reader.handed[-1]) for reader in readers}) == 1


async def test_who_sees_other_things_is_told_by_another_feed(stores: Stores, scope_of: ScopeOf) -> None:
    """Two tenants, two envs, and an agent that sees its own runs alone: nobody is handed what is not theirs."""
    agent = scope_of(role=Role.AGENT)
    places = [scope_of(), scope_of("t_globex"), scope_of(env=Env.PROD), agent]
    for scope in places:
        await tell(stores, scope, f"run_{scope.principal.id}" if scope is agent else "run_1")
    readers = [Reader() for _ in places]
    ids = ["run_1", "run_1", "run_1", f"run_{agent.principal.id}"]
    stranger = Reader()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(reader.read(stores, scope, run_id))
            for reader, scope, run_id in zip(readers, places, ids, strict=True)
        ]
        await until(lambda: all(reader.numbers == [1] for reader in readers))
        with pytest.raises(NotFound):
            await stranger.read(stores, agent, "run_1")
        for number, (scope, run_id) in enumerate(zip(places, ids, strict=True), 1):
            await tell(stores, scope, run_id, f"run.noted_{number}")
        await until(lambda: all(reader.numbers == [1, 2] for reader in readers))
        actions = [[frame.entry.action for frame in each.handed if isinstance(frame, EntryFrame)] for each in readers]
        assert actions == [["run.noted", f"run.noted_{number}"] for number in range(1, 5)]
        for task in tasks:
            task.cancel()
    assert not stranger.handed


async def test_who_may_not_see_it_shares_no_look(stores: Stores, scope_of: ScopeOf) -> None:
    """Asked at the same moment from the same cursor, in either order: the owner is told, the agent is refused."""
    await tell(stores, scope_of(), "run_1", ends=RunStatus.SUCCEEDED)
    agent = scope_of(role=Role.AGENT)
    for scopes in ((scope_of(), agent), (agent, scope_of())):
        readers = [Reader(), Reader()]
        asked = [reader.read(stores, scope, "run_1") for reader, scope in zip(readers, scopes, strict=True)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        for reader, scope, outcome in zip(readers, scopes, outcomes, strict=True):
            refused = scope.role is Role.AGENT
            assert (reader.numbers, isinstance(outcome, NotFound)) == ([] if refused else [1], refused)


@pytest.mark.parametrize("env", [Env.DEV, Env.PROD])
async def test_a_change_of_rights_elsewhere_is_noticed_within_a_poll(
    stores: Stores, scope_of: ScopeOf, env: Env
) -> None:
    """Another process wakes nobody here, and a membership counts in all envs: the lookout finds what was journalled."""
    await tell(stores, scope_of(), "run_1")
    async with beside(stores) as elsewhere, following(stores, scope_of(), "run_1", 3) as readers:
        readers[0].refusal = Forbidden("out")
        readers[1].refusal = Unauthenticated("over")
        await tell(elsewhere, scope_of(env=env), "run_2", "member.changed")
        await until(lambda: bool(readers[0].told) and bool(readers[1].told))
        assert (readers[0].told, readers[1].told) == (
            [EndFrame(EndReason.REVOKED, None)],
            [EndFrame(EndReason.EXPIRED, None)],
        )
        await tell(elsewhere, scope_of(), "run_1")
        await until(lambda: readers[2].numbers == [1, 2])


async def test_no_entry_outruns_a_change_of_rights(stores: Stores, scope_of: ScopeOf) -> None:
    """Revoked by another process, which no poll has seen yet: the entry after it, of this process, is not handed."""
    await tell(stores, scope_of(), "run_1")
    slow_poll = Manner(1000, 1000)
    async with beside(stores) as elsewhere, following(stores, scope_of(), "run_1", 2, manner=slow_poll) as readers:
        readers[0].refusal = Forbidden("out")
        await tell(elsewhere, scope_of(env=Env.PROD), "run_2", "member.changed")
        await tell(stores, scope_of(), "run_1")
        await until(lambda: readers[1].numbers == [1, 2] and bool(readers[0].told))
        assert (readers[0].numbers, readers[0].told) == ([1], [EndFrame(EndReason.REVOKED, None)])


async def test_whatever_gives_or_takes_rights_is_noticed(stores: Stores, scope_of: ScopeOf) -> None:
    """Each deed after which somebody may see more or less moves the mark; a note in a run does not."""
    owner = scope_of()
    system = Scope.system("t_acme", Env.DEV, "test")
    await membership.create_tenant(stores, system, "Acme")
    await membership.set_member(stores, system, owner.principal.id, "owner")
    key, _ = await keys.create_key(stores, owner, "a key", 1)
    known = Known(frozenset(), frozenset())
    deeds: list[Callable[[], Awaitable[Any]]] = [
        lambda: membership.set_member(stores, system, "mia", "member"),
        lambda: membership.revoke_member(stores, system, "mia"),
        lambda: keys.revoke_key(stores, owner, key.key_id),
        lambda: engage(stores, owner, known, Target.EVERYTHING, "", "A reason."),
    ]
    await tell(stores, owner, "run_1")
    async with following(stores, owner, "run_1", 1):
        for deed in deeds:
            before = await stores.feeds.lookout.rights_changed(stores, owner.tenant_id)
            await deed()
            assert await stores.feeds.lookout.rights_changed(stores, owner.tenant_id) > before
        before = await stores.feeds.lookout.rights_changed(stores, owner.tenant_id)
        await tell(stores, owner, "run_1")
        assert await stores.feeds.lookout.rights_changed(stores, owner.tenant_id) == before


async def test_a_tenant_that_is_gone_is_noticed(stores: Stores, scope_of: ScopeOf) -> None:
    """No entry tells of it: its head is missing."""
    await tell(stores, scope_of(), "run_1")
    async with following(stores, scope_of(), "run_1", 2) as readers:
        for reader in readers:
            reader.refusal = Forbidden("out")
        async with behind(stores) as connection:
            await connection.rows("delete from journal_heads where tenant_id = 't_acme'", {})
        await until(lambda: all(reader.told == [EndFrame(EndReason.REVOKED, None)] for reader in readers))


async def test_who_is_slow_holds_up_nobody_and_loses_nothing(stores: Stores, scope_of: ScopeOf) -> None:
    """What they can't take comes the ordinary way, from where they stood; and later they are handed frames again."""
    await tell(stores, scope_of(), "run_1")
    async with following(stores, scope_of(), "run_1", 3) as readers:
        readers[0].slow = True
        for _ in range(3):
            await tell(stores, scope_of(), "run_1")
        await until(lambda: all(reader.numbers == [1, 2, 3, 4] for reader in readers))
        assert len(readers[0].told) == 3
        readers[0].slow = False
        await tell(stores, scope_of(), "run_1")
        await until(lambda: all(reader.numbers == [1, 2, 3, 4, 5] for reader in readers))
        assert len(readers[0].told) == 3


async def test_who_comes_late_misses_nothing(stores: Stores, scope_of: ScopeOf) -> None:
    """Replay and live without a gap or a repetition, while somebody writes, from whatever cursor."""
    await tell(stores, scope_of(), "run_1")
    late = [Reader() for _ in range(12)]
    async with following(stores, scope_of(), "run_1", 4) as readers, asyncio.TaskGroup() as group:
        for number in range(60):
            if number % 5 == 0:
                reader = late[number // 5]
                reader.slow = number % 3 == 0
                group.create_task(reader.read(stores, scope_of(), "run_1", after=number // 2))
            await tell(stores, scope_of(), "run_1", ends=RunStatus.SUCCEEDED if number == 59 else None)
        await until(lambda: all(reader.told for reader in (*readers, *late)))
        await until(lambda: all(isinstance(reader.told[-1], EndFrame) for reader in (*readers, *late)))
    for reader in readers:
        assert reader.numbers == list(range(1, 62))
    for place, reader in enumerate(late):
        assert reader.numbers == list(range(place * 5 // 2 + 1, 62))


async def test_the_end_reaches_everybody(stores: Stores, scope_of: ScopeOf) -> None:
    """Of the run, and of the server: each says its last word once."""
    stopping = asyncio.Event()
    for run_id in ("run_1", "run_2"):
        await tell(stores, scope_of(), run_id)
    manner = Manner(POLL, 1000, stopping)
    async with (
        following(stores, scope_of(), "run_1", 60, manner=manner) as readers,
        following(stores, scope_of(), "run_2", 60, manner=manner) as others,
    ):
        await tell(stores, scope_of(), "run_1", ends=RunStatus.SUCCEEDED)
        await until(lambda: all(len(reader.told) == 1 for reader in readers))
        stopping.set()
        stores.signals.wake(None)
        await until(lambda: all(len(reader.told) == 1 for reader in others))
    assert {str(reader.told[0]) for reader in readers} == {str(EndFrame(EndReason.RUN_ENDED, RunStatus.SUCCEEDED))}
    assert all(reader.numbers == [1, 2] for reader in readers)
    assert {str(reader.told[0]) for reader in others} == {str(EndFrame(EndReason.SHUTDOWN, None))}


async def test_credentials_end_without_a_poll(stores: Stores, scope_of: ScopeOf) -> None:
    """Nothing moves, and nothing is looked at: a timer knows when it is over."""
    scope = replace(scope_of(), expires_at=stores.clock() + timedelta(seconds=0.5))
    await tell(stores, scope, "run_1")
    async with following(stores, scope, "run_1", 1) as readers:
        readers[0].refusal = Unauthenticated("over")
        await until(lambda: readers[0].told == [EndFrame(EndReason.EXPIRED, None)])


async def test_one_look_says_to_all_that_it_is_quiet(stores: Stores, scope_of: ScopeOf, statements: list[str]) -> None:
    """A heartbeat is handed to everybody at the tip, and tells how far the journal is at that moment."""
    await tell(stores, scope_of(), "run_1")
    async with following(stores, scope_of(), "run_1", 10, manner=Manner(POLL, 0.2)) as readers:
        await tell(stores, scope_of(), "run_2")
        beats = [len(reader.handed) for reader in readers]
        statements.clear()
        await until(lambda: all(len(reader.handed) > count for reader, count in zip(readers, beats, strict=True)))
        assert len([sql for sql in statements if LOOK in sql]) <= 3
        last = {id(reader.handed[-1]): reader.handed[-1] for reader in readers}
        assert len(last) == 1
        (beat,) = last.values()
        assert isinstance(beat, HeartbeatFrame)
        assert beat.seq == 2


async def test_a_look_that_fails_is_met_by_each(stores: Stores, scope_of: ScopeOf) -> None:
    """Nobody is left waiting on a feed that can't look any more."""
    await tell(stores, scope_of(), "run_1")
    readers = [Reader() for _ in range(3)]
    tasks = [asyncio.create_task(reader.read(stores, scope_of(), "run_1")) for reader in readers]
    await until(lambda: all(reader.numbers == [1] for reader in readers))
    async with behind(stores) as connection:
        await connection.rows("delete from journal_runs where run_id = 'run_1'", {})
    await tell(stores, scope_of(), "run_2")
    async with asyncio.timeout(TIMEOUT):
        found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in found] == [NotFound] * 3
