"""A live log: nothing lost, nothing twice, no right outlived, nothing held."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from engines import all_free, beside

from nexus_graph import runs
from nexus_graph.runs import EndFrame, EndReason, EntryFrame, Frame, GapFrame, HeartbeatFrame
from nexus_graph.scope.errors import Forbidden, Halted, Invalid, NotFound, Unauthenticated
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.feeds import Manner
from nexus_graph.stores.journal import Event, RunKind, RunStatus
from nexus_graph.stores.signals.local import LocalSignals
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Stores

ScopeOf = Callable[..., Scope]
TIMEOUT = 20
ERASE = Statement("delete from journal_events where tenant_id = :tenant_id and env = :env and number in (:numbers...)")


async def write(stores: Stores, scope: Scope, run_id: str, count: int = 1, *, ends: RunStatus | None = None) -> None:
    """Record `count` entries into a run, the last of which may end it."""
    for place in range(count):
        async with stores.work(scope, RunKind.INGEST, run_id=run_id) as work:
            last = ends if place == count - 1 else None
            work.record(
                Event("asset.seen", "asset", f"asset_{place}", redact({}), Handling((), train_ok=False), ends=last)
            )


def following(
    stores: Stores,
    scope: Scope,
    run_id: str,
    after: int = 0,
    *,
    poll: float = 0.02,
    heartbeat: float = 1000,
    **more: Any,
) -> AsyncGenerator[Frame, None]:
    """Follow with a scope that never changes."""

    async def renew() -> Scope:
        return scope

    return runs.follow(stores, renew, run_id, after, Manner(poll, heartbeat, **more))


async def numbers(frames: AsyncGenerator[Frame, None]) -> list[int]:
    """The numbers of all entries until the stream ends with the run."""
    found = []
    async with asyncio.timeout(TIMEOUT), aclosing(frames):
        async for frame in frames:
            if isinstance(frame, EntryFrame):
                found.append(frame.entry.number)
            else:
                assert isinstance(frame, EndFrame)
                assert frame.reason is EndReason.RUN_ENDED
    return found


async def test_replay_delivers_every_entry_over_many_pages_and_then_ends(stores: Stores, scope_of: ScopeOf) -> None:
    """A finished run of 450 entries comes whole, in order, with its status at the end."""
    scope = scope_of()
    async with stores.work(scope, RunKind.INGEST, run_id="run_1") as work:
        for place in range(450):
            ends = RunStatus.FAILED if place == 449 else None
            work.record(Event("asset.seen", "asset", "a", redact({}), Handling((), train_ok=False), ends=ends))
    frames = [frame async for frame in following(stores, scope, "run_1")]
    assert [frame.cursor for frame in frames if isinstance(frame, EntryFrame)] == list(range(1, 451))
    assert frames[-1] == EndFrame(EndReason.RUN_ENDED, RunStatus.FAILED)


@pytest.mark.parametrize("after", [0, 1, 199, 200, 201, 249, 250])
async def test_a_stream_resumes_after_any_number(stores: Stores, scope_of: ScopeOf, after: int) -> None:
    """What comes is exactly what lies after the cursor, also at page borders and at the very end."""
    scope = scope_of()
    async with stores.work(scope, RunKind.INGEST, run_id="run_1") as work:
        for _ in range(250):
            work.record(Event("asset.seen", "asset", "a", redact({}), Handling((), train_ok=False)))
    assert await numbers(following(stores, scope, "run_1", after)) == list(range(after + 1, 251))


async def test_many_followers_and_a_writer_lose_and_repeat_nothing(stores: Stores, scope_of: ScopeOf) -> None:
    """Twenty followers that start at odd moments all see 1 to 120, once."""
    scope = scope_of()
    await write(stores, scope, "run_1")

    async def late(delay: int) -> list[int]:
        for _ in range(delay):
            await asyncio.sleep(0)
        return await numbers(following(stores, scope, "run_1"))

    followers = [asyncio.create_task(late(delay * 37)) for delay in range(20)]
    await write(stores, scope, "run_1", 119, ends=RunStatus.SUCCEEDED)
    for found in await asyncio.gather(*followers):
        assert found == list(range(1, 121))


async def test_a_hundred_disconnects_miss_nothing(stores: Stores, scope_of: ScopeOf) -> None:
    """A client that leaves after a random number of entries and comes back with its cursor sees each entry once."""
    scope, chance = scope_of(), random.Random(7)  # noqa: S311 - a repeatable one
    await write(stores, scope, "run_1")
    writer = asyncio.create_task(write(stores, scope, "run_1", 299, ends=RunStatus.SUCCEEDED))
    found: list[int] = []
    async with asyncio.timeout(TIMEOUT):
        for connection in range(101):
            leave_after = chance.randrange(1, 4) if connection < 100 else 1000
            async with aclosing(following(stores, scope, "run_1", len(found))) as frames:
                async for frame in frames:
                    if isinstance(frame, EntryFrame):
                        found.append(frame.cursor)
                        leave_after -= 1
                    if leave_after == 0:
                        break
    await writer
    assert found == list(range(1, 301))


async def test_an_entry_between_the_first_read_and_the_wait_is_not_missed(stores: Stores, scope_of: ScopeOf) -> None:
    """A wake-up that comes while the consumer is busy is remembered: with no poll at all the entry still arrives."""
    scope = scope_of()
    await write(stores, scope, "run_1")
    async with asyncio.timeout(TIMEOUT), aclosing(following(stores, scope, "run_1", poll=1000)) as frames:
        assert isinstance(await anext(frames), EntryFrame)
        await write(stores, scope, "run_1")  # while the generator is suspended
        second = await anext(frames)
        assert isinstance(second, EntryFrame)
        assert second.cursor == 2


async def test_entries_of_another_process_arrive_without_a_signal(stores: Stores, scope_of: ScopeOf) -> None:
    """A second set of stores on the same file wakes nobody here; the poll finds what it wrote."""
    scope = scope_of()
    await write(stores, scope, "run_1")
    async with beside(stores) as elsewhere:
        following_task = asyncio.create_task(numbers(following(stores, scope, "run_1")))
        await write(elsewhere, scope, "run_1", 3, ends=RunStatus.SUCCEEDED)
        assert await following_task == [1, 2, 3, 4]


async def test_erased_entries_are_told_as_gaps(stores: Stores, scope_of: ScopeOf) -> None:
    """Rows that are gone from the middle and from the end are named, and the stream still ends."""
    scope = scope_of()
    await write(stores, scope, "run_1", 9, ends=RunStatus.SUCCEEDED)
    async with stores.work(scope, RunKind.ERASE) as work:
        await work.write(ERASE, numbers=[2, 3, 6, 8, 9])
        work.record(Event("entries.erased", "run", "run_1", redact({}), Handling((), train_ok=False)))
    frames = [frame async for frame in following(stores, scope, "run_1")]
    told = [frame.cursor if isinstance(frame, EntryFrame) else frame for frame in frames]
    end = EndFrame(EndReason.RUN_ENDED, RunStatus.SUCCEEDED)
    assert told == [1, GapFrame(2, 3), 4, 5, GapFrame(6, 6), 7, GapFrame(8, 9), end]


async def test_a_quiet_stream_sends_heartbeats_with_the_journal_position(stores: Stores, scope_of: ScopeOf) -> None:
    """A heartbeat names the seq up to which the run has nothing further, which moves with the whole journal."""
    scope = scope_of()
    await write(stores, scope, "run_1")
    async with asyncio.timeout(TIMEOUT), aclosing(following(stores, scope, "run_1", heartbeat=0.01)) as frames:
        await anext(frames)
        first = await anext(frames)
        await write(stores, scope, "run_2", 4)
        await anext(frames)
        second = await anext(frames)
    assert isinstance(first, HeartbeatFrame)
    assert isinstance(second, HeartbeatFrame)
    assert (first.seq, second.seq) == (1, 5)
    assert first.at < second.at


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (Unauthenticated("over"), EndReason.EXPIRED),
        (Forbidden("out"), EndReason.REVOKED),
        (Halted("halted", since=datetime.now(UTC), reason="Bad prices."), EndReason.HALTED),
        (None, EndReason.REVOKED),
    ],
)
async def test_a_right_that_ends_ends_the_stream_before_the_next_entry(
    stores: Stores, scope_of: ScopeOf, refusal: Exception | None, reason: EndReason
) -> None:
    """Expiry, a revoked membership, the kill switch, the loss of runs:read: each ends it; what follows is not told."""
    scope = scope_of()
    await write(stores, scope, "run_1")
    renewed = [scope]

    async def renew() -> Scope:
        if not renewed and refusal is not None:
            raise refusal
        return renewed.pop() if renewed else replace(scope, rights=scope.rights - {Permission.RUNS_READ})

    async with asyncio.timeout(TIMEOUT):
        frames = runs.follow(stores, renew, "run_1", 0, Manner(0.01, 1000))
        assert isinstance(await anext(frames), EntryFrame)
        await write(stores, scope, "run_1")
        assert [frame async for frame in frames] == [EndFrame(reason, None)]


async def test_a_slow_reader_is_checked_within_a_page(stores: Stores, scope_of: ScopeOf) -> None:
    """Who takes longer than a poll over one page gets no further entry of it after being revoked."""
    scope = scope_of()
    await write(stores, scope, "run_1", 5)
    allowed = [scope]

    async def renew() -> Scope:
        if not allowed:
            raise Forbidden("out")
        return allowed[0]

    async with asyncio.timeout(TIMEOUT):
        frames = runs.follow(stores, renew, "run_1", 0, Manner(0.001, 1000))
        await anext(frames)
        allowed.clear()
        await asyncio.sleep(0.02)
        rest = [frame async for frame in frames]
    assert rest == [EndFrame(EndReason.REVOKED, None)]


async def test_stopping_ends_the_stream_for_another_connection_to_go_on(stores: Stores, scope_of: ScopeOf) -> None:
    """A server that goes down says so."""
    scope, stopping = scope_of(), asyncio.Event()
    await write(stores, scope, "run_1")
    async with asyncio.timeout(TIMEOUT):
        frames = following(stores, scope, "run_1", stopping=stopping)
        assert isinstance(await anext(frames), EntryFrame)
        stopping.set()
        assert [frame async for frame in frames] == [EndFrame(EndReason.SHUTDOWN, None)]


async def test_nothing_is_held_while_suspended_waiting_or_closed(stores: Stores, scope_of: ScopeOf) -> None:
    """Every reading connection is idle while the stream is suspended or waits, and closing it leaves no listener."""
    scope = scope_of()
    signals = stores.signals
    assert isinstance(signals, LocalSignals)
    await write(stores, scope, "run_1")
    frames = following(stores, scope, "run_1", poll=1000)
    await anext(frames)
    await all_free(stores.database)
    assert signals._listeners
    waiting = asyncio.ensure_future(anext(frames))
    async with asyncio.timeout(TIMEOUT):
        while not next(iter(signals._listeners[scope.key]))._event._waiters:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
    await all_free(stores.database)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await frames.aclose()
    assert not signals._listeners


async def test_a_run_that_is_not_visible_is_not_found(stores: Stores, scope_of: ScopeOf) -> None:
    """Unknown, another tenant's, another env's, and another agent's run are refused in the same words."""
    await write(stores, scope_of(), "run_1")
    texts = set()
    strangers = [
        (scope_of(), "run_2"),
        (scope_of("t_globex"), "run_1"),
        (scope_of(env=Env.PROD), "run_1"),
        (scope_of(role=Role.AGENT), "run_1"),
    ]
    for scope, run_id in strangers:
        with pytest.raises(NotFound) as refused:
            await anext(following(stores, scope, run_id))
        texts.add(str(refused.value))
    assert len(texts) == 1


@pytest.mark.parametrize("after", [-1, 3, 2**70])
async def test_a_cursor_that_the_run_has_not_reached_is_refused(stores: Stores, scope_of: ScopeOf, after: int) -> None:
    """A cursor ahead of the run would hide entries to come."""
    scope = scope_of()
    await write(stores, scope, "run_1", 2)
    with pytest.raises(Invalid):
        await anext(following(stores, scope, "run_1", after))
