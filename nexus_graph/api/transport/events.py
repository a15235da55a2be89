"""Answers that come one after another over HTTP: as server-sent events, or as the parts of one body.

Specs: github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md (distinct connections mode), html.spec.whatwg.org
(server-sent events), and Apollo's multipart/mixed with subscriptionSpec=1.0.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass

import orjson
from starlette.types import Receive, Scope, Send

from nexus_graph.api.operations.broadcasting import Encoded, ShortWay
from nexus_graph.api.operations.execution import Answer
from nexus_graph.api.transport.accepting import EVENT_STREAM, MULTIPART
from nexus_graph.api.transport.receiving import gone

MOST_UNSENT = 64 * 1024
"""Bytes of ready answers that wait to be written; who is further behind is told the ordinary way."""


@dataclass(frozen=True, slots=True)
class Framing:
    """How answers are written: `opening` at once, `pulse` while it is quiet, `closing` after the last one."""

    content_type: str
    opening: bytes
    frame: Callable[[bytes, str | None], bytes]
    pulse: bytes
    closing: bytes


def _event(payload: bytes, cursor: str | None) -> bytes:
    place = b"" if cursor is None else b"id: %s\n" % cursor.encode()
    return b"event: next\n%sdata: %s\n\n" % (place, payload)


def _part(payload: bytes, _: str | None) -> bytes:
    """A part with the delimiter after it: clients read a part when they see the next one begin."""
    return _PART % (b'{"payload":%b}' % payload)


_PART = b"\r\nContent-Type: application/json; charset=utf-8\r\n\r\n%s\r\n--graphql"

FRAMINGS = {
    EVENT_STREAM: Framing(f"{EVENT_STREAM}; charset=utf-8", b":\n\n", _event, b":\n\n", b"event: complete\ndata:\n\n"),
    MULTIPART: Framing(
        f'{MULTIPART}; boundary="graphql"; subscriptionSpec="1.0"', b"\r\n--graphql", _part, _PART % b"{}", b"--\r\n"
    ),
}


class AnswerStream:
    """An ASGI application that writes answers as they come, until they end or the client is gone.

    Who does not read holds up nobody else: the next answer is asked for when the last one is on its way, and the server
    lets go of such a client.
    """

    def __init__(
        self,
        answers: Callable[[ShortWay], AsyncGenerator[Answer, None]],
        framing: Framing,
        headers: Mapping[str, str],
        *,
        pulse_seconds: float,
    ) -> None:
        self._answers = answers
        self._framing = framing
        self._headers = {**headers, "Content-Type": framing.content_type, "X-Accel-Buffering": "no"}
        self._pulse_seconds = pulse_seconds
        self._turn = asyncio.Lock()
        self._quiet_since = 0.0
        self._ready: list[bytes] = []
        self._unsent = 0
        self._came = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that was read to its end."""
        self._quiet_since = asyncio.get_running_loop().time()
        head = [(name.lower().encode(), value.encode()) for name, value in self._headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        deeds = (self._write_all(send), self._write_ready(send), self._pulse(send), gone(receive))
        tasks = [asyncio.create_task(deed) for deed in deeds]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _write_all(self, send: Send) -> None:
        async with aclosing(self._answers(ShortWay(self._framed, self._take))) as answers:
            await self._write(send, self._framing.opening)
            async for answer in answers:
                payload = orjson.dumps(answer.body, option=orjson.OPT_NON_STR_KEYS)
                await self._write(send, self._framing.frame(payload, answer.cursor))
        await self._write(send, self._framing.closing, more=False)

    def _framed(self, encoded: Encoded, own: bytes | None, cursor: str | None) -> bytes:
        frame = self._framing.frame
        if own is not None:
            return frame(own, cursor)
        return encoded.framed((self._framing.content_type, cursor), lambda payload: frame(payload, cursor))

    def _take(self, piece: bytes) -> bool:
        """Keep ready answers until they are written, unless the client is behind."""
        if self._unsent > MOST_UNSENT:
            return False
        self._ready.append(piece)
        self._unsent += len(piece)
        self._came.set()
        return True

    async def _write_ready(self, send: Send) -> None:
        while True:
            await self._came.wait()
            self._came.clear()
            await self._write(send, b"")

    async def _pulse(self, send: Send) -> None:
        """Tell that the stream lives: what stands between cuts off a connection on which nothing is sent."""
        now = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(max(0, self._quiet_since + self._pulse_seconds - now()))
            await self._write(send, self._framing.pulse, quiet_until=now())

    async def _write(self, send: Send, body: bytes, *, more: bool = True, quiet_until: float | None = None) -> None:
        """Write when it is one's turn what is ready, and more, but no pulse when somebody wrote since `quiet_until`.

        That may have been the end.
        """
        async with self._turn:
            if quiet_until is not None and self._quiet_since > quiet_until - self._pulse_seconds:
                return
            ready, self._ready = self._ready, []
            if not ready and not body and more:
                return
            await send({"type": "http.response.body", "body": b"".join((*ready, body)), "more_body": more})
            self._unsent -= sum(map(len, ready))
            self._quiet_since = asyncio.get_running_loop().time()
