"""What the house costs beside the barest thing that could do the same, in one run, as ratios.

    python tests/bench/benchmark.py            # prints the table of docs/benchmarks.md

Each figure is the median over rounds in which the two sides take turns, so that a slow moment of the machine hits both.
Servers are real processes on loopback; the hashing embedder keeps the model's own time out of the comparison.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

CARDS = 1000
PAGE = 20
PACK = 10
SUBSCRIBERS = 100
ENTRIES = 60
ROUNDS = 7
REQUESTS = 60
HOUSE_PORT, PEER_PORT = 18431, 18432
HERE = Path(__file__).resolve().parent

PAGE_QUERY = """query Page($first: Int!) { cards(first: $first) {
  edges { cursor node { id key cardType version title digest labels trainOk publishedAt publishedBy } }
  pageInfo { hasNextPage endCursor } } }"""
PACK_QUERY = """query Pack($text: String!, $k: Int!) { influencePack(ask: {text: $text, k: $k}) {
  id digest complete exact refs { rank score cardId cardVersion cardDigest excerpt { text start end } } } }"""
OPEN = 'mutation { openRun(input: {title: "benchmark"}) { run { id } } }'
APPEND = """mutation Append($run: ID!, $text: String!) {
  appendRunLog(input: {runId: $run, text: $text}) { entry { number } } }"""
FOLLOW = """subscription Follow($run: ID!) { runLog(runId: $run) { __typename
  ... on RunLogEntry { cursor entry { number at type payload } } } }"""


@dataclass(frozen=True)
class Side:
    """Headers for one of the two servers."""

    address: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Result:
    """A measured pair."""

    what: str
    unit: str
    house: float
    peer: float
    ratio: float
    peer_is: str


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = prepare(Path(folder))
        house = start(["-m", "nexus_graph", "serve", "--port", str(HOUSE_PORT)], folder, environment)
        peer = start([str(HERE / "peer.py"), str(PEER_PORT), folder], folder, environment)
        try:
            side = Side(f"http://127.0.0.1:{HOUSE_PORT}", headers(folder, environment))
            bare = Side(f"http://127.0.0.1:{PEER_PORT}", {})
            await ready(side.address + "/readyz", house)
            await ready(bare.address + "/page", peer)
            results = [await page(side, bare), await pack(side, bare), await log(side, bare)]
        finally:
            for process in (house, peer):
                process.kill()
                process.wait(20)
    report(results)


def prepare(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """An installation with 1,000 cards. `more` settings say on which engines."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
    environment |= {"NEXUS_EMBEDDER": "hashing", "NEXUS_LOG_LEVEL": "warning"}
    plenty = ("ACTOR_BURST", "ACTOR_PER_SECOND", "TENANT_BURST", "TENANT_PER_SECOND")
    environment |= {f"NEXUS_{name}": "1000000000" for name in plenty}  # what is measured is not how long it is allowed
    environment |= more or {}
    cards = folder / "cards"
    cards.mkdir()
    topics = [
        "returns",
        "parcels",
        "zips",
        "boots",
        "tents",
        "pumps",
        "seals",
        "bearings",
        "invoices",
        "customers",
        "cut-offs",
        "sleeping",
        "bags",
    ]
    for number in range(CARDS):
        topic, other = topics[number % len(topics)], topics[(number * 7 + 3) % len(topics)]
        text = f"Card {number} tells how {topic} and {other} are handled in week {number % 53}, by whom and until when."
        header = f"---\nkey: bench/{number:04}\ncard_type: note\ntitle: {topic} {number}\nlabels: [{topic}]\n---\n"
        (cards / f"{number:04}.md").write_text(header + "\n\n".join([text] * 6))
    for command in (
        ["init"],
        ["tenant", "create", "t_bench", "--env", "dev"],
        ["member", "set", "owner@bench", "--tenant", "t_bench", "--env", "dev", "--role", "owner"],
        ["import", "cards", "--tenant", "t_bench", "--env", "dev", "--no-train-ok"],
    ):
        subprocess.run([sys.executable, "-m", "nexus_graph", *command], cwd=folder, env=environment, check=True)
    return environment


def start(arguments: list[str], folder: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A server process."""
    return subprocess.Popen([sys.executable, *arguments], cwd=folder, env=environment)


def headers(folder: str, environment: dict[str, str]) -> dict[str, str]:
    """Credentials for the house."""
    command = [sys.executable, "-m", "nexus_graph", "token", "owner@bench", "--json"]
    made = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    token = json.loads(made.stdout)["token"]
    return {"Authorization": f"Bearer {token}", "X-Nexus-Tenant": "t_bench", "X-Nexus-Env": "dev"}


async def ready(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait for a server."""
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(300):
            if process.poll() is not None:
                raise SystemExit(f"{address}: the server ended early")
            try:
                if (await client.get(address)).status_code == 200:
                    return
            except httpx.HTTPError:
                await asyncio.sleep(0.1)
    raise SystemExit(f"{address}: not ready after 30 s")


async def page(side: Side, bare: Side) -> Result:
    """A page of 20 cards."""
    body = {"query": PAGE_QUERY, "variables": {"first": PAGE}}
    async with httpx.AsyncClient(trust_env=False) as client:

        async def of_house() -> None:
            answer = (await client.post(f"{side.address}/graphql", json=body, headers=side.headers)).json()
            assert len(answer["data"]["cards"]["edges"]) == PAGE, answer

        async def of_peer() -> None:
            assert len((await client.get(f"{bare.address}/page")).json()["edges"]) == PAGE

        return await compare(f"page of {PAGE} cards", of_house, of_peer, "Starlette + orjson route, one SELECT")


async def pack(side: Side, bare: Side) -> Result:
    """A pack of 10; another question each time, so that nothing is answered from a cache."""
    async with httpx.AsyncClient(trust_env=False) as client:
        number = 0

        async def of_house() -> None:
            nonlocal number
            number += 1
            body = {"query": PACK_QUERY, "variables": {"text": f"how are zips {number} handled", "k": PACK}}
            answer = (await client.post(f"{side.address}/graphql", json=body, headers=side.headers)).json()
            assert len(answer["data"]["influencePack"]["refs"]) == PACK, answer

        async def of_peer() -> None:
            nonlocal number
            number += 1
            answer = await client.get(f"{bare.address}/search", params={"text": f"how are zips {number} handled"})
            assert len(answer.json()["refs"]) == PACK

        peer_is = "the same route with embed + numpy search + row fetch, nothing kept"
        return await compare(f"pack of {PACK} among {CARDS} cards", of_house, of_peer, peer_is)


async def compare(
    what: str, of_house: Callable[[], Awaitable[None]], of_peer: Callable[[], Awaitable[None]], peer_is: str
) -> Result:
    """Take turns; milliseconds a request."""
    houses, peers = list[float](), list[float]()
    for deed in (of_house, of_peer):
        for _ in range(10):
            await deed()
    for number in range(ROUNDS):
        sys.stderr.write(f"{what}: round {number + 1} of {ROUNDS}\n")
        for deed, times in ((of_house, houses), (of_peer, peers)):
            began = time.perf_counter()
            for _ in range(REQUESTS):
                await deed()
            times.append((time.perf_counter() - began) * 1000 / REQUESTS)
    ratio = statistics.median(house / peer for house, peer in zip(houses, peers, strict=True))
    return Result(what, "ms", statistics.median(houses), statistics.median(peers), ratio, peer_is)


async def log(side: Side, bare: Side) -> Result:
    """Entries delivered to 100 subscribers: from the first append to the last delivery."""
    houses, peers = list[float](), list[float]()
    for number in range(ROUNDS):
        sys.stderr.write(f"log: round {number + 1} of {ROUNDS}\n")
        houses.append(await of_house_log(side))
        peers.append(await of_peer_log(bare))
    ratio = statistics.median(house / peer for house, peer in zip(houses, peers, strict=True))
    what = f"{ENTRIES} log entries to {SUBSCRIBERS} subscribers"
    peer_is = "websocket broadcast of ready bytes, nothing kept"
    return Result(what, "entries/s", statistics.median(houses), statistics.median(peers), ratio, peer_is)


async def of_house_log(side: Side) -> float:
    """Deliveries a second."""
    async with httpx.AsyncClient(trust_env=False, headers=side.headers, base_url=side.address) as client:
        opened = (await client.post("/graphql", json={"query": OPEN})).json()
        run = opened["data"]["openRun"]["run"]["id"]
        address = side.address.replace("http", "ws") + "/graphql"
        async with sockets(address) as found:
            for socket in found:
                await socket.send(json.dumps({"type": "connection_init", "payload": side.headers}))
                await socket.recv()
                body = {"query": FOLLOW, "variables": {"run": run}}
                await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": body}))
                await socket.recv()  # the entry that opened the run
            began = time.perf_counter()
            hearing = [asyncio.create_task(hear(socket, ENTRIES)) for socket in found]
            for number in range(ENTRIES):
                body = {"query": APPEND, "variables": {"run": run, "text": f"entry {number}"}}
                assert "errors" not in (await client.post("/graphql", json=body)).json()
            await asyncio.gather(*hearing)
            return ENTRIES * SUBSCRIBERS / (time.perf_counter() - began)


async def of_peer_log(bare: Side) -> float:
    """Deliveries a second."""
    async with (
        httpx.AsyncClient(trust_env=False, base_url=bare.address) as client,
        sockets(bare.address.replace("http", "ws") + "/broadcast") as found,
    ):
        began = time.perf_counter()
        hearing = [asyncio.create_task(hear(socket, ENTRIES)) for socket in found]
        for number in range(ENTRIES):
            (await client.post("/append", json={"text": f"entry {number}"})).raise_for_status()
        await asyncio.gather(*hearing)
        return ENTRIES * SUBSCRIBERS / (time.perf_counter() - began)


async def hear(socket: ClientConnection, count: int) -> None:
    """Receive so many messages."""
    for _ in range(count):
        await socket.recv()


@asynccontextmanager
async def sockets(address: str) -> AsyncIterator[list[ClientConnection]]:
    """100 connections."""
    protocols: Any = ["graphql-transport-ws"]
    opening = [connect(address, subprotocols=protocols, compression=None, proxy=None) for _ in range(SUBSCRIBERS)]
    found = list(await asyncio.gather(*opening))
    try:
        yield found
    finally:
        await asyncio.gather(*[socket.close() for socket in found])


def report(results: list[Result]) -> None:
    """The table, in Markdown."""
    out = sys.stdout
    out.write("| what | house | peer | house / peer | the peer |\n|---|---|---|---|---|\n")
    for item in results:
        figures = f"{item.house:.2f} {item.unit} | {item.peer:.2f} {item.unit} | {item.ratio:.2f}"
        out.write(f"| {item.what} | {figures} | {item.peer_is} |\n")


if __name__ == "__main__":
    asyncio.run(main())
