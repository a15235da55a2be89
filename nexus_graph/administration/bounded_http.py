"""HTTP/1.1 whose memory and time are bounded below the application, as uvicorn speaks it, with deadlines.

A head must end, within `request_seconds` and a bounded size: anybody who reaches the port could fill the memory with
them, or hold it open. So could who asks on and on before they read; a few requests may wait for their turn. Who does
not read what is answered is let go when little moves for `send_seconds`.

What somebody in front of this server may read in another way is refused (RFC 9112, sections 3.2, 6.1 and 11.2).
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, NoReturn

import httptools
import orjson
import structlog

from nexus_graph.administration.uvicorn_inside import STATUS_LINE, HttpToolsProtocol
from nexus_graph.api.errors import refusal
from nexus_graph.api.transport.browsers import GUARDS
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.ids import new_trace_id

log = structlog.get_logger("nexus_graph.server")

LARGEST_HEAD = 64 * 1024
LONGEST_ADDRESS = 32 * 1024
MOST_HEADERS = 100
MOST_WAITING = 100
"""Requests of one connection that wait for their turn."""
LEAST_READ = 64 * 1024
"""Bytes that a client with a backlog must read within `send_seconds`."""

_ONCE = (b"host", b"authorization", b"x-nexus-tenant", b"x-nexus-env", b"x-nexus-run")
_BODIES = frozenset((b"content-length", b"transfer-encoding"))
_OFFER = frozenset((b"connection", b"upgrade", b"http2-settings"))
_NO_HTTP = (400, "This is no HTTP request.", "Send HTTP/1.1 with a well-formed head.")
_TOO_LONG = (414, "The address of the request is too long.", "Send the request by POST.")
_TOO_MANY = (431, f"The request has more than {MOST_HEADERS} headers.", "Send fewer headers.")
_TOO_LARGE = (431, "The head of the request is too large.", "Send fewer or shorter headers.")
_UNCLEAR = (400, "The head of the request has a header twice, or no Host.", "Send each header once.")
_CODED = (400, "The transfer coding of the request is not supported.", "Send it as it is, or chunked.")
_UPGRADE = (400, "Another protocol can't be begun here.", "Send this request without the header Upgrade.")
_TOO_SLOW = (408, "The request did not arrive in time.", "Send it again.")


class BoundedHttp(HttpToolsProtocol):
    """One connection. What can't be read as HTTP is refused as JSON."""

    send_seconds: ClassVar[float] = 5.0
    request_seconds: ClassVar[float] = 15.0

    _size = 0  # bytes of this request's headers
    _silent = 0  # bytes since the last of a body
    _in_head = False
    _declined = False  # an offer to speak another protocol
    _refusal = _NO_HTTP
    _waiting: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """A client begins: its first request is expected soon."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop_waiting()
        self._stop_watching()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; refuses what goes on for more than 64 KiB without being part of a body."""
        if self._waiting is None and not self._answering:
            self._expect_head()
        self._silent += len(data)
        self._unset_keepalive_if_required()
        self._read(data)
        if self._silent > LARGEST_HEAD and not self.transport.is_closing():
            self._refusal = _TOO_LARGE
            self.send_400_response("")

    def on_message_begin(self) -> None:
        """The next request on the connection. Raises ValueError when too many wait already."""
        if len(self.pipeline) >= MOST_WAITING:
            raise ValueError
        self._in_head, self._silent, self._size = True, 0, 0
        self._expect_head()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Some more of the address. Raises ValueError when it is too much."""
        super().on_url(url)
        if len(self.url) > LONGEST_ADDRESS:
            self._refuse(_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One more header, or field after the body, which says nothing here. Raises ValueError when it is too much."""
        if self._in_head:
            super().on_header(name, value)
        self._size += len(name) + len(value)
        if self._size > LARGEST_HEAD:
            self._refuse(_TOO_LARGE)
        if len(self.headers) > MOST_HEADERS:
            self._refuse(_TOO_MANY)

    def on_headers_complete(self) -> None:
        """What follows is the body, which the application bounds. Raises ValueError for a head that is not clear."""
        self._require_clear()
        self._in_head, self._silent = False, 0
        self._stop_waiting()
        self._declined = self.parser.should_upgrade() and not self._should_upgrade()
        if not self._declined:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole, unless it is to be read again."""
        if not self._declined:
            super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        """Some more of the body."""
        self._silent = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, as JSON, and close; without a word when an earlier request is being answered."""
        log.warning("request.refused", code=Invalid.code)
        if not (self.pipeline or (self._answering and (self._in_head or self.cycle.response_started))):
            status, message, hint = self._refusal
            told = orjson.dumps(refusal(Invalid(message, hint=hint), new_trace_id()))
            self.transport.write(STATUS_LINE[status] + _HEADERS % len(told))
            if self.parser.get_method() != b"HEAD":
                self.transport.write(told)
        self._close()

    def pause_writing(self) -> None:
        """The client does not read, or not as fast as it is sent to."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """It has read."""
        super().resume_writing()
        self._stop_watching()

    def on_response_complete(self) -> None:
        """The application has said all; the connection may be closing then."""
        super().on_response_complete()
        if self.transport.is_closing() and self._unread is None:
            self._watch()

    def timeout_keep_alive_handler(self) -> None:
        """The client asks for nothing more."""
        self._close()

    def _read(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.send_400_response("")
        except httptools.HttpParserUpgrade as offer:
            if self._declined:
                self._read(self._without_offer() + data[offer.args[0] :])
            else:
                self.handle_websocket_upgrade()

    def _without_offer(self) -> bytes:
        """The head once more, for a parser that does not take what follows for the other protocol."""
        closing = any(name == b"connection" and b"close" in value.lower() for name, value in self.headers)
        kept = [(name, value) for name, value in self.headers if name not in _OFFER]
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/1.1"]
        lines += [name + b": " + value for name, value in kept] + [b"connection: close"] * closing
        self.parser = httptools.HttpRequestParser(self)
        return b"\r\n".join([*lines, b"\r\n"])

    def _require_clear(self) -> None:
        names = [name for name, _ in self.headers]
        nameless = b"host" not in names and self.parser.get_http_version() == "1.1"
        if nameless or any(names.count(name) > 1 for name in _ONCE):
            self._refuse(_UNCLEAR)
        if self.parser.should_upgrade() and b"upgrade" not in names:  # CONNECT, which is for proxies
            self._refuse(_NO_HTTP)
        if any(name == b"transfer-encoding" and value.lower() != b"chunked" for name, value in self.headers):
            self._refuse(_CODED)
        # A body would be taken for frames, and an answer that is still being written would never be told that its
        # client is gone.
        if self.parser.should_upgrade() and self._should_upgrade() and (self._answering or _BODIES.intersection(names)):
            self._refuse(_UPGRADE)

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, refused: tuple[int, str, str]) -> NoReturn:
        self._refusal = refused
        raise ValueError  # the parser stops, and what can't be read is refused

    def _expect_head(self) -> None:
        self._stop_waiting()
        self._waiting = self.loop.call_later(self.request_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        """Who has begun a request is told that it was too slow, who said nothing is not."""
        if self._in_head and not self.transport.is_closing():
            self._refusal = _TOO_SLOW
            self.send_400_response("")
        else:
            self._close()

    def _close(self) -> None:
        """Close when the client has read what was answered, and do not wait for that for ever."""
        self.transport.close()
        if self._unread is None:
            self._watch()

    def _watch(self) -> None:
        self._unread = self.loop.call_later(self.send_seconds, self._look, self.transport.get_write_buffer_size())

    def _stop_watching(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _look(self, before: int) -> None:
        if before - self.transport.get_write_buffer_size() >= LEAST_READ:
            self._watch()
        else:
            log.warning("connection.stalled")
            self.transport.abort()


_HEADERS = "".join(f"{name.lower()}: {value}\r\n" for name, value in GUARDS.items()).encode() + (
    b"content-type: application/json; charset=utf-8\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
)


def bounded_http(send_seconds: float, request_seconds: float) -> type[BoundedHttp]:
    """The protocol of a server that waits so long for its clients to read, and to begin a request."""
    return type("BoundedHttp", (BoundedHttp,), {"send_seconds": send_seconds, "request_seconds": request_seconds})
