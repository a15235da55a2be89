"""Quotas."""

from __future__ import annotations

from collections.abc import Mapping

from nexus_graph.safeguards.model import Deed, Resource
from nexus_graph.scope.errors import NexusError
from nexus_graph.stores.work import Read, Work


async def refusal(read: Read, deed: Deed) -> NexusError | None:
    """What the quotas have against a deed."""
    return None


async def take(work: Work, amounts: Mapping[Resource, int]) -> None:
    """Use up room. Raises QuotaExceeded."""


async def give_back(work: Work, amounts: Mapping[Resource, int]) -> None:
    """Return room that is not used any more."""
