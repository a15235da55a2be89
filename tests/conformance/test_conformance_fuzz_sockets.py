"""Whatever frames arrive on a websocket, each message back is proper, and the connection lives or says why not."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator

import pytest
from conformance_answers import CLOSED, check_message
from conformance_frames import CONVERSATIONS, STREAM, Raw, Sent, frame, send
from conformance_fuzzing import VIEWER, Fuzzed, megabytes
from conformance_table import Figure
from hypothesis import strategies as st
from journey_house import WAIT_SECONDS, Caller, receive, subscribe
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode

pytestmark = pytest.mark.long

EXAMPLES = 200
PINGS, FLOOD = 100, 10_000
QUIET_SECONDS = 0.1
"""How long the server may take to find fault with half a frame, which it need not."""


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all examples of a test."""
    with asyncio.Runner() as runner:
        yield runner


async def heard(socket: ClientConnection) -> None:
    """Everything that the server says, until an operation that is asked last is over; raises when it closes."""
    await subscribe(socket, "last", VIEWER, None)
    while (message := await receive(socket)) != {"id": "last", "type": "complete"}:
        check_message(message)


async def converse(caller: Caller, sent: list[Sent], *, known: bool) -> str:
    """One connection, and whatever is said on it. Returns how it ended."""
    async with caller.unacknowledged() as socket:
        socket.close_timeout = QUIET_SECONDS  # why it ends is looked at, not when the line is cut
        try:
            if known:
                await socket.send(json.dumps({"type": "connection_init", "payload": caller.headers}))
                assert (await receive(socket))["type"] == "connection_ack"
            for each in sent:
                await send(socket, each)
            if sent and isinstance(sent[-1], Raw):
                while True:
                    message = await asyncio.wait_for(socket.recv(), QUIET_SECONDS)
                    check_message(json.loads(message))
            await heard(socket)
        except TimeoutError:
            assert sent, "an operation is never over"
            assert isinstance(sent[-1], Raw), sent
            socket.transport.abort()
            return "it waits for the rest"
        except ConnectionClosed as closed:
            return _ended(closed, sent)
    return "it lives"


def _ended(closed: ConnectionClosed, sent: list[Sent]) -> str:
    ours_first = bool(sent) and isinstance(sent[-1], Raw)  # whoever breaks the framing may not be told why
    if closed.rcvd is None:
        assert ours_first, f"dropped without a word: {sent!r:.2000}"
        return "it was dropped"
    assert ours_first or closed.rcvd.code in CLOSED, f"{closed.rcvd}: {sent!r:.2000}"
    assert closed.rcvd.code != 1011, sent
    return str(closed.rcvd.code)


def test_any_frames_are_answered(fuzzed: Fuzzed, runner: asyncio.Runner, figure: Figure) -> None:
    """Arbitrary messages and frames, before and after the connection is acknowledged."""
    caller, ends = fuzzed.world.caller("t_acme", "owner"), Counter[str]()

    def talk(drawn: tuple[list[Sent], bool]) -> None:
        ends[runner.run(converse(caller, drawn[0], known=drawn[1]))] += 1

    conversations = st.tuples(CONVERSATIONS, st.sampled_from([True, True, False]))
    with fuzzed.unharmed():
        talk(([], True))
        with fuzzed.flat() as growth:
            fuzzed.explore(conversations, talk, EXAMPLES)
    assert ends["it lives"] > 10
    assert ends["4400"] > 10
    figure(10, "websockets with arbitrary messages and frames, each answered properly", ends.total())
    figure(10, "memory that the server grew by meanwhile", megabytes(growth[0]))


def test_pings_are_answered(fuzzed: Fuzzed, runner: asyncio.Runner) -> None:
    """As many as a lively client sends, of both kinds, beside a stream that goes on."""
    caller = fuzzed.world.caller("t_acme", "owner")

    async def ping() -> None:
        async with caller.socket() as socket:
            await subscribe(socket, "stream", STREAM, None)
            for _ in range(PINGS):
                await socket.send('{"type":"ping"}')
            pongs = [await socket.ping() for _ in range(PINGS)]
            await asyncio.wait_for(asyncio.gather(*pongs), WAIT_SECONDS)
            answered = 0
            while answered < PINGS:
                message = await receive(socket)
                check_message(message)
                answered += message["type"] == "pong"
            await heard(socket)
            await socket.send(json.dumps({"type": "complete", "id": "stream"}))

    with fuzzed.unharmed():
        runner.run(ping())


@pytest.mark.parametrize("each", ['{"type":"ping"}', Raw(frame(Opcode.PING, b"x")), ""], ids=["ping", "frame", "empty"])
def test_a_flood_costs_nobody_else(fuzzed: Fuzzed, runner: asyncio.Runner, figure: Figure, each: Sent) -> None:
    """Thousands of messages, without listening to an answer: at the most that connection ends, and is told why."""
    caller = fuzzed.world.caller("t_acme", "owner")

    async def compare() -> str:
        async with caller.socket() as other:
            end = await converse(caller, [*[each] * FLOOD, '{"type":"pong"}'], known=True)
            await heard(other)
            return end

    with fuzzed.unharmed(), fuzzed.flat():
        assert runner.run(compare()) in ("it lives", "1008", "4400")
    figure(
        10, "messages, pings or empty texts that a client floods a connection with, to nobody's harm but its own", FLOOD
    )


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_a_huge_message_ends_its_connection_alone(fuzzed: Fuzzed, runner: asyncio.Runner, known: bool) -> None:
    """Larger than any request may be, whole and in fragments: 1009, and another connection hears nothing of it."""
    caller = fuzzed.world.caller("t_acme", "owner")
    huge = json.dumps({"type": "ping", "payload": {"text": "x" * 3_000_000}})

    async def compare() -> list[str]:
        async with caller.socket() as other:
            ends = [await converse(caller, [each], known=known) for each in (huge, [huge[:9], huge[9:]])]
            await heard(other)
            return ends

    with fuzzed.unharmed():
        assert runner.run(asyncio.wait_for(compare(), WAIT_SECONDS)) == ["1009", "1009"]
