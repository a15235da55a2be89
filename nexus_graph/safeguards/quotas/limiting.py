"""A tenant's own limits. Apart from the gate, since changing a limit is a deed that all gates are asked about."""

from __future__ import annotations

from nexus_graph.safeguards.chain import enforce
from nexus_graph.safeguards.model import Change, Deed, Resource, quota_change
from nexus_graph.safeguards.quotas import table
from nexus_graph.safeguards.quotas.accounting import usages
from nexus_graph.safeguards.quotas.model import LARGEST_LIMIT, Usage
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Stores, Work


async def all_usages(stores: Stores, scope: Scope) -> list[Usage]:
    """What the scope holds of every resource, and may hold, in the order of the resources."""
    scope.require(Permission.QUOTAS_READ)
    async with stores.read(scope) as read:
        return [*(await usages(read)).values()]


async def set_quota(
    stores: Stores, scope: Scope, resource: Resource, limit: int | None, *, once: Once | None = None
) -> Usage:
    """Set how much the scope may hold of a resource, under a lock that binds just that; None: as the installation says.

    A limit below what is held takes nothing away: it refuses more until there is room again. Raises Invalid,
    LockRequired.
    """
    scope.require(Permission.QUOTAS_WRITE)
    change = limit_change(resource, limit)
    async with stores.work(scope, RunKind.ADMIN, once=once) as work:
        before = (await usages(work, [resource]))[resource]
        if await work.earlier_answer() is not None:
            return before
        await enforce(work, Deed("setQuota", Permission.QUOTAS_WRITE, change=change))
        if limit is None:
            await work.write(table.RESET_LIMIT, resource=resource.value)
        else:
            await _set(work, resource, limit)
        after = (await usages(work, [resource]))[resource]
        detail = redact({"input": {"limit": limit}, "output": {"before": before.limit, "after": after.limit}})
        work.record(Event("quota.set", "quota", resource.value, detail, Handling((), train_ok=False)))
        await work.keep_answer({"resource": resource.value})
    return after


def limit_change(resource: Resource, limit: int | None) -> Change:
    """What `set_quota` would do, as a lock binds it. Raises Invalid for what is no limit."""
    if limit is not None and not 0 <= limit <= LARGEST_LIMIT:
        raise Invalid(f"A limit is 0 to {LARGEST_LIMIT}, not {limit}.", path=("input", "limit"))
    return quota_change(resource, limit)


async def _set(work: Work, resource: Resource, limit: int) -> None:
    await work.write(
        table.SET_LIMIT,
        resource=resource.value,
        upper_limit=limit,
        changed_by=work.scope.principal.id,
        changed_at=micros(work.now),
    )
