"""Expected outcomes of a mutation, as data: one interface, one type for each thing a screen may want to tell apart."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import strawberry

from nexus_graph.api.scalars import described
from nexus_graph.scope import decision
from nexus_graph.scope.decision import Gate
from nexus_graph.scope.errors import Conflict, Invalid, LockRequired, NexusError, NotFound, QuotaExceeded, Withheld

_EXPECTED: Final = (Invalid, NotFound, Conflict, LockRequired, QuotaExceeded, Withheld)


class ErrorCode(StrEnum):
    """The code of an expected refusal."""

    INVALID = "INVALID"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    LOCK_REQUIRED = "LOCK_REQUIRED"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    WITHHELD = "WITHHELD"


described(
    ErrorCode,
    "Why a mutation did nothing.",
    {
        "INVALID": "What was sent is malformed or breaks a rule.",
        "NOT_FOUND": "Foreign, unknown or purged.",
        "CONFLICT": "The state moved on: version, state, idempotency key.",
        "LOCK_REQUIRED": "A strategic change needs an approved Strategy Lock.",
        "QUOTA_EXCEEDED": "No room left.",
        "WITHHELD": "Consent forbids it.",
    },
)


described(
    Gate,
    "The safeguards, in the order in which a request meets them.",
    {
        "KILL_SWITCH": "An owner or admin halted everything, an action or a provider.",
        "RATE": "Faster than the budget of the actor or the tenant.",
        "QUOTA": "No room left.",
        "ROLE": "The policy gives the role no such right.",
        "STRATEGY_LOCK": "A strategic change without an approved lock.",
        "CONSENT": "Somebody whose consent is needed withholds it.",
        "PII": "Personal data: it labels what is kept and never blocks.",
    },
)


@strawberry.interface(description="Something that the caller can mend.")
class UserError:
    """What every user error tells."""

    code: ErrorCode = strawberry.field(description="Which kind of refusal.")
    message: str = strawberry.field(description="What was wrong.")
    hint: str | None = strawberry.field(description="What to do about it, where we know.")
    path: list[str] = strawberry.field(description="The way to the offending input; empty when it is the whole.")


@strawberry.type(description="Input that is malformed or breaks a rule.")
class InvalidInputError(UserError):
    """INVALID."""

    line: int | None = strawberry.field(description="Line in the text, from 1, where the fault lies in a text.")
    column: int | None = strawberry.field(description="Column in the text, from 1.")


@strawberry.type(description="What the input names does not exist here.")
class NotFoundError(UserError):
    """NOT_FOUND."""


@strawberry.type(description="The state moved on since the caller looked.")
class ConflictError(UserError):
    """CONFLICT."""


@strawberry.type(description="Something that stands in the way of an action.")
class Blocker:
    """A blocker."""

    gate: Gate = strawberry.field(description="Which safeguard.")
    code: str = strawberry.field(description="The code that the refused action answers.")
    message: str = strawberry.field(description="What is in the way.")
    unblock: str | None = strawberry.field(description="What would clear it.")

    @classmethod
    def of(cls, blocker: decision.Blocker) -> Blocker:
        """From the safeguards' value."""
        return cls(gate=blocker.gate, code=blocker.code, message=blocker.message, unblock=blocker.unblock)


@strawberry.type(description="A safeguard forbids it for now.")
class BlockedError(UserError):
    """LOCK_REQUIRED, QUOTA_EXCEEDED, WITHHELD."""

    blockers: list[Blocker] = strawberry.field(description="All that stands in the way, in the order of the gates.")
    change_digest: str | None = strawberry.field(
        description="What an approved lock would have to bind, if one is needed."
    )


def expected(error: NexusError) -> bool:
    """Whether a mutation tells this error as data rather than as a GraphQL error."""
    return isinstance(error, _EXPECTED)


def user_error(error: NexusError) -> UserError:
    """The error as data."""
    told: dict[str, Any] = {
        "code": ErrorCode(error.code),
        "message": error.message,
        "hint": error.hint,
        "path": [str(part) for part in error.path],
    }
    if isinstance(error, Invalid):
        return InvalidInputError(**told, line=error.line, column=error.column)
    if isinstance(error, NotFound):
        return NotFoundError(**told)
    if isinstance(error, Conflict):
        return ConflictError(**told)
    digest = error.change_digest if isinstance(error, LockRequired) else None
    return BlockedError(**told, blockers=[Blocker.of(each) for each in error.blockers], change_digest=digest)


TYPES = [InvalidInputError, NotFoundError, ConflictError, BlockedError]
