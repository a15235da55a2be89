"""Three operations that are asked of any commit alike: a page of 20, a pack of 10, an entry of a log.

What `commits.py` and `instructions.py` share: a server of a checkout, and what it spends on each.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from benchmark import APPEND, OPEN, PACK, PACK_QUERY, PAGE, PAGE_QUERY, Side, headers, prepare  # noqa: E402
from servers.process import free_ports  # noqa: E402

PATIENCE_SECONDS = 120.0


@dataclass
class Served:
    """A server of a checkout, and the operations."""

    process: subprocess.Popen[bytes]
    operations: dict[str, Callable[[], Awaitable[None]]]


@asynccontextmanager
async def served(checkout: Path, before: Sequence[str] = ()) -> AsyncIterator[Served]:
    """A server of a checkout with 1,000 cards in a folder of its own. `before`: a command that runs it."""
    port = free_ports(1)[0]
    with tempfile.TemporaryDirectory(prefix="nexus-bench-fixed-") as folder:
        environment = prepare(Path(folder), {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": ""})
        command = [*before, sys.executable, "-m", "nexus_graph", "serve", "--port", str(port)]
        process = subprocess.Popen(command, cwd=folder, env=environment)
        try:
            side = Side(f"http://127.0.0.1:{port}", headers(folder, environment))
            await ready(f"{side.address}/readyz", process)
            async with httpx.AsyncClient(
                trust_env=False, base_url=side.address, headers=side.headers, timeout=60
            ) as client:
                yield Served(process, await operations(client))
        finally:
            process.terminate()
            process.wait(60)


async def ready(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait for a server, which may run under something that slows it down."""
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(PATIENCE_SECONDS):
        while process.poll() is None:
            with suppress(httpx.HTTPError):
                if (await client.get(address)).status_code == 200:
                    return
            await asyncio.sleep(0.1)
    raise RuntimeError("the server ended early")


async def operations(client: httpx.AsyncClient) -> dict[str, Callable[[], Awaitable[None]]]:
    """Each asks once, and checks its answer."""
    run = (await asked(client, OPEN, {}))["openRun"]["run"]["id"]
    number = 0

    async def page() -> None:
        assert len((await asked(client, PAGE_QUERY, {"first": PAGE}))["cards"]["edges"]) == PAGE

    async def pack() -> None:
        nonlocal number
        number += 1
        found = await asked(client, PACK_QUERY, {"text": f"how are zips {number} handled", "k": PACK})
        assert len(found["influencePack"]["refs"]) == PACK

    async def append() -> None:
        nonlocal number
        number += 1
        await asked(client, APPEND, {"run": run, "text": f"entry {number}"})

    return {"page of 20": page, "pack of 10": pack, "log append": append}


async def asked(client: httpx.AsyncClient, query: str, variables: dict[str, Any]) -> Any:
    """The data of an answer that holds no error."""
    answer = (await client.post("/graphql", json={"query": query, "variables": variables})).json()
    assert "errors" not in answer, answer
    return answer["data"]


def spent(process: int) -> float:
    """Milliseconds of the processor that all threads of a process have used."""
    used = 0
    for thread in Path(f"/proc/{process}/task").iterdir():
        used += int((thread / "schedstat").read_text().split()[0])
    return used / 1e6
