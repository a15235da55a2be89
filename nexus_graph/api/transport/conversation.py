"""One websocket, from its first message to its last: the protocol `graphql-transport-ws`.

Which close code says what, where the protocol leaves it open: 4403 that the credentials have run out (the client comes
back with new ones and its cursor), 4401 that they were refused or revoked, 4429 one connection too many of an actor,
1012 that the server goes down, 1013 that it is too busy. A socket that has to end lets its streams say their last words
first. A client that does not read is let go by the server below.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any

import orjson
import structlog
from graphql import OperationType
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from nexus_graph.api.context import Context, from_connection_init
from nexus_graph.api.errors import defect
from nexus_graph.api.house import House
from nexus_graph.api.operations.broadcasting import Encoded, ShortWay
from nexus_graph.api.operations.execution import EVERY_KIND, Answer, Execution, Refused
from nexus_graph.api.operations.operation import Operation
from nexus_graph.api.transport.messages import Malformed, Message, read, reason
from nexus_graph.api.transport.receiving import TICKET
from nexus_graph.api.transport.vigil import Vigil
from nexus_graph.scope.errors import Invalid, NexusError, Unauthenticated, Unavailable
from nexus_graph.scope.ids import new_id
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.pacing import Opening

log = structlog.get_logger("nexus_graph.api")

WELCOME = "nexus.welcome"
"""What the server below wants called once it is known who is there: an extension of ASGI, `{"call": ...}`."""
PUSH = "nexus.push"
"""What the server below offers: `{"frame": ...}` makes the bytes of a text frame, `{"call": ...}` writes such bytes at
once, or says that it can't take them now."""
INIT_SECONDS = 3.0
LAST_WORDS_SECONDS = 4.0
"""How long the operations of a socket that has to end may take."""
MOST_OPERATIONS = 100
MOST_ANSWERS = 4
"""Answers to queries that are made, or wait for the client to read, at once: they may be large."""
BY_TICKET = frozenset({OperationType.QUERY, OperationType.SUBSCRIPTION})

_REVOKED = "FORBIDDEN: No access to this tenant and env."
_EXPIRED = "UNAUTHENTICATED: The credentials have expired."
_DAY = 86_400.0
_NEXT = b'{"id":%b,"type":"next","payload":%b}'


class _Gone(Exception):
    """The client is away."""


class Conversation:
    """What is said on one accepted websocket. `scope` is who speaks, once they are admitted."""

    __slots__ = (
        "_answering",
        "_carried",
        "_ending",
        "_execution",
        "_greeted",
        "_house",
        "_operations",
        "_pace",
        "_sending",
        "_tasks",
        "_timer",
        "_traceparent",
        "_vigil",
        "_websocket",
        "scope",
    )

    def __init__(self, execution: Execution, house: House, vigil: Vigil, websocket: WebSocket) -> None:
        self._execution = execution
        self._house = house
        self._vigil = vigil
        self._websocket = websocket
        self._carried = EVERY_KIND
        self.scope: Scope | None = None
        self._traceparent: str | None = None
        self._greeted = False
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: asyncio.Task[None] | None = None
        self._answering = asyncio.Semaphore(MOST_ANSWERS)
        self._sending = asyncio.Lock()
        self._pace = Pace()

    async def hold(self) -> None:
        """Listen and answer until either side closes; then nothing of it is left."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(INIT_SECONDS, self._late)
        self._vigil.enter(self)
        try:
            while self._websocket.application_state is WebSocketState.CONNECTED:  # we have not closed it
                frame = await self._websocket.receive()
                if frame["type"] == "websocket.disconnect":
                    return
                await self._hear(frame.get("text"))
                await asyncio.sleep(self._pace.wait)  # others are heard in between, however fast this one speaks
        except _Gone:
            return
        except Exception as error:
            defect(error, "" if self.scope is None else self.scope.trace_id)
            await self._close(1011, "Something went wrong on our side")
        finally:
            self._timer.cancel()
            self._vigil.leave(self)
            if self.scope is not None:
                self._house.rates.sockets.leave(self.scope)
            for task in self._operations.values():  # the others are on their way out
                task.cancel()
            left = [*self._tasks] if self._ending is None else [*self._tasks, self._ending]
            await asyncio.gather(*left, return_exceptions=True)

    async def _hear(self, text: str | None) -> None:
        try:
            message = read(text)
        except Malformed as error:
            await self._close(4400, f"Invalid message: {error}")
            return
        match message.kind:
            case "connection_init":
                await self._admit(message.payload or {})
            case "ping":
                self._pace.spend()
                await self._send({"type": "pong"} | ({} if message.payload is None else {"payload": message.payload}))
            case "subscribe":
                await self._subscribe(message)
            case _:  # a pong, or the end of an operation, which need not be paid for yet, or be over already
                self._pace.spend()
                if task := self._operations.pop(message.operation, None):
                    task.cancel()

    async def _admit(self, payload: Mapping[str, Any]) -> None:
        if self._greeted:
            await self._close(4429, "Too many initialisation requests")
            return
        self._greeted = True
        self._timer.cancel()
        presented = from_connection_init(payload, self._websocket.query_params.get(TICKET))
        try:
            scope = await self._house.admission.admit(presented)
        except NexusError as error:
            await self._close(*self._refused(error))
            return
        if not self._house.rates.sockets.enter(scope):
            await self._house.rates.refusals.tell(scope)
            await self._close(4429, "Too many connections")
            return
        self.scope, self._traceparent = scope, presented.traceparent
        self._carried = EVERY_KIND if presented.ticket is None else BY_TICKET
        self._vigil.admitted(scope)
        self._await_expiry(scope)
        if welcome := self._websocket.scope.get("extensions", {}).get(WELCOME):
            welcome["call"]()
        await self._send({"type": "connection_ack"})

    async def _subscribe(self, message: Message) -> None:
        if self.scope is None:
            await self._close(4401, "Unauthorized")
        elif message.operation in self._operations:
            await self._close(4409, f"Subscriber for {message.operation} already exists")
        elif self._ending is not None:
            return
        elif len(self._operations) >= MOST_OPERATIONS:
            await self._operate(message.operation, _asked(message), self.scope)
        else:
            task = asyncio.create_task(self._operate(message.operation, _asked(message), self.scope))
            self._operations[message.operation] = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _operate(self, operation: str, asked: Operation | NexusError, admitted: Scope) -> None:
        me = asyncio.current_task()
        opening: Opening | None = None
        try:
            if isinstance(asked, Operation) and self._execution.opens(admitted, asked):
                opening = self._house.stores.pacing.opening(admitted)
                await opening.begin()
            else:
                async with self._house.starting.turn(admitted):
                    pass
            scope = replace(await self._house.admission.renew(admitted), request_id=new_id("req"))
            with self._house.watch.operation(self._traceparent) as observation:
                context = Context(self._house, scope, observation)
                context.opening = opening
                deed = self._answer(operation, asked, context)
                del asked  # a stream does not hold on to the text that it was asked with
                await deed
        except _Gone:
            return
        except NexusError as error:
            self._end(*self._refused(error))
        finally:
            if opening is not None:
                opening.end()
            if self._operations.get(operation) is me:
                del self._operations[operation]

    async def _answer(self, operation_id: str, asked: Operation | NexusError, context: Context) -> None:
        """Run one operation. What is wrong with it costs neither the others nor the socket."""
        try:
            operation = await self._require(operation_id, asked, context)
            prepared = await self._execution.prepare(context, operation, self._carried)
            del operation, asked
            if prepared.operation.operation is OperationType.QUERY:
                async with self._answering:
                    with self._house.stores.pacing.answering():
                        answer = await self._execution.execute(prepared)
                    await self._next(operation_id, answer)
            elif not prepared.streams:
                with self._house.stores.pacing.answering():
                    answer = await self._execution.execute(prepared)
                await self._next(operation_id, answer)
            else:
                async with aclosing(self._execution.stream(prepared, self._short_way(operation_id))) as answers:
                    async for answer in answers:
                        await self._next(operation_id, answer)
            await self._finish(operation_id, "complete")
        except Refused as refused:
            self._pace.spend()
            await self._finish(operation_id, "error", refused.body["errors"])
        except (_Gone, NexusError):
            raise
        except Exception as error:
            context.opened()
            context.observation.ended_as("INTERNAL")
            await self._finish(operation_id, "error", [defect(error, context.scope.trace_id)])

    async def _require(self, operation_id: str, asked: Operation | NexusError, context: Context) -> Operation:
        if operation_id not in self._operations:
            hint = "Complete one that is not needed, or open another connection."
            asked = Invalid(f"At most {MOST_OPERATIONS} operations run on one connection.", hint=hint)
        if isinstance(asked, NexusError):
            raise await self._execution.refuse(context, asked, malformed=True) from asked
        return asked

    async def _next(self, operation_id: str, answer: Answer) -> None:
        await self._send({"id": operation_id, "type": "next", "payload": answer.body})

    def _short_way(self, operation_id: str) -> ShortWay | None:
        """Writes ready answers of an operation, as long as the client reads them as they come."""
        offered = self._websocket.scope.get("extensions", {}).get(PUSH)
        if offered is None:
            return None
        return ShortWay(_Framing(operation_id, offered["frame"]), offered["call"])

    async def _finish(self, operation_id: str, how: str, errors: list[dict[str, Any]] | None = None) -> None:
        """The last message of an operation. Its id is free again before the client hears of it."""
        self._operations.pop(operation_id, None)
        await self._send({"id": operation_id, "type": how} | ({} if errors is None else {"payload": errors}))

    async def _send(self, message: dict[str, Any]) -> None:
        """Send one message after the other: those who wait for a slow client do not all write when it reads again."""
        async with self._sending:
            text = orjson.dumps(message, option=orjson.OPT_NON_STR_KEYS).decode()
            try:
                await self._websocket.send_text(text)
            except (WebSocketDisconnect, RuntimeError) as error:
                raise _Gone from error

    def _refused(self, error: NexusError) -> tuple[int, str]:
        """How to close: who ran out of time comes back with new credentials, who found us busy too, others stay out."""
        log.warning("connection.refused", code=error.code)
        self._house.watch.metrics.refused(error)
        if isinstance(error, Unavailable):
            return 1013, "Try again later"
        expired = isinstance(error, Unauthenticated) and error.expired
        return 4403 if expired else 4401, f"{error.code}: {error.message}"

    def revoked(self) -> None:
        """The principal has no place in the tenant any more."""
        self._end(4401, _REVOKED)

    def stopped(self) -> None:
        """The server goes down."""
        self._end(1012, "The server goes down")

    def _await_expiry(self, scope: Scope) -> None:
        if scope.expires_at is not None:
            left = (scope.expires_at - self._house.stores.clock()).total_seconds()
            if left <= 0:
                self._end(4403, _EXPIRED)
            else:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(min(left, _DAY), self._await_expiry, scope)

    def _late(self) -> None:
        self._end(4408, "Connection initialisation timeout")

    def _end(self, code: int, text: str) -> None:
        if self._ending is None:
            self._ending = asyncio.create_task(self._close_after_last_words(code, text))

    async def _close_after_last_words(self, code: int, text: str) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_WORDS_SECONDS)
        await self._close(code, text)

    async def _close(self, code: int, text: str) -> None:
        await close(self._websocket, code, text)


class _Framing:
    """Makes the frames of one operation."""

    __slots__ = ("_operation_id", "_text_frame")

    def __init__(self, operation_id: str, text_frame: Callable[[bytes], bytes]) -> None:
        self._operation_id, self._text_frame = operation_id, text_frame

    def __call__(self, encoded: Encoded, own: bytes | None, _: str | None) -> bytes:
        if own is not None:
            return self._framed(own)
        return encoded.framed(("websocket", self._operation_id), self._framed)

    def _framed(self, payload: bytes) -> bytes:
        return self._text_frame(_NEXT % (orjson.dumps(self._operation_id), payload))


def _asked(message: Message) -> Operation | NexusError:
    """What a client asks for, or what is wrong with that."""
    try:
        return Operation.of(message.payload)
    except NexusError as error:
        return error


async def close(websocket: WebSocket, code: int, text: str) -> None:
    """Close, unless the client is away."""
    with suppress(WebSocketDisconnect, RuntimeError):
        await websocket.close(code, reason(text))


class Pace:
    """How fast a client is heard that asks for nothing, or for what is refused: a hundred at once, then 100 a second.

    The others wait in its own buffers: nobody else pays for them.
    """

    __slots__ = ("_now", "_until")
    BURST = 1.0
    EACH = 0.01

    def __init__(self) -> None:
        self._now = asyncio.get_running_loop().time
        self._until = 0.0

    def spend(self) -> None:
        """One more."""
        self._until = max(self._until, self._now()) + self.EACH

    @property
    def wait(self) -> float:
        """Seconds until the next is heard."""
        return max(0.0, self._until - self._now() - self.BURST)
