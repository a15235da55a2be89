"""A server of its own to try the walls on: an empty installation in a temporary folder, with people in every place."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path

import httpx

from nexus_graph import config, logs
from nexus_graph.administration.installing import install
from nexus_graph.administration.isolation.callers import WAIT_SECONDS
from nexus_graph.administration.isolation.model import World
from nexus_graph.administration.isolation.people import settle
from nexus_graph.administration.serving import listen, served
from nexus_graph.api.house import House
from nexus_graph.app import following, open_house
from nexus_graph.scope.clock import system_clock
from nexus_graph.stores.migrations import migrate
from nexus_graph.tenants import tokens

TENANTS = ("t_proof_one", "t_proof_two")
LIFETIME = timedelta(hours=2)

_ISSUER, _AUDIENCE = "nexus-graph-proof", "nexus-graph"
"""Who signs for the people of the proof: in every env, as tokens of the development key may not."""
_PLENTY = 10**9
_SETTINGS = {
    "embedder": "hashing",
    "heartbeat_seconds": 0.2,
    "index_wait_seconds": 0,
    "port": 0,
    **dict.fromkeys(("actor_burst", "actor_per_second", "tenant_burst", "tenant_per_second"), _PLENTY),
    **dict.fromkeys(("introspection_burst", "introspection_per_second"), _PLENTY),
}
"""Walls are tried, not speed: nobody waits, and nobody is throttled."""


@asynccontextmanager
async def opened(words: Mapping[tuple[str, str], str]) -> AsyncIterator[tuple[World, House]]:
    """A world over a server in this process, in a folder that is gone afterwards.

    `words` gives each place, a tenant and an env, its canary word.
    """
    with tempfile.TemporaryDirectory(prefix="nexus-graph-proof-") as folder:
        install(Path(folder))
        signing_key = tokens.new_development_key()
        public = Path(folder) / "keys.json"
        public.write_text(json.dumps({"keys": [signing_key.as_dict(private=False)]}))
        issuer = {"issuer": _ISSUER, "audience": _AUDIENCE, "keys": str(public)}
        settings = config.load({}, Path(folder) / "nexus.toml", issuers=[issuer], **_SETTINGS).config
        migrate(settings.database)
        bound = listen(settings)
        settings = settings.model_copy(update={"port": bound.getsockname()[1]})

        def token(subject: str) -> str:
            return tokens.issue(
                signing_key,
                issuer=_ISSUER,
                audience=_AUDIENCE,
                subject=subject,
                now=system_clock(),
                lifetime=LIFETIME,
            )

        with _logging_to(Path(folder) / "server.log"):
            async with open_house(settings) as house, following(house), served(house, bound), connections() as http:
                yield await settle(house.stores, http, [settings.address], words, token), house


def connections() -> httpx.AsyncClient:
    """Kept connections to a server of this machine, past any proxy."""
    return httpx.AsyncClient(timeout=WAIT_SECONDS, trust_env=False)


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Everything that is logged, down to the least severe line, goes to a file where canaries are searched for."""
    with path.open("w", encoding="utf-8") as log:
        logs.configure("debug", log)
        try:
            yield
        finally:
            logs.configure("warning")
