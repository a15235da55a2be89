"""The journal: no gap, no silent change, no double end."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from engines import behind
from side_process import SIDE, place_of

from nexus_graph.scope.errors import Conflict, NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.journal import Event, Fault, RunKind, RunStatus
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Stores

ScopeOf = Callable[..., Scope]
EVENT = Event("card.seen", "card", "card_1", redact({"input": {"n": 1}}), Handling(("email",), train_ok=True))
ALL = Statement("select * from journal_events where tenant_id = :tenant_id and env = :env order by seq")
RUN = Statement("select * from journal_runs where tenant_id = :tenant_id and env = :env and run_id = :run_id")


async def verified(stores: Stores, scope: Scope) -> tuple[int, Fault | None]:
    """How many entries hold, and the first fault."""
    async with stores.read(scope) as read:
        return await read.verify_journal()


async def tamper(stores: Stores, *statements: str) -> None:
    """Change the file behind the engine's back."""
    async with behind(stores) as connection:
        for sql in statements:
            await connection.rows(sql, {})


async def test_works_and_records_and_failures_at_once_leave_no_gap(stores: Stores, scope_of: ScopeOf) -> None:
    """200 concurrent works and records, a third of which fail: seq and each run's numbers are gapless, chains hold."""
    scopes, chance = [scope_of(), scope_of("t_globex"), scope_of(env=Env.PROD)], random.Random(3)  # noqa: S311

    async def deed(place: int) -> int:
        scope, kind = scopes[place % 3], place % 4
        if kind == 0:
            await stores.record(scope, RunKind.READ, EVENT)
            return 1
        count = chance.randrange(1, 4)
        async with stores.work(scope, RunKind.INGEST, run_id=f"run_{place % 5}") as work:
            for _ in range(count):
                work.record(replace(EVENT, ends=None))
            await asyncio.sleep(0)
            if kind == 1:
                raise ZeroDivisionError
        return count

    done = await asyncio.gather(*(deed(place) for place in range(200)), return_exceptions=True)
    total = 0
    for scope in scopes:
        async with stores.read(scope) as read:
            rows = await read.rows(ALL)
        assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
        for run_id in {row["run_id"] for row in rows}:
            numbers = [row["number"] for row in rows if row["run_id"] == run_id]
            assert numbers == list(range(1, len(numbers) + 1))
        assert await verified(stores, scope) == (len(rows), None)
        total += len(rows)
    assert sum(isinstance(outcome, ZeroDivisionError) for outcome in done) == 50
    assert total == sum(outcome for outcome in done if isinstance(outcome, int))


async def test_two_processes_share_one_gapless_chain(stores: Stores, scope_of: ScopeOf, tmp_path: Path) -> None:
    """A real second process writes into the same scope at the same time, in twelve rounds of both."""
    script, pipe = Path(__file__).parent / "second_writer.py", asyncio.subprocess.PIPE
    other = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        place_of(stores.database),
        str(tmp_path),
        "other",
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env=SIDE,
    )
    assert other.stdin is not None
    assert other.stdout is not None
    async with asyncio.timeout(60):
        for _ in range(12):
            other.stdin.write(b"go\n")
            for _ in range(5):
                async with stores.work(scope_of(), RunKind.INGEST) as work:
                    work.record(EVENT)
                await stores.record(scope_of(), RunKind.READ, EVENT)
            assert await other.stdout.readline() == b"done\n"
        other.stdin.close()
        _, errors = await other.communicate()
    assert other.returncode == 0, errors.decode()
    async with stores.read(scope_of()) as read:
        rows = await read.rows(ALL)
    actors = [row["actor_id"] for row in rows]
    assert (actors.count("other"), len(actors)) == (360, 480)
    assert sum(before != after for before, after in pairwise(actors)) >= 11
    assert await verified(stores, scope_of()) == (480, None)


COLUMNS = {
    "at": "at + 1",
    "run_id": "'run_else'",
    "number": "99",
    "kind": "'EXPORT'",
    "surface": "'else'",
    "actor_kind": "'else'",
    "actor_id": "'else'",
    "action": "'else'",
    "subject_kind": "'else'",
    "subject_id": "'else'",
    "severity": "'ERROR'",
    "payload": "'{}'",
    "pii_flags": "'[]'",
    "train_ok": "false",
    "ends": "null",
    "trace_id": "'else'",
    "request_id": "'else'",
    "salt": "'00'",
    "commitment": "'00'",
    "previous_hash": "'00'",
    "hash": "'00'",
}


async def test_the_list_of_columns_to_tamper_with_is_complete(stores: Stores, scope_of: ScopeOf) -> None:
    """Every column but the key is in the test below."""
    await stores.record(scope_of(), RunKind.READ, EVENT)
    async with stores.read(scope_of()) as read:
        row = await read.row(ALL)
    assert row is not None
    assert set(row.keys()) - {"tenant_id", "env", "seq"} == set(COLUMNS)


async def five(stores: Stores, scope: Scope) -> None:
    """Five entries, in this scope and beside it."""
    for _ in range(5):
        await stores.record(scope, RunKind.READ, EVENT)
    await stores.record(replace(scope, tenant_id="t_globex"), RunKind.READ, EVENT)


@pytest.mark.parametrize("column", COLUMNS)
async def test_a_changed_column_is_found_at_its_entry(stores: Stores, scope_of: ScopeOf, column: str) -> None:
    """Whatever is changed in entry 3, entry 3 is named; the neighbour's journal still holds."""
    await five(stores, scope_of())
    where = "where seq = 3 and tenant_id = 't_acme'"
    await tamper(stores, f"update journal_events set {column} = {COLUMNS[column]} {where}")  # noqa: S608
    count, fault = await verified(stores, scope_of())
    assert fault is not None
    assert (count, fault.seq) == (2, 3)
    assert await verified(stores, scope_of("t_globex")) == (1, None)


@pytest.mark.parametrize(
    ("sql", "seq"),
    [
        ("delete from journal_events where seq = 1", 1),
        ("delete from journal_events where seq = 3", 3),
        ("delete from journal_events where seq = 5", 5),
        ("delete from journal_events where seq >= 4", 4),
        ("delete from journal_heads", 6),
        ("delete from journal_events", 1),
        ("update journal_heads set seq = 4", 6),
        ("update journal_heads set hash = '00'", 6),
        ("update journal_events set seq = 9 where seq = 5", 5),
        ("update journal_events set payload = null where seq = 2", 2),
        ("update journal_events set salt = null where seq = 2", 2),
        ("update journal_events set at = 9223372036854775807 where seq = 2", 2),
        ("update journal_events set payload = x'ff00' where seq = 2", 2),
        ("update journal_events set salt = 5 where seq = 2", 2),
        ("update journal_events set pii_flags = 1.5 where seq = 4", 4),
    ],
)
async def test_what_is_removed_moved_or_broken_is_found(stores: Stores, scope_of: ScopeOf, sql: str, seq: int) -> None:
    """Removed entries (the last too), half an erasure, and values that were never written: the first bad seq."""
    await five(stores, scope_of())
    scoped = f"{sql} and tenant_id = 't_acme'" if "where" in sql else f"{sql} where tenant_id = 't_acme'"
    await tamper(stores, scoped)
    _, fault = await verified(stores, scope_of())
    assert fault is not None
    assert fault.seq == seq
    assert await verified(stores, scope_of("t_globex")) == (1, None)


async def test_two_entries_that_change_places_are_found(stores: Stores, scope_of: ScopeOf) -> None:
    """Swapped entries break the chain at the first of them."""
    await five(stores, scope_of())
    where = "and tenant_id = 't_acme'"
    swaps = ((2, -2), (4, 2), (-2, 4))
    await tamper(stores, *(f"update journal_events set seq = {b} where seq = {a} {where}" for a, b in swaps))  # noqa: S608
    _, fault = await verified(stores, scope_of())
    assert fault is not None
    assert fault.seq == 2


async def test_an_erased_entry_still_verifies(stores: Stores, scope_of: ScopeOf) -> None:
    """Without payload and salt the chain holds, and says nothing of who did what."""
    await five(stores, scope_of())
    await tamper(
        stores,
        "update journal_events set payload = null, salt = null, actor_id = '', subject_id = '', pii_flags = '[]' "
        "where seq in (2, 5)",
    )
    assert await verified(stores, scope_of()) == (5, None)


async def test_more_entries_than_a_page_verify(stores: Stores, scope_of: ScopeOf) -> None:
    """The walk crosses pages of a thousand, and finds a fault on the second."""
    async with stores.work(scope_of(), RunKind.INGEST) as work:
        for _ in range(2001):
            work.record(EVENT)
    assert await verified(stores, scope_of()) == (2001, None)
    await tamper(stores, "update journal_events set action = 'else' where seq = 1001")
    _, fault = await verified(stores, scope_of())
    assert fault is not None
    assert fault.seq == 1001


async def test_two_equal_events_have_different_commitments(stores: Stores, scope_of: ScopeOf) -> None:
    """The salt keeps a commitment from being guessed by comparison."""
    await five(stores, scope_of())
    async with stores.read(scope_of()) as read:
        rows = await read.rows(ALL)
    assert len({row["commitment"] for row in rows}) == 5


async def test_one_end_told_by_the_last_entry(stores: Stores, scope_of: ScopeOf) -> None:
    """Several events of one work end the run once, with its last entry, even when it is the same event twice."""
    async with stores.work(scope_of(), RunKind.INGEST, run_id="run_1") as work:
        for event in (EVENT, replace(EVENT, ends=RunStatus.FAILED), replace(EVENT, ends=None)):
            work.record(event)
    async with stores.work(scope_of(), RunKind.INGEST, run_id="run_2") as work:
        work.record(EVENT)
        work.record(EVENT)
    async with stores.read(scope_of()) as read:
        rows = await read.rows(ALL)
    assert [row["ends"] for row in rows] == [None, None, "FAILED", None, "SUCCEEDED"]


async def test_nothing_follows_an_end(stores: Stores, scope_of: ScopeOf) -> None:
    """An entry for a run that has ended is a Conflict and leaves no gap in seq."""
    for run_id in ("run_1", None):
        async with stores.work(scope_of(), RunKind.INGEST, run_id=run_id) as work:
            work.record(EVENT)
        with pytest.raises(Conflict):
            async with stores.work(scope_of(), RunKind.INDEX, run_id="run_1") as work:
                work.record(EVENT)
    assert await verified(stores, scope_of()) == (2, None)


async def test_a_named_run_must_be_ones_own_and_open(stores: Stores, scope_of: ScopeOf) -> None:
    """Unknown, somebody else's, another tenant's and ended runs are all 'no such open run', by work and by record."""
    async with stores.work(scope_of(who="ada"), RunKind.RESEARCH, run_id="run_1") as work:
        work.record(replace(EVENT, ends=None))
    async with stores.work(scope_of(who="ada"), RunKind.RESEARCH, run_id="run_2") as work:
        work.record(EVENT)
    strangers = [
        replace(scope_of(who="ada"), run_id="run_3"),
        replace(scope_of(who="bob"), run_id="run_1"),
        replace(scope_of(role=Role.AGENT, who="ada"), run_id="run_1"),
        replace(scope_of("t_globex", who="ada"), run_id="run_1"),
        replace(scope_of(env=Env.PROD, who="ada"), run_id="run_1"),
        replace(scope_of(who="ada"), run_id="run_2"),
    ]
    for scope in strangers:
        with pytest.raises(NotFound, match="No such open run here"):
            async with stores.work(scope, RunKind.INGEST) as work:
                work.record(EVENT)
        with pytest.raises(NotFound, match="No such open run here"):
            await stores.record(scope, RunKind.READ, EVENT)
    await stores.record(replace(scope_of(who="ada"), run_id="run_1"), RunKind.READ, EVENT)
    async with stores.read(scope_of()) as read:
        row = await read.row(RUN, run_id="run_1")
    assert row is not None
    assert (row["status"], row["number"]) == (RunStatus.RUNNING, 2)  # a read in it does not end it
    assert await verified(stores, scope_of()) == (3, None)
