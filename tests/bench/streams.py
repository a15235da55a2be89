"""Live streams beside a bare broadcast and Node's graphql-ws: rows 6 to 10, and the replay of row 13.

    python tests/bench/streams.py            # prints the rows; a few minutes

The client counts frames and reads nothing of them, so that what is measured is the servers. Throughput is from the
first append to the last delivery; where the machine is shared, processor time of the server for a frame says more.
With names of rows (`8`, `13a`) only those parts are measured that they belong to.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import benchmark
import httpx
from benchmark import APPEND, FOLLOW, HERE, OPEN, headers, prepare, ready, start
from noise import run as command_line
from row import Row, table
from stream_clients import Listener, close, cpu, resident, subscribers

ENTRIES, ROUNDS = 60, 5
IDLE, IDLE_SECONDS = 1000, 20.0
OPENED = 300
HOUSE_PORT, PEER_PORT, NODE_PORT = 18441, 18442, 18443
REPLAYS, REPLAYED = 300, 400
PACKAGES = ("graphql@16.11.0", "graphql-ws@6.0.6", "ws@8.18.3")
NODE = """
import { createServer } from 'node:http';
import { buildSchema } from 'graphql';
import { WebSocketServer } from 'ws';
import { useServer } from 'graphql-ws/use/ws';

const listeners = new Set();
async function* followed() {
  const waiting = [{ __typename: 'Entry', number: 0, at: new Date().toISOString(), type: 'run.opened', payload: '' }];
  let wake = () => {};
  const listener = (entry) => { waiting.push(entry); wake(); };
  listeners.add(listener);
  try {
    while (true) {
      while (waiting.length) yield { runLog: waiting.shift() };
      await new Promise((resolve) => { wake = resolve; });
    }
  } finally { listeners.delete(listener); }
}
const schema = buildSchema(`type Entry { number: Int at: String type: String payload: String }
  type Query { ok: Boolean } type Subscription { runLog: Entry }`);
let number = 0;
const server = createServer((request, response) => {
  if (request.method === 'POST') {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      number += 1;
      const payload = Buffer.concat(parts).toString();
      const entry = { number, at: new Date().toISOString(), type: 'run.noted', payload };
      for (const listener of listeners) listener(entry);
      response.end('{}');
    });
  } else response.end('{}');
});
useServer({ schema, roots: { subscription: { runLog: () => followed() } } },
  new WebSocketServer({ server, path: '/graphql', perMessageDeflate: false }));
server.listen(Number(process.argv[2]), '127.0.0.1');
"""
NODE_FOLLOW = {"query": "subscription { runLog { __typename number at type payload } }"}


@dataclass(frozen=True)
class Side:
    """A server that delivers: its process, where it is followed, with what, and how an entry is appended."""

    pid: int
    address: str
    headers: dict[str, str] | None
    subscribe: dict[str, object] | None
    append: Callable[[httpx.AsyncClient, int], Awaitable[None]]
    before: int
    """Texts that come before the first entry."""


@dataclass(frozen=True)
class Delivered:
    """Frames a second, server processor microseconds a frame, and the latency of the slowest in a hundred, in ms."""

    rate: float
    microseconds: float
    p99: float


async def measure(wanted: Collection[str] = ()) -> list[Row]:
    """All rows, or those that are wanted and what is measured with them."""
    benchmark.CARDS = 40
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        plenty = ("ACTOR_STREAMS", "ACTOR_SOCKETS", "QUOTA_LIVE_STREAMS")
        environment = prepare(place, {f"NEXUS_{name}": "100000" for name in plenty})
        house = start(["-m", "nexus_graph", "serve", "--port", str(HOUSE_PORT)], str(place), environment)
        peer = start([str(HERE / "peer.py"), str(PEER_PORT), str(place)], str(place), environment)
        node, missing = node_server(place)
        try:
            given = headers(str(place), environment)
            await ready(f"http://127.0.0.1:{HOUSE_PORT}/readyz", house)
            await ready(f"http://127.0.0.1:{PEER_PORT}/page", peer)
            rows = list[Row]()
            async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                bare = bare_side(peer.pid)
                if not wanted or {"8", "9", "10"} & {*wanted}:  # first: memory is what new processes take
                    rows += await waiting(client, house.pid, given, bare)
                if not wanted or {"6", "7"} & {*wanted}:
                    rows += await fan_out(client, house.pid, given, bare, node, missing)
                if not wanted or "13a" in wanted:
                    rows.append(await replaying(client, str(place), environment, given))
            return sorted(rows, key=lambda row: int(row.number.rstrip("a")))
        finally:
            for process in (house, peer, *([] if node is None else [node])):
                process.kill()
                process.wait(20)


def node_server(place: Path) -> tuple[subprocess.Popen[bytes] | None, str]:
    """Node's server, or why there is none."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return None, "Node is missing"
    folder = place / "node"
    folder.mkdir()
    (folder / "package.json").write_text('{"type": "module", "private": true}')
    (folder / "server.mjs").write_text(NODE)
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=180)
    if done.returncode:
        return None, "npm's registry was out of reach"
    return subprocess.Popen(["node", "server.mjs", str(NODE_PORT)], cwd=folder), ""


async def house_side(client: httpx.AsyncClient, pid: int, given: dict[str, str]) -> Side:
    """A run of its own."""
    address = f"http://127.0.0.1:{HOUSE_PORT}/graphql"
    opened = (await client.post(address, json={"query": OPEN}, headers=given)).json()
    run = opened["data"]["openRun"]["run"]["id"]

    async def append(client: httpx.AsyncClient, number: int) -> None:
        body = {"query": APPEND, "variables": {"run": run, "text": f"entry {number}"}}
        answer = (await client.post(address, json=body, headers=given)).json()
        assert "errors" not in answer, answer

    follow: dict[str, object] = {"query": FOLLOW, "variables": {"run": run}}
    return Side(pid, address.replace("http", "ws"), given, follow, append, 2)


def bare_side(pid: int) -> Side:
    """The bare broadcast."""

    async def append(client: httpx.AsyncClient, number: int) -> None:
        text = {"text": f"entry {number}", "padding": "x" * 250}  # as long as what the house sends
        (await client.post(f"http://127.0.0.1:{PEER_PORT}/append", json=text)).raise_for_status()

    return Side(pid, f"ws://127.0.0.1:{PEER_PORT}/broadcast", None, None, append, 0)


def node_side(pid: int) -> Side:
    """Node's graphql-ws."""

    async def append(client: httpx.AsyncClient, number: int) -> None:
        text = {"text": f"entry {number}", "padding": "x" * 150}
        (await client.post(f"http://127.0.0.1:{NODE_PORT}/append", json=text)).raise_for_status()

    return Side(pid, f"ws://127.0.0.1:{NODE_PORT}/graphql", {}, dict[str, object](NODE_FOLLOW), append, 2)


async def delivered(client: httpx.AsyncClient, side: Side, count: int) -> Delivered:
    """Entries to so many subscribers."""
    found = await subscribers(side.address, side.headers, side.subscribe, count)
    await asyncio.sleep(0.3)
    now = asyncio.get_running_loop().time
    spent, began, sent = cpu(side.pid), now(), list[float]()
    for number in range(ENTRIES):
        sent.append(now())
        await side.append(client, number)
    await asyncio.gather(*[each.until(side.before + ENTRIES) for each in found])
    seconds = max(each.times[side.before + ENTRIES - 1] for each in found) - began
    spent = cpu(side.pid) - spent
    late = [each.times[side.before + place] - at for each in found for place, at in enumerate(sent)]
    await close(found)
    frames = ENTRIES * count
    return Delivered(frames / seconds, spent * 1e6 / frames, statistics.quantiles(late, n=100)[-1] * 1000)


async def fan_out(
    client: httpx.AsyncClient,
    pid: int,
    given: dict[str, str],
    bare: Side,
    node: subprocess.Popen[bytes] | None,
    missing: str,
) -> list[Row]:
    """Rows 6 and 7: the sides take turns."""
    found: dict[tuple[str, int], list[Delivered]] = {}
    for count, rounds in ((100, ROUNDS), (1000, 3)):
        for _ in range(rounds):
            sides = {"house": await house_side(client, pid, given), "bare": bare}
            if node is not None:
                sides["node"] = node_side(node.pid)
            for name, side in sides.items():
                found.setdefault((name, count), []).append(await delivered(client, side, count))
    appending = statistics.median([await append_alone(client, pid, given) for _ in range(3)])

    def middle(name: str, count: int, what: str) -> float:
        return float(statistics.median(getattr(each, what) for each in found[name, count]))

    def ratio(name: str, count: int, what: str) -> float:
        pairs = zip(found["house", count], found[name, count], strict=True)
        return float(statistics.median(getattr(ours, what) / getattr(peers, what) for ours, peers in pairs))

    def said(name: str, count: int) -> str:
        rate, each, late = (middle(name, count, what) for what in ("rate", "microseconds", "p99"))
        return f"{rate:,.0f} frames/s, {each:.0f} us of CPU a frame, p99 {late:.0f} ms"

    of_appends = {count: appending * 1e6 / count for count in (100, 1000)}
    beside = {count: f"; {of_appends[count]:.0f} us of them are the append's own" for count in of_appends}
    rows = [
        Row(
            "6",
            f"{ENTRIES} entries to 100 subscribers / bare broadcast",
            ratio("bare", 100, "rate"),
            0.9,
            said("house", 100) + beside[100],
            said("bare", 100),
            highest=False,
        )
    ]
    if node is None:
        rows.append(Row("7", "to 1,000 subscribers / Node's graphql-ws", None, 1.5, missing, "", highest=False))
    else:
        ours, theirs = said("house", 1000) + beside[1000], said("node", 1000)
        figure = ratio("node", 1000, "rate")
        rows.append(Row("7", "to 1,000 subscribers / Node's graphql-ws", figure, 1.5, ours, theirs, highest=False))
    late = ratio("bare", 1000, "p99")
    rows.append(Row("7", "p99 of the same / bare", late, 1.2, said("house", 1000), said("bare", 1000)))
    return rows


async def append_alone(client: httpx.AsyncClient, pid: int, given: dict[str, str]) -> float:
    """Processor seconds of an append that nobody follows."""
    side = await house_side(client, pid, given)
    spent = cpu(pid)
    for number in range(ENTRIES):
        await side.append(client, number)
    return (cpu(pid) - spent) / ENTRIES


async def waiting(client: httpx.AsyncClient, pid: int, given: dict[str, str], bare: Side) -> list[Row]:
    """Rows 8, 9 and 10."""
    side = await house_side(client, pid, given)
    quiet = await idle(pid, IDLE_SECONDS / 2)
    before, of_bare = resident(pid), resident(bare.pid)
    found = await subscribers(side.address, given, side.subscribe, IDLE)
    listening = await subscribers(bare.address, None, None, IDLE)
    await asyncio.sleep(2)
    each, bare_each = ((resident(one) - was) / IDLE for one, was in ((pid, before), (bare.pid, of_bare)))
    busy = await idle(pid, IDLE_SECONDS)
    await close([*found, *listening])
    opening, socket = list[float](), list[float]()
    for _ in range(3):
        spent = cpu(pid)
        some = await subscribers(side.address, given, None, OPENED)
        for one in some:
            one.say({"type": "connection_init", "payload": given})
        await asyncio.gather(*[one.until(1) for one in some])
        socket.append((cpu(pid) - spent) * 1000 / OPENED)
        spent = cpu(pid)
        for one in some:
            one.say({"id": "1", "type": "subscribe", "payload": side.subscribe})
        await asyncio.gather(*[one.until(2) for one in some])
        opening.append((cpu(pid) - spent) * 1000 / OPENED)
        await close(some)
    return [
        Row(
            "8",
            f"CPU of {IDLE:,} idle subscribers, % of one core",
            busy * 100,
            2,
            f"{busy * 100:.2f} % with, {quiet * 100:.2f} % without them",
            f"over {IDLE_SECONDS:.0f} s, pings and heartbeats among it",
        ),
        Row(
            "9",
            "opening a subscription, ms of CPU",
            statistics.median(opening),
            1,
            f"{OPENED} at once on sockets that are greeted",
            f"a socket and its greeting beside: {statistics.median(socket):.2f} ms",
        ),
        Row(
            "10",
            "memory of an idle subscriber / a bare websocket",
            each / bare_each,
            1.3,
            f"{each / 1024:.1f} KiB",
            f"{bare_each / 1024:.1f} KiB",
        ),
    ]


async def idle(pid: int, seconds: float) -> float:
    """The share of a processor that a server uses while nothing happens."""
    spent, began = cpu(pid), time.perf_counter()
    await asyncio.sleep(seconds)
    return (cpu(pid) - spent) / (time.perf_counter() - began)


async def replaying(client: httpx.AsyncClient, folder: str, environment: dict[str, str], given: dict[str, str]) -> Row:
    """Row 13: one tenant replays on and on, another asks small questions."""
    place = ["--tenant", "t_quiet", "--env", "dev"]
    command_line(folder, environment, "tenant", "create", "t_quiet", "--env", "dev")
    command_line(folder, environment, "member", "set", "owner@quiet", *place, "--role", "owner")
    token = json.loads(command_line(folder, environment, "token", "owner@quiet", "--json"))["token"]
    quiet = {"Authorization": f"Bearer {token}", "X-Nexus-Tenant": "t_quiet", "X-Nexus-Env": "dev"}
    address = f"http://127.0.0.1:{HOUSE_PORT}/graphql"
    side = await house_side(client, 0, given)
    await asyncio.gather(*[side.append(client, number) for number in range(REPLAYED)])
    await asyncio.sleep(3)  # until all of that is indexed
    alone = await ask(address, quiet)
    found = await subscribers(side.address, given, None, REPLAYS)
    for each in found:
        each.say({"type": "connection_init", "payload": given})
    await asyncio.gather(*[each.until(1) for each in found])
    for each in found:
        each.heard = again(side.subscribe, each)
    await asyncio.sleep(1)
    frames = sum(each.count for each in found)
    began = time.perf_counter()
    beside = await ask(address, quiet)
    rate = (sum(each.count for each in found) - frames) / (time.perf_counter() - began)
    await close(found)
    p50, p99 = ([statistics.median(times), statistics.quantiles(times, n=100)[-1]] for times in (alone, beside))
    return Row(
        "13a",
        f"another tenant's p99 while one replays on {REPLAYS} streams / alone",
        p99[1] / p50[1],
        1.2,
        f"p50 {p99[0]:.1f} ms, p99 {p99[1]:.1f} ms beside {rate:,.0f} replayed frames/s",
        f"p50 {p50[0]:.1f} ms, p99 {p50[1]:.1f} ms alone",
    )


def again(subscribe: dict[str, object] | None, listener: Listener) -> Callable[[Listener], None]:
    """Subscribe, and when all was told, once more under the next id."""
    state = {"left": 0, "id": 0}

    def heard(_: Listener) -> None:
        state["left"] -= 1
        if state["left"] <= 0:
            if state["id"]:
                listener.say({"id": str(state["id"]), "type": "complete"})
            state["id"] += 1
            state["left"] = REPLAYED + 1
            listener.say({"id": str(state["id"]), "type": "subscribe", "payload": subscribe})

    heard(listener)
    return heard


async def ask(address: str, given: dict[str, str], seconds: float = 10) -> list[float]:
    """Small questions, one after the other, of a process that does nothing else; milliseconds each."""
    command = [sys.executable, __file__, "--ask", address, str(seconds)]
    pipe = asyncio.subprocess.PIPE
    asking = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    told, _ = await asking.communicate(json.dumps(given).encode())
    return list[float](json.loads(told))


def asked(address: str, seconds: float) -> list[float]:
    """What such a process does."""
    times, body = list[float](), {"query": "{ viewer { role } }"}
    with httpx.Client(trust_env=False, timeout=60, headers=json.loads(sys.stdin.read())) as client:
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            answer = client.post(address, json=body).json()
            times.append((time.perf_counter() - began) * 1000)
            assert answer["data"]["viewer"]["role"] == "OWNER", answer
            time.sleep(0.02)
    return times[5:]


def main() -> None:
    """Measure, and print."""
    if sys.argv[1:2] == ["--ask"]:
        sys.stdout.write(json.dumps(asked(sys.argv[2], float(sys.argv[3]))))
    else:
        sys.stdout.write(table(asyncio.run(measure(sys.argv[1:]))))


if __name__ == "__main__":
    main()
