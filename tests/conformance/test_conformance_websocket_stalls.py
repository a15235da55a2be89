"""Point 2: clients that do not read, and what they and the idle cost: measured on the server's own process."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from conformance_table import Figure
from journey_house import WAIT_SECONDS, Caller, MakeWorld, World
from websocket_bytes import PING, RawSocket, answer, frame, handshake, websocket

SEND_SECONDS = 1.0
STALLED = 6
MOST_BYTES = 4 * 1024 * 1024
"""What one client that does not read may cost the server."""
FIRST, IDLE = 100, 240
"""Sockets that take up the memory that the server has left, and further ones that are measured."""
PUBLISH = """mutation ($text: String!) { publishCard(input: {text: $text, trainOk: true}) {
  card { id } userErrors { code message } } }"""
CARD = "query ($id: ID!) { card(id: $id) { body } }"
SOCKETS = "{ budget { sockets { open } } }"


@pytest.fixture(scope="module")
def card() -> str:
    """A card of 100 KiB."""
    return "---\nkey: stalls/large\ncard_type: note\n---\n" + ("A long line of a large card.\n" * 3600)


def memory(world: World) -> int:
    """Bytes of memory that the server's process holds."""
    assert world.server.process is not None
    lines = Path(f"/proc/{world.server.process.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) * 1024


def cpu(world: World) -> float:
    """Seconds that the server's process has worked."""
    assert world.server.process is not None
    times = Path(f"/proc/{world.server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(times[11]) + int(times[12])) / 100


@asynccontextmanager
async def deaf(caller: Caller) -> AsyncIterator[RawSocket]:
    """A client that says who it is, and never reads another byte."""
    pipe = socket.socket()
    pipe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    pipe.setblocking(False)
    await asyncio.get_running_loop().sock_connect(pipe, ("127.0.0.1", caller.server.port))
    reader, writer = await asyncio.open_connection(sock=pipe, limit=1024)
    client = RawSocket(reader, writer)
    try:
        await client.send(handshake())
        assert (await answer(client))[0] == 101
        await client.say({"type": "connection_init", "payload": caller.headers})
        assert await client.message() == {"type": "connection_ack"}
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        yield client
    finally:
        writer.transport.abort()


async def evicted(client: RawSocket, floods: Iterator[bytes]) -> None:
    """Send without reading, until the server lets go of the connection."""
    async with asyncio.timeout(20):
        try:
            for data in floods:
                client.writer.write(data)
                await client.writer.drain()
                await asyncio.sleep(0)
            while True:
                client.writer.write(frame(b"", PING))
                await client.writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            return


def pings() -> Iterator[bytes]:
    """Pings of the protocol that ask for much."""
    while True:
        yield frame(json.dumps({"type": "ping", "payload": {"x": "x" * 100_000}}))


def operations(card_id: str) -> Iterator[bytes]:
    """A hundred operations, with an answer of 100 KiB each."""
    payload = {"query": CARD, "variables": {"id": card_id}}
    for at in range(100):
        yield frame(json.dumps({"id": str(at), "type": "subscribe", "payload": payload}))


async def slow(owner: Caller, card_id: str) -> None:
    """A client that reads, if slowly, gets all of it: most is unread for longer than a message may be."""
    async with deaf(owner) as client:
        await client.send(b"".join(operations(card_id)))
        transport = client.writer.transport
        for _ in range(20):
            await asyncio.sleep(0.08)
            transport.resume_reading()  # type: ignore[attr-defined]
            for _ in range(10):
                assert (await client.message())["type"] in ("next", "complete")
            transport.pause_reading()  # type: ignore[attr-defined]


async def test_who_does_not_read_is_let_go(own_world: MakeWorld, card: str, figure: Figure) -> None:
    """In a second, whatever they ask for; memory is bounded meanwhile; a neighbour is answered, and who reads stays."""
    world = own_world(send_seconds=str(SEND_SECONDS))
    owner, member = world.caller("t_acme", "owner"), world.caller("t_acme", "member")
    published = owner.ask(PUBLISH, {"text": card})["publishCard"]
    assert published["userErrors"] == []
    card_id = published["card"]["id"]
    await slow(owner, card_id)
    before, loop = memory(world), asyncio.get_running_loop()
    most, took = dict[str, int](), dict[str, float]()
    floods: dict[str, Callable[[], Iterator[bytes]]] = {"operations": lambda: operations(card_id), "messages": pings}
    for name, flood in floods.items():
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(deaf(owner)) for _ in range(STALLED)]
            neighbour = await stack.enter_async_context(websocket(world.server.port, init=member.headers))
            since = loop.time()
            waiting = asyncio.gather(*(evicted(client, flood()) for client in clients))
            while not waiting.done():
                await neighbour.say({"type": "ping"})
                assert await neighbour.message() == {"type": "pong"}
                most[name] = max(most.get(name, 0), memory(world) - before)
                await asyncio.sleep(0.02)
            await waiting
            took[name] = loop.time() - since
    each = max(most.values()) // STALLED
    assert each < MOST_BYTES, f"{most} bytes for {STALLED} clients"
    assert "connection.stalled" in world.server.log.read_text()
    await until_all_are_gone(owner)
    slowest = max(took["operations"], took["messages"])
    figure(
        2,
        f"{STALLED} clients that read nothing, each with 100 answers of 100 KiB, measured",
        f"all gone after {slowest:.1f} s, where {SEND_SECONDS:g} s may be unread; at most {each // 1024:,} KiB each",
    )


async def until_all_are_gone(owner: Caller) -> None:
    """The server hears of a connection's end a moment after its client."""
    still = 1
    for _ in range(WAIT_SECONDS * 20):
        still = (await asyncio.to_thread(owner.ask, SOCKETS))["budget"]["sockets"]["open"]
        if not still:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"{still} sockets are still counted")


async def test_an_idle_socket_costs_little(world: World, figure: Figure) -> None:
    """So many that say nothing more: bytes each, and the time that the server works for all of them."""
    everybody = [world.caller(*who) for who in world.credentials]
    async with AsyncExitStack() as stack:

        async def idle(count: int) -> None:
            for place in range(count):
                caller = everybody[place % len(everybody)]
                await stack.enter_async_context(websocket(world.server.port, init=caller.headers))

        await idle(FIRST)
        before = memory(world)
        await idle(IDLE)
        each, worked = (memory(world) - before) / IDLE, cpu(world)
        await asyncio.sleep(1)
        busy = cpu(world) - worked
    assert 1024 < each < 100 * 1024
    found = f"{each / 1024:.0f} KiB each; for all of them the server works {busy:.1%} of the time"
    figure(2, f"{IDLE} idle sockets beside {FIRST} others, measured", found)
