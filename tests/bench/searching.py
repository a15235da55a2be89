"""What a search costs through the door, by who names its candidates: memory, Weaviate, or rows while it is away.

    python tests/bench/searching.py            # prints the tables of docs/benchmarks.md
    python tests/bench/searching.py --vectors 1000

For each number of vectors (384 dimensions, one of each card) three servers share one SQLite database: one whose
settings say local, one with a copy on a Weaviate of the run's own, and one whose Weaviate is away. They take turns, so
that a slow moment of the machine hits all, and each must say itself that it answered in its way. The cards are written
to the tables at once, with random vectors: what is measured does not depend on what they mean.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from benchmark import headers, start  # noqa: E402
from scale import tell  # noqa: E402
from servers.process import free_ports  # noqa: E402
from servers.weaviate import KEY, WeaviateServer, weaviate_server  # noqa: E402

ROUNDS = 7
REQUESTS = 8
DIMENSIONS = 384
PATIENCE_SECONDS = 300
PLACE = ("--tenant", "t_bench", "--env", "dev")
SEARCH = """query Search($text: String!) { search(text: $text, k: 10) {
  answeredBy complete exact hits { rank score text } } }"""
CARD = "---\ncard_type: note\nkey: bench/0\ntitle: Parcels\n---\nHow parcels, zips and seals are handled.\n"


@dataclass
class Way:
    """A server, and how long its searches took: the first one, in seconds, and rounds, in milliseconds each."""

    source: str
    settings: Mapping[str, str]
    port: int = field(default_factory=lambda: free_ports(1)[0])
    process: subprocess.Popen[bytes] | None = None
    first: float = 0.0
    rounds: list[float] = field(default_factory=list)


async def main() -> None:
    """Fill, measure and tell, one number of vectors after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, nargs="+", default=[10_000, 100_000])
    counts = parser.parse_args().vectors
    with tempfile.TemporaryDirectory() as place:
        environment = furnish(Path(place) / "furnished")
        for count in counts:
            shutil.copytree(Path(place) / "furnished", Path(place) / "house")
            with weaviate_server(Path(place) / "weaviate") as weaviate:
                await measure(Path(place) / "house", environment, weaviate, count)
            for used in ("house", "weaviate"):
                shutil.rmtree(Path(place) / used)


async def measure(folder: Path, environment: Mapping[str, str], weaviate: WeaviateServer, count: int) -> None:
    """One table."""
    tell(f"{count} vectors: writing rows")
    write(folder / "nexus-data" / "nexus.db", count)
    ways = [
        Way("LOCAL_MATRIX", {"NEXUS_VECTORS": "local"}),
        Way("VECTOR_SERVER", on_weaviate(weaviate.address, weaviate.grpc_address)),
        Way("ROWS", on_weaviate(*(f"http://127.0.0.1:{port}" for port in free_ports(2)))),
    ]
    given = headers(str(folder), {**environment})
    try:
        copying = ways[1]
        await serve(folder, environment, copying)
        began = time.perf_counter()
        async with httpx.AsyncClient(trust_env=False, timeout=120, headers=given) as client:
            while generation(folder) < 2:
                if time.perf_counter() - began > PATIENCE_SECONDS:
                    raise SystemExit(f"{count} vectors: no copy after {PATIENCE_SECONDS} s")
                await asyncio.sleep(1)
            copied = time.perf_counter() - began
            end(copying)  # all begin with nothing in memory
            for each in ways:
                await serve(folder, environment, each)
                began = time.perf_counter()
                await asked(client, each)
                each.first = time.perf_counter() - began
            await in_turns(client, ways, count)
    finally:
        for each in ways:
            end(each)
    report(ways, count, copied)


def furnish(folder: Path) -> dict[str, str]:
    """An installation with one card, and what its commands are told."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
    environment |= {"NEXUS_EMBEDDER": "hashing", "NEXUS_LOG_LEVEL": "error"}
    plenty = ("ACTOR_BURST", "ACTOR_PER_SECOND", "TENANT_BURST", "TENANT_PER_SECOND")
    environment |= {f"NEXUS_{name}": "1000000000" for name in plenty}
    (folder / "cards").mkdir(parents=True)
    (folder / "cards" / "card.md").write_text(CARD)
    for command in (
        ["init"],
        ["tenant", "create", "t_bench", "--env", "dev"],
        ["member", "set", "owner@bench", *PLACE, "--role", "owner"],
        ["import", "cards", *PLACE, "--no-train-ok"],
    ):
        subprocess.run([sys.executable, "-m", "nexus_graph", *command], cwd=folder, env=environment, check=True)
    return environment


def write(file: Path, count: int) -> None:
    """Make the one card so many, each with a random vector, as if one change had indexed them."""
    database = sqlite3.connect(file)
    with database:
        for table, changed in (
            ("cards", {"card_id": "?", "key": "?"}),
            ("card_versions", {"card_id": "?"}),
            ("index_entries", {"card_id": "?", "generation": "2"}),
            ("index_vectors", {"card_id": "?", "vector": "?"}),
        ):
            columns = [row[1] for row in database.execute(f"pragma table_info({table})")]
            chosen = ", ".join(changed.get(name, name) for name in columns)
            database.execute(f"create temp table one_of_{table} as select * from {table}")  # noqa: S608
            copy = f"insert into {table} select {chosen} from one_of_{table}"  # noqa: S608
            database.executemany(copy, rows(count - 1, [name for name in columns if changed.get(name) == "?"]))
        database.execute("update index_definitions set generation = 2")
    database.close()


def rows(count: int, columns: Sequence[str]) -> Any:
    """The values of copied rows."""
    random = np.random.default_rng(1)
    for number in range(count):
        values: dict[str, str | bytes] = {"card_id": f"card_bench_{number:07}", "key": f"bench/{number + 1}"}
        if "vector" in columns:
            vector = random.standard_normal(DIMENSIONS)
            values["vector"] = (vector / np.linalg.norm(vector)).astype("<f4").tobytes()
        yield tuple(values[name] for name in columns)


def on_weaviate(address: str, grpc_address: str) -> dict[str, str]:
    """Settings that name a Weaviate."""
    return {
        "NEXUS_VECTORS": "weaviate",
        "NEXUS_VECTORS_LEAST": "1",
        "NEXUS_WEAVIATE_ADDRESS": address,
        "NEXUS_WEAVIATE_GRPC_ADDRESS": grpc_address,
        "NEXUS_WEAVIATE_KEY": KEY,
    }


async def serve(folder: Path, environment: Mapping[str, str], way: Way) -> None:
    """Start it, and wait until it answers."""
    tell(f"start {way.source}")
    command = ["-m", "nexus_graph", "serve", "--port", str(way.port)]
    way.process = start(command, str(folder), {**environment, **way.settings})
    async with httpx.AsyncClient(trust_env=False) as client:
        deadline = time.perf_counter() + PATIENCE_SECONDS
        while time.perf_counter() < deadline and way.process.poll() is None:
            with suppress(httpx.HTTPError):
                if (await client.get(f"http://127.0.0.1:{way.port}/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.2)
    raise SystemExit(f"{way.source}: its server is not ready")


def generation(folder: Path) -> int:
    """The generation that the copy has come to."""
    with closing(sqlite3.connect(folder / "nexus-data" / "nexus.db")) as database:
        ((found,),) = database.execute("select coalesce(max(generation), 0) from index_copies")
    return int(found)


async def in_turns(client: httpx.AsyncClient, ways: Sequence[Way], count: int) -> None:
    """Searches by each in each round, after one that does not count."""
    for number in range(ROUNDS):
        tell(f"{count} vectors: round {number + 1} of {ROUNDS}")
        for each in ways:
            await asked(client, each)
            began = time.perf_counter()
            for _ in range(REQUESTS):
                await asked(client, each)
            each.rounds.append((time.perf_counter() - began) * 1000 / REQUESTS)


async def asked(client: httpx.AsyncClient, way: Way) -> None:
    """A search that must be answered as it should be."""
    found = await search(client, way)
    assert (found["answeredBy"], found["exact"], len(found["hits"])) == (way.source, True, 10), found


async def search(client: httpx.AsyncClient, way: Way) -> Any:
    """The answer to a question; another one each time."""
    body = {"query": SEARCH, "variables": {"text": f"how are zips {time.perf_counter_ns()} handled"}}
    answer = (await client.post(f"http://127.0.0.1:{way.port}/graphql", json=body)).json()
    assert "errors" not in answer, answer
    return answer["data"]["search"]


def end(way: Way) -> None:
    """End its server."""
    if way.process is not None:
        way.process.terminate()
        way.process.wait(60)
        way.process = None


def report(ways: Sequence[Way], count: int, copied: float) -> None:
    """A table in Markdown; the ratio is the median of the rounds' ratios to memory."""
    out, memory = sys.stdout, ways[0]
    out.write(f"\n{count:,} vectors; their first copy took Weaviate {copied:.0f} s.\n\n")
    out.write("| answered by | a search | to memory | the first one |\n|---|---|---|---|\n")
    for each in ways:
        ratio = statistics.median(one / other for one, other in zip(each.rounds, memory.rounds, strict=True))
        out.write(f"| `{each.source}` | {statistics.median(each.rounds):.1f} ms | {ratio:.2f} | {each.first:.2f} s |\n")
    out.flush()


if __name__ == "__main__":
    asyncio.run(main())
