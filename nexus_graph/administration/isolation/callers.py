"""Somebody who calls the server over HTTP and websockets: one principal in one tenant and env."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from nexus_graph.scope.errors import Throttled, Unavailable

WAIT_SECONDS = 60
_PROTOCOL = Subprotocol("graphql-transport-ws")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the HTTP status, the bytes as text, and the two parts of a GraphQL response."""

    status: int
    text: str
    data: Mapping[str, Any] | None
    errors: Sequence[Mapping[str, Any]]

    def codes(self, field: str) -> list[str]:
        """The codes of the errors of a field, and of those that are about no field."""
        return [
            str(error.get("extensions", {}).get("code"))
            for error in self.errors
            if not error.get("path") or error["path"][0] == field
        ]


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal with credentials, in one tenant and env. Whoever is throttled comes back when it may."""

    http: httpx.AsyncClient
    address: str
    tenant: str
    env: str
    role: str
    credentials: str

    @property
    def name(self) -> str:
        """Who it is, for a report."""
        return f"{self.role} of {self.tenant}/{self.env}"

    @property
    def headers(self) -> dict[str, str]:
        """Who it is, for the server."""
        return {
            "Authorization": f"Bearer {self.credentials}",
            "X-Nexus-Tenant": self.tenant,
            "X-Nexus-Env": self.env,
        }

    def in_tenant(self, tenant: str) -> Caller:
        """The same credentials in another tenant."""
        return Caller(self.http, self.address, tenant, self.env, self.role, self.credentials)

    def with_key(self, key: str) -> Caller:
        """An agent with an API key, in the same place."""
        return Caller(self.http, self.address, self.tenant, self.env, "agent", key)

    async def ask(self, document: str, variables: Mapping[str, Any] | None = None, **headers: str) -> Answer:
        """Send a document. An answer that is no GraphQL response has neither data nor errors."""
        body = orjson.dumps({"query": document, "variables": dict(variables or {})})
        sent = {**self.headers, "Content-Type": "application/json", **headers}
        while True:
            response = await self.http.post(f"{self.address}/graphql", content=body, headers=sent)
            text = response.text
            try:
                content = orjson.loads(text)
            except orjson.JSONDecodeError:
                content = {}
            answer = Answer(response.status_code, text, content.get("data"), content.get("errors", ()))
            if (pause := _pause(answer.errors)) is None:
                return answer
            await asyncio.sleep(pause)

    async def data(self, document: str, variables: Mapping[str, Any] | None = None) -> Any:
        """What the only field of a document is answered with. Raises Unavailable for an error or a user error."""
        answer = await self.ask(document, variables)
        value = next(iter((answer.data or {}).values()), None)
        refused = [*answer.errors, *((value.get("userErrors") or ()) if isinstance(value, dict) else ())]
        if refused or answer.data is None:
            told = refused[0]["message"] if refused else f"status {answer.status}"
            raise Unavailable(f"{self.name} was refused what it may do: {told} ({' '.join(document.split())[:80]})")
        return value

    async def frame(self, document: str, variables: Mapping[str, Any]) -> str:
        """The first message of a subscription, as it comes."""
        while True:
            async with asyncio.timeout(WAIT_SECONDS), self._subscribed(document, variables) as socket:
                text = str(await socket.recv())
            message = orjson.loads(text)
            payload = message.get("payload")
            errors = payload if isinstance(payload, list) else (payload or {}).get("errors") or ()
            if (pause := _pause(errors)) is None:
                return text
            await asyncio.sleep(pause)

    @asynccontextmanager
    async def stream(self, document: str, variables: Mapping[str, Any]) -> AsyncIterator[AsyncIterator[Any]]:
        """A subscription: yields what the field of each message is. Raises TimeoutError when that takes too long."""
        async with asyncio.timeout(WAIT_SECONDS), self._subscribed(document, variables) as socket:

            async def values() -> AsyncIterator[Any]:
                async for text in socket:
                    message = orjson.loads(text)
                    if message["type"] != "next" or not message["payload"].get("data"):
                        raise Unavailable(f"{self.name} was refused what it may follow: {text!r:.200}")
                    yield next(iter(message["payload"]["data"].values()))

            async with aclosing(values()) as found:  # type: ignore[type-var]
                yield found

    async def dismissal(self) -> tuple[int | None, str | None]:
        """How a websocket of its closes that is not let in; (None, None) when it is let in."""
        async with asyncio.timeout(WAIT_SECONDS), self._connection() as socket:
            await socket.send(orjson.dumps({"type": "connection_init", "payload": self.headers}).decode())
            try:
                await socket.recv()
            except ConnectionClosed:
                return socket.close_code, socket.close_reason
            return None, None

    def _connection(self) -> connect:
        address = self.address.replace("http", "ws", 1) + "/graphql"
        # Unread messages are kept without bound: a full queue would hold up the closing handshake.
        return connect(address, subprotocols=[_PROTOCOL], proxy=None, compression=None, close_timeout=2, max_queue=None)

    @asynccontextmanager
    async def _subscribed(self, document: str, variables: Mapping[str, Any]) -> AsyncIterator[ClientConnection]:
        async with self._connection() as socket:
            await socket.send(orjson.dumps({"type": "connection_init", "payload": self.headers}).decode())
            await socket.recv()
            payload = {"query": document, "variables": dict(variables)}
            await socket.send(orjson.dumps({"id": "1", "type": "subscribe", "payload": payload}).decode())
            yield socket


def _pause(errors: Sequence[Mapping[str, Any]]) -> float | None:
    """How many seconds to wait, when what came back says to come back later."""
    told = [error.get("extensions", {}) for error in errors]
    waits = [float(each["retryAfter"]) for each in told if each.get("code") == Throttled.code and "retryAfter" in each]
    return min(max(waits), WAIT_SECONDS) if waits else None
