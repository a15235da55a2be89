"""Recount: what the books say of a resource is what the rooms' own rows add up to, and is made so where it is not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from nexus_graph.safeguards.model import Resource
from nexus_graph.safeguards.quotas import model, table
from nexus_graph.safeguards.quotas.accounting import usages
from nexus_graph.safeguards.quotas.model import Held
from nexus_graph.scope.errors import Forbidden
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Role, Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.work import Read, Stores

Count = Callable[[Read], Awaitable[Mapping[Resource, Held]]]
"""What the rows of one room add up to."""


async def recount(stores: Stores, scope: Scope, counts: Sequence[Count], *, repair: bool = False) -> list[str]:
    """One line for each resource whose books are wrong. With `repair`, write what the rooms counted.

    For the engine itself (the command line): raises Forbidden.
    """
    if scope.role is not Role.SYSTEM:
        raise Forbidden("Only the engine itself recounts.", hint="Use the command line.")
    async with stores.read(scope) as read:
        wrong = await _wrong(read, counts)
    if wrong and repair:
        async with stores.work(scope, RunKind.ADMIN) as work:
            for resource, (_, held) in (await _wrong(work, counts)).items():
                await work.write(
                    table.SET_USAGE,
                    resource=resource.value,
                    period=model.period(resource, work.now),
                    used=held.used,
                    reserved=held.reserved,
                )
            mended: list[str] = [resource.value for resource in wrong]
            detail = redact({"output": {"resources": [*mended]}})
            work.record(Event("quota.recounted", "quota", "", detail, Handling((), train_ok=False)))
    return [
        f"quota {resource}: the books say {_said(booked)}, the rows {_said(counted)}"
        for resource, (booked, counted) in wrong.items()
    ]


async def _wrong(read: Read, counts: Sequence[Count]) -> dict[Resource, tuple[Held, Held]]:
    """What the books and the rows say, where they differ."""
    counted: dict[Resource, Held] = {}
    for count in counts:
        for resource, held in (await count(read)).items():
            counted[resource] = counted.get(resource, Held()) + held
    booked = await usages(read, [*counted])
    return {
        resource: (booked[resource].held, held) for resource, held in counted.items() if booked[resource].held != held
    }


def _said(held: Held) -> str:
    return f"{held.used} used and {held.reserved} reserved"
