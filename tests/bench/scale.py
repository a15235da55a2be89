"""What ten thousand tenants, or a million cards, cost the one that asks, its server's memory, and its start: as ratios.

    python tests/bench/scale.py                          # 1 and 10,000 tenants on SQLite
    python tests/bench/scale.py --engine postgres --tenants 1 1000
    python tests/bench/scale.py --cards 1000 1000000     # of one tenant on SQLite, written to the tables at once
    python tests/bench/scale.py --processes 1 2 4        # pages a second of one installation on Postgres

Servers are real processes on loopback, a Postgres server of the run's own where it is asked for. The installations are
measured in turns, so that a slow moment of the machine hits all. Prints the tables of docs/scale.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import connect

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from benchmark import APPEND, FOLLOW, OPEN, PACK_QUERY, PAGE_QUERY, Side, headers, prepare, ready, start  # noqa: E402
from servers.postgres import PostgresServer, postgres_server  # noqa: E402
from servers.process import free_ports  # noqa: E402

from nexus_graph import config  # noqa: E402
from nexus_graph.engines import open_stores  # noqa: E402
from nexus_graph.scope.scope import Env, Scope, Surface  # noqa: E402
from nexus_graph.tenants import membership  # noqa: E402

ROUNDS = 5
REQUESTS = 40
IDLE_SECONDS = 10.0
AT_ONCE = 200
CLIENTS = 16
THROUGHPUT_SECONDS = 8.0
PACK = 10


@dataclass
class Installation:
    """A folder, what its server is told, and what was seen of it."""

    name: str
    folder: Path
    environment: dict[str, str]
    seen: dict[str, float] = field(default_factory=dict)
    port: int = field(default_factory=lambda: free_ports(1)[0])
    process: subprocess.Popen[bytes] | None = None
    side: Side | None = None


async def main() -> None:
    given = arguments()
    if given.processes:
        await by_processes(given.processes)
        return
    with ExitStack() as held:
        server = held.enter_context(on_postgres()) if given.engine == "postgres" else None
        place = Path(held.enter_context(tempfile.TemporaryDirectory()))
        if given.cards:
            found = [with_cards(place, cards) for cards in given.cards]
        else:
            found = [await furnished(place, server, tenants) for tenants in given.tenants]
        try:
            for each in found:
                await serve(each)
            for each in found:
                await rest(each)
            for each in found:
                await first_pack(each)
            await in_turns(found)
            for each in found:
                each.seen |= memory(each, "after requests")
        finally:
            for each in found:
                end(each)
    report(found, f"{given.engine}, {os.cpu_count()} processors")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("embedded", "postgres"), default="embedded")
    parser.add_argument("--tenants", type=int, nargs="+", default=[1, 10_000])
    parser.add_argument("--cards", type=int, nargs="+", default=[])
    parser.add_argument("--processes", type=int, nargs="+", default=[])
    return parser.parse_args()


async def by_processes(numbers: Sequence[int]) -> None:
    """Pages a second that many clients get from one installation, by how many processes serve it."""
    found: dict[int, list[float]] = {number: [] for number in numbers}
    with on_postgres() as server, tempfile.TemporaryDirectory() as place:
        each = await furnished(Path(place), server, 1)
        for turn in range(ROUNDS):
            for number in numbers:
                tell(f"round {turn + 1} of {ROUNDS}: {number} processes")
                await serve(each, number)
                found[number].append(await pages_a_second(each))
                end(each)
    out = sys.stdout
    out.write(f"| processes | pages/s | ratio to {numbers[0]} |\n|---|---|---|\n")
    for number, rates in found.items():
        ratio = statistics.median(rate / first for rate, first in zip(rates, found[numbers[0]], strict=True))
        out.write(f"| {number} | {statistics.median(rates):.1f} | {ratio:.2f} |\n")


async def pages_a_second(each: Installation) -> float:
    """What clients who ask one page after the other get together."""
    until, count = time.perf_counter() + THROUGHPUT_SECONDS, 0

    async def go_on() -> None:
        nonlocal count
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            while time.perf_counter() < until:
                await page(client, each, 0)
                count += 1

    began = time.perf_counter()
    await asyncio.gather(*(go_on() for _ in range(CLIENTS)))
    return count / (time.perf_counter() - began)


@contextmanager
def on_postgres() -> Iterator[PostgresServer]:
    """A server of the run's own, which flushes as a real one does."""
    folder = Path(tempfile.mkdtemp(prefix="nexus-scale-"))
    try:
        with postgres_server(folder, "fsync=on", "full_page_writes=on") as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def furnished(place: Path, server: PostgresServer | None, tenants: int) -> Installation:
    """An installation with 1,000 cards of one tenant, and as many others as make up the number."""
    folder = place / f"tenants-{tenants}"
    folder.mkdir()
    extra: dict[str, str] = {}
    if server is not None:
        name = f"tenants_{tenants}"
        server.create(name)
        extra = {"NEXUS_POSTGRES": server.place(name).address, "NEXUS_POSTGRES_OWNER": server.place(name).owner or ""}
    environment = prepare(folder, extra)
    told = {name: value for name, value in environment.items() if name.startswith("NEXUS_")}
    settings = config.load(told, folder / "nexus.toml").config
    began = time.perf_counter()
    async with open_stores(settings) as stores:

        async def make(number: int) -> None:
            scope = Scope.system(f"t_other_{number:06}", Env.DEV, "scale", surface=Surface.COMMAND_LINE)
            await membership.create_tenant(stores, scope, f"Tenant {number}")
            await membership.set_member(stores, scope, f"owner@{number}", "owner")

        for first in range(0, tenants - 1, AT_ONCE):
            await asyncio.gather(*(make(number) for number in range(first, min(first + AT_ONCE, tenants - 1))))
            tell(f"{tenants} tenants: made {first + AT_ONCE}")
    each = Installation(f"{tenants:,} tenants", folder, environment)
    each.seen["making a tenant (ms)"] = (time.perf_counter() - began) * 1000 / max(tenants - 1, 1)
    return each


def with_cards(place: Path, cards: int) -> Installation:
    """An installation with so many cards of one tenant, each with a random vector of 384 dimensions."""
    from searching import furnish, write

    folder = place / f"cards-{cards}"
    environment = furnish(folder)
    tell(f"{cards} cards: writing rows")
    write(folder / "nexus-data" / "nexus.db", cards)
    return Installation(f"{cards:,} cards", folder, environment)


async def serve(each: Installation, processes: int = 1) -> None:
    """Start it: how long until it answers."""
    tell(f"{each.name}: start")
    began = time.perf_counter()
    command = ["-m", "nexus_graph", "serve", "--port", str(each.port), "--workers", str(processes)]
    each.process = start(command, str(each.folder), each.environment)
    each.side = Side(f"http://127.0.0.1:{each.port}", headers(str(each.folder), each.environment))
    await ready(each.side.address + "/readyz", each.process)
    each.seen["start until it answers (s)"] = time.perf_counter() - began
    began, spent = time.perf_counter(), processor(each)
    while (now := processor(each)) - spent > 0.05 or time.perf_counter() - began < 2:
        spent = now
        await asyncio.sleep(1)
        if time.perf_counter() - began > 300:
            break
    each.seen["until it has caught up (s)"] = time.perf_counter() - began


async def rest(each: Installation) -> None:
    """What it does when nobody asks."""
    spent = processor(each)
    await asyncio.sleep(IDLE_SECONDS)
    each.seen["idle, of one processor (%)"] = 100 * (processor(each) - spent) / IDLE_SECONDS
    each.seen |= memory(each, "idle")


async def first_pack(each: Installation) -> None:
    """How long until a pack is answered by a process that has no vectors in memory, which may ask to come again."""
    began = time.perf_counter()
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        while "being loaded" in str((await sent(client, each, PACK_QUERY, {"text": "zips", "k": PACK})).get("errors")):
            tell(f"{each.name}: its vectors are being loaded")
    each.seen["first pack (s)"] = time.perf_counter() - began


async def in_turns(found: Sequence[Installation]) -> None:
    """Page, pack, and an entry's way to a subscriber, each round on all of them."""
    times: dict[str, dict[str, list[float]]] = {each.name: {} for each in found}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        for number in range(ROUNDS):
            tell(f"round {number + 1} of {ROUNDS}")
            for each in found:
                for what, deed in (("page", page), ("pack", pack)):
                    await deed(client, each, -1)
                    began = time.perf_counter()
                    for request in range(REQUESTS):
                        await deed(client, each, number * REQUESTS + request)
                    spent = (time.perf_counter() - began) * 1000 / REQUESTS
                    times[each.name].setdefault(f"{what} (ms)", []).append(spent)
                times[each.name].setdefault("entry to a subscriber (ms)", []).append(await stream(client, each))
    for each in found:
        each.seen |= {what: statistics.median(values) for what, values in times[each.name].items()}


async def page(client: httpx.AsyncClient, each: Installation, _: int) -> None:
    """20 cards."""
    answer = await ask(client, each, PAGE_QUERY, {"first": 20})
    assert len(answer["cards"]["edges"]) == 20, answer


async def pack(client: httpx.AsyncClient, each: Installation, number: int) -> None:
    """A pack of ten; another question each time."""
    answer = await ask(client, each, PACK_QUERY, {"text": f"how are zips {number} handled", "k": PACK})
    assert len(answer["influencePack"]["refs"]) == PACK, answer


async def stream(client: httpx.AsyncClient, each: Installation) -> float:
    """Milliseconds from an append until the subscriber has it, the median of some."""
    run = (await ask(client, each, OPEN, {}))["openRun"]["run"]["id"]
    taken = []
    async with subscribed(each, run) as receive:
        for number in range(REQUESTS):
            began = time.perf_counter()
            hearing = asyncio.create_task(receive())
            await ask(client, each, APPEND, {"run": run, "text": f"entry {number}"})
            await hearing
            taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


@asynccontextmanager
async def subscribed(each: Installation, run: str) -> AsyncIterator[Callable[[], Coroutine[Any, Any, Any]]]:
    """A subscriber of a run, who has its first entry."""
    assert each.side is not None
    protocols: Any = ["graphql-transport-ws"]
    address = each.side.address.replace("http", "ws") + "/graphql"
    async with connect(address, subprotocols=protocols, compression=None, proxy=None) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": each.side.headers}))
        await socket.recv()
        body = {"query": FOLLOW, "variables": {"run": run}}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": body}))
        await socket.recv()
        yield socket.recv


async def ask(client: httpx.AsyncClient, each: Installation, query: str, variables: dict[str, Any]) -> Any:
    """The data."""
    answer = await sent(client, each, query, variables)
    assert "errors" not in answer, answer
    return answer["data"]


async def sent(client: httpx.AsyncClient, each: Installation, query: str, variables: dict[str, Any]) -> Any:
    """The answer, whatever it is."""
    assert each.side is not None
    body = {"query": query, "variables": variables}
    return (await client.post(f"{each.side.address}/graphql", json=body, headers=each.side.headers)).json()


def processor(each: Installation) -> float:
    """Seconds of the processors that a server spent so far."""
    assert each.process is not None
    fields = Path(f"/proc/{each.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(each: Installation, when: str) -> dict[str, float]:
    """What a server holds."""
    assert each.process is not None
    folder = Path(f"/proc/{each.process.pid}")
    pages = int((folder / "statm").read_text().split()[1])
    return {
        f"memory, {when} (MB)": pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        f"descriptors, {when}": len([*(folder / "fd").iterdir()]),
    }


def end(each: Installation) -> None:
    """End its server."""
    if each.process is not None:
        each.process.terminate()
        each.process.wait(60)


def tell(text: str) -> None:
    """How far it is."""
    sys.stderr.write(f"{text}\n")


def report(found: Sequence[Installation], where: str) -> None:
    """A table in Markdown: each figure, and its ratio to that of the first installation."""
    out = sys.stdout
    first, *others = found
    names = [part for each in others for part in (each.name, "ratio")]
    out.write(f"| {where} | {' | '.join([first.name, *names])} |\n|{'---|' * (2 + len(names))}\n")
    for what, value in first.seen.items():
        cells = [
            part
            for each in others
            for part in (f"{each.seen[what]:.2f}", f"{each.seen[what] / value:.2f}" if value else "")
        ]
        out.write(f"| {what} | {' | '.join([f'{value:.2f}', *cells])} |\n")


if __name__ == "__main__":
    asyncio.run(main())
