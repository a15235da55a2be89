"""How cost grows: with tenants, with the cards of one tenant, with subscribers. Draws docs/pictures/curves-*.svg.

    python tests/bench/curves.py                 # to 10,000 tenants, 100,000 cards, 5,000 subscribers
    python tests/bench/curves.py cards --cards 1000 10000 100000 1000000
    python tests/bench/curves.py tenants subscribers

Installations of one curve are measured in turns, a server each, and each figure is the processor time of the server,
the median of the rounds. All figures are kept in docs/pictures/curves.json, where a run replaces its own curves; the
tables in docs/benchmarks.md are written anew, between their marks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import benchmark  # noqa: E402
import httpx  # noqa: E402
import scale  # noqa: E402
import streams  # noqa: E402
from benchmark import headers, prepare, ready, start  # noqa: E402
from flames import PICTURES  # noqa: E402
from pictures import curves  # noqa: E402
from scale import Installation  # noqa: E402
from servers.process import free_ports  # noqa: E402
from stream_clients import close, resident, subscribers  # noqa: E402

ROUNDS, REQUESTS, IDLE_SECONDS = 5, 60, 30.0
DESCRIPTORS: Final = 20_000
KEPT: Final = PICTURES / "curves.json"
PAGE: Final = PICTURES.parent / "benchmarks.md"
BEGIN, END = "<!-- curves -->\n", "<!-- /curves -->\n"
NUMBERS: Final = {
    "tenants": [10, 100, 1000, 10_000],
    "cards": [1000, 10_000, 100_000],
    "subscribers": [1, 10, 100, 1000, 5000],
}
DRAWN: Final = {
    "tenants": (("page of 20", "pack of 10"), "ms of processors a request"),
    "idle": (("at rest",), "% of one processor"),
    "cards": (("page of 20", "pack of 10"), "ms of processors a request"),
    "subscribers": (("a frame",), "us of processors a frame, its share of the append included"),
    "memory": (("a subscriber",), "KiB a subscriber"),
}
"""By picture: its lines, and what goes up. What goes across is the curve's own name."""

Found = dict[str, dict[str, list[tuple[float, float]]]]
"""Points by picture and line."""


async def with_tenants(numbers: Sequence[int]) -> Found:
    """One tenant with 1,000 cards, and others beside."""
    with tempfile.TemporaryDirectory() as place:
        found = [await scale.furnished(Path(place), None, number) for number in numbers]
        return await asked(found, numbers, "tenants")


async def with_cards(numbers: Sequence[int]) -> Found:
    """One tenant with so many cards."""
    with tempfile.TemporaryDirectory() as place:
        return await asked([scale.with_cards(Path(place), number) for number in numbers], numbers, "cards")


async def asked(found: Sequence[Installation], numbers: Sequence[int], picture: str) -> Found:
    """Pages and packs, in turns; the servers go on."""
    points: dict[str, list[list[float]]] = {}
    deeds = {"page of 20": scale.page, "pack of 10": scale.pack}
    try:
        for each in found:
            await scale.serve(each)
            await scale.first_pack(each)
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            for turn in range(ROUNDS):
                scale.tell(f"{picture}: round {turn + 1} of {ROUNDS}")
                for name, deed in deeds.items():
                    points.setdefault(name, []).append(
                        [await cost(deed, client, each, turn * REQUESTS) for each in found]
                    )
        rested = await idle(found) if picture == "tenants" else []
    finally:
        for each in found:
            scale.end(each)
    lines = {name: middles(numbers, rounds) for name, rounds in points.items()}
    return {picture: lines, **({"idle": {"at rest": [*zip(numbers, rested, strict=True)]}} if rested else {})}


async def cost(deed: Callable[..., Awaitable[None]], client: httpx.AsyncClient, each: Installation, at: int) -> float:
    """Milliseconds of processors that a request takes."""
    spent = scale.processor(each)
    for number in range(REQUESTS):
        await deed(client, each, at + number)
    return (scale.processor(each) - spent) * 1000 / REQUESTS


async def idle(found: Sequence[Installation]) -> list[float]:
    """The share of a processor that each takes at the same time while nobody asks."""
    await asyncio.sleep(3)
    spent = [scale.processor(each) for each in found]
    await asyncio.sleep(IDLE_SECONDS)
    return [100 * (scale.processor(each) - was) / IDLE_SECONDS for each, was in zip(found, spent, strict=True)]


async def with_subscribers(numbers: Sequence[int]) -> Found:
    """Entries of a run to so many. Memory is what so many take of a new process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, DESCRIPTORS), hard), hard))
    benchmark.CARDS, streams.HOUSE_PORT = 40, free_ports(1)[0]
    plenty = ("ACTOR_STREAMS", "ACTOR_SOCKETS", "QUOTA_LIVE_STREAMS")
    frame, held = list[tuple[float, float]](), list[tuple[float, float]]()
    with tempfile.TemporaryDirectory() as folder:
        environment = prepare(Path(folder), {f"NEXUS_{name}": "100000" for name in plenty})
        given = headers(folder, environment)
        for number in numbers:
            scale.tell(f"subscribers: {number}")
            command = ["-m", "nexus_graph", "serve", "--port", str(streams.HOUSE_PORT)]
            process = start(command, folder, environment)
            try:
                await ready(f"http://127.0.0.1:{streams.HOUSE_PORT}/readyz", process)
                async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                    side = await streams.house_side(client, process.pid, given)
                    await close(await subscribers(side.address, given, side.subscribe, 10))
                    before = resident(process.pid)
                    listening = await subscribers(side.address, given, side.subscribe, number)
                    if number >= 100:  # fewer can't be told from what else changes
                        held.append((number, (resident(process.pid) - before) / number / 1024))
                    await close(listening)
                    rounds = list[float]()
                    for _ in range(3 if number <= 1000 else 1):  # thousands take a minute to come
                        await quiet(process.pid)  # thousands have left
                        side = await streams.house_side(client, process.pid, given)
                        rounds.append((await streams.delivered(client, side, number)).microseconds)
                    frame.append((number, statistics.median(rounds)))
            except (ConnectionError, TimeoutError) as error:  # a machine with other work has no room for so many
                scale.tell(f"subscribers: {number}: not measured: {error}")
            finally:
                process.kill()
                process.wait(20)
    return {"subscribers": {"a frame": frame}, "memory": {"a subscriber": held}}


async def quiet(pid: int) -> None:
    """Wait until a server has little to do."""
    for _ in range(60):
        if await streams.idle(pid, 1.0) < 0.1:
            return


def middles(numbers: Sequence[int], rounds: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """The medians of rounds, by number."""
    return [(number, statistics.median(of)) for number, of in zip(numbers, zip(*rounds, strict=True), strict=True)]


def tables(found: Found) -> str:
    """Pictures and figures in Markdown."""
    parts = list[str]()
    for picture, (names, up) in DRAWN.items():
        lines = found.get(picture, {})
        if not all(lines.get(name) for name in names):
            continue
        across = _across(picture)
        numbers = [number for number, _ in lines[names[0]]]
        parts.append(f"![{across}: {up}](pictures/curves-{picture}.svg)\n")
        parts.append(f"| {across} | {' | '.join(f'{number:,.0f}' for number in numbers)} |")
        parts.append(f"|{'---|' * (1 + len(numbers))}")
        parts += [f"| {name}, {up} | {' | '.join(f'{y:.3g}' for _, y in lines[name])} |" for name in names]
        parts.append("")
    return "\n".join(parts)


def _across(picture: str) -> str:
    return {"idle": "tenants", "memory": "subscribers"}.get(picture, picture)


def keep(found: Found) -> None:
    """Keep the figures, draw the pictures, write the tables."""
    PICTURES.mkdir(exist_ok=True)
    kept: Any = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    kept |= {picture: {"day": datetime.now(UTC).date().isoformat(), "lines": lines} for picture, lines in found.items()}
    KEPT.write_text(json.dumps(kept, indent=1) + "\n")
    for picture, lines in found.items():
        across, (_, up) = _across(picture), DRAWN[picture]
        (PICTURES / f"curves-{picture}.svg").write_text(curves(across, across, up, lines), "utf-8")
    page = PAGE.read_text("utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The page has no place for the curves, between {BEGIN!r} and {END!r}.")
    told = tables({picture: each["lines"] for picture, each in kept.items()})
    PAGE.write_text(f"{before}{BEGIN}\n{told}\n{END}{after}", "utf-8")
    sys.stdout.write(told)


async def main() -> None:
    """Measure, and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curves", nargs="*", choices=[*NUMBERS, []])
    for name, numbers in NUMBERS.items():
        parser.add_argument(f"--{name}", type=int, nargs="+", default=numbers)
    given = parser.parse_args()
    measures = {"tenants": with_tenants, "cards": with_cards, "subscribers": with_subscribers}
    for name in given.curves or NUMBERS:
        keep(await measures[name](getattr(given, name)))


if __name__ == "__main__":
    asyncio.run(main())
