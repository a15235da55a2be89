"""The stores' own rows, declared: a part of the schema of record."""

from __future__ import annotations

from sqlalchemy import Index
from sqlmodel import Field

from nexus_graph.stores.tables import ScopedRow


class CheckpointRow(ScopedRow, table=True):
    """How far a follower has come in one scope."""

    __tablename__ = "follower_checkpoints"
    follower: str = Field(primary_key=True)
    seq: int


class JournalHeadRow(ScopedRow, table=True):
    """The counter and the end of the chain. `moved_at` is when it grew last, in microseconds."""

    __tablename__ = "journal_heads"
    seq: int
    hash: str
    moved_at: int


class JournalEventRow(ScopedRow, table=True):
    """One event. `payload` and `salt` are null once erased."""

    __tablename__ = "journal_events"
    __table_args__ = (
        Index("journal_events_by_run", "tenant_id", "env", "run_id", "number", unique=True),
        Index("journal_events_by_action", "tenant_id", "env", "action", "seq"),
    )
    seq: int = Field(primary_key=True)
    at: int
    run_id: str
    number: int
    kind: str
    surface: str
    actor_kind: str
    actor_id: str
    action: str
    subject_kind: str
    subject_id: str
    severity: str
    payload: str | None
    pii_flags: str
    train_ok: bool
    ends: str | None
    trace_id: str
    request_id: str
    salt: str | None
    commitment: str
    previous_hash: str
    hash: str


class JournalRunRow(ScopedRow, table=True):
    """What the entries of one run add up to."""

    __tablename__ = "journal_runs"
    __table_args__ = (Index("journal_runs_by_start", "tenant_id", "env", "started_at", "run_id"),)
    run_id: str = Field(primary_key=True)
    kind: str
    status: str
    number: int
    first_seq: int
    last_seq: int
    started_at: int
    ended_at: int | None
    actor_kind: str
    actor_id: str
    trace_id: str


class IdempotencyRow(ScopedRow, table=True):
    """What a verb answered to an idempotency key, so that a repetition gets the same answer and does nothing."""

    __tablename__ = "idempotency_keys"
    actor_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_digest: str
    answer: str
    at: int


class RulesetRow(ScopedRow, table=True):
    """The ruleset of a scope's flags; null where they are older than this table.

    `target` is the ruleset of an evaluation under way, `kind` the room that it has come to and `after` the key of the
    last record that it looked at there, as a JSON list.
    """

    __tablename__ = "rulesets"
    ruleset: str | None
    target: str | None
    kind: str | None
    after: str | None


class TurnRow(ScopedRow, table=True):
    """Which process follows a scope, and until when unless it says so again."""

    __tablename__ = "follower_turns"
    follower: str = Field(primary_key=True)
    process: str
    until: int
