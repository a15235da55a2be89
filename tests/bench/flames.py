"""Flame graphs of the three hot paths: a page of 20, a pack of 10, an entry to 100 subscribers.

    python tests/bench/flames.py            # writes docs/pictures/flames-*.svg
    python tests/bench/flames.py page       # one of them

The server of a benchmark runs in a process that looks at its own stack after every few milliseconds of processor time
that it has used, once it is told to by a signal; waiting takes none and is not seen. Pictures name modules and
functions alone, nothing of the machine. What took less than half a hundredth is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Final

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from pictures import flames  # noqa: E402

PICTURES: Final = HERE.parents[1] / "docs" / "pictures"
PATHS: Final = {
    "page": "a page of 20 cards",
    "pack": "a pack of 10",
    "stream": "entries to 100 subscribers",
}
EVERY_SECONDS: Final = 0.001
SEEN: Final = "flames.json"
DEEPEST: Final = 200
REQUESTS: Final = {"page": 3000, "pack": 1200}
ROUNDS: Final = 12
"""Rounds of sixty entries to the subscribers."""

Stacks = dict[tuple[str, ...], int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", choices=[*PATHS, []])
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        serve(given.serve)
    else:
        asyncio.run(drawn(given.paths or [*PATHS]))


def serve(port: int) -> None:
    """Be the server. The first SIGUSR1 begins to look, the next one writes what was seen into the folder."""
    from nexus_graph.__main__ import app

    seen: Counter[tuple[str, ...]] = Counter()
    looking = False

    def look(_: int, frame: FrameType | None) -> None:
        stack = list[str]()
        while frame is not None and len(stack) < DEEPEST:
            stack.append(f"{frame.f_globals.get('__name__', '?')}:{frame.f_code.co_qualname}")
            frame = frame.f_back
        seen[tuple(reversed(stack))] += 1

    def turn(*_: object) -> None:
        nonlocal looking
        looking = not looking
        signal.setitimer(signal.ITIMER_PROF, *(2 * [EVERY_SECONDS if looking else 0.0]))
        if looking:
            seen.clear()
        else:
            made = Path(f"{SEEN}.new")
            made.write_text(json.dumps([[list(stack), count] for stack, count in seen.items()]))
            made.rename(SEEN)

    signal.signal(signal.SIGPROF, look)
    signal.signal(signal.SIGUSR1, turn)
    app(["serve", "--port", str(port)])


async def drawn(paths: list[str]) -> None:
    """Draw pictures."""
    PICTURES.mkdir(exist_ok=True)
    for path in paths:
        sys.stderr.write(f"flames: {path}\n")
        found = trimmed(await profiled(path))
        picture = PICTURES / f"flames-{path}.svg"
        picture.write_text(flames(found, PATHS[path], sys.stdlib_module_names), "utf-8")
        sys.stdout.write(f"{picture.name}: {sum(found.values())} looks, {picture.stat().st_size:,} bytes\n")


def trimmed(stacks: Stacks) -> Stacks:
    """Without the frames that all of them begin with: what starts the server and runs its event loop."""
    levels = [*zip(*stacks, strict=False)]  # as deep as the least deep one
    alike = next((level for level, names in enumerate(levels) if len({*names}) > 1), len(levels))
    return {stack[alike:]: count for stack, count in stacks.items()}


async def profiled(path: str) -> Stacks:
    """The stacks of a server that does nothing but this, and how often each was seen."""
    import benchmark
    from benchmark import headers, prepare, ready, start
    from servers.process import free_ports

    benchmark.CARDS = 40 if path == "stream" else 1000
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        plenty = ("ACTOR_STREAMS", "ACTOR_SOCKETS", "QUOTA_LIVE_STREAMS")
        environment = prepare(Path(folder), {f"NEXUS_{name}": "100000" for name in plenty})
        process = start([__file__, "--serve", str(port)], folder, environment)
        try:
            await ready(f"http://127.0.0.1:{port}/readyz", process)
            await WORKS[path](path, process.pid, port, headers(folder, environment))
            file = Path(folder) / SEEN
            for _ in range(300):
                if file.exists():
                    break
                await asyncio.sleep(0.1)
            return {tuple(stack): count for stack, count in json.loads(file.read_text())}
        finally:
            process.kill()
            process.wait(20)


async def requested(path: str, pid: int, port: int, given: dict[str, str]) -> None:
    """Sixteen connections ask for pages, or for packs of questions that differ."""
    from benchmark import PACK, PACK_QUERY, PAGE, PAGE_QUERY
    from door import Server, load, post

    asked = 0

    def page(_: int) -> bytes:
        return post({"query": PAGE_QUERY, "variables": {"first": PAGE}}, given)

    def pack(_: int) -> bytes:
        nonlocal asked
        asked += 1
        return post({"query": PACK_QUERY, "variables": {"text": f"how are zips {asked} handled", "k": PACK}}, given)

    request, expected = (page, b'"hasNextPage"') if path == "page" else (pack, b'"excerpt"')
    server = Server(process=None, port=port)  # type: ignore[arg-type]  # its time is not asked for
    await load(server, request, expected, REQUESTS[path] // 10)
    os.kill(pid, signal.SIGUSR1)
    await load(server, request, expected, REQUESTS[path])
    os.kill(pid, signal.SIGUSR1)


async def streamed(_: str, pid: int, port: int, given: dict[str, str]) -> None:
    """Subscribers of a run, and entries one after the other."""
    import httpx
    import streams
    from stream_clients import close, subscribers

    streams.HOUSE_PORT = port
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        await streams.delivered(client, await streams.house_side(client, pid, given), 100)
        side = await streams.house_side(client, pid, given)
        found = await subscribers(side.address, side.headers, side.subscribe, 100)
        os.kill(pid, signal.SIGUSR1)
        for number in range(ROUNDS * streams.ENTRIES):
            await side.append(client, number)
        await asyncio.gather(*[each.until(side.before + ROUNDS * streams.ENTRIES) for each in found])
        os.kill(pid, signal.SIGUSR1)
        await close(found)


WORKS: Final[dict[str, Callable[[str, int, int, dict[str, str]], Awaitable[None]]]] = {
    "page": requested,
    "pack": requested,
    "stream": streamed,
}


if __name__ == "__main__":
    main()
