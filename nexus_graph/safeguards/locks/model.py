"""Strategy Locks as values: what one binds, who took part, how far it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from nexus_graph.safeguards.model import Change, StrategicAction
from nexus_graph.scope.canonical import digest
from nexus_graph.scope.clock import iso
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.handling import Handling

MOST_USES = 1000
MOST_CARD_TYPES = 64
LONGEST_REASON = 1000
CARD_ACTIONS = frozenset((StrategicAction.PUBLISH_CARD, StrategicAction.RETIRE_CARD))
NEVER_IN_ADVANCE = frozenset((StrategicAction.RELEASE_KILL_SWITCH,))
"""What no class allows: who halts something must be sure that two people look at it before it goes on."""
_CARD_TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}")


class LockState(StrEnum):
    """How far a lock is. `EXPIRED` is not stored: it follows from the time at which one looks."""

    DRAFT = "DRAFT"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"
    USED = "USED"


OPEN = (LockState.DRAFT, LockState.APPROVED)


@dataclass(frozen=True, slots=True)
class ChangeClass:
    """Strategic changes that are allowed together: these actions, on cards of these types, so many times."""

    actions: tuple[StrategicAction, ...]
    card_types: tuple[str, ...]
    uses: int

    @property
    def digest(self) -> str:
        """SHA-256 of what it allows. Never the digest of a single change."""
        return digest({"actions": [*self.actions], "cardTypes": [*self.card_types], "uses": self.uses})

    def covers(self, change: Change) -> bool:
        """Whether a change is one of these."""
        on_card = change.action in CARD_ACTIONS
        if change.action in NEVER_IN_ADVANCE:
            return False
        return change.action in self.actions and (not on_card or change.card_type in self.card_types)

    def checked(self) -> ChangeClass:
        """The same in canonical order. Raises Invalid for what has no bounds."""
        actions, card_types = tuple(sorted(set(self.actions))), tuple(sorted(set(self.card_types)))
        if not actions:
            raise _invalid("A class of changes names at least one action.", "change", "anyOf", "actions")
        if NEVER_IN_ADVANCE & set(actions):
            message = "A kill switch is released under a lock for that very switch, never under a class."
            raise _invalid(message, "change", "anyOf", "actions")
        if not 1 <= self.uses <= MOST_USES:
            raise _invalid(f"A class of changes has 1 to {MOST_USES} uses, not {self.uses}.", "change", "anyOf", "uses")
        if bool(card_types) != bool(CARD_ACTIONS & set(actions)):
            raise _invalid(
                "Card types are named exactly where an action concerns cards.", "change", "anyOf", "cardTypes"
            )
        if len(card_types) > MOST_CARD_TYPES or not all(map(_CARD_TYPE.fullmatch, card_types)):
            raise _invalid(f"At most {MOST_CARD_TYPES} well-formed card types.", "change", "anyOf", "cardTypes")
        return ChangeClass(actions, card_types, self.uses)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What somebody asks for: one change exactly or a class of them, why, and when.

    `document` is what an approver must see beside the change: a card's text. `concerns` names the settings screens
    that show it. Without a window it begins now and lasts as long as the installation allows.
    """

    binds: Change | ChangeClass
    reason: str
    valid_from: datetime | None = None
    expires_at: datetime | None = None
    document: str = ""
    concerns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lock:
    """A Strategy Lock as it stands at one moment. Every edit raises `revision`; whoever wrote one is an author."""

    lock_id: str
    state: LockState
    binds: Change | ChangeClass
    document: str
    reason: str
    valid_from: datetime
    expires_at: datetime
    uses: int
    most_uses: int
    revision: int
    authors: tuple[str, ...]
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    handling: Handling


@dataclass(frozen=True, slots=True)
class LockFilter:
    """Which locks are meant: in any of these states, for any of these actions, on this target."""

    states: tuple[LockState, ...] = ()
    actions: tuple[StrategicAction, ...] = ()
    target: str | None = None


def reason(value: str) -> str:
    """A reason that says something, or Invalid."""
    if not 1 <= len(value.strip()) <= LONGEST_REASON:
        raise _invalid(f"A reason has 1 to {LONGEST_REASON} characters.", "reason")
    return value.strip()


def window(proposal: Proposal, now: datetime, longest: int) -> tuple[datetime, datetime]:
    """From when to when a proposal is meant to hold, at most `longest` seconds. Raises Invalid."""
    valid_from = max(proposal.valid_from or now, now)
    if valid_from > now + timedelta(seconds=longest):
        raise _invalid(f"The lock must begin before {iso(now + timedelta(seconds=longest))}.", "validFrom")
    latest = valid_from + timedelta(seconds=longest)
    expires_at = proposal.expires_at or latest
    if not valid_from < expires_at <= latest:
        raise _invalid(f"The lock must end after {iso(valid_from)}, by {iso(latest)}.", "expiresAt")
    return valid_from, expires_at


def _invalid(message: str, *path: str) -> Invalid:
    return Invalid(message, path=("input", *path))
