"""Runs, filters and the frames of a live log, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from nexus_graph.stores.follower import Entry
from nexus_graph.stores.journal import RunKind, RunStatus
from nexus_graph.stores.streaming import EndReason


@dataclass(frozen=True, slots=True)
class Run:
    """What the entries of one run add up to.

    `entries` is how many there are: they bear the numbers 1 to `entries`. `title` is what a research run was opened
    with, else None. The actor is who wrote the first entry.
    """

    run_id: str
    kind: RunKind
    status: RunStatus
    title: str | None
    started_at: datetime
    ended_at: datetime | None
    entries: int
    first_seq: int
    last_seq: int
    actor_kind: str
    actor_id: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What an entry is about: `asset` and its id."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs; an empty tuple or None leaves that side open. Started from (inclusive) to (exclusive)."""

    kinds: tuple[RunKind, ...] = ()
    statuses: tuple[RunStatus, ...] = ()
    started_from: datetime | None = None
    started_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which events; an empty tuple or None leaves that side open. `actor` and `subject` are ids, times as above."""

    actions: tuple[str, ...] = ()
    actor: str | None = None
    subject: str | None = None
    at_from: datetime | None = None
    at_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class EntryFrame:
    """The next entry. `cursor` is its number in the run: where a new stream goes on after it."""

    entry: Entry
    cursor: int


@dataclass(frozen=True, slots=True)
class GapFrame:
    """The entries numbered `first` to `last` are no longer kept."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class HeartbeatFrame:
    """Nothing was withheld: at that moment, with the journal at `seq`, the run had no further entry."""

    at: datetime
    seq: int


@dataclass(frozen=True, slots=True)
class EndFrame:
    """The last frame. `status` is the run's, where the reason lets it be told."""

    reason: EndReason
    status: RunStatus | None


Frame = EntryFrame | GapFrame | HeartbeatFrame | EndFrame
