"""The gate: whether what a deed takes would fit, and the books of what was taken, settled and given back.

Room is counted in the transaction that uses it up, so a deed that is rolled back never took any. What is promised first
and comes later (a reserved asset and its bytes) is reserved until it is settled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nexus_graph.safeguards.model import Deed, Resource
from nexus_graph.safeguards.quotas import model, table
from nexus_graph.safeguards.quotas.leases import one_too_many, open_streams
from nexus_graph.safeguards.quotas.model import SETTLED_LATER, Held, Usage
from nexus_graph.scope.errors import NexusError
from nexus_graph.stores.work import Read, Work


async def usages(read: Read, resources: Sequence[Resource] = tuple(Resource)) -> dict[Resource, Usage]:
    """What the scope holds of these resources, and may hold."""
    names = [resource.value for resource in resources]
    periods = {model.period(resource, read.now) for resource in resources}
    limits = {row["resource"]: row["upper_limit"] for row in await read.rows(table.OWN_LIMITS, resources=names)}
    rows = await read.rows(table.USAGE, resources=names, periods=sorted(periods))
    held = {(row["resource"], row["period"]): Held(row["used"], row["reserved"]) for row in rows}
    if Resource.LIVE_STREAMS in resources:
        held[Resource.LIVE_STREAMS.value, model.FOR_GOOD] = Held((await open_streams(read))[1])
    found = {}
    for resource in resources:
        daily = resource in model.DAILY
        period = model.period(resource, read.now)
        found[resource] = Usage(
            resource=resource,
            held=held.get((resource.value, period), Held()),
            limit=limits.get(resource.value, model.default(resource, read.limits)),
            period=period if daily else None,
            resets_at=model.day(read.now)[1] if daily else None,
        )
    return found


async def refusal(read: Read, deed: Deed) -> NexusError | None:
    """What the quotas have against a deed: the first resource of which it would take more than is left."""
    takes = _taken(deed.takes)
    if not takes:
        return None
    found = await usages(read, [*takes])
    for resource, usage in found.items():
        if takes[resource] > usage.left:
            return usage.exceeded(takes[resource])
    streams = found.get(Resource.LIVE_STREAMS)
    return None if streams is None else one_too_many(streams, (await open_streams(read))[0], read.limits)


async def take(work: Work, amounts: Mapping[Resource, int]) -> None:
    """Use up room, or reserve it where it is settled later. Raises QuotaExceeded, having taken nothing.

    Live streams are not taken but leased.
    """
    takes = _taken(amounts)
    if Resource.LIVE_STREAMS in takes:
        raise ValueError("Live streams are leased, not taken.")
    known = await usages(work, [*takes]) if takes else {}
    for resource, amount in takes.items():
        usage = known[resource]
        later = resource in SETTLED_LATER
        fits = amount <= usage.limit and await work.write(
            table.TAKE,
            resource=resource.value,
            period=model.period(resource, work.now),
            used=0 if later else amount,
            reserved=amount if later else 0,
            upper_limit=usage.limit,
        )
        if not fits:
            raise usage.exceeded(amount)


async def settle(work: Work, amounts: Mapping[Resource, int]) -> None:
    """What was reserved is there now: count it as used."""
    for resource, amount in _taken(amounts).items():
        period = model.period(resource, work.now)
        await work.write(table.SETTLE, resource=resource.value, period=period, amount=amount)


async def give_back(work: Work, amounts: Mapping[Resource, int], *, settled: bool = True) -> None:
    """Return room that is not used any more; with `settled` False, room that was only reserved. Never below nothing."""
    for resource, amount in _taken(amounts).items():
        await work.write(
            table.GIVE_BACK,
            resource=resource.value,
            period=model.period(resource, work.now),
            used=amount if settled else 0,
            reserved=0 if settled else amount,
        )


def _taken(amounts: Mapping[Resource, int]) -> dict[Resource, int]:
    """What is more than nothing, in one order for all, so that two works never wait for each other."""
    return {resource: amounts[resource] for resource in Resource if amounts.get(resource, 0) > 0}
