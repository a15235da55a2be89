"""How entries come into a journal: at its head, in order, in the transaction that they tell of.

Inside a work the head is taken first, and what is told of it sent together. What tells of no row, and begins a run of
its own, needs no look at the head by a process that knows it: the statements name the head that they continue, and do
nothing where the journal has gone on (`continued`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from nexus_graph.scope.canonical import canonical
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import Conflict, NotFound
from nexus_graph.scope.redaction import RULESET
from nexus_graph.scope.scope import Scope
from nexus_graph.stores import rulesets
from nexus_graph.stores.database.base import Bound, Connection
from nexus_graph.stores.journal import Event, RunKind, RunStatus, commitment, genesis, link
from nexus_graph.stores.statement import Statement


@dataclass(frozen=True, slots=True)
class ChainHead:
    """Where a journal ends: the last `seq` and its hash."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An event that begins a run of its own, and who tells it."""

    scope: Scope
    kind: RunKind
    run_id: str
    event: Event


_TAKE = Statement(
    "insert into journal_heads (tenant_id, env, seq, hash, moved_at) "
    "values (:tenant_id, :env, :count, :genesis, :now) on conflict (tenant_id, env) do update "
    "set seq = journal_heads.seq + :count, moved_at = :now returning seq, hash"
)
_MOVE = Statement(
    "update journal_heads set seq = :seq, hash = :hash, moved_at = :now "
    "where tenant_id = :tenant_id and env = :env and seq = :expected_seq and hash = :expected_hash"
)
_CLOSE_CHAIN = Statement("update journal_heads set hash = :hash where tenant_id = :tenant_id and env = :env")
_COUNT_RUN = Statement(
    "insert into journal_runs (tenant_id, env, run_id, kind, status, number, first_seq, last_seq, started_at, "
    "ended_at, actor_kind, actor_id, trace_id) values (:tenant_id, :env, :run_id, :kind, :status, :count, :first_seq, "
    ":last_seq, :now, :ended_at, :actor_kind, :actor_id, :trace_id) "
    "on conflict (tenant_id, env, run_id) do update set number = journal_runs.number + :count, last_seq = :last_seq, "
    "status = case when journal_runs.kind = 'RESEARCH' and :kind <> 'RESEARCH' then 'RUNNING' else :status end, "
    "ended_at = case when journal_runs.kind = 'RESEARCH' and :kind <> 'RESEARCH' then null else :ended_at end "
    "where journal_runs.status = 'RUNNING' returning number, status"
)
_IF_MOVED: Final = (
    "where exists (select 1 from journal_heads where tenant_id = :tenant_id and env = :env and hash = :head)"
)
_BEGIN_RUN = Statement(
    "insert into journal_runs (tenant_id, env, run_id, kind, status, number, first_seq, last_seq, started_at, "
    "ended_at, actor_kind, actor_id, trace_id) select :tenant_id, :env, :run_id, :kind, :status, :count, :first_seq, "
    f":last_seq, :now, :ended_at, :actor_kind, :actor_id, :trace_id {_IF_MOVED}"
)
_RUN = Statement(
    "select status, actor_kind, actor_id from journal_runs "
    "where tenant_id = :tenant_id and env = :env and run_id = :run_id"
)
_INSERT = Statement(
    "insert into journal_events (tenant_id, env, seq, at, run_id, number, kind, surface, actor_kind, actor_id, action, "
    "subject_kind, subject_id, severity, payload, pii_flags, train_ok, ends, trace_id, request_id, salt, commitment, "
    "previous_hash, hash) select :tenant_id, :env, :seq, :at, :run_id, :number, :kind, :surface, :actor_kind, "
    ":actor_id, :action, :subject_kind, :subject_id, :severity, :payload, :pii_flags, :train_ok, :ends, :trace_id, "
    f":request_id, :salt, :commitment, :previous_hash, :hash {_IF_MOVED}"
)


async def append(
    connection: Connection,
    scope: Scope,
    run_id: str,
    kind: RunKind,
    events: Sequence[Event],
    now: datetime,
    new_salt: Callable[[], str],
    *,
    begins: bool = False,
) -> ChainHead:
    """Append events to the scope's journal, in order, inside the open transaction. Returns where it ends now.

    `ends` of the last event that has one ends the run, with the last entry. A run of kind RESEARCH belongs to who
    opened it: only kind RESEARCH ends it. `begins` promises that the run has no entry yet. Raises NotFound when the
    scope names a run that isn't an open run of its own principal, Conflict when `run_id` has ended: nothing follows an
    end.
    """
    named = scope.run_id is not None and run_id == scope.run_id
    if named:
        await _own_open_run(connection, scope, run_id)
    (head,) = await connection.rows(*_TAKE.within(scope, count=len(events), genesis=genesis(scope), now=micros(now)))
    first_seq, previous = head["seq"] - len(events) + 1, head["hash"]
    statements = [rulesets.BEGIN.within(scope, ruleset=RULESET)] if first_seq == 1 else []
    ends = None if named and kind is not RunKind.RESEARCH else _ends(events)
    counted = _counted(scope, run_id, kind, ends, len(events), head["seq"], now)
    if begins:
        first_number, status = 1, counted["status"]
    elif found := await connection.rows(*_COUNT_RUN.within(scope, **counted)):
        first_number, status = found[0]["number"] - len(events) + 1, found[0]["status"]
    else:
        raise Conflict("The run has ended and takes no more entries.", hint="Open another run.")
    rows = []
    for position, event in enumerate(events):
        row = _row(scope, event, run_id, now, first_seq + position, first_number + position, kind, new_salt())
        row["ends"] = status if position == len(events) - 1 and status != RunStatus.RUNNING else None
        previous = _chain(row, previous)
        rows.append(row)
    statements.append(_CLOSE_CHAIN.within(scope, hash=previous))
    if begins:
        statements.append(_BEGIN_RUN.within(scope, head=previous, **counted))
    statements += [_INSERT.within(scope, head=previous, **row) for row in rows]
    await connection.batch(statements)
    return ChainHead(int(head["seq"]), previous)


def continued(
    head: ChainHead, entries: Sequence[Entry], now: datetime, new_salt: Callable[[], str]
) -> tuple[list[Bound], ChainHead]:
    """What appends entries of one tenant and env right after `head`, and where the journal ends then.

    The last statement changes a row if the journal ended at `head`; otherwise none of them changes anything.
    """
    scope, previous = entries[0].scope, head.hash
    rows = []
    for position, entry in enumerate(entries):
        row = _row(entry.scope, entry.event, entry.run_id, now, head.seq + 1 + position, 1, entry.kind, new_salt())
        row["ends"] = None if entry.event.ends is None else entry.event.ends.value
        previous = _chain(row, previous)
        rows.append(row)
    end = ChainHead(head.seq + len(entries), previous)
    expected: dict[str, Any] = {"expected_seq": head.seq, "expected_hash": head.hash}
    statements = [_MOVE.within(scope, seq=end.seq, hash=end.hash, now=micros(now), **expected)]
    for entry, row in zip(entries, rows, strict=True):
        counted = _counted(entry.scope, entry.run_id, entry.kind, entry.event.ends, 1, row["seq"], now)
        statements.append(_BEGIN_RUN.within(scope, head=end.hash, **counted))
        statements.append(_INSERT.within(scope, head=end.hash, **row))
    return statements, end


def _ends(events: Sequence[Event]) -> RunStatus | None:
    return next((event.ends for event in reversed(events) if event.ends), None)


def _counted(
    scope: Scope, run_id: str, kind: RunKind, ends: RunStatus | None, count: int, last_seq: int, now: datetime
) -> dict[str, Any]:
    """What entries add to the run's row, which the first of them makes."""
    return {
        "run_id": run_id,
        "kind": kind.value,
        "status": (ends or RunStatus.RUNNING).value,
        "count": count,
        "first_seq": last_seq - count + 1,
        "last_seq": last_seq,
        "now": micros(now),
        "ended_at": micros(now) if ends else None,
        "actor_kind": scope.principal.kind.value,
        "actor_id": scope.principal.id,
        "trace_id": scope.trace_id,
    }


def _chain(row: dict[str, Any], previous: str) -> str:
    """Chain an entry to the hash before it; its own."""
    row["previous_hash"] = previous
    row["hash"] = link(previous, row)
    return str(row["hash"])


async def _own_open_run(connection: Connection, scope: Scope, run_id: str) -> None:
    rows = await connection.rows(*_RUN.within(scope, run_id=run_id))
    owner = (scope.principal.kind.value, scope.principal.id)
    if not rows or rows[0]["status"] != RunStatus.RUNNING or (rows[0]["actor_kind"], rows[0]["actor_id"]) != owner:
        raise NotFound("open run")


def _row(
    scope: Scope, event: Event, run_id: str, now: datetime, seq: int, number: int, kind: RunKind, salt: str
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "seq": seq,
        "at": micros(now),
        "run_id": run_id,
        "number": number,
        "kind": kind.value,
        "surface": scope.surface.value,
        "actor_kind": scope.principal.kind.value,
        "actor_id": scope.principal.id,
        "action": event.action,
        "subject_kind": event.subject_kind,
        "subject_id": event.subject_id,
        "severity": event.severity.value,
        "payload": canonical(event.payload.value).decode(),
        "pii_flags": canonical([*event.handling.pii_flags]).decode(),
        "train_ok": event.handling.train_ok,
        "trace_id": scope.trace_id,
        "request_id": scope.request_id,
        "salt": salt,
    }
    row["commitment"] = commitment(salt, row)
    return row
