"""A whole house inside the test's own process: every door, no follower, and callers that wait for their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx

from nexus_graph import config
from nexus_graph.administration.directory import development_token
from nexus_graph.administration.installing import install
from nexus_graph.api.house import House
from nexus_graph.app import application, open_house
from nexus_graph.scope.scope import Env, Scope, Surface
from nexus_graph.stores.migrations import migrate
from nexus_graph.stores.work import Stores
from nexus_graph.tenants import keys, membership

TENANT = "t_acme"
USERS = ("owner", "admin", "member")

Answer = TypeVar("Answer")


class Inside:
    """A house, and everybody in it: `inside.caller("owner").ask(...)`."""

    def __init__(self, runner: asyncio.Runner, house: House, credentials: dict[str, str]) -> None:
        self._runner = runner
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(application(house)), base_url="http://inside")
        self._credentials = credentials
        self.house = house

    def run(self, deed: Awaitable[Answer]) -> Answer:
        """Wait for something."""

        async def waited() -> Answer:
            return await deed

        return self._runner.run(waited())

    def caller(self, who: str) -> InsideCaller:
        """Somebody of the tenant: owner, admin, member or agent."""
        return InsideCaller(self, {"Authorization": f"Bearer {self._credentials[who]}"})

    def send(self, method: str, address: str, **request: Any) -> httpx.Response:
        """One request."""
        return self.run(self._client.request(method, address, **request))

    def close(self) -> None:
        """Close the client."""
        self.run(self._client.aclose())


class InsideCaller:
    """Somebody who calls the GraphQL door."""

    def __init__(self, inside: Inside, headers: dict[str, str]) -> None:
        self._inside = inside
        self.headers = {**headers, "X-Nexus-Tenant": TENANT, "X-Nexus-Env": "dev"}

    def whole(self, document: str, variables: dict[str, Any] | None = None) -> Any:
        """The whole answer."""
        body = {"query": document, "variables": variables or {}}
        return self._inside.send("POST", "/graphql", json=body, headers=self.headers).json()

    def ask(self, document: str, variables: dict[str, Any] | None = None) -> Any:
        """The data; fails on any error."""
        answer = self.whole(document, variables)
        assert "errors" not in answer, answer
        return answer["data"]

    def upload(self, address: Any, data: bytes) -> int:
        """Send bytes to a presigned upload; the status of the answer."""
        headers = {item["name"]: item["value"] for item in address["headers"]}
        return self._inside.send(address["method"], address["address"], content=data, headers=headers).status_code


@contextmanager
def inside(folder: Path, **settings: Any) -> Iterator[Inside]:
    """Open a fresh house in an empty folder, with a tenant and an owner, an admin, a member and an agent in it."""
    install(folder)
    defaults = {"embedder": "hashing", "index_wait_seconds": 0.001}
    chosen = config.load({}, folder / "nexus.toml", **{**defaults, **settings}).config
    migrate(chosen.database)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        house = runner.run(stack.enter_async_context(open_house(chosen)))
        opened = Inside(runner, house, runner.run(_furnish(house.stores, chosen)))
        try:
            yield opened
        finally:
            opened.close()
            runner.run(stack.aclose())


async def _furnish(stores: Stores, chosen: config.Config) -> dict[str, str]:
    scope = Scope.system(TENANT, Env.DEV, "command_line", surface=Surface.COMMAND_LINE)
    await membership.create_tenant(stores, scope, TENANT)
    credentials = {}
    for role in USERS:
        await membership.set_member(stores, scope, f"{role}@{TENANT}", role)
        credentials[role] = development_token(chosen, f"{role}@{TENANT}", timedelta(hours=12))
    credentials["agent"] = (await keys.create_key(stores, scope, "agent", 90))[1]
    return credentials
