"""Every error that Nexus Graph raises on purpose.

    NexusError            code, message, hint, path, where
      Invalid             INVALID            what was sent is malformed or breaks a rule
      Unauthenticated     UNAUTHENTICATED    nobody, or somebody who can't prove it
      Forbidden           FORBIDDEN          somebody, without the right
      NotFound            NOT_FOUND          foreign, unknown or purged: the same words for each
      Conflict            CONFLICT           the state moved on: version, state, idempotency key
      LockRequired        LOCK_REQUIRED      a strategic change without an approved lock
      Throttled           THROTTLED          too fast; `retry_after` seconds
      QuotaExceeded       QUOTA_EXCEEDED     no room left
      Halted              HALTED             the kill switch is engaged
      Withheld            WITHHELD           consent forbids it
      Unavailable         UNAVAILABLE        a store or another server does not answer
      TimedOut            TIMED_OUT          it took longer than an operation may

Anything else that escapes is a defect of ours: the door answers INTERNAL with a trace id and hides the text.
`ConfigurationError` stands apart: it ends the start of a process and never crosses the door.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from nexus_graph.scope.decision import Blocker


class NexusError(Exception):
    """An error that a caller may see: `message` names what was wrong, `hint` what to do.

    `path` leads to the offending input (`("input", "text")`); `line` and `column` are 1-based places in a text.
    `blockers` is everything that stands in the way, when a safeguard refused; this error tells the first of them.
    """

    code: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        path: Sequence[str | int] = (),
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.path = tuple(path)
        self.line = line
        self.column = column
        self.blockers: tuple[Blocker, ...] = ()

    def __str__(self) -> str:
        place = f" (line {self.line}, column {self.column})" if self.line is not None else ""
        return f"{self.message}{place}"


class Invalid(NexusError):
    """What was sent is malformed or breaks a rule."""

    code = "INVALID"


class Unauthenticated(NexusError):
    """Nobody, or somebody who can't prove who they are. `expired`: they could, until a while ago."""

    code = "UNAUTHENTICATED"

    def __init__(self, message: str, *, hint: str | None = None, expired: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.expired = expired


class Forbidden(NexusError):
    """A known principal without the right."""

    code = "FORBIDDEN"


class NotFound(NexusError):
    """Foreign, unknown or purged: the same words for each, so that nothing can be probed."""

    code = "NOT_FOUND"

    def __init__(self, kind: str, *, path: Sequence[str | int] = ()) -> None:
        super().__init__(f"No such {kind} here.", hint="Check the id, the tenant and the env.", path=path)


class Conflict(NexusError):
    """The state moved on since the caller looked."""

    code = "CONFLICT"


class LockRequired(NexusError):
    """A strategic change without an approved Strategy Lock. `change_digest` is what a lock would have to bind."""

    code = "LOCK_REQUIRED"

    def __init__(self, message: str, *, change_digest: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.change_digest = change_digest


class Throttled(NexusError):
    """Too fast; come back after `retry_after` seconds."""

    code = "THROTTLED"

    def __init__(self, message: str, *, retry_after: float, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class QuotaExceeded(NexusError):
    """No room left."""

    code = "QUOTA_EXCEEDED"


class Halted(NexusError):
    """The kill switch is engaged: since when, and why."""

    code = "HALTED"

    def __init__(self, message: str, *, since: datetime, reason: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.since = since
        self.reason = reason


class Withheld(NexusError):
    """Consent forbids it."""

    code = "WITHHELD"


class Unavailable(NexusError):
    """A store or another server does not answer. Nothing was changed, unless the message says that this isn't known."""

    code = "UNAVAILABLE"


class TimedOut(NexusError):
    """It took longer than an operation may, and was ended."""

    code = "TIMED_OUT"


class ConfigurationError(Exception):
    """The start of a process is refused; the text names every setting that is missing, unknown or wrong."""
