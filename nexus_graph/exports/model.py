"""Training exports as values: what was asked for, how far it is, what was left out and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from nexus_graph.safeguards.consent.releasing import Layer

FORMAT: Final = "training-export-1"
"""What parts and manifest look like. Change it with every key that comes, goes or means something else."""

MOST_RECORDS: Final = 500_000
"""The most records of one export; what is kept of each while it is written takes about a fifth of a kilobyte."""


class ExportKind(StrEnum):
    """What can be exported."""

    CARD = "CARD"
    ATOM = "ATOM"


class ExportState(StrEnum):
    """How far an export is."""

    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    ERASED = "ERASED"


class Reason(StrEnum):
    """Why a record was left out."""

    TRAIN_NOT_OK = "TRAIN_NOT_OK"
    GONE = "GONE"
    TOO_LARGE = "TOO_LARGE"


@dataclass(frozen=True, slots=True)
class ExportRules:
    """When a part is full: `records` lines, or one that would take it beyond `size` bytes."""

    records: int = 10_000
    size: int = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Export:
    """A training export.

    `covered` is how many records it looks at, fixed at its start; `position` how many of them are decided; `included`
    and `excluded` add up to it. The manifest's digest and size are None until it is done.
    """

    export_id: str
    run_id: str
    state: ExportState
    kinds: tuple[ExportKind, ...]
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None
    covered: int
    position: int
    included: int
    excluded: int
    parts: int
    manifest_digest: str | None
    manifest_size: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """A finished part: `number` counts from 1, `size` is in bytes."""

    number: int
    digest: str
    size: int
    records: int


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A record that was left out. `layer` says who withholds consent, where that is the reason."""

    record_id: str
    reason: Reason
    layer: Layer | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was decided of the record at a position: its line, or why there is none."""

    position: int
    line: bytes | None
    pii_flags: tuple[str, ...] = ()
    reason: Reason | None = None
    layer: Layer | None = None


def part_name(number: int) -> str:
    """The file name of a part."""
    return f"part-{number:05d}.jsonl"


MANIFEST: Final = "manifest.json"


def object_key(export_id: str, name: str) -> str:
    """Where a file of an export lies in the object store."""
    return f"exports/{export_id}/{name}"
