"""Strategy Locks."""

from __future__ import annotations

from nexus_graph.safeguards.model import Deed
from nexus_graph.scope.errors import NexusError
from nexus_graph.stores.work import Read, Work


async def refusal(read: Read, deed: Deed) -> NexusError | None:
    """What is missing of a lock that a strategic deed needs."""
    return None


async def use(work: Work, deed: Deed) -> None:
    """Count one use of the lock that allows a strategic deed."""
