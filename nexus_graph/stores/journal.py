"""The journal: one gapless, hash-chained sequence of events for each tenant and env.

An event is appended as the last statements of the transaction that it tells of. `seq` comes from one counter row that
is taken last, so its order is commit order without gaps. Each entry of a run also has a gapless `number` in that run.
`journal_runs` holds what the entries of a run add up to; it can be rebuilt from them at any time and `check` compares.

The chain: an entry's hash covers the hash before it, its public parts and a salted commitment to the rest: actor,
subject, payload, labels. Erasing those with their salt leaves a chain that still verifies and tells nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nexus_graph.scope.canonical import canonical, digest, sha256
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import Redacted
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.database.base import Connection, Row
from nexus_graph.stores.statement import Statement


class RunKind(StrEnum):
    """What a run is about."""

    INGEST = "INGEST"
    DERIVE = "DERIVE"
    PUBLISH = "PUBLISH"
    INDEX = "INDEX"
    SEARCH = "SEARCH"
    PACK = "PACK"
    EXPORT = "EXPORT"
    ERASE = "ERASE"
    RESEARCH = "RESEARCH"
    SESSION = "SESSION"
    READ = "READ"
    ADMIN = "ADMIN"


class RunStatus(StrEnum):
    """How far a run is."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    REFUSED = "REFUSED"


class Severity(StrEnum):
    """How much attention an entry deserves."""

    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, in the past tense. `ends` closes its run with that status; None leaves the run open."""

    action: str
    subject_kind: str
    subject_id: str
    payload: Redacted
    handling: Handling
    severity: Severity = Severity.INFO
    ends: RunStatus | None = RunStatus.SUCCEEDED


_COMMITTED = ("actor_kind", "actor_id", "subject_kind", "subject_id", "payload", "pii_flags", "train_ok")
_CHAINED = (
    "seq",
    "at",
    "action",
    "severity",
    "run_id",
    "number",
    "kind",
    "surface",
    "ends",
    "trace_id",
    "request_id",
    "commitment",
)


def commitment(salt: str, row: Mapping[str, Any]) -> str:
    """What a leaf reveals of who did what to whom: nothing, without the salt."""
    content = {name: row[name] for name in _COMMITTED} | {"train_ok": bool(row["train_ok"])}
    return sha256(salt.encode() + canonical(content))


def genesis(scope: Scope) -> str:
    """The hash before the first entry. It names tenant and env, so that no journal passes for another's."""
    return digest([scope.tenant_id, scope.env.value])


def link(previous: str, row: Mapping[str, Any]) -> str:
    """The hash of an entry, from the hash before it and its own public parts."""
    return digest({"previous": previous, **{name: row[name] for name in _CHAINED}})


@dataclass(frozen=True, slots=True)
class Fault:
    """The first entry at which a chain does not hold, and why."""

    seq: int
    reason: str


_PAGE = Statement(
    "select * from journal_events where tenant_id = :tenant_id and env = :env and seq > :after order by seq limit 1000"
)
_HEAD = Statement("select seq, hash from journal_heads where tenant_id = :tenant_id and env = :env")


async def walk(connection: Connection, scope: Scope) -> tuple[int, str, Fault | None]:
    """Walk the entries of the scope, whatever its head says. Returns how many hold, the last hash, the first fault."""
    seq, previous = 0, genesis(scope)
    while rows := await connection.rows(*_PAGE.within(scope, after=seq)):
        for row in rows:
            if fault := _fault(row, seq + 1, previous):
                return seq, previous, Fault(seq + 1, fault)
            seq, previous = row["seq"], row["hash"]
    return seq, previous, None


async def verify(connection: Connection, scope: Scope) -> tuple[int, Fault | None]:
    """Walk the whole chain of the scope. Returns how many entries hold, and the first fault if there is one."""
    seq, previous, fault = await walk(connection, scope)
    if fault is not None:
        return seq, fault
    heads = await connection.rows(*_HEAD.within(scope))
    if (heads[0]["seq"], heads[0]["hash"]) != (seq, previous) if heads else seq:
        return seq, Fault(seq + 1, "the entries end before the chain does")
    return seq, None


def _fault(row: Row, seq: int, previous: str) -> str | None:
    if row["seq"] != seq:
        return f"entry {seq} is missing; the next one is {row['seq']}"
    values = dict(row)
    try:
        if row["previous_hash"] != previous or link(previous, values) != row["hash"]:
            return "the hash does not follow from the entry before it"
        if row["salt"] is None and row["payload"] is None:  # erased, both at once
            return None
        if row["salt"] is None or row["payload"] is None or commitment(row["salt"], values) != row["commitment"]:
            return "the actor, subject, payload or labels are not what was committed to"
    except (ValueError, TypeError, AttributeError):
        return "a column holds what was never written there"
    return None
