"""Erasures as values: what goes, how far it is, who helps. No I/O."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

import orjson

from nexus_graph.safeguards.erasure.ledger import Ledger, Pseudonyms
from nexus_graph.scope.canonical import Json, canonical
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.work import Read, Work

ERASED: Final = "erased"
"""What stands where a name stood."""

_JSON_BEFORE: Final = r"(?<=\\[bfnrt])|(?<=\\u[0-9a-f]{4})"
"""What JSON makes of a line's end and its like: a word that stands after it stands for itself."""
_NOT_AS_IT_IS: Final = re.compile(r'[%_"\\\x00-\x1f]')
"""Characters that LIKE means otherwise, or JSON writes otherwise."""

LONGEST_SUBJECT: Final = 255
EMPTIED: Final = frozenset({"exports", "packs", "strategy_locks"})
"""Kinds that stay, without their words."""

UNHANDLED: Final = Handling((), train_ok=False)


class TargetKind(StrEnum):
    """What is erased."""

    SUBJECT = "SUBJECT"
    TENANT_ENV = "TENANT_ENV"


class ErasureState(StrEnum):
    """How far an erasure is. `EXPIRED` is a plan that nobody confirmed in time; `ERASED` waits for its certificate."""

    PLANNED = "PLANNED"
    EXPIRED = "EXPIRED"
    CONFIRMED = "CONFIRMED"
    ERASED = "ERASED"
    CERTIFIED = "CERTIFIED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Target:
    """Whom or what to erase. `mentions`: along with what others wrote and the subject's name stands in."""

    kind: TargetKind
    subject: str | None = None
    mentions: bool = False

    @classmethod
    def of(cls, kind: TargetKind, subject: str | None, *, mentions: bool) -> Target:
        """A checked target. Raises Invalid."""
        if (kind is TargetKind.SUBJECT) != (subject is not None):
            raise Invalid("SUBJECT, and nothing else, names a subject.", path=("input", "subject"))
        if subject is not None and (not 1 <= len(subject) <= LONGEST_SUBJECT or not subject.strip()):
            raise Invalid(f"A subject has 1 to {LONGEST_SUBJECT} characters.", path=("input", "subject"))
        if subject == ERASED:
            raise Invalid("That is what stands where a name stood.", path=("input", "subject"))
        if mentions and kind is not TargetKind.SUBJECT:
            raise Invalid("Only a subject is mentioned.", path=("input", "includeMentions"))
        return cls(kind, subject, mentions)

    @cached_property
    def name(self) -> re.Pattern[str]:
        """Finds the subject where it stands as a word of its own, in text and in JSON; nothing of a tenant and env."""
        if self.subject is None:
            return re.compile(r"(?!)")
        written = canonical(self.subject).decode()[1:-1]  # a quotation mark or a backslash is two characters there
        return re.compile(rf"(?:(?<!\w)|{_JSON_BEFORE})(?:{re.escape(self.subject)}|{re.escape(written)})(?!\w)")

    @property
    def like(self) -> str:
        """A LIKE pattern, with backslash as its escape, that fits every text which `name` finds."""
        return "%" + _NOT_AS_IT_IS.sub(lambda one: f"\\{one[0]}" if one[0] in "%_" else "%", self.subject or "") + "%"


@dataclass(slots=True)
class Doomed:
    """What goes: ids by kind, and prefixes of object keys. Each room adds to it and sees what those before it found.

    `mentions` are ids by kind of what others wrote about the subject, unless the target takes them along.
    """

    target: Target
    ids: dict[str, set[str]] = field(default_factory=dict)
    objects: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)
    mentions: dict[str, set[str]] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """Whose it is."""
        return self.target.subject or ""

    def of(self, kind: str) -> list[str]:
        """The ids of a kind, in order."""
        return sorted(self.ids.get(kind, ()))

    def add(self, kind: str, ids: Iterable[str]) -> None:
        """These go."""
        self.ids.setdefault(kind, set()).update(ids)

    def mention(self, kind: str, ids: Iterable[str]) -> None:
        """Others wrote these, about the subject: they go if the target says so."""
        if self.target.mentions:
            self.add(kind, ids)
        elif found := set(ids) - self.ids.get(kind, set()):
            self.mentions.setdefault(kind, set()).update(found)

    def every_id(self) -> frozenset[str]:
        """All ids of what goes, of whatever kind; not of what stays without its words."""
        return frozenset(one for kind, ids in self.ids.items() if kind not in EMPTIED for one in ids)

    def json(self) -> dict[str, Json]:
        """Canonical: equal states are equal JSON."""
        kinds: dict[str, Json] = {kind: [*sorted(ids)] for kind, ids in self.ids.items() if ids}
        return {"ids": kinds, "objects": [*sorted(self.objects)]}

    def take_in(self, text: str) -> None:
        """Add what `json` said of an earlier look."""
        value: Any = orjson.loads(text)
        for kind, ids in value["ids"].items():
            self.add(kind, ids)
        self.objects.update(value["objects"])

    def text(self) -> str:
        """`json` as a row keeps it."""
        return canonical(self.json()).decode()


@dataclass(frozen=True, slots=True)
class Step:
    """What a room does for the erasure of a subject.

    `plan` adds what of the room goes; `erase` removes that, and can be repeated. They are called in the order of the
    rooms and in the reverse order. Objects are removed by the executor. A name in a column is no room's business: see
    `naming`. `empty` is what a room does of its own before all its rows go with their tenant and env.
    """

    name: str
    plan: Callable[[Read, Doomed], Awaitable[None]]
    erase: Callable[[Work, Doomed], Awaitable[None]]
    empty: Callable[[Work], Awaitable[None]] | None = None


async def _no_copies(_: Scope) -> None:
    """Where everything is in the rows and objects."""


@dataclass(frozen=True, slots=True)
class Eraser:
    """The equipment: the rooms' steps, the ledger, and what makes this process forget what it holds of a scope.

    `pause` in seconds is what those get who came in before the door was shut: to end what they do, and for what was
    gathered of them to be told. Without it, it would be told after the erasure. `erase_copies` removes what other
    servers hold of a scope beside the rows and proves it, or raises Unavailable; then the erasure is tried again later.
    """

    steps: tuple[Step, ...]
    ledger: Ledger
    pseudonyms: Pseudonyms
    forget: Callable[[Scope], None] = field(default=lambda scope: None, repr=False)
    pause: float = 0.0
    erase_copies: Callable[[Scope], Awaitable[None]] = field(default=_no_copies, repr=False)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that should be gone: the table and column (or `objects`) where it is, what, and how often."""

    place: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure as it is known. `subject_digest` names the subject to who has the key, and nobody else."""

    erasure_id: str
    kind: TargetKind
    mentions: bool
    subject_digest: str | None
    digest: str
    state: ErasureState
    counts: Mapping[str, int]
    mentioned: Mapping[str, int]
    planned_by: str
    planned_at: datetime
    expires_at: datetime
    confirmed_at: datetime | None
    ended_at: datetime | None
    run_id: str | None
    findings: tuple[Finding, ...]
    certificate: str | None
    certificate_digest: str | None
