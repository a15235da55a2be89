"""What an operation costs the server, beside servers that do less: rows 1 to 5 of the table of targets.

    python tests/bench/door.py            # prints the rows; Node's peer is skipped where there is no Node

Sixteen connections ask each server in turns, round by round, for the same page of twenty cards or the same packs. What
is compared is the time of the processors that the server took a request, which a busy machine changes little.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmark import HERE, PACK_QUERY, PAGE, PAGE_QUERY, headers, prepare, ready, start
from row import Row, table

CONNECTIONS: Final = 16
ROUNDS: Final = 5
REQUESTS: Final = 1600
PORTS: Final = {"house": 18441, "bare": 18442, "stock": 18443, "node": 18444}
NODE: Final = {"fastify": "5.12.8", "mercurius": "16.10.1", "graphql": "16.13.2", "libsql": "0.5.29"}
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass
class Server:
    """A process on loopback. `rounds` holds the milliseconds of processors a request took, by what was asked."""

    process: subprocess.Popen[bytes]
    port: int
    rounds: dict[str, list[float]] = field(default_factory=dict)

    def seconds(self) -> float:
        """What the process took of the processors so far, its threads included."""
        user, system = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / _TICKS


Request = Callable[[int], bytes]
"""The bytes of the request of a number."""


def get(path: str) -> bytes:
    """A GET."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def post(body: object, more: dict[str, str] | None = None) -> bytes:
    """A POST of JSON to /graphql."""
    content = json.dumps(body).encode()
    lines = ["POST /graphql HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in (more or {}).items()]
    return "\r\n".join([*lines, f"Content-Length: {len(content)}", "", ""]).encode() + content


async def answer(reader: asyncio.StreamReader) -> bytes:
    """The body of an answer with a Content-Length. Raises SystemExit for any status but 200."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head[:20]:
        raise SystemExit(f"not answered: {head.decode()}")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return await reader.readexactly(int(length.partition(b":")[2]))


async def load(server: Server, request: Request, expected: bytes, count: int) -> None:
    """So many requests over all connections; each answer holds `expected`."""
    numbers = iter(range(count))

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for number in numbers:
            writer.write(request(number))
            body = await answer(reader)
            if expected not in body or b'"errors"' in body:
                raise SystemExit(f"wrong answer: {body[:500]!r}")
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))


async def measured(server: Server, what: str, request: Request, expected: bytes, count: int = REQUESTS) -> None:
    """One round."""
    before = server.seconds()
    await load(server, request, expected, count)
    server.rounds.setdefault(what, []).append((server.seconds() - before) * 1000 / count)


def ratio(one: Server, what: str, other: Server, of: str) -> float:
    """The median over the rounds."""
    pairs = zip(one.rounds[what], other.rounds[of], strict=True)
    return statistics.median(mine / theirs for mine, theirs in pairs)


def shown(server: Server, what: str) -> str:
    """The median as a text."""
    return f"{statistics.median(server.rounds[what]):.2f} ms"


async def measure(rounds: int = ROUNDS) -> list[Row]:
    """Prepare, measure, and give the rows."""
    with tempfile.TemporaryDirectory() as folder:
        environment = prepare(Path(folder))
        servers: dict[str, Server] = {}
        try:
            servers["house"] = Server(
                start(["-m", "nexus_graph", "serve", "--port", str(PORTS["house"])], folder, environment),
                PORTS["house"],
            )
            for name, file in (("bare", "peer.py"), ("stock", "stock.py")):
                command = [str(HERE / file), str(PORTS[name]), folder]
                servers[name] = Server(start(command, folder, environment), PORTS[name])
            node = node_server(Path(folder))
            if isinstance(node, Server):
                servers["node"] = node
            await ready(f"http://127.0.0.1:{PORTS['house']}/readyz", servers["house"].process)
            await ready(f"http://127.0.0.1:{PORTS['bare']}/page", servers["bare"].process)
            for name in ("stock", "node"):
                if name in servers:
                    await listening(PORTS[name])
            await take_turns(servers, headers(folder, environment), rounds)
        finally:
            for server in servers.values():
                server.process.kill()
                server.process.wait(20)
    return rows_of(servers, "" if isinstance(node, Server) else node)


async def listening(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(300):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.close()
        return
    raise SystemExit(f"nobody listens at {port} after 30 s")


async def take_turns(servers: dict[str, Server], who: dict[str, str], rounds: int) -> None:
    """The same work for all, in rounds; a first one warms up and is not counted."""
    body = {"query": PAGE_QUERY, "variables": {"first": PAGE}}
    digest = hashlib.sha256(PAGE_QUERY.encode()).hexdigest()
    persisted = {"version": 1, "sha256Hash": digest}
    text = post(body, who)
    named = post({"variables": {"first": PAGE}, "extensions": {"persistedQuery": persisted}}, who)
    await load(
        servers["house"], lambda _: post({**body, "extensions": {"persistedQuery": persisted}}, who), b"edges", 1
    )
    asked = 0

    def pack(_: int) -> bytes:
        nonlocal asked
        asked += 1
        return post({"query": PACK_QUERY, "variables": {"text": f"how are zips {asked} handled", "k": 10}}, who)

    def search(number: int) -> bytes:
        return get(f"/search?text=how+are+zips+{number}+handled")

    works: Sequence[tuple[str, str, Request, bytes]] = (
        ("house", "page", lambda _: text, b'"hasNextPage"'),
        ("bare", "page", lambda _: get("/page"), b'"edges"'),
        ("stock", "page", lambda _: post(body), b'"hasNextPage"'),
        ("house", "persisted", lambda _: named, b'"hasNextPage"'),
        ("node", "page", lambda _: post(body), b'"hasNextPage"'),
        ("house", "pack", pack, b'"excerpt"'),
        ("bare", "pack", search, b'"refs"'),
    )
    for number in range(rounds + 1):
        sys.stderr.write(f"door: round {number} of {rounds}\n")
        for name, what, request, expected in works:
            if name in servers:
                await measured(servers[name], what, request, expected)
        if number == 0:
            for server in servers.values():
                server.rounds.clear()


def node_server(folder: Path) -> Server | str:
    """Mercurius with its compiler of operations, or why it is not there."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return "there is no Node here"
    place = folder / "node"
    place.mkdir()
    wanted = [f"{name}@{version}" for name, version in NODE.items()]
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(place), *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"npm could not install it: {done.stderr.strip().splitlines()[-1][:200]}"
    shutil.copy(HERE / "mercurius.mjs", place)
    command = [node, str(place / "mercurius.mjs"), str(PORTS["node"]), str(folder / "nexus-data" / "nexus.db")]
    return Server(subprocess.Popen(command, cwd=place), PORTS["node"])


def rows_of(servers: dict[str, Server], no_node: str) -> list[Row]:
    """The rows of the table of targets."""
    house, bare, stock = servers["house"], servers["bare"], servers["stock"]
    page, named, pack = (shown(house, what) for what in ("page", "persisted", "pack"))
    of_bare, of_stock = shown(bare, "page"), shown(stock, "page")
    return [
        Row("1", "page of 20, a text", ratio(house, "page", bare, "page"), 2.5, page, f"Starlette + SELECT {of_bare}"),
        Row("2", "page of 20, persisted", ratio(house, "persisted", bare, "page"), 1.8, named, f"the same {of_bare}"),
        _beside_node(servers, named, no_node),
        Row("3", "page of 20, a text", ratio(house, "page", stock, "page"), 0.5, page, f"stock Strawberry {of_stock}"),
        Row(
            "4",
            "pack of 10",
            ratio(house, "pack", bare, "pack"),
            2.0,
            pack,
            f"embed + numpy search + row fetch {shown(bare, 'pack')}",
        ),
    ]


def _beside_node(servers: dict[str, Server], named: str, no_node: str) -> Row:
    work, target = "page of 20, persisted", 1.5
    if (node := servers.get("node")) is None:
        return Row("2b", work, None, target, no_node, "mercurius with JIT")
    figure = ratio(servers["house"], "persisted", node, "page")
    return Row("2b", work, figure, target, named, f"mercurius with JIT {shown(node, 'page')}")


if __name__ == "__main__":
    sys.stdout.write(table(asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))))
