"""Subscribers that cost little: frames are counted as they come off the socket, and nothing of them is read."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

_REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
_TEXT, _PING, _PONG, _CLOSE = 1, 9, 10, 8
TICKS = os.sysconf("SC_CLK_TCK")


class Listener(asyncio.Protocol):
    """One websocket. `count` texts have come, each at a time in `times`; `heard` is told of each, where it is set."""

    def __init__(self, address: str) -> None:
        self._address = urlsplit(address)
        self._buffer = b""
        self._open = False
        self._wanted: tuple[int, asyncio.Future[None]] | None = None
        self.count = 0
        self.times: list[float] = []
        self.heard: Callable[[Listener], None] | None = None
        self.lost: str | None = None

    @classmethod
    async def connect(cls, address: str) -> Listener:
        """One that is open."""
        loop, parts = asyncio.get_running_loop(), urlsplit(address)
        _, made = await loop.create_connection(lambda: cls(address), parts.hostname or "", parts.port or 80)
        await made.until(0)
        return made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(_REQUEST.format(path=self._address.path, host=self._address.netloc).encode())

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits shall know."""
        self.lost = self.lost or "closed"
        if self._wanted is not None and not self._wanted[1].done():
            self._wanted[1].set_exception(ConnectionError(self.lost))

    def say(self, message: object) -> None:
        """Send a text."""
        self._send(_TEXT, json.dumps(message).encode())

    async def until(self, count: int, seconds: float = 60) -> None:
        """Wait until so many texts have come; 0: until the websocket is open."""
        if self.count < count or not self._open:
            self._wanted = (count, asyncio.get_running_loop().create_future())
            async with asyncio.timeout(seconds):
                await self._wanted[1]

    def data_received(self, data: bytes) -> None:
        """Count."""
        buffer = self._buffer + data if self._buffer else data
        place = 0
        if not self._open:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                self._buffer = buffer
                return
            assert buffer.startswith(b"HTTP/1.1 101"), buffer[:200]
            self._open, place = True, end + 4
        now, size = asyncio.get_running_loop().time(), len(buffer)
        while size - place >= 2:
            length, start = buffer[place + 1], place + 2
            if length == 126:
                if size - place < 4:
                    break
                length, start = int.from_bytes(buffer[place + 2 : place + 4], "big"), place + 4
            elif length == 127:
                if size - place < 10:
                    break
                length, start = int.from_bytes(buffer[place + 2 : place + 10], "big"), place + 10
            if size - start < length:
                break
            kind = buffer[place] & 15
            if kind == _TEXT:
                self.count += 1
                self.times.append(now)
                if self.heard is not None:
                    self.heard(self)
            elif kind == _PING:
                self._send(_PONG, buffer[start : start + length])
            elif kind == _CLOSE:
                self.lost = buffer[start : start + length].decode(errors="replace")
            place = start + length
        self._buffer = buffer[place:]
        if self._wanted is not None and self.count >= self._wanted[0] and not self._wanted[1].done():
            self._wanted[1].set_result(None)

    def _send(self, kind: int, payload: bytes) -> None:
        size = len(payload)
        length = bytes([128 | size]) if size < 126 else bytes([128 | 126]) + size.to_bytes(2, "big")
        self.transport.write(bytes([128 | kind]) + length + bytes(4) + payload)  # masked with zeros


async def subscribers(
    address: str, headers: dict[str, str] | None, subscribe: dict[str, object] | None, count: int, first: int = 1
) -> list[Listener]:
    """So many that have subscribed and have had `first` answers; to a bare broadcast with neither."""
    found = list[Listener]()
    for start in range(0, count, 50):
        some = await asyncio.gather(*[Listener.connect(address) for _ in range(start, min(count, start + 50))])
        if subscribe is not None:
            for each in some:
                each.say({"type": "connection_init", "payload": headers})
            await asyncio.gather(*[each.until(1) for each in some])
            for each in some:
                each.say({"id": "1", "type": "subscribe", "payload": subscribe})
            await asyncio.gather(*[each.until(1 + first) for each in some])
        found += some
    return found


async def close(found: list[Listener]) -> None:
    """Leave."""
    for each in found:
        each.transport.close()
    await asyncio.sleep(0.5)


def cpu(pid: int) -> float:
    """Seconds of processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
