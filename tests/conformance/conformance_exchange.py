"""Bytes to a port and back, below every HTTP client: what no client would send, and all that came of it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from http import HTTPStatus
from http.client import HTTPResponse
from typing import Any, NamedTuple

from journey_house import WAIT_SECONDS

QUIET_SECONDS = 0.2
"""How long a request that is not complete is given to be answered nevertheless."""


class Answer(NamedTuple):
    """One HTTP response, as bytes but for its status and media type."""

    status: int
    content_type: str
    body: bytes


async def exchange(port: int, *pieces: bytes, complete: bool = True) -> bytes:
    """Everything that the server says to the pieces, on a connection of their own.

    A complete request asks for the connection to be closed, and waits for that; anything else waits a moment.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = bytearray()
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        async with asyncio.timeout(WAIT_SECONDS if complete else QUIET_SECONDS):
            while piece := await reader.read(65536):
                said += piece
    except TimeoutError:
        assert not complete, f"no answer to {pieces!r:.2000}"
    except ConnectionError:
        pass  # what came before is looked at
    finally:
        writer.transport.abort()
    return bytes(said)


def answers(said: bytes, methods: Sequence[str] = ()) -> list[Answer]:
    """The responses in what a server said, whole ones all of them; `methods` are those of the requests, in order."""
    stream, found = _Said(said), list[Answer]()
    while stream.tell() < len(said):
        method = methods[len(found)] if len(found) < len(methods) else "POST"
        response = HTTPResponse(stream, method=method)  # type: ignore[arg-type] # a socket with nothing but bytes
        response.begin()
        found.append(Answer(response.status, response.getheader("content-type", ""), response.read()))
        if response.status == HTTPStatus.SWITCHING_PROTOCOLS:
            break  # what follows is not HTTP
    return found


class _Said(io.BytesIO):
    def makefile(self, *_: Any) -> _Said:
        return self

    def close(self) -> None:
        """Stay: the next response follows."""
