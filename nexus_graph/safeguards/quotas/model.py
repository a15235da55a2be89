"""Quotas as values: what is held of a resource, when its counting begins anew, and the words of a refusal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from nexus_graph.safeguards.model import Resource
from nexus_graph.scope.clock import iso
from nexus_graph.scope.errors import QuotaExceeded
from nexus_graph.scope.limits import Limits

LARGEST_LIMIT: Final = 2**53 - 1

DAILY: Final = frozenset({Resource.INDEX_WRITES})
"""Counted by the UTC day; everything else for as long as it is held."""

SETTLED_LATER: Final = frozenset({Resource.STORED_BYTES, Resource.ASSETS})
"""Reserved when promised, and used once what was promised is there."""

FOR_GOOD: Final = ""
"""The period of what is not counted by the day."""

_SAID: Final = {
    Resource.STORED_BYTES: "stored bytes",
    Resource.ASSETS: "assets",
    Resource.CARDS: "cards",
    Resource.INDEX_WRITES: "index writes today",
    Resource.LIVE_STREAMS: "live streams",
}


@dataclass(frozen=True, slots=True)
class Held:
    """How much is used, and how much is promised besides."""

    used: int = 0
    reserved: int = 0

    def __add__(self, other: Held) -> Held:
        """Both together."""
        return Held(self.used + other.used, self.reserved + other.reserved)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tenant and env holds of a resource, and may hold. `period` is the UTC day where days are counted apart."""

    resource: Resource
    held: Held
    limit: int
    period: str | None
    resets_at: datetime | None

    @property
    def left(self) -> int:
        """How much more fits; 0 also when more is held than a lowered limit allows."""
        return max(self.limit - self.held.used - self.held.reserved, 0)

    def exceeded(self, asked: int) -> QuotaExceeded:
        """The refusal of `asked` more."""
        reserved = f" and {self.held.reserved} reserved" if self.held.reserved else ""
        said = _SAID[self.resource]
        until = f"The count starts anew at {iso(self.resets_at)}. " if self.resets_at is not None else ""
        return QuotaExceeded(
            f"No room for {asked} more {said} ({self.resource}): {self.held.used} of {self.limit} are used{reserved}.",
            hint=f"{until}An owner or admin can raise {self.resource} with setQuota, under a Strategy Lock.",
        )


def period(resource: Resource, now: datetime) -> str:
    """What a resource is counted under at a time: the UTC day, or `FOR_GOOD`."""
    return now.date().isoformat() if resource in DAILY else FOR_GOOD


def day(now: datetime) -> tuple[datetime, datetime]:
    """The UTC day of a time: its first moment, and that of the next one."""
    start = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return start, start + timedelta(days=1)


def default(resource: Resource, limits: Limits) -> int:
    """What the installation gives where no limit was set."""
    return {
        Resource.STORED_BYTES: limits.stored_bytes,
        Resource.ASSETS: limits.assets,
        Resource.CARDS: limits.cards,
        Resource.INDEX_WRITES: limits.index_writes,
        Resource.LIVE_STREAMS: limits.live_streams,
    }[resource]
