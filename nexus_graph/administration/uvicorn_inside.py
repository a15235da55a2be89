"""Where we reach into uvicorn, which documents none of it. Read in uvicorn 0.54.0.

Its protocols and its server are subclassed in `bounded_http`, `bounded_sockets` and `serving`. What these override and
use of them stands here, so that a new version can be read against it; a test keeps both equal.
"""

from __future__ import annotations

from collections.abc import Mapping

from uvicorn import Server
from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.loops.auto import auto_loop_factory
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

__all__ = (
    "STATUS_LINE",
    "ASGIReceiveEvent",
    "ASGISendEvent",
    "HttpToolsProtocol",
    "Server",
    "WebSocketsSansIOProtocol",
    "auto_loop_factory",
)

MEMBERS: Mapping[type, tuple[str, ...]] = {
    HttpToolsProtocol: (
        "_should_upgrade",
        "_unset_keepalive_if_required",
        "connection_lost",
        "connection_made",
        "cycle",
        "data_received",
        "handle_websocket_upgrade",
        "headers",
        "loop",
        "on_body",
        "on_header",
        "on_headers_complete",
        "on_message_begin",
        "on_message_complete",
        "on_response_complete",
        "on_url",
        "parser",
        "pause_writing",
        "pipeline",
        "resume_writing",
        "send_400_response",
        "timeout_keep_alive_handler",
        "transport",
        "url",
    ),
    WebSocketsSansIOProtocol: (
        "close_sent",
        "close_timeout",
        "close_timer",
        "config",
        "conn",
        "connection_lost",
        "curr_msg_data_type",
        "data_received",
        "disconnected",
        "frames",
        "handle_connect",
        "handle_cont",
        "handle_parser_exception",
        "handle_ping",
        "handle_pong",
        "handshake_complete",
        "handshake_initiated",
        "initial_response",
        "keepalive_timeout",
        "loop",
        "pause_writing",
        "pong_timer",
        "queue",
        "read_paused",
        "receive",
        "request",
        "response",
        "resume_writing",
        "run_asgi",
        "scope",
        "send",
        "send_receive_event_to_app",
        "shutdown",
        "transport",
        "writable",
    ),
    Server: ("handle_exit", "should_exit", "shutdown", "startup"),
}
"""What our subclasses override and use. Of `cycle` they read `response_started` and `response_complete`."""
