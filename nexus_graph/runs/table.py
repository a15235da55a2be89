"""The SQL of the views over `journal_events` and `journal_runs`, whose rows `stores.journal` declares."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import orjson

from nexus_graph.runs.model import AuditFilter, Run, RunFilter
from nexus_graph.scope.clock import micros, moment
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.journal import RunKind, RunStatus
from nexus_graph.stores.statement import Statement, Value

Values = dict[str, Value | Sequence[Value]]
Conditions = tuple[str, Values]

RUNS = (
    "select run.*, opening.payload as opening from journal_runs run left join journal_events opening "
    "on opening.tenant_id = run.tenant_id and opening.env = run.env and opening.run_id = run.run_id "
    "and opening.number = 1 and opening.action = 'run.opened' "
    "where run.tenant_id = :tenant_id and run.env = :env"
)
_WITH_ENTRIES = (
    "from journal_runs run join journal_events entry on entry.tenant_id = run.tenant_id and entry.env = run.env "
    "and entry.run_id = run.run_id "
    "where run.tenant_id = :tenant_id and run.env = :env and run.run_id in (:run_ids...)"
)
LOG = "select * from journal_events where tenant_id = :tenant_id and env = :env and run_id = :run_id"
AUDIT = "select * from journal_events where tenant_id = :tenant_id and env = :env"
LATER = Statement(f"{LOG} and number > :after order by number limit :most")
ENTRY = Statement(f"{LOG} and number = :number")
HEAD = Statement("select seq from journal_heads where tenant_id = :tenant_id and env = :env")


def visible(scope: Scope) -> Conditions:
    """The condition on `run` that leaves what the scope may see: every run, or its principal's own."""
    if scope.may(Permission.RUNS_READ_ALL):
        return "", {}
    own: Values = {"own_kind": scope.principal.kind.value, "own_id": scope.principal.id}
    return " and run.actor_kind = :own_kind and run.actor_id = :own_id", own


def run_conditions(chosen: RunFilter) -> Conditions:
    """The condition on `run` that a filter means."""
    sql, values = _times("run.started_at", chosen.started_from, chosen.started_to)
    if chosen.kinds:
        sql += " and run.kind in (:kinds...)"
        values["kinds"] = [kind.value for kind in chosen.kinds]
    if chosen.statuses:
        sql += " and run.status in (:statuses...)"
        values["statuses"] = [status.value for status in chosen.statuses]
    return sql, values


def audit_conditions(chosen: AuditFilter) -> Conditions:
    """The condition on an event that a filter means."""
    sql, values = _times("at", chosen.at_from, chosen.at_to)
    if chosen.actions:
        sql += " and action in (:actions...)"
        values["actions"] = chosen.actions
    if chosen.actor is not None:
        sql += " and actor_id = :actor"
        values["actor"] = chosen.actor
    if chosen.subject is not None:
        sql += " and subject_id = :subject"
        values["subject"] = chosen.subject
    return sql, values


def find_runs(scope: Scope) -> tuple[Statement, Values]:
    """Visible runs by `run_ids`."""
    condition, values = visible(scope)
    return Statement(f"{RUNS} and run.run_id in (:run_ids...){condition}"), values


def count_actions(scope: Scope) -> tuple[Statement, Values]:
    """Entries by action, of visible runs by `run_ids`."""
    condition, values = visible(scope)
    select = "select run.run_id, entry.action, count(*) as entries"
    group = "group by run.run_id, entry.action order by run.run_id, entry.action"
    return Statement(f"{select} {_WITH_ENTRIES}{condition} {group}"), values


def first_subjects(scope: Scope) -> tuple[Statement, Values]:
    """Run and subject of the entries up to number `most`, of visible runs by `run_ids`; not the runs themselves."""
    condition, values = visible(scope)
    select = "select run.run_id, entry.subject_kind, entry.subject_id"
    rest = "and entry.number <= :most and entry.subject_kind <> 'run' order by run.run_id, entry.number"
    return Statement(f"{select} {_WITH_ENTRIES}{condition} {rest}"), values


def run(row: Row) -> Run:
    """The run in a row of `RUNS`."""
    ended = row["ended_at"]
    return Run(
        run_id=row["run_id"],
        kind=RunKind(row["kind"]),
        status=RunStatus(row["status"]),
        title=_title(row["opening"]),
        started_at=moment(row["started_at"]),
        ended_at=None if ended is None else moment(ended),
        entries=row["number"],
        first_seq=row["first_seq"],
        last_seq=row["last_seq"],
        actor_kind=row["actor_kind"],
        actor_id=row["actor_id"],
        trace_id=row["trace_id"],
    )


def _title(opening: str | None) -> str | None:
    if opening is None:
        return None
    title: str = orjson.loads(opening)["input"]["title"]
    return title


def _times(column: str, start: datetime | None, end: datetime | None) -> Conditions:
    sql, values = "", Values()
    if start is not None:
        sql += f" and {column} >= :start"
        values["start"] = micros(start)
    if end is not None:
        sql += f" and {column} < :end"
        values["end"] = micros(end)
    return sql, values
