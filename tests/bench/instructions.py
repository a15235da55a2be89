"""How many instructions a page, a pack and an entry of a log take, beside the last release.

    python tests/bench/instructions.py            # prints the ratios; judges nothing
    python tests/bench/instructions.py --release c0b6b78    # keeps the figures of a release's commit instead

Instructions hardly depend on what else the machine does. They are counted by `perf` where the system lets it, else by
callgrind, which is switched on for the requests alone. Figures of one counter are compared with its own only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from commits import checkout  # noqa: E402
from fixed import Served, served  # noqa: E402

REPOSITORY = HERE.parents[1]
KEPT = REPOSITORY / ".ci" / "instructions.json"
WARM, REQUESTS = 5, 5
PATIENCE_SECONDS = 90.0  # for the requests; a server may take as long to start


def has_perf() -> bool:
    """Whether instructions can be counted here by perf."""
    if shutil.which("perf") is None:
        return False
    told = subprocess.run(["perf", "stat", "-e", "instructions:u", "-x", ",", "true"], capture_output=True, text=True)
    return told.stderr.split(",")[0].isdigit()


async def by_perf(server: Served, name: str) -> float:
    """Instructions of one request."""
    command = ["perf", "stat", "-e", "instructions:u", "-x", ",", "-p", str(server.process.pid)]
    counting = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    await asyncio.sleep(0.5)  # until it is attached
    for _ in range(REQUESTS):
        await server.operations[name]()
    counting.send_signal(signal.SIGINT)
    _, told = await counting.communicate()
    return int(told.decode().split(",")[0]) / REQUESTS


async def by_callgrind(server: Served, name: str, folder: Path) -> float:
    """Instructions of one request."""

    async def control(*arguments: str) -> None:
        command = ["callgrind_control", *arguments, str(server.process.pid)]
        doing = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        if await doing.wait():
            raise RuntimeError("callgrind can't be controlled")

    await control("-i", "on")
    await control("-z")
    for _ in range(REQUESTS):
        await server.operations[name]()
    before = {*folder.iterdir()}
    await control("-d")
    await control("-i", "off")
    (dump,) = {*folder.iterdir()} - before
    totals = [line for line in dump.read_text().splitlines() if line.startswith("totals:")]
    return int(totals[-1].split()[1]) / REQUESTS


async def counted(code: Path) -> tuple[str, dict[str, float]]:
    """The counter, and the instructions of each operation. Raises RuntimeError where nothing counts."""
    perf = has_perf()
    if not perf and shutil.which("callgrind_control") is None:
        raise RuntimeError("neither perf nor callgrind counts instructions here")
    with tempfile.TemporaryDirectory(prefix="nexus-bench-instructions-") as place:
        folder = Path(place)
        before = ["valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no"]
        before.append(f"--callgrind-out-file={folder}/out")
        found: dict[str, float] = {}
        async with served(code, () if perf else before) as server, asyncio.timeout(PATIENCE_SECONDS):
            for name, operation in server.operations.items():
                for _ in range(WARM):
                    await operation()
                found[name] = await (by_perf(server, name) if perf else by_callgrind(server, name, folder))
    return "perf" if perf else "callgrind", found


def compare() -> None:
    """Print the figures of this checkout beside those of the last release, by the same counter."""
    counter, found = asyncio.run(counted(REPOSITORY))
    last = json.loads(KEPT.read_text()).get(counter)
    for name, number in found.items():
        beside = f"{number / last['figures'][name]:.3f} of {last['version']}" if last else "nothing to compare with"
        sys.stdout.write(f"instructions: {name}: {number / 1e6:.1f} million by {counter}, {beside}\n")


def keep(commit: str) -> None:
    """Keep the figures of a release."""
    with (
        tempfile.TemporaryDirectory(prefix="nexus-bench-release-") as place,
        checkout(commit, Path(place) / "release") as folder,
    ):
        counter, found = asyncio.run(counted(folder))
        version = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["version"]
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    made = f"tests/bench/instructions.py --release {commit}, {python}; {WARM} requests to warm up, {REQUESTS} counted"
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    figures = {name: round(number) for name, number in found.items()}
    kept[counter] = {"version": version, "made": made, "figures": figures}
    KEPT.write_text(json.dumps(kept, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", metavar="COMMIT")
    given = parser.parse_args()
    try:
        if given.release:
            keep(given.release)
        else:
            compare()
    except (RuntimeError, OSError, AssertionError, subprocess.CalledProcessError) as error:
        sys.stdout.write(f"instructions: NOT MEASURED: {type(error).__name__} {error}\n")


if __name__ == "__main__":
    main()
