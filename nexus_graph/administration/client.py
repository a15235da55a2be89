"""A small GraphQL client over HTTP and websocket, for the demo: it goes through the front door like everybody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import connect

from nexus_graph.scope.errors import Unavailable
from nexus_graph.scope.resources import resource


class Client:
    """One principal in one tenant and env."""

    def __init__(self, address: str, tenant: str, env: str, credentials: str) -> None:
        self._address = address
        self.headers = {
            "Authorization": f"Bearer {credentials}",
            "X-Nexus-Tenant": tenant,
            "X-Nexus-Env": env,
        }
        self._http = httpx.AsyncClient(timeout=60, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ask(self, operation: str, variables: dict[str, Any], *, run_id: str | None = None) -> dict[str, Any]:
        """Send a document of `schema/operations/`. Raises Unavailable for a GraphQL error or a user error."""
        headers = self.headers | ({"X-Nexus-Run": run_id} if run_id else {})
        body = {"query": document(operation), "variables": variables}
        answer = (await self._http.post(f"{self._address}/graphql", json=body, headers=headers)).json()
        data: dict[str, Any] = answer.get("data") or {}
        payload: dict[str, Any] = next(iter(data.values()), {}) or {}
        for error in answer.get("errors") or payload.get("userErrors") or ():
            raise Unavailable(f"{operation} was refused: {error['message']}", hint=error.get("hint"))
        return payload

    async def send(self, upload: dict[str, Any], data: bytes) -> None:
        """Send bytes to a presigned address."""
        (await send(self._http, upload, data)).raise_for_status()

    @asynccontextmanager
    async def follow(self, operation: str, variables: dict[str, Any]) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Subscribe with a document of `schema/operations/`; yields what each frame carries."""
        address = self._address.replace("http", "ws", 1) + "/graphql"
        async with connect(address, subprotocols=["graphql-transport-ws"], compression=None, proxy=None) as socket:  # type: ignore[list-item]
            await socket.send(orjson.dumps({"type": "connection_init", "payload": self.headers}).decode())
            await socket.recv()
            body = {"query": document(operation), "variables": variables}
            await socket.send(orjson.dumps({"id": "1", "type": "subscribe", "payload": body}).decode())

            async def frames() -> AsyncIterator[dict[str, Any]]:
                async for text in socket:
                    message = orjson.loads(text)
                    if message["type"] == "complete":
                        return
                    if message["type"] == "error":
                        raise Unavailable(f"{operation} was refused: {message['payload'][0]['message']}")
                    yield next(iter(message["payload"]["data"].values()))

            async with aclosing(frames()) as found:  # type: ignore[type-var]
                yield found


async def send(http: httpx.AsyncClient, upload: Mapping[str, Any], data: bytes) -> httpx.Response:
    """Send bytes to an upload as the server told it: bare, or as the file of a form where it names fields."""
    headers, fields = ({item["name"]: item["value"] for item in upload[each]} for each in ("headers", "fields"))
    body: dict[str, Any] = {"data": fields, "files": {"file": data}} if fields else {"content": data}
    return await http.request(upload["method"], upload["address"], headers=headers, **body)


def document(operation: str) -> str:
    """The text of a document such as `agent/RequestPack`."""
    return (resource("schema") / "operations" / f"{operation}.graphql").read_text("utf-8")
