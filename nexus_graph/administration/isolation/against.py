"""A running server of this machine to try the walls on: with tenants of its own, made in the server's data folder."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx

from nexus_graph.administration.directory import development_token
from nexus_graph.administration.isolation.model import World
from nexus_graph.administration.isolation.opening import LIFETIME, connections
from nexus_graph.administration.isolation.people import dismiss, settle
from nexus_graph.config import Config
from nexus_graph.engines import open_stores
from nexus_graph.scope.errors import Unavailable
from nexus_graph.stores.work import Stores

ENV = "dev"
"""Tokens of the development key are good in this env only."""


def fresh() -> tuple[str, str]:
    """The names of two tenants that nobody has."""
    mark = secrets.token_hex(6)
    return f"t_proof_{mark}_one", f"t_proof_{mark}_two"


@asynccontextmanager
async def visited(
    config: Config, address: str, words: Mapping[tuple[str, str], str]
) -> AsyncIterator[tuple[World, Stores]]:
    """A world over the server at an address, which serves the data folder of this configuration.

    Afterwards nobody of it may come in any more; what it kept is still there. Raises ConfigurationError without a
    development key, Unavailable when no server answers there, or one of another data folder.
    """
    tokens = {}

    def token(subject: str) -> str:
        if subject not in tokens:
            tokens[subject] = development_token(config, subject, LIFETIME)
        return tokens[subject]

    token("nobody@proof.example")  # before anything is made
    async with open_stores(config) as stores, connections() as http:
        await _answers(http, address)
        world = await settle(stores, http, address, words, token)
        try:
            for place in world.places:
                if (await place.both.ask("{ viewer { role } }")).data is None:
                    raise Unavailable(
                        f"The server at {address} does not know {place.tenant}.",
                        hint="Run this in the folder whose nexus.toml the server was started with.",
                    )
            yield world, stores
        finally:
            await dismiss(stores, world)


async def _answers(http: httpx.AsyncClient, address: str) -> None:
    try:
        ready = (await http.get(f"{address}/readyz")).status_code
    except httpx.HTTPError as error:
        raise Unavailable(f"No server answers at {address} ({type(error).__name__}).") from None
    if ready != 200:
        raise Unavailable(f"The server at {address} is not ready: {ready}.")
