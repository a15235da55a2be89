"""`journal_runs` is a projection: whatever differs from the entries is found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from nexus_graph import runs
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
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
    async with stores.database.writing() as connection:
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
