"""Followers: every entry at least once, none held up by another, and checkpoints that tell the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from engines import behind, beside
from structlog.testing import capture_logs

from nexus_graph.scope.errors import Halted, Unavailable
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, PrincipalKind, Scope
from nexus_graph.stores.database.base import Database
from nexus_graph.stores.follower import Deed, Entry, Follower, reached, wait_for
from nexus_graph.stores.heads import Head, Heads
from nexus_graph.stores.journal import Event, RunKind, RunStatus
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Read, Stores

ScopeOf = Callable[..., Scope]
EVENTS = Statement("select * from journal_events where tenant_id = :tenant_id and env = :env and action = :action")
RUN = Statement("select * from journal_runs where tenant_id = :tenant_id and env = :env and run_id = :run_id")
Seen = list[tuple[str, str, int]]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts without pauses."""
    real = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds: real(0 if seconds < 10 else seconds))


async def write(stores: Stores, scope: Scope, *actions: str, run_id: str | None = None) -> int:
    """Record events in one work that leave its run open; returns the last seq."""
    async with stores.work(scope, RunKind.PUBLISH, run_id=run_id) as work:
        for action in actions:
            work.record(Event(action, "card", "card_1", redact({}), Handling(("email",), train_ok=False), ends=None))
    return work.seq


def noting(seen: Seen) -> Deed:
    """A deed that notes what it was given."""

    async def deed(stores: Stores, scope: Scope, entries: Sequence[Entry]) -> None:
        seen.extend((scope.tenant_id, scope.env.value, entry.seq) for entry in entries)

    return deed


async def drain(follower: Follower, stores: Stores) -> None:
    """Catch up until there is nothing more to do."""
    while await follower.catch_up(stores):
        pass


async def checkpoint(stores: Stores, scope: Scope, seq: int) -> bool:
    """Whether `f` has come as far as `seq`."""
    async with stores.read(scope) as read:
        return await reached(read, "f", seq)


async def test_each_scope_is_followed_in_order_and_once(stores: Stores, scope_of: ScopeOf) -> None:
    """Entries of interest of all tenants and envs, under a scope of the engine's own; others are passed over."""
    scopes = [scope_of(), scope_of("t_globex"), scope_of(env=Env.PROD)]
    for scope in scopes:
        await write(stores, scope, *["wanted", "other"] * 70)
    seen: Seen = []
    kinds = set()

    async def deed(stores: Stores, scope: Scope, entries: Sequence[Entry]) -> None:
        kinds.add((scope.principal.kind, scope.principal.id))
        assert all(entry.action == "wanted" for entry in entries)
        await noting(seen)(stores, scope, entries)

    await drain(Follower("f", ("wanted",), deed), stores)
    for scope in scopes:
        assert [seq for tenant, env, seq in seen if (tenant, env) == scope.key] == list(range(1, 141, 2))
    assert kinds == {(PrincipalKind.SYSTEM, "follower:f")}
    await drain(Follower("f", ("wanted",), noting(seen)), stores)  # as after a restart
    assert len(seen) == 210


async def test_a_crash_between_deed_and_checkpoint_delivers_again(
    stores: Stores, scope_of: ScopeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done but not noted as done is done again, by the next follower of that name."""
    await write(stores, scope_of(), "wanted")
    seen: Seen = []

    note = Stores.note

    async def crash(stores: Stores, scope: Scope, statement: Statement, **values: Any) -> Any:
        if "seq" in values:
            raise KeyboardInterrupt
        return await note(stores, scope, statement, **values)

    with monkeypatch.context() as patched:
        patched.setattr(Stores, "note", crash)
        with pytest.raises(KeyboardInterrupt):
            await Follower("f", ("wanted",), noting(seen)).catch_up(stores)
    await drain(Follower("f", ("wanted",), noting(seen)), stores)
    assert seen == [("t_acme", "dev", 1)] * 2


async def test_a_bad_entry_is_given_up_alone_and_told(stores: Stores, scope_of: ScopeOf) -> None:
    """Its neighbours are done, the journal says who gave up what, and the entry's run ends as FAILED."""
    for place in range(5):
        await write(stores, scope_of(), "wanted", run_id=f"run_{place}")
    seen: Seen = []

    async def deed(stores: Stores, scope: Scope, entries: Sequence[Entry]) -> None:
        if any(entry.seq == 3 for entry in entries):
            raise ValueError("secret text")
        await noting(seen)(stores, scope, entries)

    with capture_logs() as logs:
        await drain(Follower("f", ("wanted",), deed), stores)
    assert [seq for _, _, seq in seen] == [1, 2, 4, 5]
    async with stores.read(scope_of()) as read:
        (told,) = await read.rows(EVENTS, action="follower.gave_up")
        run, neighbour = await read.row(RUN, run_id="run_2"), await read.row(RUN, run_id="run_3")
    assert told["run_id"] == "run_2"
    assert told["payload"] == '{"input":{"follower":"f","seq":3},"output":{"error":"ValueError"}}'
    assert told["pii_flags"] == '["email"]'
    assert run is not None
    assert neighbour is not None
    assert (run["status"], neighbour["status"]) == (RunStatus.FAILED, RunStatus.RUNNING)
    assert await checkpoint(stores, scope_of(), 5)
    assert "secret text" not in str(logs)


async def test_giving_up_leaves_a_research_run_and_an_ended_run_alone(stores: Stores, scope_of: ScopeOf) -> None:
    """The run of an agent goes on; for a run that has ended the failure is told in a run of its own."""
    wanted = Event("wanted", "card", "c", redact({}), Handling((), train_ok=False), ends=None)
    async with stores.work(scope_of(), RunKind.RESEARCH, run_id="run_research") as work:
        work.record(wanted)
    async with stores.work(scope_of(), RunKind.PUBLISH, run_id="run_ended") as work:
        work.record(replace(wanted, ends=RunStatus.SUCCEEDED))

    async def deed(stores: Stores, scope: Scope, entries: Sequence[Entry]) -> None:
        raise ValueError

    with capture_logs():
        await drain(Follower("f", ("wanted",), deed), stores)
    async with stores.read(scope_of()) as read:
        research, ended = await read.row(RUN, run_id="run_research"), await read.row(RUN, run_id="run_ended")
        told = await read.rows(EVENTS, action="follower.gave_up")
    assert research is not None
    assert ended is not None
    assert (research["status"], ended["status"], ended["number"]) == (RunStatus.RUNNING, RunStatus.SUCCEEDED, 1)
    assert len(told) == 2


async def test_unavailable_is_tried_again_and_holds_up_no_other_scope(stores: Stores, scope_of: ScopeOf) -> None:
    """While something is down nothing is given up: its scope waits, the others go on, and later all is done."""
    for scope in (scope_of(), scope_of("t_globex")):
        await write(stores, scope, "wanted")
    seen: Seen = []
    down = True

    async def deed(stores: Stores, scope: Scope, entries: Sequence[Entry]) -> None:
        if down and scope.tenant_id == "t_acme":
            raise Unavailable("The embedder does not answer.")
        await noting(seen)(stores, scope, entries)

    follower = Follower("f", ("wanted",), deed)
    for _ in range(5):
        with pytest.raises(Unavailable):
            await follower.catch_up(stores)
    assert seen == [("t_globex", "dev", 1)]
    down = False
    await drain(follower, stores)
    assert seen == [("t_globex", "dev", 1), ("t_acme", "dev", 1)]
    async with stores.read(scope_of()) as read:
        assert await read.rows(EVENTS, action="follower.gave_up") == []


@pytest.mark.parametrize("wanted", [1, 63, 64, 65, 128])
async def test_the_checkpoint_reaches_the_end_of_a_work_after_the_last_wanted_entry(
    stores: Stores, scope_of: ScopeOf, wanted: int
) -> None:
    """Who waits for the seq of a whole work is not left waiting, also when a batch is exactly full."""
    seq = await write(stores, scope_of(), *["wanted"] * wanted, "other")
    follower = Follower("f", ("wanted",), noting([]))
    await drain(follower, stores)
    assert await checkpoint(stores, scope_of(), seq)
    assert await wait_for(stores, scope_of(), "f", seq, 0, 0.01)
    assert not await wait_for(stores, scope_of(), "f", seq + 1, 0, 0.01)


async def test_an_entry_that_comes_between_head_and_read_is_not_skipped(
    stores: Stores, scope_of: ScopeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint never passes an entry that the read did not see, nor stays behind one that it saw."""
    await write(stores, scope_of(), "wanted")
    real = stores.moved

    async def moved(revision: int) -> tuple[int, list[Head]]:
        found = await real(revision)
        await write(stores, scope_of(), "wanted", "other")
        return found

    seen: Seen = []
    follower = Follower("f", ("wanted",), noting(seen))
    with monkeypatch.context() as patched:
        patched.setattr(Stores, "moved", lambda self, revision: moved(revision))
        await follower.catch_up(stores)
    assert await checkpoint(stores, scope_of(), 3)
    await drain(follower, stores)
    assert [seq for _, _, seq in seen] == [1, 2]


async def test_scopes_take_turns_after_a_batch(stores: Stores, scope_of: ScopeOf) -> None:
    """A tenant with much to do does not keep another waiting until it is done."""
    await write(stores, scope_of(), *["wanted"] * 5)
    await write(stores, scope_of("t_globex"), "wanted")
    seen: Seen = []
    await drain(Follower("f", ("wanted",), noting(seen), batch=2), stores)
    assert [tenant for tenant, _, _ in seen] == ["t_acme"] * 2 + ["t_globex"] + ["t_acme"] * 3
    assert [seq for tenant, _, seq in seen if tenant == "t_acme"] == [1, 2, 3, 4, 5]


async def test_a_missing_signal_is_found_by_the_poll(stores: Stores, scope_of: ScopeOf) -> None:
    """Entries that another process wrote wake nobody here; a running follower finds them and others can wait for it."""
    seen: Seen = []
    following = asyncio.create_task(Follower("f", ("wanted",), noting(seen)).run(stores, 0.01))
    async with beside(stores) as elsewhere:
        try:
            for _ in range(3):
                seq = await write(elsewhere, scope_of(), "wanted")
                assert await wait_for(elsewhere, scope_of(), "f", seq, 20, 0.01)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    assert [seq for _, _, seq in seen] == [1, 2, 3]


async def test_followers_look_at_the_same_moments_and_share_what_they_read(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heads of all journals are looked at once a poll, however many follow, wherever each began."""
    looks = 0

    async def look(self: Heads, database: Database, plain: Any = Heads.look) -> None:
        nonlocal looks
        looks += 1
        await plain(self, database)

    async def nothing(_: Stores, __: Scope, ___: Sequence[Entry]) -> None:
        pass

    monkeypatch.setattr(Heads, "look", look)
    tasks = list[asyncio.Task[None]]()
    for number in range(6):
        tasks.append(asyncio.create_task(Follower(f"idle-{number}", ("test.noted",), nothing).run(stores, 0.2)))
        await asyncio.wait(tasks, timeout=0.01)
    await asyncio.wait(tasks, timeout=0.4)  # until each waited once
    looks = 0
    await asyncio.wait(tasks, timeout=1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert 0 < looks < 12


async def test_a_running_follower_outlives_an_unavailable_store(stores: Stores, scope_of: ScopeOf) -> None:
    """It says so and goes on when the store is back."""
    await write(stores, scope_of(), "wanted")
    seen: Seen = []
    troubles = [Unavailable("down"), Unavailable("down")]

    async def deed(stores: Stores, scope: Scope, entries: Sequence[Entry]) -> None:
        if troubles:
            raise troubles.pop()
        await noting(seen)(stores, scope, entries)

    with capture_logs() as logs:
        following = asyncio.create_task(Follower("f", ("wanted",), deed).run(stores, 0.001))
        assert await wait_for(stores, scope_of(), "f", 1, 20, 0.01)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert seen == [("t_acme", "dev", 1)]
    assert [line["event"] for line in logs] == ["follower.held_up", "follower.unavailable"] * 2
    assert all((line["tenant"], line["env"]) == ("t_acme", "dev") for line in logs if "tenant" in line)


async def test_a_scope_that_can_not_be_read_holds_up_no_other_and_ends_no_follower(
    stores: Stores, scope_of: ScopeOf
) -> None:
    """A damaged row in one tenant's journal is told, round after round; the other tenant's entries are still taken."""
    for scope in (scope_of(), scope_of("t_globex")):
        await write(stores, scope, "wanted")
    async with behind(stores) as connection:
        await connection.rows("update journal_events set payload = '{broken' where tenant_id = 't_acme'", {})
    seen: Seen = []
    with capture_logs() as logs:
        following = asyncio.create_task(Follower("f", ("wanted",), noting(seen)).run(stores, 0.001))
        assert await wait_for(stores, scope_of("t_globex"), "f", 1, 20, 0.01)
        await write(stores, scope_of("t_globex"), "wanted")
        assert await wait_for(stores, scope_of("t_globex"), "f", 2, 20, 0.01)
        assert not following.done()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert [seq for _, _, seq in seen] == [1, 2]
    told = [line for line in logs if line["event"] == "follower.held_up"]
    assert {(line["tenant"], line["error"]) for line in told} == {("t_acme", "JSONDecodeError")}


async def test_a_halted_scope_waits_where_it_is_and_goes_on_without_news(stores: Stores, scope_of: ScopeOf) -> None:
    """Its checkpoint stays and the other tenant is followed; once it is free, the next round takes what waited."""
    acme, globex = scope_of(), scope_of("t_globex")
    for scope in (acme, globex):
        await write(stores, scope, "wanted")
    seen: Seen = []
    halted = {acme.key}

    async def standing(read: Read) -> bool:
        return read.scope.key in halted

    follower = Follower("f", ("wanted",), noting(seen), halted=standing)
    await drain(follower, stores)
    assert seen == [("t_globex", "dev", 1)]
    assert not await checkpoint(stores, acme, 1)
    async with asyncio.timeout(20):
        assert not await wait_for(stores, acme, "f", 1, 1000, 1000, standing)
        assert await wait_for(stores, globex, "f", 1, 1000, 1000, standing)
    halted.clear()
    await drain(follower, stores)
    assert seen == [("t_globex", "dev", 1), ("t_acme", "dev", 1)]
    assert await checkpoint(stores, acme, 1)


async def test_a_deed_that_is_halted_on_its_way_is_cancelled_and_begins_anew(
    stores: Stores, scope_of: ScopeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long deed does not outlive the halt; its entries come again, and none is given up."""
    monkeypatch.setattr("nexus_graph.stores.follower._LOOK_SECONDS", 0.01)
    await write(stores, scope_of(), "wanted", "wanted")
    seen: Seen = []
    halted = asyncio.Event()

    async def endless(stores: Stores, scope: Scope, entries: Sequence[Entry]) -> None:
        halted.set()
        await asyncio.Event().wait()

    async def standing(_: Read) -> bool:
        return halted.is_set()

    follower = Follower("f", ("wanted",), endless, halted=standing)
    async with asyncio.timeout(20):
        assert not await follower.catch_up(stores)
    assert not await checkpoint(stores, scope_of(), 1)
    halted.clear()
    follower.deed = noting(seen)
    await drain(follower, stores)
    assert [seq for _, _, seq in seen] == [1, 2]


async def test_a_deed_that_sees_the_halt_itself_is_no_trouble(stores: Stores, scope_of: ScopeOf) -> None:
    """Nothing is raised, logged as an error or given up; once it is released the entry comes again."""
    await write(stores, scope_of(), "wanted")
    seen: Seen = []

    async def halted(stores: Stores, scope: Scope, entries: Sequence[Entry]) -> None:
        raise Halted("Everything is halted.", since=stores.clock(), reason="a test")

    follower = Follower("f", ("wanted",), halted)
    with capture_logs() as logs:
        assert not await follower.catch_up(stores)
    assert logs == []
    follower.deed = noting(seen)
    await drain(follower, stores)
    assert [seq for _, _, seq in seen] == [1]


async def test_a_deed_that_takes_long_tells_where_it_waits(
    stores: Stores, scope_of: ScopeOf, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every minute a line names the follower, the scope and our own places that it waits at."""
    monkeypatch.setattr("nexus_graph.stores.follower._LOOK_SECONDS", 0.01)
    told, waits = asyncio.Event(), 0

    async def deed(stores: Stores, scope: Scope, _: Sequence[Entry]) -> None:
        async with stores.read(scope):
            await stores.shared.once("forever", told.wait)

    await write(stores, scope_of(), "wanted")
    with capture_logs() as logs:
        followed = asyncio.create_task(Follower("f", ("wanted",), deed).catch_up(stores))
        while not (slow := [line for line in logs if line["event"] == "follower.slow"]):
            clock.advance(seconds=5)
            await asyncio.wait([followed], timeout=0.01)
            waits += 1
        told.set()
        assert await followed
    assert (slow[0]["follower"], slow[0]["tenant"], slow[0]["env"]) == ("f", "t_acme", "dev")
    assert slow[0]["seconds"] >= 60
    assert waits >= 12
    assert [place.partition(":")[0] for place in slow[0]["places"]] == ["stores/follower.py", "stores/sharing.py"]
