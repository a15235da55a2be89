"""A running server of this machine to try the walls on: with tenants of its own, made in the server's data folder."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import httpx

from nexus_graph.administration.directory import development_token
from nexus_graph.administration.isolation.model import World
from nexus_graph.administration.isolation.opening import LIFETIME, connections
from nexus_graph.administration.isolation.people import dismiss, settle
from nexus_graph.config import Config
from nexus_graph.engines import open_stores, open_whole
from nexus_graph.scope.errors import Unavailable
from nexus_graph.stores.whole import Whole

ENV = "dev"
"""Tokens of the development key are good in this env only."""


def fresh() -> tuple[str, str]:
    """The names of two tenants that nobody has."""
    mark = secrets.token_hex(6)
    return f"t_proof_{mark}_one", f"t_proof_{mark}_two"


@asynccontextmanager
async def visited(
    config: Config, addresses: Sequence[str], words: Mapping[tuple[str, str], str]
) -> AsyncIterator[tuple[World, Whole]]:
    """A world over the servers at some addresses, which serve the data folder of this configuration.

    Afterwards nobody of it may come in any more; what it kept is still there. Raises ConfigurationError without a
    development key, or where not everything can be searched; Unavailable when no server answers, or one of another
    data folder.
    """
    tokens = {}

    def token(subject: str) -> str:
        if subject not in tokens:
            tokens[subject] = development_token(config, subject, LIFETIME)
        return tokens[subject]

    token("nobody@proof.example")  # before anything is made
    async with open_stores(config) as stores, open_whole(config, stores) as whole, connections() as http:
        for address in addresses:
            await _answers(http, address)
        world = await settle(stores, http, addresses, words, token)
        try:
            for caller in (each for place in world.places for each in place.people.values()):
                if (await caller.ask("{ viewer { role } }")).data is None:
                    raise Unavailable(
                        f"The server at {caller.address} does not know {caller.tenant}.",
                        hint="Run this in the folder whose nexus.toml the server was started with.",
                    )
            yield world, whole
        finally:
            await dismiss(stores, world)


async def _answers(http: httpx.AsyncClient, address: str) -> None:
    try:
        ready = (await http.get(f"{address}/readyz")).status_code
    except httpx.HTTPError as error:
        raise Unavailable(f"No server answers at {address} ({type(error).__name__}).") from None
    if ready != 200:
        raise Unavailable(f"The server at {address} is not ready: {ready}.")
