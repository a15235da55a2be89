"""Time is passed in, never looked up in passing. Stored as whole microseconds since 1970-01-01T00:00:00Z."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def system_clock() -> datetime:
    """The current time, in UTC."""
    return datetime.now(UTC)


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """The UTC datetime of `value` microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=value)


def iso(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds: `2026-11-01T09:30:00.000000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
