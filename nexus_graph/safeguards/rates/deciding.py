"""The gate: whether a deed that is not paid yet could be paid now. Takes nothing."""

from __future__ import annotations

from nexus_graph.safeguards.model import Deed
from nexus_graph.safeguards.rates.buckets import levels
from nexus_graph.safeguards.rates.model import Price, bill
from nexus_graph.scope.errors import NexusError
from nexus_graph.stores.work import Read


async def refusal(read: Read, deed: Deed) -> NexusError | None:
    """What the budgets have against a deed that is not paid yet: Throttled, or Invalid when it is too dear for ever."""
    if deed.price == 0:
        return None
    return bill(read.limits, Price(deed.price), await levels(read)).refusal
