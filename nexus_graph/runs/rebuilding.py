"""Proof that `journal_runs` is a projection: it equals what the entries of the journal add up to, or is made to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nexus_graph.scope.errors import Forbidden
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Role, Scope
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Read, Stores

MOST_FAULTS = 20
_PAGE = 1000
_FIELDS = (
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
_SUMS = (
    "with sums as (select run_id, count(*) as number, min(number) as lowest, max(number) as highest, "
    "min(seq) as first_seq, max(seq) as last_seq, max(case when ends is not null then seq end) as end_seq "
    "from journal_events where tenant_id = :tenant_id and env = :env and {} "
    "group by run_id order by run_id limit :most) "
    "select sums.*, opening.kind, opening.at as started_at, opening.actor_kind, opening.actor_id, opening.trace_id, "
    "coalesce(closing.ends, 'RUNNING') as status, closing.at as ended_at from sums "
    "join journal_events opening on opening.tenant_id = :tenant_id and opening.env = :env "
    "and opening.seq = sums.first_seq "
    "left join journal_events closing on closing.tenant_id = :tenant_id and closing.env = :env "
    "and closing.seq = sums.end_seq "
    "order by sums.run_id"
)
_NEXT = Statement(_SUMS.format("run_id > :after"))
_AGAIN = Statement(_SUMS.format("run_id in (:run_ids...)"))
_KEPT = Statement("select * from journal_runs where tenant_id = :tenant_id and env = :env and run_id in (:run_ids...)")
_EMPTY = Statement(
    "select run_id from journal_runs run where tenant_id = :tenant_id and env = :env and run_id > :after "
    "and not exists (select 1 from journal_events entry where entry.tenant_id = run.tenant_id "
    "and entry.env = run.env and entry.run_id = run.run_id) order by run_id limit :most"
)
_FORGET = Statement("delete from journal_runs where tenant_id = :tenant_id and env = :env and run_id = :run_id")
_PUT = Statement(
    "insert into journal_runs (tenant_id, env, run_id, kind, status, number, first_seq, last_seq, started_at, "
    "ended_at, actor_kind, actor_id, trace_id) values (:tenant_id, :env, :run_id, :kind, :status, :number, :first_seq, "
    ":last_seq, :started_at, :ended_at, :actor_kind, :actor_id, :trace_id)"
)
Looked = Callable[[int], None]
"""Told how many more runs were looked at."""


@dataclass(frozen=True, slots=True)
class RunFault:
    """A run that is not what its entries add up to, and how. `mendable`: its row is at fault, not its entries."""

    run_id: str
    reason: str
    mendable: bool


async def rebuild_check(
    stores: Stores, scope: Scope, *, repair: bool = False, looked: Looked | None = None
) -> tuple[int, tuple[RunFault, ...]]:
    """How many runs the entries of the scope tell of, and the first 20 faults of `journal_runs` against them.

    With `repair`, for the engine itself and where the chain of the entries holds, every faulty row is made anew from
    the entries. What is wrong with the entries stays so. Raises Forbidden.
    """
    if repair and scope.role is not Role.SYSTEM:
        raise Forbidden("Only the engine itself rebuilds runs.", hint="Use the command line.")
    runs, faults = 0, list[RunFault]()
    for statement in (_NEXT, _EMPTY):
        after: str | None = ""
        while after is not None:
            async with stores.read(scope) as read:
                rows = await read.rows(statement, after=after, most=_PAGE)
                found = await _faults(read, rows) if statement is _NEXT else [_without_entries(row) for row in rows]
            if repair and (mendable := [fault.run_id for fault in found if fault.mendable]):
                await _rebuild(stores, scope, mendable)
            if looked is not None:
                looked(len(rows))
            faults += found[: MOST_FAULTS - len(faults)]
            runs += len(rows) if statement is _NEXT else 0
            after = rows[-1]["run_id"] if rows else None
    return runs, tuple(faults)


async def _faults(read: Read, sums: Sequence[Row]) -> list[RunFault]:
    kept = {row["run_id"]: row for row in await read.rows(_KEPT, run_ids=[row["run_id"] for row in sums])}
    found = (_fault(row, kept.get(row["run_id"])) for row in sums)
    return [fault for fault in found if fault is not None]


def _without_entries(row: Row) -> RunFault:
    return RunFault(row["run_id"], "it has no entries", True)


async def _rebuild(stores: Stores, scope: Scope, run_ids: Sequence[str]) -> None:
    """Make the rows of these runs anew from their entries, as they are now; a run without entries is none."""
    async with stores.work(scope, RunKind.ADMIN) as work:
        sums = await work.rows(_AGAIN, run_ids=run_ids, most=len(run_ids))
        await work.write_many(_FORGET, [{"run_id": run_id} for run_id in run_ids])
        await work.write_many(_PUT, [{name: row[name] for name in ("run_id", *_FIELDS)} for row in sums])
        detail = redact({"output": {"runs": len(run_ids)}})
        work.record(Event("runs.rebuilt", "run", run_ids[0], detail, Handling((), train_ok=False)))


def _fault(summed: Row, kept: Row | None) -> RunFault | None:
    run_id = summed["run_id"]
    if (summed["lowest"], summed["highest"]) != (1, summed["number"]):
        return RunFault(run_id, "its entries are not numbered from 1 without gaps", False)
    if summed["end_seq"] not in (None, summed["last_seq"]):
        return RunFault(run_id, "entries follow its end", False)
    if kept is None:
        return RunFault(run_id, "its row is missing", True)
    wrong = [name for name in _FIELDS if summed[name] != kept[name]]
    return RunFault(run_id, f"its row differs in {', '.join(wrong)}", True) if wrong else None
