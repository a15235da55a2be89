"""The whole proof: random operations, the walk, and the search for what strayed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nexus_graph.administration.console import Ticker
from nexus_graph.administration.isolation import attacking, operations, searching
from nexus_graph.administration.isolation.filling import fill
from nexus_graph.administration.isolation.model import Tally, World
from nexus_graph.administration.isolation.places import introspect
from nexus_graph.administration.isolation.walking import Walk
from nexus_graph.stores.whole import Whole


@dataclass(frozen=True, slots=True)
class Proof:
    """How much to try: at most so many random operations, in at most so many seconds, and the arguments that hold
    `only` in their names."""

    most: int
    seconds: float
    seed: int
    only: str = ""

    async def of(self, world: World, whole: Whole, roots: Sequence[Path], tick: Ticker) -> Tally:
        """Try everything in a world, at the database too where it has walls of its own.

        `roots` are the folders and files in which nothing may have strayed.
        """
        tally = Tally()
        await self._operate(world, tally, tick)
        await self._walk(world, tally, tick)
        if whole.walls is not None:
            await attacking.attack(world, whole, whole.walls, tally, tick)
        tick("Searching rows, objects and logs")
        await searching.strays(world, whole, roots, tally)
        return tally

    async def _operate(self, world: World, tally: Tally, tick: Ticker) -> None:
        ends, done = time.monotonic() + self.seconds, 0

        def go_on(tally: Tally) -> bool:
            nonlocal done
            tick("Trying operations", total=self.most, advance=tally.operations - done)
            done = tally.operations
            return time.monotonic() < ends

        await operations.run(world, self.seed, self.most, tally, go_on)

    async def _walk(self, world: World, tally: Tally, tick: Ticker) -> None:
        pairs = walked(world)
        schema = await introspect(world.places[0].both)
        chosen = [place for place in world.places if any(place.name in pair for pair in pairs)]
        filled = {}
        for place in chosen:
            tick("Filling places", total=len(chosen))
            filled[place.name] = await fill(place, schema)
        await Walk(schema, filled, tally).everything(pairs, self.only, tick)


def walked(world: World) -> list[tuple[str, str]]:
    """Between which places to walk: from each of two tenants to the other, and from one env to another."""
    first = world.places[0]
    envs = [place.name for place in world.places if place.tenant == first.tenant]
    other = next(place.name for place in world.places if place.tenant != first.tenant)
    return [(first.name, other), (other, first.name), *((first.name, env) for env in envs[1:2])]
