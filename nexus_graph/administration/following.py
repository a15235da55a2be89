"""Followers under a command: let them take what waits, and show it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nexus_graph.administration.console import Ticker
from nexus_graph.api.house import House
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.follower import Follower

_LOOK_SECONDS = 0.5


async def catch_up(house: House, scope: Scope, follower: Follower, tick: Ticker) -> None:
    """Let a follower take everything that waits, of this scope, or wait for the process that does so at the moment."""
    waiting = await follower.waiting(house.stores, scope)
    try:
        while left := await follower.waiting(house.stores, scope):
            if not await follower.catch_up(house.stores):
                if not await follower.is_elsewhere(house.stores, scope):
                    break
                await asyncio.sleep(_LOOK_SECONDS)
            now = await follower.waiting(house.stores, scope)
            tick(f"Following: {follower.name}", total=waiting, advance=left - now)
    finally:
        await follower.end(house.stores)


@asynccontextmanager
async def following(house: House, follower: Follower) -> AsyncIterator[None]:
    """Let a follower take what comes meanwhile. What it has not taken at the end is left to `catch_up`."""
    done = asyncio.Event()

    async def follow() -> None:
        with house.stores.signals.listen(None, follower.actions) as listener:
            while not done.is_set():
                if not await follower.catch_up(house.stores):
                    await listener.wait(_LOOK_SECONDS)

    task = asyncio.create_task(follow())
    try:
        yield
    finally:
        done.set()
        await task
