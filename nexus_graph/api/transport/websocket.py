"""GraphQL over websockets: the `graphql-transport-ws` protocol.

Spec: github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md. Close codes beyond it: 4403 for credentials that have run
out (the client comes back with new ones and its cursor), 4401 for refused or revoked ones, 1013 for a stalled client,
4429 for a connection too many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any

import orjson
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from nexus_graph.api.context import Context, from_connection_init
from nexus_graph.api.errors import refusal
from nexus_graph.api.execution import EVERY_KIND, Answer, Execution, Refused
from nexus_graph.api.house import House
from nexus_graph.api.transport.operation import Operation, decode
from nexus_graph.scope.errors import Invalid, NexusError, Unauthenticated, Unavailable
from nexus_graph.scope.ids import new_id
from nexus_graph.scope.scope import Scope

log = structlog.get_logger("nexus_graph.api")

PROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 5.0
SEND_SECONDS = 10.0
MOST_OPERATIONS = 100


class WebSocketEndpoint:
    """Answers websockets at `/graphql`."""

    def __init__(self, execution: Execution, house: House) -> None:
        self._execution = execution
        self._house = house

    async def answer(self, websocket: WebSocket) -> None:
        """Speak the protocol until either side closes."""
        if PROTOCOL not in websocket.scope.get("subprotocols", ()):
            await websocket.accept()
            await websocket.close(4406, "Subprotocol not acceptable")
            return
        await websocket.accept(subprotocol=PROTOCOL)
        with self._house.watch.metrics.sockets.track_inprogress():
            await _Socket(self._execution, self._house, websocket).converse()


class _Gone(Exception):
    """The client is away, or does not read."""


class _Socket:
    def __init__(self, execution: Execution, house: House, websocket: WebSocket) -> None:
        self._execution = execution
        self._house = house
        self._websocket = websocket
        self._scope: Scope | None = None
        self._traceparent: str | None = None
        self._initialised = False
        self._operations: dict[str, asyncio.Task[None]] = {}

    async def converse(self) -> None:
        patience = asyncio.create_task(self._expect_init())
        try:
            while self._websocket.application_state is WebSocketState.CONNECTED:
                frame = await self._websocket.receive()
                if frame["type"] == "websocket.disconnect":
                    return
                await self._hear(frame.get("text"))
        except (WebSocketDisconnect, RuntimeError, _Gone):
            return  # gone, or closed by us while we listened
        finally:
            if self._scope is not None:
                self._house.rates.sockets.leave(self._scope)
            tasks = [patience, *self._operations.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self, code: int, reason: str) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._websocket.close(code, reason)

    async def _refuse(self, error: NexusError) -> None:
        """Close: who ran out of time comes back with new credentials, who found us busy comes back, others stay out."""
        log.warning("connection.refused", code=error.code)
        self._house.watch.metrics.refused(error)
        if isinstance(error, Unavailable):
            await self.close(1013, "Try again later")
        else:
            expired = isinstance(error, Unauthenticated) and error.expired
            await self.close(4403 if expired else 4401, f"{error.code}: {error.message}"[:120])

    async def _expect_init(self) -> None:
        await asyncio.sleep(INIT_SECONDS)
        if not self._initialised:
            await self.close(4408, "Connection initialisation timeout")

    async def _hear(self, text: str | None) -> None:
        try:
            message = decode(text) if text is not None else None
        except Invalid:
            message = None
        if not isinstance(message, Mapping) or not isinstance(message.get("type"), str):
            await self.close(4400, "Invalid message")
            return
        match message["type"]:
            case "connection_init":
                await self._init(message.get("payload"))
            case "ping":
                await self._send({"type": "pong"})
            case "pong":
                pass
            case "subscribe":
                await self._subscribe(message)
            case "complete" if isinstance(message.get("id"), str):
                if task := self._operations.pop(message["id"], None):
                    task.cancel()
            case _:
                await self.close(4400, "Invalid message")

    async def _init(self, payload: object) -> None:
        if self._initialised:
            await self.close(4429, "Too many initialisation requests")
            return
        if payload is not None and not isinstance(payload, Mapping):
            await self.close(4400, "Invalid connection init payload")
            return
        self._initialised = True
        try:
            presented = from_connection_init(payload or {})
            scope = await self._house.admission.admit(presented)
        except NexusError as error:
            await self._refuse(error)
            return
        if not self._house.rates.sockets.enter(scope):
            await self._house.rates.refusals.tell(scope)
            await self.close(4429, "Too many connections")
            return
        self._scope, self._traceparent = scope, presented.traceparent
        await self._send({"type": "connection_ack"})

    async def _subscribe(self, message: Mapping[str, Any]) -> None:
        operation_id = message.get("id")
        if self._scope is None:
            await self.close(4401, "Unauthorized")
            return
        if not isinstance(operation_id, str) or not operation_id:
            await self.close(4400, "Invalid message")
            return
        if operation_id in self._operations:
            await self.close(4409, f"Subscriber for {operation_id[:60]} already exists")
            return
        if len(self._operations) >= MOST_OPERATIONS:
            error = Invalid(f"At most {MOST_OPERATIONS} operations run on one connection.")
            await self._send(
                {"id": operation_id, "type": "error", "payload": refusal(error, self._scope.trace_id)["errors"]}
            )
            return
        task = asyncio.create_task(self._run(operation_id, message.get("payload"), self._scope))
        self._operations[operation_id] = task

    async def _run(self, operation_id: str, payload: object, admitted: Scope) -> None:
        me = asyncio.current_task()
        try:
            try:
                scope = replace(await self._house.admission.renew(admitted), request_id=new_id("req"))
            except NexusError as error:
                await self._refuse(error)
                return
            with self._house.watch.operation(self._traceparent) as observation:
                await self._answer(operation_id, payload, Context(self._house, scope, observation))
        except _Gone:
            await self.close(1013, "Try again later")
        finally:
            if self._operations.get(operation_id) is me:
                del self._operations[operation_id]

    async def _answer(self, operation_id: str, payload: object, context: Context) -> None:
        """Run one operation. What is wrong with it costs neither the others nor the socket."""
        try:
            try:
                operation = Operation.of(payload)
            except Invalid as error:
                raise await self._execution.refuse(context, error, malformed=True) from error
            prepared = await self._execution.prepare(context, operation, EVERY_KIND)
            if not prepared.streams:
                await self._next(operation_id, await self._execution.execute(prepared))
            else:
                async with aclosing(self._execution.stream(prepared)) as answers:
                    async for answer in answers:
                        await self._next(operation_id, answer)
            await self._end(operation_id, "complete")
        except Refused as refused:
            await self._end(operation_id, "error", refused.body["errors"])

    async def _next(self, operation_id: str, answer: Answer) -> None:
        await self._send({"id": operation_id, "type": "next", "payload": answer.body})

    async def _end(self, operation_id: str, how: str, errors: list[dict[str, Any]] | None = None) -> None:
        """The last message of an operation. Its id is free again before the client hears of it."""
        self._operations.pop(operation_id, None)
        await self._send({"id": operation_id, "type": how} | ({} if errors is None else {"payload": errors}))

    async def _send(self, message: dict[str, Any]) -> None:
        """Send, or give up on a client that does not read."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._websocket.send_text(orjson.dumps(message, option=orjson.OPT_NON_STR_KEYS).decode())
        except (WebSocketDisconnect, RuntimeError, TimeoutError) as error:
            raise _Gone from error
