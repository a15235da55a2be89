"""Point 2: bytes that no client library sends: half frames, endless messages, floods, handshakes that are none."""

from __future__ import annotations

import asyncio
import json
import struct

import orjson
import pytest
from conformance_answers import check_answer
from conformance_table import Figure
from journey_house import World
from websocket_bytes import CLOSE, PING, PONG, TEXT, RawSocket, answer, frame, handshake, tcp, websocket

from nexus_graph.administration.bounded_sockets import LARGEST_GREETING, MOST_CONTROLS, MOST_FRAGMENTS, MOST_WAITING

CONTINUATION = 0x0
PING_MESSAGE = json.dumps({"type": "ping"})
LARGEST = 2 * 1024 * 1024

FRAMES: dict[str, tuple[bytes, int]] = {
    "invalid UTF-8": (frame(b'{"type": "\xff"}'), 1007),
    "half a character in each of two fragments": (
        frame(b'{"type": "\xc3', fin=False) + frame(b'\x28"}', CONTINUATION),
        1007,
    ),
    "no mask": (frame(PING_MESSAGE, masked=False), 1002),
    "a reserved bit": (bytes([frame(PING_MESSAGE)[0] | 0x40]) + frame(PING_MESSAGE)[1:], 1002),
    "an unknown opcode": (frame(b"", 0x3), 1002),
    "an unknown control frame": (frame(b"", 0xB), 1002),
    "a ping in two": (frame(b"", PING, fin=False), 1002),
    "a ping of 126 bytes": (frame(b"x" * 126, PING), 1002),
    "a continuation of nothing": (frame(b"x", CONTINUATION), 1002),
    "a message within a message": (frame(b"x", fin=False) + frame(b"x"), 1002),
    "a close of one byte": (frame(b"x", CLOSE), 1002),
    "a close with a code that nobody may send": (frame(struct.pack("!H", 1006), CLOSE), 1002),
    "a close with a reason that is no text": (frame(struct.pack("!H", 1000) + b"\xff", CLOSE), 1007),
    "a frame that says it is too large": (frame(b"x", length=2**40), 1009),
    "fragments that are too large together": (
        frame(b"x" * LARGEST_GREETING, fin=False) + frame(b"x", CONTINUATION),
        1009,
    ),
    "empty fragments without end": (
        frame(b"", fin=False) + frame(b"", CONTINUATION, fin=False) * (MOST_FRAGMENTS + 1),
        1008,
    ),
    "pings without end": (frame(b"", PING) * (2 * MOST_CONTROLS + 1), 1008),
    "pongs without end": (frame(b"", PONG) * (2 * MOST_CONTROLS + 1), 1008),
    "messages without end": (frame(PING_MESSAGE) * (MOST_WAITING + 300), 1008),
}


async def test_every_wrong_frame_is_closed_with_its_code(world: World, figure: Figure) -> None:
    """The close frame arrives, with a reason, even when the client sends on; then the connection ends."""
    seen = {}
    for name, (data, _) in FRAMES.items():
        async with websocket(world.server.port) as socket:
            await socket.send(data)
            seen[name], reason = await socket.closed()
            assert len(reason.encode()) <= 123
            await socket.lost()
    assert seen == {name: code for name, (_, code) in FRAMES.items()}
    figure(2, "wrong frames closed with the code of RFC 6455", f"{len(FRAMES)} of {len(FRAMES)}")


async def test_a_message_has_a_size(world: World) -> None:
    """Small until the client is welcomed, then as large as a request may be; a byte more is closed with 1009."""
    owner = world.caller("t_acme", "owner")

    def padded(size: int) -> bytes:
        return frame(PING_MESSAGE.ljust(size))

    async with websocket(world.server.port) as socket:
        await socket.send(padded(LARGEST_GREETING))
        assert await socket.message() == {"type": "pong"}
        await socket.send(padded(LARGEST_GREETING + 1))
        assert (await socket.closed())[0] == 1009
    async with websocket(world.server.port, init=owner.headers) as socket:
        await socket.send(padded(LARGEST))
        assert await socket.message() == {"type": "pong"}
        await socket.send(padded(LARGEST + 1))
        assert (await socket.closed())[0] == 1009


async def test_a_message_may_come_in_pieces(world: World) -> None:
    """Byte by byte, in fragments, empty ones among them, with a ping in between; what is whole is answered."""
    owner = world.caller("t_acme", "owner")
    text = json.dumps({"type": "ping", "payload": {"x": "é" * 40}}, ensure_ascii=False).encode()
    pieces = [text[at : at + 1] for at in range(len(text))]
    async with websocket(world.server.port, init=owner.headers) as socket:
        for byte in frame(text)[:50]:
            await socket.send(bytes([byte]))
        await socket.send(frame(text)[50:])
        assert (await socket.message())["payload"] == {"x": "é" * 40}
        await socket.send(frame(b"", TEXT, fin=False))
        for piece in pieces[:-1]:
            await socket.send(frame(piece, CONTINUATION, fin=False) + frame(b"", CONTINUATION, fin=False))
        await socket.send(frame(b"beat", PING))
        assert await socket.frame() == (PONG, b"beat")
        await socket.send(frame(pieces[-1], CONTINUATION))
        assert (await socket.message())["payload"] == {"x": "é" * 40}


async def test_half_a_frame_is_left_behind(world: World) -> None:
    """A client that goes away in the midst of a frame, or of a message, harms nobody and leaves nothing open."""
    owner = world.caller("t_acme", "owner")
    for half in (frame(PING_MESSAGE)[:9], frame(b"x", fin=False), frame(b"", length=100), b"\x81"):
        async with websocket(world.server.port, init=owner.headers) as socket:
            await socket.send(half)
    budget = "{ budget { sockets { open } } }"
    for _ in range(200):
        if not (await asyncio.to_thread(owner.ask, budget))["budget"]["sockets"]["open"]:
            return
        await asyncio.sleep(0.05)
    pytest.fail("a socket is counted whose client is away")


HANDSHAKES: dict[str, bytes] = {
    "no key": handshake(Sec_WebSocket_Key=None),
    "a short key": handshake(Sec_WebSocket_Key="eA=="),
    "no version": handshake(Sec_WebSocket_Version=None),
    "version 8": handshake(Sec_WebSocket_Version="8"),
    "a POST": handshake(method="POST"),
    "a long header": handshake(X_Long="x" * 9000),
    "another address": handshake("/nowhere"),
    "an address that is not ASCII": handshake("/graphql?ticket=\u00ff"),
}


@pytest.mark.parametrize("case", HANDSHAKES)
async def test_a_handshake_that_is_none_is_answered_in_json(world: World, case: str) -> None:
    """Over HTTP, with a well-formed GraphQL error, and the connection ends."""
    async with tcp(world.server.port) as socket:
        await socket.send(HANDSHAKES[case])
        status, headers, body = await answer(socket)
        assert 400 <= status < 500
        assert headers["content-type"].partition(";")[0] == "application/json"
        assert check_answer(orjson.loads(body)) in ("INVALID", "FORBIDDEN", "NOT_FOUND")
        await socket.lost()


async def flooded(socket: RawSocket, count: int) -> None:
    """Send pings as messages, and read the pongs as they come."""
    for _ in range(count):
        await socket.say({"type": "ping"})
        assert await socket.message() == {"type": "pong"}


async def test_who_asks_for_nothing_is_heard_slowly(world: World, figure: Figure) -> None:
    """A hundred messages at once that cost nothing, then a hundred a second: a chatterer keeps nobody waiting.

    So are operations that are given up before they are paid.
    """
    owner = world.caller("t_acme", "owner")
    loop = asyncio.get_running_loop()
    async with websocket(world.server.port, init=owner.headers) as socket:
        await flooded(socket, 100)
        since = loop.time()
        for place in range(100):
            await socket.say({"id": str(place), "type": "subscribe", "payload": {"query": "{ viewer { role } }"}})
            await socket.say({"id": str(place), "type": "complete"})
        await socket.say({"type": "ping"})
        while (await socket.message())["type"] != "pong":
            pass
        took = loop.time() - since
    assert took > 0.4, "the server itself waits, however fast the machine is"
    figure(2, "messages that cost nothing, from one socket", "100 at once, then 100 a second")
