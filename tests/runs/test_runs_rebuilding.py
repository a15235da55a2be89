"""`journal_runs` is a projection: whatever differs from the entries is found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from engines import behind

from nexus_graph import runs
from nexus_graph.scope.errors import Forbidden
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.journal import Event, RunKind, RunStatus
from nexus_graph.stores.work import Stores

ScopeOf = Callable[..., Scope]
FIELDS = (
    "kind",
    "status",
    "number",
    "first_seq",
    "last_seq",
    "started_at",
    "ended_at",
    "actor_kind",
    "actor_id",
    "trace_id",
)


async def story(stores: Stores, scope: Scope) -> None:
    """Four runs: of one entry, of several works, still open, and one whose end is told by an event before the last."""
    seen = Event("card.seen", "card", "c", redact({}), Handling((), train_ok=False), ends=None)
    done = Event("card.done", "card", "c", redact({}), Handling((), train_ok=False), ends=RunStatus.FAILED)
    await stores.record(scope, RunKind.READ, done)
    for events in ([seen], [seen, seen], [seen, done, seen]):
        async with stores.work(scope, RunKind.PUBLISH, run_id="run_a") as work:
            for event in events:
                work.record(event)
    async with stores.work(scope, RunKind.INGEST, run_id="run_b") as work:
        work.record(seen)


async def tamper(stores: Stores, sql: str) -> None:
    """Change the file behind the engine's back."""
    async with behind(stores) as connection:
        await connection.rows(sql, {})


async def test_runs_equal_their_entries(stores: Stores, scope_of: ScopeOf) -> None:
    """What the engine writes adds up, in each scope by itself."""
    await story(stores, scope_of())
    await story(stores, scope_of("t_globex"))
    assert await runs.rebuild_check(stores, scope_of()) == (3, ())


@pytest.mark.parametrize("field", FIELDS)
async def test_each_field_that_differs_is_named(stores: Stores, scope_of: ScopeOf, field: str) -> None:
    """A tampered field of a run's row is found, and only in its own scope."""
    await story(stores, scope_of())
    await story(stores, scope_of("t_globex"))
    await tamper(stores, f"update journal_runs set {field} = 77 where run_id = 'run_a' and tenant_id = 't_acme'")  # noqa: S608
    count, faults = await runs.rebuild_check(stores, scope_of())
    assert [(fault.run_id, fault.reason) for fault in faults] == [("run_a", f"its row differs in {field}")]
    assert count == 3
    assert (await runs.rebuild_check(stores, scope_of("t_globex")))[1] == ()


@pytest.mark.parametrize(
    ("sql", "run_id", "reason"),
    [
        ("delete from journal_runs where run_id = 'run_a'", "run_a", "its row is missing"),
        ("delete from journal_events where run_id = 'run_b'", "run_b", "it has no entries"),
        (
            "delete from journal_events where run_id = 'run_a' and number = 2",
            "run_a",
            "its entries are not numbered from 1 without gaps",
        ),
        ("update journal_events set ends = 'FAILED' where run_id = 'run_a' and number = 3", "run_a", None),
        (
            "update journal_events set ends = null where run_id = 'run_a'",
            "run_a",
            "its row differs in status, ended_at",
        ),
        (
            "update journal_events set ends = case number when 3 then 'FAILED' end where run_id = 'run_a'",
            "run_a",
            "entries follow its end",
        ),
    ],
)
async def test_missing_and_moved_entries_are_found(
    stores: Stores, scope_of: ScopeOf, sql: str, run_id: str, reason: str | None
) -> None:
    """Rows without entries, entries without a row, gaps, a wrong end; a second, earlier end is the chain's to find."""
    await story(stores, scope_of())
    await tamper(stores, sql)
    _, faults = await runs.rebuild_check(stores, scope_of())
    assert [(fault.run_id, fault.reason) for fault in faults] == ([(run_id, reason)] if reason else [])


async def test_many_runs_are_checked_page_by_page(stores: Stores, scope_of: ScopeOf) -> None:
    """More runs than one page are all counted, and a fault on the second page is found."""
    scope = scope_of()
    seen = Event("card.seen", "card", "c", redact({}), Handling((), train_ok=False))
    for group in range(11):
        await asyncio.gather(*(stores.record(scope, RunKind.READ, seen) for _ in range(100 if group < 10 else 5)))
    last = "(select max(run_id) from journal_runs)"
    await tamper(stores, f"update journal_runs set number = 9 where run_id = {last}")  # noqa: S608
    count, faults = await runs.rebuild_check(stores, scope)
    assert count == 1005
    assert len(faults) == 1


RUNS = "select * from journal_runs where kind <> 'ADMIN' order by tenant_id, run_id"


async def kept(stores: Stores) -> list[dict[str, object]]:
    """The rows of all runs but those of the engine's own repairs."""
    async with behind(stores) as connection:
        return [dict(row) for row in await connection.rows(RUNS, {})]


@pytest.mark.parametrize(
    "sql",
    [
        *(f"update journal_runs set {field} = 77 where tenant_id = 't_acme'" for field in FIELDS),  # noqa: S608
        "delete from journal_runs where tenant_id = 't_acme'",
        "update journal_runs set run_id = 'run_unknown' where tenant_id = 't_acme' and run_id = 'run_a'",
    ],
)
async def test_rows_are_rebuilt_from_the_entries(stores: Stores, scope_of: ScopeOf, sql: str) -> None:
    """After the repair every row is what it was, the journal tells of it, and what is right is left alone."""
    engine = Scope.system("t_acme", Env.DEV, "check")
    await story(stores, scope_of())
    await story(stores, scope_of("t_globex"))
    before = await kept(stores)
    await runs.rebuild_check(stores, engine, repair=True)
    assert await kept(stores) == before
    await tamper(stores, sql)
    assert (await runs.rebuild_check(stores, engine, repair=True))[1] != ()
    assert await kept(stores) == before
    assert (await runs.rebuild_check(stores, engine))[1] == ()
    async with behind(stores) as connection:
        told = await connection.rows("select * from journal_events where action = 'runs.rebuilt'", {})
    assert {(row["tenant_id"], row["actor_id"]) for row in told} == {("t_acme", "check")}


async def test_what_is_wrong_with_entries_is_not_papered_over(stores: Stores, scope_of: ScopeOf) -> None:
    """A row whose run lacks entries is left as it is: it may be the last to tell of them."""
    await story(stores, scope_of())
    await tamper(stores, "delete from journal_events where run_id = 'run_a' and number = 2")
    before = await kept(stores)
    engine = Scope.system("t_acme", Env.DEV, "check")
    assert len((await runs.rebuild_check(stores, engine, repair=True))[1]) == 1
    assert len((await runs.rebuild_check(stores, engine, repair=True))[1]) == 1
    assert await kept(stores) == before


async def test_more_faults_than_are_told_are_all_mended(stores: Stores, scope_of: ScopeOf) -> None:
    """Faults are told up to 20; the repair does not stop there, and the next look finds none."""
    seen = Event("card.seen", "card", "c", redact({}), Handling((), train_ok=False))
    await asyncio.gather(*(stores.record(scope_of(), RunKind.READ, seen) for _ in range(30)))
    await tamper(stores, "update journal_runs set number = 9")
    engine = Scope.system("t_acme", Env.DEV, "check")
    looked: list[int] = []
    found = await runs.rebuild_check(stores, engine, repair=True, looked=looked.append)
    assert (len(found[1]), sum(looked)) == (20, found[0])
    assert (await runs.rebuild_check(stores, engine))[1] == ()


async def test_only_the_engine_rebuilds(stores: Stores, scope_of: ScopeOf) -> None:
    """An owner can look, and mend nothing."""
    with pytest.raises(Forbidden):
        await runs.rebuild_check(stores, scope_of(), repair=True)
