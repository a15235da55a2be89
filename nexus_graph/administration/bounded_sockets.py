"""Websockets whose memory and time are bounded below the application: RFC 6455 as uvicorn speaks it, with deadlines.

Who does not read is not listened to, and let go when nothing moves for `send_seconds`. Who sends a message must end it,
within `request_seconds` and a bounded number of pieces; before the application has welcomed a client, its messages are
small.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, ClassVar

import orjson
import structlog
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request, Response
from websockets.typing import StatusLike

from nexus_graph.administration.uvicorn_inside import ASGIReceiveEvent, ASGISendEvent, WebSocketsSansIOProtocol
from nexus_graph.administration.websockets_inside import ServerProtocol, text_frame, unparsed
from nexus_graph.api.errors import refusal
from nexus_graph.api.transport.conversation import PUSH, WELCOME
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.ids import new_trace_id

log = structlog.get_logger("nexus_graph.server")

LARGEST_GREETING = 32 * 1024
"""Bytes of a message of somebody who is not welcomed yet: the longest token, and 8 KiB beside it."""
MOST_FRAGMENTS = 4096
MOST_WAITING = 1000
"""Messages that arrived at once and wait for the application."""
CLOSE_SECONDS = 2.0
"""How long a client may take to answer a close."""
DRAIN_SECONDS = 5.0
"""How long the application may take to end its streams when the server goes down."""
PIECE = 4096
MOST_CONTROLS = 100
"""Pings and pongs of a client in a second."""
LEAST_READ = 64 * 1024
"""Bytes that a client with a backlog must read within `send_seconds`."""

_NOTHING_KEPT = struct.pack("ii", 1, 0)
_UPGRADE = "Send the upgrade of RFC 6455: GET, Connection, Upgrade, Sec-WebSocket-Key and Sec-WebSocket-Version 13."


class BoundedSocket(WebSocketsSansIOProtocol):
    """One websocket. The application is given `scope["extensions"][WELCOME]`, to call once it knows the client."""

    send_seconds: ClassVar[float] = 5.0
    request_seconds: ClassVar[float] = 15.0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.close_timeout = CLOSE_SECONDS
        self.queue = _Messages(self.loop)  # type: ignore[assignment] # what the library uses of a queue
        self.writable = _Writable(self.loop)  # type: ignore[assignment] # and of an event
        self.conn = _Handshake(max_size=LARGEST_GREETING, logger=self.conn.logger)
        self._begun: asyncio.TimerHandle | None = None
        self._messages = 0
        self._controls = (0, 0)
        self._blocked: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        for timer in (self._begun, self._blocked):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a message that has begun must end."""
        before = self._messages
        for start in range(0, len(data), PIECE):  # a piece too many is noticed before the next is looked at
            super().data_received(data[start : start + PIECE])
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._refuse_handshake()
        unfinished = bool(self.frames) or unparsed(self.conn)
        if self._begun is not None and (self._messages > before or not unfinished):
            self._begun.cancel()
            self._begun = None
        if unfinished and self._begun is None and not self.transport.is_closing():
            self._begun = self.loop.call_later(self.request_seconds, self._unfinished)

    def _refuse_handshake(self) -> None:
        """What is no request at all is answered as well."""
        self.handshake_initiated = self.handshake_complete = self.close_sent = True
        response = self.conn.reject(400, "")
        self.transport.write(b"".join(self.conn.data_to_send()) or response.serialize())
        self.transport.close()

    def handle_connect(self, event: Request) -> None:
        """Let the application say when it knows who is there."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["extensions"][WELCOME] = {"call": self._welcome}
            self.scope["extensions"][PUSH] = {"call": self._push, "frame": text_frame}

    def _push(self, frame: bytes) -> bool:
        """Write a frame at once, for as long as the client reads."""
        if not self.writable.is_set() or self.close_sent or self.disconnected or self.transport.is_closing():
            return False
        self.transport.write(frame)
        return True

    def _welcome(self) -> None:
        """The client is known, and nobody looks at its handshake any more."""
        self.conn.max_message_size = self.config.ws_max_size
        del self.request, self.response
        if isinstance(headers := self.scope["headers"], list):
            headers.clear()

    def handle_cont(self, event: Frame) -> None:
        """A further piece of a message: empty ones count as well."""
        if len(self.frames) >= MOST_FRAGMENTS:
            self._fail(CloseCode.POLICY_VIOLATION, "Too many fragments")
        else:
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Pings cost nothing and are answered: not any number of them."""
        if self._controlled():
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Pongs that nobody asked for are allowed, and ignored."""
        if self._controlled():
            super().handle_pong(event)

    def _controlled(self) -> bool:
        second = int(self.loop.time())
        self._controls = (second, self._controls[1] + 1 if self._controls[0] == second else 1)
        if self._controls[1] > MOST_CONTROLS:
            self._fail(CloseCode.POLICY_VIOLATION, "Too many pings")
        return not self.close_sent

    def send_receive_event_to_app(self) -> None:
        """A whole message."""
        self._messages += 1
        data = b"".join(self.frames)
        self.frames = []
        if self.close_sent:  # what comes after our goodbye is read, so that the client's goodbye is, and thrown away
            return
        if self.queue.qsize() >= MOST_WAITING:
            self._fail(CloseCode.POLICY_VIOLATION, "Too many messages at once")
            return
        event: ASGIReceiveEvent = {"type": "websocket.receive", "bytes": data}
        if self.curr_msg_data_type == "text":
            try:
                event = {"type": "websocket.receive", "text": data.decode()}
            except UnicodeDecodeError:
                self._fail(CloseCode.INVALID_DATA, "Invalid UTF-8")
                return
        self.queue.put_nowait(event)
        self.read_paused = True
        self.transport.pause_reading()

    def _unfinished(self) -> None:
        self._begun = None
        if self.read_paused or not self.writable.is_set():  # it is us who do not read
            self._begun = self.loop.call_later(self.request_seconds, self._unfinished)
        elif not self.close_sent:
            self._fail(CloseCode.POLICY_VIOLATION, "The message was not finished in time")

    def _fail(self, code: CloseCode, reason: str) -> None:
        if not self.close_sent:
            self.conn.fail(code, reason)
            self.handle_parser_exception()

    def handle_parser_exception(self) -> None:
        """Say why, and let the client read it: who closes on unread bytes resets the connection, and is not heard."""
        told = self.conn.close_sent
        if self.close_sent or self.transport.is_closing() or told is None:
            return
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": told.code, "reason": told.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.transport.resume_reading()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)

    async def send(self, message: ASGISendEvent) -> None:
        """Send on. A handshake that is answered with a response is over, which the library forgets and logs."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True

    async def receive(self) -> ASGIReceiveEvent:
        """The next message of a client that reads what it is sent."""
        await self.writable.wait()
        return await super().receive()

    def pause_writing(self) -> None:
        """The client does not read, or not as fast as it is sent to."""
        super().pause_writing()
        self.transport.pause_reading()
        self._watch(self._unread)

    def resume_writing(self) -> None:
        """It has read."""
        super().resume_writing()
        if self._blocked is not None:
            self._blocked.cancel()
            self._blocked = None
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    @property
    def _unread(self) -> int:
        return self.transport.get_write_buffer_size()

    def _watch(self, before: int) -> None:
        self._blocked = self.loop.call_later(self.send_seconds, self._look, before)

    def _look(self, before: int) -> None:
        if before - self._unread >= LEAST_READ:
            self._watch(self._unread)
        else:
            log.warning("connection.stalled")
            self._drop()

    def keepalive_timeout(self) -> None:
        """The client is away: what it has not read would be kept for it for ever."""
        if self._blocked is not None:  # it has much to read before it comes to the ping; that it reads is watched
            self.pong_timer = self.loop.call_later(self.send_seconds, self.keepalive_timeout)
            return
        super().keepalive_timeout()
        self._drop()

    def _drop(self) -> None:
        """Let go of the connection, and of what the system still keeps for a client that will not read it."""
        pipe = self.transport.get_extra_info("socket")
        if pipe is not None and not self.disconnected:
            pipe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOTHING_KEPT)
        self.transport.abort()

    async def run_asgi(self) -> None:
        """The conversation, and a bounded time for its goodbyes."""
        await super().run_asgi()
        if not self.disconnected:
            self.loop.call_later(self.close_timeout + 1, self._drop)

    def shutdown(self) -> None:
        """The application hears of it by other means, and closes after the last words of its streams."""
        if not self.handshake_complete or self.close_sent:
            super().shutdown()
        else:
            self.loop.call_later(DRAIN_SECONDS, self._end)

    def _end(self) -> None:
        if not self.disconnected:
            super().shutdown()


class _Messages:
    """What waits for the application, which alone takes it: a queue that takes no room while it is empty."""

    __slots__ = ("_come", "_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[ASGIReceiveEvent] = []
        self._come: asyncio.Future[None] | None = None

    def put_nowait(self, event: ASGIReceiveEvent) -> None:
        """One more."""
        self._waiting.append(event)
        if self._come is not None and not self._come.done():
            self._come.set_result(None)

    async def get(self) -> ASGIReceiveEvent:
        """The next one, once it is there."""
        while not self._waiting:
            self._come = self._loop.create_future()
            await self._come
        return self._waiting.pop(0)

    def qsize(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def empty(self) -> bool:
        """Whether none does."""
        return not self._waiting


class _Writable:
    """Whether a client reads: an event that takes no room while it does."""

    __slots__ = ("_again", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._again: asyncio.Future[None] | None = None

    def is_set(self) -> bool:
        """It does."""
        return self._again is None

    def set(self) -> None:
        """It does again: whoever waits goes on."""
        again, self._again = self._again, None
        if again is not None:
            again.set_result(None)

    def clear(self) -> None:
        """It does not."""
        if self._again is None:
            self._again = self._loop.create_future()

    async def wait(self) -> None:
        """Wait until it does."""
        while self._again is not None:
            await asyncio.shield(self._again)


class _Handshake(ServerProtocol):
    """The state of one connection, which tells in JSON why it was not made."""

    def reject(self, status: StatusLike, text: str) -> Response:
        response = super().reject(status, "")
        error = Invalid("This is no websocket handshake that is accepted here.", hint=_UPGRADE)
        response.body = orjson.dumps(refusal(error, new_trace_id()))
        for name, value in {"Content-Length": str(len(response.body)), "Content-Type": "application/json"}.items():
            del response.headers[name]
            response.headers[name] = value
        return response


def bounded_sockets(send_seconds: float, request_seconds: float) -> type[BoundedSocket]:
    """The protocol of a server that waits so long for its clients to read, and to end a message."""
    waiting = {"send_seconds": send_seconds, "request_seconds": request_seconds}
    return type("BoundedSocket", (BoundedSocket,), waiting)
