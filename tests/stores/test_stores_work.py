"""Units of work: a write has an event, a key is answered once, an interruption leaves nothing half done."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Conflict, NexusError, NotFound, Unavailable
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Stores, Verb, Work

ScopeOf = Callable[..., Scope]
EVENT = Event("member.changed", "member", "m", redact({}), Handling((), train_ok=False))
ADD = Statement(
    "insert into members (tenant_id, subject, role, status, changed_at) "
    "values (:tenant_id, :subject, 'member', 'ACTIVE', 0)",
    tenant_wide=True,
)
MEMBERS = Statement("select subject from members where tenant_id = :tenant_id order by subject", tenant_wide=True)
EVENTS = Statement("select * from journal_events where tenant_id = :tenant_id and env = :env order by seq")


async def members(stores: Stores, scope: Scope) -> list[str]:
    """The subjects of the scope's tenant."""
    async with stores.read(scope) as read:
        return [row["subject"] for row in await read.rows(MEMBERS)]


async def seq(stores: Stores, scope: Scope) -> int:
    """How many events the scope's journal has."""
    async with stores.read(scope) as read:
        return len(await read.rows(EVENTS))


@pytest.mark.parametrize("many", [False, True])
async def test_a_work_that_writes_without_an_event_is_refused_and_rolled_back(
    stores: Stores, scope_of: ScopeOf, many: bool
) -> None:
    """The journal is part of the transaction, not a habit."""

    async def forget() -> None:
        async with stores.work(scope_of(), RunKind.ADMIN) as work:
            if many:
                await work.write_many(ADD, [{"subject": "ada"}, {"subject": "bob"}])
            else:
                await work.write(ADD, subject="ada")

    with pytest.raises(RuntimeError, match="without recording an event"):
        await forget()
    assert await members(stores, scope_of()) == []


async def test_a_work_knows_its_seq_and_run_and_time(stores: Stores, scope_of: ScopeOf, clock: object) -> None:
    """`seq` is the last event's once the work is over; a work without events leaves no run behind."""
    async with stores.work(scope_of(), RunKind.ADMIN) as work:
        work.record(EVENT)
        work.record(EVENT)
        assert work.seq == 0
    assert work.seq == 2
    async with stores.work(scope_of(), RunKind.ADMIN):
        pass
    async with stores.read(scope_of()) as read:
        rows = await read.rows(EVENTS)
    assert {row["run_id"] for row in rows} == {work.run_id}
    assert len({row["at"] for row in rows}) == 1


async def test_values_cannot_name_another_tenant(stores: Stores, scope_of: ScopeOf) -> None:
    """A tenant or env among the values is overruled by the handle's own, in single and in many writes."""
    async with stores.work(scope_of(), RunKind.ADMIN) as work:
        await work.write(ADD, subject="ada", tenant_id="t_globex")
        await work.write_many(ADD, [{"subject": "bob", "tenant_id": "t_globex"}])
        work.record(EVENT)
    assert await members(stores, scope_of()) == ["ada", "bob"]
    assert await members(stores, scope_of("t_globex")) == []


async def test_an_exception_rolls_back_rows_events_and_aftermath(stores: Stores, scope_of: ScopeOf) -> None:
    """Nothing of a failed work stays, and what was to happen after it does not."""
    done: list[str] = []

    async def fail() -> None:
        async with stores.work(scope_of(), RunKind.ADMIN) as work:
            await work.write(ADD, subject="ada")
            work.record(EVENT)
            work.after(lambda: done.append("after"))
            raise NotFound("member")

    with pytest.raises(NotFound):
        await fail()
    assert (await members(stores, scope_of()), await seq(stores, scope_of()), done) == ([], 0, [])


async def test_what_comes_after_a_commit_sees_it_committed(stores: Stores, scope_of: ScopeOf) -> None:
    """The wake-up and the aftermath come once other readers can see the rows."""
    with stores.signals.listen(scope_of().key) as listener:
        async with stores.work(scope_of(), RunKind.ADMIN) as work:
            await work.write(ADD, subject="ada")
            work.record(EVENT)
            waiting = asyncio.create_task(listener.wait(10))
            await asyncio.sleep(0.01)
            assert not waiting.done()
        await waiting
        assert await members(stores, scope_of()) == ["ada"]


async def test_cancelling_works_at_random_leaves_rows_and_events_together(stores: Stores, scope_of: ScopeOf) -> None:
    """After each cancellation there are as many events as rows, the writer works and the chain holds."""
    scope, chance = scope_of(), random.Random(5)  # noqa: S311 - a repeatable one

    async def add(place: int) -> None:
        async with stores.work(scope, RunKind.ADMIN) as work:
            await work.write(ADD, subject=f"m{place:03}")
            await asyncio.sleep(0)
            work.record(EVENT)

    cut = 0
    for place in range(120):
        task = asyncio.create_task(add(place))
        for _ in range(chance.randrange(1, 12)):
            await asyncio.sleep(chance.choice((0, 0.0002)))
        task.cancel()
        cut += isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)
        assert len(await members(stores, scope)) == await seq(stores, scope)
    assert 0 < cut < 120
    async with stores.read(scope) as read:
        assert (await read.verify_journal())[1] is None


def adding(subject: str, refusal: Exception | None = None, run_id: str | None = None) -> Verb[str]:
    """Adds a member and tells it, and then refuses, if there is a refusal."""

    async def add(work: Work) -> str:
        await work.write(ADD, subject=subject)
        work.record(replace(EVENT, subject_id=subject, ends=None))
        if refusal is not None:
            raise refusal
        return subject

    return Verb(add, run_id)


async def test_of_many_works_a_refused_one_is_taken_back_alone(stores: Stores, scope_of: ScopeOf) -> None:
    """The others are done, each told in its own run and in order; the chain holds, and who waits is woken once."""
    refusal = NotFound("member")
    with stores.signals.listen(scope_of().key, (EVENT.action,)) as listener:
        verbs = [adding("ada", run_id="run_a"), adding("bob", refusal), adding("cy", run_id="run_c"), adding("dan")]
        assert await stores.works(scope_of(), RunKind.ADMIN, verbs) == ["ada", refusal, "cy", "dan"]
        await asyncio.wait_for(listener.wait(5), 1)
    assert await members(stores, scope_of()) == ["ada", "cy", "dan"]
    async with stores.read(scope_of()) as read:
        told = [(row["seq"], row["subject_id"], row["number"]) for row in await read.rows(EVENTS)]
        assert await read.verify_journal() == (3, None)
        assert [row["run_id"] for row in await read.rows(EVENTS)][:2] == ["run_a", "run_c"]
    assert told == [(1, "ada", 1), (2, "cy", 1), (3, "dan", 1)]


@pytest.mark.parametrize("error", [Unavailable("no room"), ZeroDivisionError()])
async def test_many_works_are_taken_back_together_by_what_is_no_refusal(
    stores: Stores, scope_of: ScopeOf, error: Exception
) -> None:
    """A store that fails, and a mistake of ours, leave nothing of any of them."""
    with pytest.raises(type(error)):
        await stores.works(scope_of(), RunKind.ADMIN, [adding("ada"), adding("bob", error)])
    assert await members(stores, scope_of()) == []
    assert await seq(stores, scope_of()) == 0


async def test_each_of_many_works_tells_what_it_wrote(stores: Stores, scope_of: ScopeOf) -> None:
    """As a single work does."""

    async def silent(work: Work) -> None:
        await work.write(ADD, subject="bob")

    with pytest.raises(RuntimeError, match="without recording an event"):
        await stores.works(scope_of(), RunKind.ADMIN, [Verb(silent)])
    assert await members(stores, scope_of()) == []
    assert await stores.works(scope_of(), RunKind.ADMIN, [adding("ada")]) == ["ada"]


async def test_many_works_of_a_rehearsal_are_taken_back(stores: Stores, scope_of: ScopeOf) -> None:
    """They come to what they would come to, and leave nothing."""
    rehearsing = replace(scope_of(), rehearsal=True)
    assert await stores.works(rehearsing, RunKind.ADMIN, [adding("ada"), adding("bob")]) == ["ada", "bob"]
    assert await members(stores, scope_of()) == []
    assert await seq(stores, scope_of()) == 0


async def test_cancelling_many_works_leaves_all_of_them_or_none(stores: Stores, scope_of: ScopeOf) -> None:
    """Whenever it happens: the transaction comes to its end first, and the database is free again."""
    dice = random.Random(11)  # noqa: S311 - a repeatable one
    for number in range(30):
        scope = scope_of(f"t_many{number}")
        verbs = [adding(f"m{number}-{each}") for each in range(20)]
        task = asyncio.create_task(stores.works(scope, RunKind.ADMIN, verbs))
        await asyncio.sleep(dice.random() * 0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(await members(stores, scope)) == await seq(stores, scope)
        assert await seq(stores, scope) in (0, 20)


async def keyed(stores: Stores, scope: Scope, key: str, request: Json, subject: str) -> Json:
    """Add a member once."""
    async with stores.work(scope, RunKind.ADMIN, once=Once(key, request)) as work:
        if (earlier := await work.earlier_answer()) is not None:
            return earlier
        await work.write(ADD, subject=subject)
        work.record(EVENT)
        await work.keep_answer({"subject": subject})
        return {"subject": subject}


async def test_a_key_is_answered_once(stores: Stores, scope_of: ScopeOf) -> None:
    """The same request gets the same answer and does nothing; another request under the key is a Conflict."""
    scope = scope_of()
    assert await keyed(stores, scope, "k", {"a": 1, "b": 2}, "ada") == {"subject": "ada"}
    assert await keyed(stores, scope, "k", {"b": 2, "a": 1}, "bob") == {"subject": "ada"}
    with pytest.raises(Conflict):
        await keyed(stores, scope, "k", {"a": 2}, "bob")
    assert (await members(stores, scope), await seq(stores, scope)) == (["ada"], 1)


async def test_a_key_belongs_to_an_actor_a_tenant_and_an_env(stores: Stores, scope_of: ScopeOf) -> None:
    """The same key of somebody else, or elsewhere, stands for itself."""
    others = [
        scope_of(who="ada"),
        scope_of(who="bob"),
        scope_of("t_globex", who="ada"),
        scope_of(env=Env.PROD, who="ada"),
    ]
    for place, scope in enumerate(others):
        assert await keyed(stores, scope, "k", {"place": place}, f"m{place}") == {"subject": f"m{place}"}


async def test_a_key_of_a_failed_work_is_free(stores: Stores, scope_of: ScopeOf) -> None:
    """An answer that was rolled back was never given."""

    async def fail() -> None:
        async with stores.work(scope_of(), RunKind.ADMIN, once=Once("k", 1)) as work:
            work.record(EVENT)
            await work.keep_answer({"subject": "nobody"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await keyed(stores, scope_of(), "k", 2, "ada") == {"subject": "ada"}


async def test_the_same_key_at_the_same_time_does_it_once(stores: Stores, scope_of: ScopeOf) -> None:
    """Twenty at once: one member, twenty equal answers."""
    answers = await asyncio.gather(*(keyed(stores, scope_of(), "k", 1, f"m{place}") for place in range(20)))
    assert answers == [answers[0]] * 20
    assert len(await members(stores, scope_of())) == 1


async def test_records_share_a_commit_and_fail_alone(stores: Stores, scope_of: ScopeOf) -> None:
    """One event that can't be written is refused to its own caller; those that share its commit are kept."""
    scope = scope_of()
    unwritable = Event("cards.read", "card", "c", redact({"n": 2**60}), Handling((), train_ok=False))
    events = [EVENT] * 10 + [unwritable] + [EVENT] * 10
    outcomes = await asyncio.gather(
        *(stores.record(scope, RunKind.READ, event) for event in events), return_exceptions=True
    )
    assert [place for place, outcome in enumerate(outcomes) if isinstance(outcome, Exception)] == [10]
    assert isinstance(outcomes[10], ValueError)
    async with stores.read(scope) as read:
        assert await read.verify_journal() == (20, None)


async def test_a_cancelled_record_disturbs_nobody(stores: Stores, scope_of: ScopeOf) -> None:
    """Callers who leave while the group commits do not take it along."""
    tasks = [asyncio.create_task(stores.record(scope_of(), RunKind.READ, EVENT)) for _ in range(30)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, str) for outcome in outcomes[1::2])
    assert isinstance(await stores.record(scope_of(), RunKind.READ, EVENT), str)
    async with stores.read(scope_of()) as read:
        assert (await read.verify_journal())[1] is None


async def test_who_waits_for_an_action_is_woken_by_its_work(stores: Stores, scope_of: ScopeOf) -> None:
    """At once when a work recorded it, and not when it recorded another."""
    scope = scope_of()
    with (
        stores.signals.listen(None, {EVENT.action}) as mine,
        stores.signals.listen(scope.key, {"something.else"}) as other,
    ):
        async with stores.work(scope, RunKind.ADMIN) as work:
            work.record(EVENT)
        async with asyncio.timeout(10):
            await mine.wait(60)
        waiting = asyncio.create_task(other.wait(60))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        waiting.cancel()


async def test_a_read_has_no_way_to_write(stores: Stores, scope_of: ScopeOf) -> None:
    """The handle lacks the methods, and the connection below refuses."""
    assert {"write", "write_many", "record", "after", "keep_answer"} <= set(dir(Work))
    async with stores.read(scope_of()) as read:
        assert not {"write", "write_many", "record", "after", "keep_answer"} & set(dir(read))
        with pytest.raises(NexusError):
            await read.rows(ADD, subject="ada")
