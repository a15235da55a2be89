"""The kill switch."""

from __future__ import annotations

from nexus_graph.safeguards.model import Deed
from nexus_graph.scope.errors import NexusError
from nexus_graph.stores.work import Read


async def refusal(read: Read, deed: Deed) -> NexusError | None:
    """What an engaged switch has against a deed."""
    return None
