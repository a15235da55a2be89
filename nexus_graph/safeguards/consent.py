"""Consent."""

from __future__ import annotations

from nexus_graph.safeguards.model import Deed
from nexus_graph.scope.errors import NexusError
from nexus_graph.scope.handling import Handling
from nexus_graph.stores.work import Read


async def refusal(read: Read, deed: Deed) -> NexusError | None:
    """What an opt-out has against a deed."""
    return None


async def effective(read: Read, handling: Handling) -> Handling:
    """A handling as restrictive as the opt-outs of the installation, the tenant and the author."""
    return handling
