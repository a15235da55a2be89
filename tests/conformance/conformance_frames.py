"""What can arrive on a websocket that no client would send: messages that are none, and frames that are none."""

from __future__ import annotations

import json
from typing import Any

from conformance_bytes import MONSTERS, QUERY, REQUESTS, VALUES
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection
from websockets.frames import Opcode

TYPES = ["connection_init", "subscribe", "next", "error", "complete", "ping", "pong", "connection_ack", "start", "stop"]
IDS = st.sampled_from(["1", "2", "", "x" * 5000, "\x00", "\ud800"]) | VALUES
STREAM = 'subscription { settingsChanged(surface: "overview") { __typename } }'
PAYLOADS: st.SearchStrategy[Any] = (
    REQUESTS
    | VALUES
    | st.sampled_from([{"query": QUERY}, {"query": STREAM}, {"query": "{ viewer { rolle } }"}, {"query": "{"}])
    | st.builds(lambda shape: {"query": QUERY, "extensions": shape}, VALUES)
)
PROPER = (
    st.fixed_dictionaries({"type": st.just("subscribe"), "id": st.sampled_from("123"), "payload": REQUESTS})
    | st.fixed_dictionaries({"type": st.just("complete"), "id": st.sampled_from("1239")})
    | st.fixed_dictionaries({"type": st.sampled_from(["ping", "pong"])}, optional={"payload": st.just({"a": 1})})
)
MESSAGES = (
    PROPER
    | st.fixed_dictionaries({}, optional={"type": st.sampled_from(TYPES) | VALUES, "id": IDS, "payload": PAYLOADS})
).map(json.dumps)
UNREAD = st.sampled_from([body for body in MONSTERS if len(body) < 200_000])
TEXTS = MESSAGES | UNREAD.map(lambda body: body.decode("utf-8", "replace")) | st.text(max_size=40)


class Raw(bytes):
    """Bytes on the connection that need not be a frame. Nothing can be heard after half a frame."""


def frame(opcode: int, data: bytes, *, fin: bool = True, reserved: int = 0, masked: bool = True) -> bytes:
    """A frame of less than 64 KiB, whether it may be or not; its mask changes nothing (RFC 6455, 5.2)."""
    size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2, "big")
    head = bytes([fin << 7 | reserved << 4 | opcode, size[0] | masked << 7]) + size[1:]
    return head + (bytes(4) if masked else b"") + data


BROKEN = st.sampled_from(
    [
        frame(Opcode.TEXT, b"\xff\xfe"),
        frame(Opcode.TEXT, b'{"type":"ping"', fin=False),
        frame(Opcode.CONT, b"}"),
        frame(Opcode.TEXT, b'{"type":"ping"}', reserved=4),
        frame(Opcode.TEXT, b'{"type":', fin=False) + frame(Opcode.TEXT, b'"ping"}'),
        frame(Opcode.TEXT, b'{"type":', fin=False) + frame(Opcode.PING, b"") + frame(Opcode.CONT, b'"ping"}'),
        frame(Opcode.PING, b"x" * 125) * 100,
        frame(Opcode.PONG, b"never asked for"),
        frame(Opcode.PING, b"x" * 126),
        frame(Opcode.PING, b"x", fin=False),
        frame(Opcode.CLOSE, b"\x00"),
        frame(Opcode.CLOSE, b"\x03\xed"),
        frame(Opcode.CLOSE, b"\xff\xff\xff"),
        frame(Opcode.CLOSE, b""),
        frame(Opcode.TEXT, b"{}", masked=False),
        b"\x83\x80\x00\x00\x00\x00",
        b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
        b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
        b"\x81\xfe",
        b"\x81",
        b"GET /graphql HTTP/1.1\r\nHost: x\r\n\r\n",
    ]
).map(Raw) | st.binary(min_size=1, max_size=40).map(Raw)

Sent = str | bytes | list[str] | Raw
"""A text, a binary, a text in fragments, or bytes below all that."""

FRAMES: st.SearchStrategy[Sent] = (
    TEXTS
    | st.binary(max_size=40)
    | UNREAD
    | MESSAGES.map(lambda text: [text[:1], text[1:4], "", text[4:]])
    | MESSAGES.map(lambda text: list(text[:500]))
)
BRIEF = st.lists(FRAMES, max_size=2)
CONVERSATIONS: st.SearchStrategy[list[Sent]] = st.one_of(
    st.lists(PROPER.map(json.dumps), max_size=8).map(list[Sent]),
    st.lists(FRAMES, max_size=6),
    BRIEF,
    st.tuples(BRIEF, BROKEN).map(lambda drawn: [*drawn[0], drawn[1]]),
)
"""What one client sends, in order; broken frames come last."""


async def send(socket: ClientConnection, sent: Sent) -> None:
    """Send it as what it is."""
    if isinstance(sent, Raw):
        socket.transport.write(bytes(sent))
    elif isinstance(sent, list):
        await socket.send(iter(sent))
    else:
        await socket.send(sent)
