"""Whether a greedy tenant slows another one down: row 13b of the table of targets.

    python tests/bench/noise.py
    python tests/bench/noise.py --per-second 1000  # with larger budgets

One tenant sends ten times what its budget fills up with, from a process of its own; another asks for a page of twenty
cards, one after the other. Calm and noisy spells take turns. One server on loopback; it ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import benchmark
import httpx
from benchmark import PAGE, PAGE_QUERY, prepare, ready, start
from row import Row, table
from stream_clients import cpu

PORT = 18433
PRICE = PAGE + 1
TIMES = 10
PER_SECOND = 210
SPELLS, SPELL_SECONDS = 5, 6.0
QUIET, GREEDY = "t_bench", "t_greedy"
BODY = {"query": PAGE_QUERY, "variables": {"first": PAGE}}
Headers = dict[str, str]


async def measure(per_second: int = PER_SECOND) -> list[Row]:
    """Row 13b of the table of targets."""
    benchmark.CARDS = 5 * PAGE  # a page is what is read
    with tempfile.TemporaryDirectory() as folder:
        environment = prepare(Path(folder)) | {
            f"NEXUS_{name}": str(per_second)
            for name in ("ACTOR_BURST", "TENANT_BURST", "ACTOR_PER_SECOND", "TENANT_PER_SECOND")
        }
        few = Path(folder) / "few"
        few.mkdir()
        for card in sorted((Path(folder) / "cards").iterdir())[: 2 * PAGE]:
            shutil.copy(card, few)
        place = ["--tenant", GREEDY, "--env", "dev"]
        run(folder, environment, "tenant", "create", GREEDY, "--env", "dev")
        run(folder, environment, "member", "set", "owner@greedy", *place, "--role", "owner")
        run(folder, environment, "import", "few", *place, "--no-train-ok")
        server = start(["-m", "nexus_graph", "serve", "--port", str(PORT)], folder, environment)
        try:
            address = f"http://127.0.0.1:{PORT}"
            await ready(address + "/readyz", server)
            quiet = headers(folder, environment, "owner@bench", QUIET)
            greedy = headers(folder, environment, "owner@greedy", GREEDY)
            return [await spells(address, server.pid, quiet, greedy, per_second)]
        finally:
            server.kill()
            server.wait(20)


def run(folder: str, environment: dict[str, str], *arguments: str) -> str:
    """The command line in the folder; what it printed."""
    command = [sys.executable, "-m", "nexus_graph", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


def headers(folder: str, environment: dict[str, str], subject: str, tenant: str) -> Headers:
    """Credentials of somebody in a tenant."""
    token = json.loads(run(folder, environment, "token", subject, "--json"))["token"]
    return {"Authorization": f"Bearer {token}", "X-Nexus-Tenant": tenant, "X-Nexus-Env": "dev"}


async def spells(address: str, pid: int, quiet: Headers, greedy: Headers, per_second: int) -> Row:
    """Calm and noisy spells in turns."""
    pause = pause_of(per_second)
    rate = TIMES * per_second / PRICE
    calm, noisy, statuses = list[float](), list[float](), Counter[str]()
    used = [0.0, 0.0]
    async with httpx.AsyncClient(trust_env=False, headers=quiet) as client:
        await ask(client, address, 1.0, pause)
        for number in range(SPELLS):
            sys.stderr.write(f"spell {number + 1} of {SPELLS}\n")
            before = cpu(pid)
            calm += await ask(client, address, SPELL_SECONDS, pause)
            used[0] += cpu(pid) - before
            command = [sys.executable, __file__, "--send", address, "--rate", str(rate)]
            sender = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            assert sender.stdin is not None
            assert sender.stdout is not None
            sender.stdin.write(json.dumps(greedy).encode() + b"\n")
            await sender.stdout.readline()  # its full budget is spent
            before = cpu(pid)
            noisy += await ask(client, address, SPELL_SECONDS, pause)
            used[1] += cpu(pid) - before
            sender.stdin.write(b"enough\n")
            statuses.update(json.loads(await sender.stdout.readline()))
            await sender.wait()
    return row(calm, noisy, statuses, per_second, [each / SPELLS / SPELL_SECONDS for each in used])


def pause_of(per_second: int) -> float:
    """Seconds between two pages of the quiet tenant, who stays within its own budget."""
    return max(0.05, PRICE / per_second * 1.25)


async def ask(client: httpx.AsyncClient, address: str, seconds: float, pause: float) -> list[float]:
    """Pages, one after the other; milliseconds each."""
    times = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        answer = await client.post(f"{address}/graphql", json=BODY)
        times.append((time.perf_counter() - began) * 1000)
        assert len(answer.json()["data"]["cards"]["edges"]) == PAGE, answer.text
        await asyncio.sleep(pause)
    return times


async def send(address: str, rate: float) -> None:
    """So many pages a second, whether they are answered or not, until a line comes in; prints the statuses."""
    given = json.loads(sys.stdin.readline())
    enough = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    seen, open_ = Counter[str](), set[asyncio.Task[None]]()
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with httpx.AsyncClient(trust_env=False, headers=given, timeout=30, limits=limits) as client:

        async def one() -> None:
            seen[str((await client.post(f"{address}/graphql", json=BODY)).status_code)] += 1

        began, sent, told = time.perf_counter(), 0, False
        while not enough.done():
            while sent < (time.perf_counter() - began) * rate and len(open_) < 256:
                task = asyncio.create_task(one())
                open_.add(task)
                task.add_done_callback(open_.discard)
                sent += 1
            if not told and seen["429"]:
                seen.clear()
                began, sent, told = time.perf_counter(), 0, True
                sys.stdout.write("throttled\n")
                sys.stdout.flush()
            await asyncio.sleep(0.002)
        await asyncio.gather(*open_)
        seconds = time.perf_counter() - began
    sys.stdout.write(json.dumps(dict(seen) | {"milliseconds": round(seconds * 1000), "sent": sent}) + "\n")


def row(calm: list[float], noisy: list[float], statuses: Counter[str], per_second: int, used: Sequence[float]) -> Row:
    """The row, how greedy the other was, and the share of a processor that the server used in calm and noisy spells."""
    seconds = statuses["milliseconds"] / 1000
    before, after = percentiles(calm), percentiles(noisy)
    passed, refused, sent = (statuses[name] / seconds for name in ("200", "429", "sent"))
    return Row(
        "13b",
        f"another tenant's p99 while one sends {TIMES} times its budget / alone",
        after[-1] / before[-1],
        1.2,
        f"{told(after)} beside {sent:.0f} pages/s, of which {passed:.1f} passed and {refused:.0f} were refused; "
        f"{used[1]:.0%} of a processor",
        f"{told(before)} alone, {len(calm)} pages of {PAGE}, one every {pause_of(per_second) * 1000:.0f} ms; "
        f"{used[0]:.0%} of a processor",
    )


def percentiles(times: list[float]) -> tuple[float, float, float]:
    """The p50, p95 and p99."""
    hundredths = statistics.quantiles(times, n=100)
    return hundredths[49], hundredths[94], hundredths[98]


def told(found: tuple[float, float, float]) -> str:
    """Them as a text."""
    return "p50 {:.1f} ms, p95 {:.1f} ms, p99 {:.1f} ms".format(*found)


def main() -> None:
    """Measure, or be the sender."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--per-second", type=int, default=PER_SECOND)
    parser.add_argument("--send")
    parser.add_argument("--rate", type=float, default=1.0)
    given = parser.parse_args()
    if given.send:
        asyncio.run(send(given.send, given.rate))
    else:
        sys.stdout.write(table(asyncio.run(measure(given.per_second))))


if __name__ == "__main__":
    main()
