"""Quotas: how much a tenant and env holds, how much it may hold, and how that is changed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from nexus_graph.api.context import Info
from nexus_graph.api.fields import change, read
from nexus_graph.api.idempotency import RepeatableInput, once
from nexus_graph.api.scalars import BigInt, described
from nexus_graph.api.user_errors import UserError
from nexus_graph.safeguards.model import Resource
from nexus_graph.safeguards.quotas import Usage
from nexus_graph.safeguards.quotas.limiting import all_usages, set_quota
from nexus_graph.scope.permission import Permission

described(
    Resource,
    "What a quota limits in one tenant and env.",
    {
        "STORED_BYTES": "Bytes of raw assets and of session memory.",
        "ASSETS": "Raw assets, reserved ones among them.",
        "CARDS": "Cards, retired ones among them.",
        "INDEX_WRITES": "Cards published, revised or retired in one UTC day.",
        "LIVE_STREAMS": "Subscriptions that are open at one time, over all processes.",
    },
    name="QuotaResource",
)


@strawberry.type(description="What this tenant and env holds of a resource, and may hold.")
class Quota:
    """A quota."""

    resource: Resource = strawberry.field(description="What is limited.")
    used: BigInt = strawberry.field(description="How much is used.")
    reserved: BigInt = strawberry.field(description="How much is promised besides, such as to uploads not sealed yet.")
    limit: BigInt = strawberry.field(description="How much both may be together.")
    period: str | None = strawberry.field(description="The UTC day that is counted; null where days are not.")
    resets_at: datetime | None = strawberry.field(description="When the count starts anew; null where it does not.")

    @classmethod
    def of(cls, usage: Usage) -> Quota:
        """From the safeguard's value."""
        return cls(
            resource=usage.resource,
            used=BigInt(usage.held.used),
            reserved=BigInt(usage.held.reserved),
            limit=BigInt(usage.limit),
            period=usage.period,
            resets_at=usage.resets_at,
        )


@strawberry.input(description="Another limit.")
class SetQuotaInput(RepeatableInput):
    """Input of setQuota."""

    resource: Resource = strawberry.field(description="What is limited.")
    limit: BigInt | None = strawberry.field(
        default=None, description="How much may be held, 0 to 2^53-1; null gives the installation's own limit back."
    )


@strawberry.type(description="The quota as it is now.")
class SetQuotaPayload:
    """Payload of setQuota."""

    quota: Quota | None = strawberry.field(default=None, description="The quota; null when refused.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to mend; empty on success.")


@strawberry.type
class QuotaQuery:
    """Queries of the safeguard."""

    @read(Permission.QUOTAS_READ, "How much of each resource this tenant and env holds, and may hold.")
    async def quotas(self, info: Info) -> list[Quota]:
        """Every quota."""
        context = info.context
        return [Quota.of(usage) for usage in await all_usages(context.house.stores, context.scope)]


@strawberry.type
class QuotaMutation:
    """Mutations of the safeguard."""

    @change(
        Permission.QUOTAS_WRITE,
        "Set how much of a resource this tenant and env may hold. Takes nothing away from what it holds.",
        locked="always",
    )
    async def set_quota(
        self, info: Info, input: Annotated[SetQuotaInput, strawberry.argument(description="What, and how much.")]
    ) -> SetQuotaPayload:
        """Set a quota."""
        context = info.context
        limit = None if input.limit is None else int(input.limit)
        usage = await set_quota(
            context.house.stores, context.scope, input.resource, limit, once=once("setQuota", input)
        )
        return SetQuotaPayload(quota=Quota.of(usage))
