"""Streams of answers: their frames, their pulse, and that none outlives its client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from nexus_graph.api.operations.execution import Answer
from nexus_graph.api.transport.accepting import EVENT_STREAM, MULTIPART
from nexus_graph.api.transport.events import FRAMINGS, AnswerStream
from nexus_graph.api.transport.receiving import unless_gone

WAIT_SECONDS = 10


class Client:
    """One end of a connection: reads `most` messages, and keeps them; leaves when it is told to."""

    def __init__(self, most: int = 1000) -> None:
        self._most = most
        self._came = asyncio.Semaphore(0)
        self.sent: list[Message] = []
        self.left = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.closed = 0

    async def send(self, message: Message) -> None:
        """Take a message, unless it has stopped to read."""
        if len(self.sent) == self._most:
            await self.goes_on.wait()
        self.sent.append(message)
        self._came.release()

    async def read(self, messages: int) -> None:
        """Wait for so many more messages."""
        for _ in range(messages):
            await self._came.acquire()

    async def receive(self) -> Message:
        """Tell that it left."""
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def follow(
        self, answers: list[Answer], framing: str = EVENT_STREAM, *, more: bool, pulse_seconds: float = 60
    ) -> None:
        """A whole stream; one with `more` goes on after its answers, in silence."""
        stream = AnswerStream(
            lambda _: self._told(answers, more=more), FRAMINGS[framing], {}, pulse_seconds=pulse_seconds
        )
        async with asyncio.timeout(WAIT_SECONDS):
            await stream({"type": "http"}, self.receive, self.send)

    async def _told(self, answers: list[Answer], *, more: bool) -> AsyncGenerator[Answer, None]:
        try:
            for answer in answers:
                yield answer
            if more:
                await asyncio.Event().wait()
        finally:
            self.closed += 1

    @property
    def body(self) -> bytes:
        """What came."""
        return b"".join(message["body"] for message in self.sent[1:])


ANSWERS = [Answer({"data": {"a": "x\ny"}}, "c1"), Answer({"errors": []})]


async def test_events_are_written_as_the_protocol_wants() -> None:
    """Lines end with LF, an event has an id where it can be resumed after, the last one has empty data."""
    client = Client()
    await client.follow(ANSWERS, more=False)
    assert client.body == (
        b':\n\nevent: next\nid: c1\ndata: {"data":{"a":"x\\ny"}}\n\n'
        b'event: next\ndata: {"errors":[]}\n\nevent: complete\ndata:\n\n'
    )
    assert client.sent[-1]["more_body"] is False
    assert client.closed == 1


async def test_parts_are_written_as_apollo_wants() -> None:
    """Each part is followed by its delimiter at once, and the last one by its end."""
    client = Client()
    await client.follow(ANSWERS, MULTIPART, more=False)
    head = b"\r\nContent-Type: application/json; charset=utf-8\r\n\r\n"
    assert client.body == (
        b"\r\n--graphql" + head + b'{"payload":{"data":{"a":"x\\ny"}}}\r\n--graphql'
        b"" + head + b'{"payload":{"errors":[]}}\r\n--graphql--\r\n'
    )


async def test_a_quiet_stream_pulses() -> None:
    """A comment, again and again, and nothing after its end."""
    client = Client()
    following = asyncio.create_task(client.follow([], more=True, pulse_seconds=0.01))
    async with asyncio.timeout(WAIT_SECONDS):
        await client.read(5)
    client.left.set()
    await following
    assert client.body == b":\n\n" * (len(client.sent) - 1)


async def test_nothing_comes_after_the_end() -> None:
    """Also when it was quiet for long while the end waited to be read."""
    client = Client(most=4)
    following = asyncio.create_task(client.follow(ANSWERS, more=False, pulse_seconds=0.01))
    await client.read(4)
    await asyncio.sleep(0.05)
    client.goes_on.set()
    await following
    assert [message["more_body"] for message in client.sent[1:]] == [True, True, True, False]


async def test_a_client_that_leaves_ends_its_stream() -> None:
    """At once, whatever it waits for."""
    client = Client()
    following = asyncio.create_task(client.follow(ANSWERS, more=True))
    async with asyncio.timeout(WAIT_SECONDS):
        await client.read(4)
    assert client.closed == 0
    client.left.set()
    await following
    assert client.closed == 1


async def test_a_query_ends_with_the_wish_for_its_answer() -> None:
    """It is cancelled when the client is gone, and answered when it is not."""
    client, cancelled = Client(), asyncio.Event()

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    async def quick() -> str:
        return "answer"

    async with asyncio.timeout(WAIT_SECONDS):
        assert await unless_gone(client.receive, quick()) == "answer"
        asking = asyncio.create_task(unless_gone(client.receive, slow()))
        await asyncio.sleep(0.01)
        client.left.set()
        with pytest.raises(ClientDisconnect):
            await asking
    assert cancelled.is_set()
