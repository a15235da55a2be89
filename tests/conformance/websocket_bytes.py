"""A websocket client of a few lines, which sends the bytes that no library would send."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

WAIT_SECONDS = 20
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
HANDSHAKE = {
    "Host": "127.0.0.1",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "graphql-transport-ws",
}


def frame(data: bytes | str, opcode: int = TEXT, *, fin: bool = True, masked: bool = True, length: int = -1) -> bytes:
    """One frame (RFC 6455, 5.2), masked with zeros; `length` says another length than it has."""
    data = data.encode() if isinstance(data, str) else data
    length = len(data) if length < 0 else length
    first, mask = opcode | (0x80 if fin else 0), 0x80 if masked else 0
    if length < 126:
        head = struct.pack("!BB", first, mask | length)
    elif length < 2**16:
        head = struct.pack("!BBH", first, mask | 126, length)
    else:
        head = struct.pack("!BBQ", first, mask | 127, length)
    return head + (bytes(4) if masked else b"") + data


@dataclass
class RawSocket:
    """An open connection; nothing is read, answered or closed but on demand."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def say(self, message: Any) -> None:
        """Send a message in a frame."""
        await self.send(frame(json.dumps(message)))

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and data."""
        async with asyncio.timeout(WAIT_SECONDS):
            first, length = await self.reader.readexactly(2)
            if length == 126:
                [length] = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                [length] = struct.unpack("!Q", await self.reader.readexactly(8))
            return first & 0xF, await self.reader.readexactly(length)

    async def message(self) -> Any:
        """The next message; pings are passed over."""
        while (got := await self.frame())[0] in (PING, PONG):
            pass
        assert got[0] == TEXT, got
        return json.loads(got[1])

    async def closed(self) -> tuple[int, str]:
        """The code and reason of the close frame; what comes before it is passed over."""
        while (got := await self.frame())[0] != CLOSE:
            pass
        data = got[1]
        assert len(data) <= 125, data
        return struct.unpack("!H", data[:2])[0], data[2:].decode()

    async def lost(self) -> None:
        """Until the connection is gone."""
        async with asyncio.timeout(WAIT_SECONDS):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                return


@asynccontextmanager
async def tcp(port: int) -> AsyncIterator[RawSocket]:
    """A bare connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    try:
        yield RawSocket(reader, writer)
    finally:
        writer.transport.abort()


def handshake(address: str = "/graphql", *, method: str = "GET", **changed: str | None) -> bytes:
    """The head of a handshake; a header that is None is left out. Underscores stand for dashes."""
    headers: dict[str, str | None] = {**HANDSHAKE}
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"{method} {address} HTTP/1.1", *lines, "", ""]).encode()


async def answer(socket: RawSocket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an HTTP answer."""
    async with asyncio.timeout(WAIT_SECONDS):
        status, *lines = (await socket.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
        body = await socket.reader.readexactly(int(headers.get("content-length", 0)))
    return int(status.split()[1]), headers, body


@asynccontextmanager
async def websocket(
    port: int, address: str = "/graphql", init: Any = None, **changed: str | None
) -> AsyncIterator[RawSocket]:
    """A websocket; acknowledged when `init` gives the payload of its connection_init."""
    async with tcp(port) as socket:
        await socket.send(handshake(address, method="GET", **changed))
        status, _, body = await answer(socket)
        assert status == 101, body
        if init is not None:
            await socket.say({"type": "connection_init", "payload": init})
            assert await socket.message() == {"type": "connection_ack"}
        yield socket


def key() -> str:
    """A random Sec-WebSocket-Key."""
    return base64.b64encode(os.urandom(16)).decode()
