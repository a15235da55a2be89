"""What an actor may still spend: points, introspections, live streams and connections."""

from __future__ import annotations

import strawberry

from nexus_graph.api.context import Info
from nexus_graph.api.fields import read
from nexus_graph.safeguards import quotas, rates
from nexus_graph.safeguards.rates import Budget, Level, Rate, Standing
from nexus_graph.scope.limits import Limits
from nexus_graph.scope.permission import Permission


@strawberry.type(
    name="BudgetLevel", description="How a budget stands. It fills up steadily, and never beyond its burst."
)
class LevelNode:
    """A token bucket."""

    left: int = strawberry.field(description="Points that can be spent now.")
    burst: int = strawberry.field(description="Points when it is full.")
    per_second: float = strawberry.field(description="Points that fill it each second.")

    @classmethod
    def of(cls, limits: Limits, budget: Budget, level: Level) -> LevelNode:
        """From the room's values."""
        standing = Standing.of(Rate.of(limits, budget), level)
        return cls(left=standing.left, burst=standing.burst, per_second=standing.per_second)


@strawberry.type(name="BudgetUse", description="How many of something are open, and how many may be.")
class UseNode:
    """A count with its limit."""

    open: int = strawberry.field(description="Open now.")
    limit: int = strawberry.field(description="Open at once at the most.")


@strawberry.type(name="Budget", description="What whoever asks may still spend, after this query was paid for.")
class BudgetNode:
    """All budgets that concern the viewer."""

    actor: LevelNode = strawberry.field(description="The points of the viewer in this tenant and env.")
    tenant: LevelNode = strawberry.field(description="The points that all actors and envs of the tenant share.")
    introspection: LevelNode = strawberry.field(description="Introspections of the viewer; each costs a point of it.")
    streams: UseNode = strawberry.field(description="Live streams of the viewer in this tenant and env.")
    sockets: UseNode = strawberry.field(description="Websockets of the viewer on the server that answers.")


@strawberry.type
class BudgetQuery:
    """Queries of the safeguard."""

    @read(Permission.BUDGET_READ, "What the viewer may still spend, and how fast it fills up.", unstoppable=True)
    async def budget(self, info: Info) -> BudgetNode:
        """How the budgets stand."""
        house, scope = info.context.house, info.context.scope
        async with house.stores.read(scope) as reading:
            levels = await rates.levels(reading)
            streams, _ = await quotas.open_streams(reading)
        limits = house.stores.limits
        actor, tenant, introspection = (
            LevelNode.of(limits, budget, levels[budget])
            for budget in (Budget.ACTOR, Budget.TENANT, Budget.INTROSPECTION)
        )
        return BudgetNode(
            actor=actor,
            tenant=tenant,
            introspection=introspection,
            streams=UseNode(open=streams, limit=limits.actor_streams),
            sockets=UseNode(open=house.rates.sockets.count(scope), limit=limits.actor_sockets),
        )
