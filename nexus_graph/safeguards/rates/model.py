"""Token buckets: pure arithmetic in whole millionths of a point, so that every process counts the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from nexus_graph.scope.errors import Invalid, NexusError, Throttled
from nexus_graph.scope.limits import Limits
from nexus_graph.scope.scope import Scope

_MILLION = 1_000_000
EVERY_ENV = "*"
"""The env of a bucket that all envs of a tenant share."""


class Budget(StrEnum):
    """Who shares a bucket, or what it is for."""

    ACTOR = "actor"
    TENANT = "tenant"
    INTROSPECTION = "introspection"


@dataclass(frozen=True, slots=True)
class Price:
    """What an operation costs: points of the actor and the tenant, and introspections of the actor.

    What is `urgent` is paid by its actor alone, so that nobody else of the tenant can be in its way.
    """

    points: int
    introspections: int = 0
    urgent: bool = False

    @property
    def amounts(self) -> Mapping[Budget, int]:
        """What is taken from each budget."""
        amounts = {Budget.ACTOR: self.points}
        if not self.urgent:
            amounts[Budget.TENANT] = self.points
        return amounts | {Budget.INTROSPECTION: self.introspections} if self.introspections else amounts


class Bucket(NamedTuple):
    """The key of a bucket."""

    tenant_id: str
    env: str
    budget: Budget
    actor_id: str

    @classmethod
    def of(cls, scope: Scope, budget: Budget) -> Bucket:
        """The bucket that a scope takes from."""
        if budget is Budget.TENANT:
            return cls(scope.tenant_id, EVERY_ENV, budget, "")
        return cls(scope.tenant_id, scope.env.value, budget, scope.principal.id)


class Level(NamedTuple):
    """Millionths of a point in a bucket, and the microsecond at which they were counted."""

    content: int
    at: int


@dataclass(frozen=True, slots=True)
class Rate:
    """How much a bucket holds when full, in points, and how many fill it each second."""

    burst: int
    per_second: float

    @classmethod
    def of(cls, limits: Limits, budget: Budget) -> Rate:
        """The rate of a budget."""
        match budget:
            case Budget.ACTOR:
                return cls(limits.actor_burst, limits.actor_per_second)
            case Budget.TENANT:
                return cls(limits.tenant_burst, limits.tenant_per_second)
            case Budget.INTROSPECTION:
                return cls(limits.introspection_burst, limits.introspection_per_second)

    @property
    def _each_second(self) -> int:
        return max(1, round(self.per_second * _MILLION))

    def full(self, now: int) -> Level:
        """The level of a bucket from which nothing was taken."""
        return Level(self.burst * _MILLION, now)

    def filled(self, level: Level, now: int) -> Level:
        """The level at a later moment. A clock that goes back fills nothing."""
        gained = max(0, now - level.at) * self._each_second // _MILLION
        return Level(min(self.burst * _MILLION, level.content + gained), max(now, level.at))

    def wait(self, level: Level, points: int) -> float:
        """Seconds until the bucket holds so many points, rounded up to milliseconds; 0 when it does."""
        missing = points * _MILLION - level.content
        microseconds = -(-max(0, missing) * _MILLION // self._each_second)
        return -(-microseconds // 1000) / 1000


def taken(level: Level, points: int) -> Level:
    """The level after so many points were taken."""
    return Level(level.content - points * _MILLION, level.at)


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget as its owner sees it: whole points left, points when full, points that fill it each second."""

    left: int
    burst: int
    per_second: float

    @classmethod
    def of(cls, rate: Rate, level: Level) -> Standing:
        """From a level."""
        return cls(max(0, level.content // _MILLION), rate.burst, rate.per_second)


@dataclass(frozen=True, slots=True)
class Bill:
    """The price of one operation, and how the budgets that it concerns stand now; `refusal` when it was not paid."""

    price: Price
    budgets: Mapping[Budget, Standing]
    refusal: NexusError | None


def bill(limits: Limits, price: Price, levels: Mapping[Budget, Level]) -> Bill:
    """What stands between a price and these levels: nothing, too little for now, or a bucket that is too small."""
    rates = {budget: Rate.of(limits, budget) for budget in levels}
    standings = {budget: Standing.of(rate, levels[budget]) for budget, rate in rates.items()}
    refusal: NexusError | None = None
    longest = 0.0
    for budget, amount in price.amounts.items():
        rate = rates[budget]
        if amount > rate.burst:
            return Bill(price, standings, _too_dear(budget, amount, rate))
        if (wait := rate.wait(levels[budget], amount)) > longest:
            longest, refusal = wait, _too_fast(budget, amount, standings[budget], wait)
    return Bill(price, standings, refusal)


def _too_dear(budget: Budget, amount: int, rate: Rate) -> Invalid:
    return Invalid(
        f"The operation costs {_amount(budget, amount)}; the budget of {_WHOSE[budget]} never holds more than "
        f"{rate.burst:,}.",
        hint="Ask for less at once: smaller pages, fewer fields.",
    )


def _too_fast(budget: Budget, amount: int, standing: Standing, wait: float) -> Throttled:
    return Throttled(
        f"The operation costs {_amount(budget, amount)}; the budget of {_WHOSE[budget]} holds {standing.left:,}.",
        retry_after=wait,
        hint=f"Try again after {wait:g} seconds, or ask for less.",
    )


def _amount(budget: Budget, amount: int) -> str:
    unit = "introspection" if budget is Budget.INTROSPECTION else "point"
    return f"{amount:,} {unit}{'' if amount == 1 else 's'}"


_WHOSE = {
    Budget.ACTOR: "its actor",
    Budget.TENANT: "the tenant",
    Budget.INTROSPECTION: "its actor for introspection",
}
