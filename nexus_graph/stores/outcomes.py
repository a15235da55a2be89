"""Outcomes: what a follower told of its entries before it was stopped, so that a second time tells nothing twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nexus_graph.stores.follower import Entry
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Read

_RUNNING = Statement(
    "select run_id from journal_runs "
    "where tenant_id = :tenant_id and env = :env and status = 'RUNNING' and run_id in (:runs...)"
)
_TOLD = Statement(
    "select run_id, subject_id, max(seq) as seq from journal_events where tenant_id = :tenant_id and env = :env "
    "and run_id in (:runs...) and action in (:actions...) group by run_id, subject_id"
)


async def running(read: Read, run_ids: Sequence[str]) -> frozenset[str]:
    """Those of some runs that are not over."""
    return frozenset(row["run_id"] for row in await read.rows(_RUNNING, runs=run_ids))


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What the runs of some entries tell of them already, and which of these runs may be continued."""

    running: frozenset[str]
    told: Mapping[tuple[str, str], int]

    def run_of(self, entry: Entry) -> str | None:
        """The run that the outcome of an entry belongs to; None: a run of its own."""
        return entry.run_id if entry.run_id in self.running else None

    def is_told(self, entry: Entry) -> bool:
        """Whether the outcome of an entry stands in its run already: it came a second time."""
        return self.told.get((entry.run_id, entry.subject_id), 0) > entry.seq


async def outcomes(read: Read, entries: Sequence[Entry], actions: Sequence[str]) -> Outcomes:
    """The outcomes of entries, which are told as events of these actions on the same subject in the same run."""
    runs = [*dict.fromkeys(entry.run_id for entry in entries)]
    told = await read.rows(_TOLD, runs=runs, actions=actions)
    return Outcomes(await running(read, runs), {(row["run_id"], row["subject_id"]): row["seq"] for row in told})
