"""What a page, a pack and an entry of a log cost the server, of two commits side by side.

    python tests/bench/commits.py c5f45b2 HEAD

Each is checked out into a folder of the run's own. The two servers take turns, so that a slow moment of the machine
hits both; figures are processor time a request, medians of the rounds. Both run with the packages that are installed
here.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from fixed import Served, served, spent  # noqa: E402

REPOSITORY = HERE.parents[1]
REQUESTS = 60


@contextmanager
def checkout(commit: str, place: Path) -> Iterator[Path]:
    """A folder with a commit's files."""
    git = ["git", "-C", str(REPOSITORY), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(place), commit], check=True)
    try:
        yield place
    finally:
        subprocess.run([*git, "remove", "--force", str(place)], check=True)


async def cost(server: Served, operation: str) -> float:
    """Milliseconds of the processor for one request."""
    before = spent(server.process.pid)
    for _ in range(REQUESTS):
        await server.operations[operation]()
    return (spent(server.process.pid) - before) / REQUESTS


async def compared(folders: tuple[Path, Path], rounds: int) -> dict[str, tuple[list[float], list[float]]]:
    """By operation what it cost both in each round."""
    async with AsyncExitStack() as held:
        first, second = [await held.enter_async_context(served(folder)) for folder in folders]
        found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in first.operations}
        for number in range(rounds + 1):
            sys.stderr.write(f"round {number} of {rounds}\n")
            for name, costs in found.items():
                for server, into in zip((first, second), costs, strict=True):
                    into.append(await cost(server, name))
        return {name: (one[1:], other[1:]) for name, (one, other) in found.items()}  # the first round warms up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after", nargs="?", default="HEAD")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with ExitStack() as held:
        place = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="nexus-bench-commits-")))
        before = held.enter_context(checkout(given.before, place / "before"))
        after = held.enter_context(checkout(given.after, place / "after"))
        found = asyncio.run(compared((before, after), given.rounds))
    out = sys.stdout
    out.write(f"| processor time a request | {given.before} | {given.after} | after / before |\n|---|---|---|---|\n")
    for name, (one, other) in found.items():
        ratio = statistics.median(late / early for early, late in zip(one, other, strict=True))
        out.write(f"| {name} | {statistics.median(one):.2f} ms | {statistics.median(other):.2f} ms | {ratio:.2f} |\n")


if __name__ == "__main__":
    main()
