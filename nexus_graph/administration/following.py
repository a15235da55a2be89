"""Followers under a command: let them take what waits, and show it."""

from __future__ import annotations

from nexus_graph.administration.console import Ticker
from nexus_graph.api.house import House
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.follower import Follower


async def catch_up(house: House, scope: Scope, follower: Follower, tick: Ticker) -> None:
    """Let a follower take everything that waits, of this scope."""
    waiting = await follower.waiting(house.stores, scope)
    while left := await follower.waiting(house.stores, scope):
        if not await follower.catch_up(house.stores):
            break
        now = await follower.waiting(house.stores, scope)
        tick(f"Following: {follower.name}", total=waiting, advance=left - now)
