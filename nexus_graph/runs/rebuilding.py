"""Proof that `journal_runs` is a projection: it equals what the entries of the journal add up to."""

from __future__ import annotations

from dataclasses import dataclass

from nexus_graph.scope.scope import Scope
from nexus_graph.stores.database import Row
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Stores

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
_SUMS = Statement(
    "with sums as (select run_id, count(*) as number, min(number) as lowest, max(number) as highest, "
    "min(seq) as first_seq, max(seq) as last_seq, max(case when ends is not null then seq end) as end_seq "
    "from journal_events where tenant_id = :tenant_id and env = :env and run_id > :after "
    "group by run_id order by run_id limit :most) "
    "select sums.*, opening.kind, opening.at as started_at, opening.actor_kind, opening.actor_id, opening.trace_id, "
    "coalesce(closing.ends, 'RUNNING') as status, closing.at as ended_at from sums "
    "join journal_events opening on opening.tenant_id = :tenant_id and opening.env = :env "
    "and opening.seq = sums.first_seq "
    "left join journal_events closing on closing.tenant_id = :tenant_id and closing.env = :env "
    "and closing.seq = sums.end_seq "
    "order by sums.run_id"
)
_KEPT = Statement("select * from journal_runs where tenant_id = :tenant_id and env = :env and run_id in (:run_ids...)")
_EMPTY = Statement(
    "select run_id from journal_runs run where tenant_id = :tenant_id and env = :env and not exists "
    "(select 1 from journal_events entry where entry.tenant_id = run.tenant_id and entry.env = run.env "
    "and entry.run_id = run.run_id) order by run_id limit :most"
)


@dataclass(frozen=True, slots=True)
class RunFault:
    """A run that is not what its entries add up to, and how."""

    run_id: str
    reason: str


async def rebuild_check(stores: Stores, scope: Scope) -> tuple[int, tuple[RunFault, ...]]:
    """How many runs the entries of the scope tell of, and the first 20 faults of `journal_runs` against them."""
    runs, after, faults = 0, "", list[RunFault]()
    async with stores.read(scope) as read:
        while rows := await read.rows(_SUMS, after=after, most=_PAGE):
            kept = {row["run_id"]: row for row in await read.rows(_KEPT, run_ids=[row["run_id"] for row in rows])}
            for row in rows:
                if reason := _fault(row, kept.get(row["run_id"])):
                    faults.append(RunFault(row["run_id"], reason))
            runs, after = runs + len(rows), rows[-1]["run_id"]
        empty = await read.rows(_EMPTY, most=MOST_FAULTS)
    faults += (RunFault(row["run_id"], "it has no entries") for row in empty)
    return runs, tuple(faults[:MOST_FAULTS])


def _fault(summed: Row, kept: Row | None) -> str | None:
    if (summed["lowest"], summed["highest"]) != (1, summed["number"]):
        return "its entries are not numbered from 1 without gaps"
    if summed["end_seq"] not in (None, summed["last_seq"]):
        return "entries follow its end"
    if kept is None:
        return "its row is missing"
    wrong = [name for name in _FIELDS if summed[name] != kept[name]]
    return f"its row differs in {', '.join(wrong)}" if wrong else None
