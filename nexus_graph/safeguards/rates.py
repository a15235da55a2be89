"""Rate and cost."""

from __future__ import annotations

from nexus_graph.safeguards.model import Deed
from nexus_graph.scope.errors import NexusError
from nexus_graph.stores.work import Read


async def refusal(read: Read, deed: Deed) -> NexusError | None:
    """What the budgets have against a deed that is not paid yet."""
    return None
