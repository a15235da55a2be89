"""What the safeguards answer: whether a deed may be done, and everything that stands in its way.

1 KILL_SWITCH    an owner or admin halted everything, an action or a provider
2 RATE           faster than the budget of the actor or the tenant
3 QUOTA          no room left
4 ROLE           the policy gives the role no such right
5 STRATEGY_LOCK  a strategic change without an approved lock
6 CONSENT        somebody whose consent is needed withholds it
7 PII            never blocks: it labels what is kept
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Gate(StrEnum):
    """The safeguards, in the order in which a request meets them."""

    KILL_SWITCH = "KILL_SWITCH"
    RATE = "RATE"
    QUOTA = "QUOTA"
    ROLE = "ROLE"
    STRATEGY_LOCK = "STRATEGY_LOCK"
    CONSENT = "CONSENT"
    PII = "PII"


@dataclass(frozen=True, slots=True)
class Blocker:
    """One thing in the way: which gate, the code that the refused deed answers, and what would clear it."""

    gate: Gate
    code: str
    message: str
    unblock: str | None
