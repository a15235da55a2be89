"""What the benchmarks share: an installation with cards, the documents that they ask, servers, and credentials."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

CARDS = 1000
PAGE = 20
PACK = 10
HERE = Path(__file__).resolve().parent

PAGE_QUERY = """query Page($first: Int!) { cards(first: $first) {
  edges { cursor node { id key cardType version title digest labels trainOk publishedAt publishedBy } }
  pageInfo { hasNextPage endCursor } } }"""
PACK_QUERY = """query Pack($text: String!, $k: Int!) { influencePack(ask: {text: $text, k: $k}) {
  id digest complete exact refs { rank score cardId cardVersion cardDigest excerpt { text start end } } } }"""
OPEN = 'mutation { openRun(input: {title: "benchmark"}) { run { id } } }'
APPEND = """mutation Append($run: ID!, $text: String!) {
  appendRunLog(input: {runId: $run, text: $text}) { entry { number } } }"""
FOLLOW = """subscription Follow($run: ID!) { runLog(runId: $run) { __typename
  ... on RunLogEntry { cursor entry { number at type payload } } } }"""


@dataclass(frozen=True)
class Side:
    """Where a server is, and what to send with each request."""

    address: str
    headers: dict[str, str]


def prepare(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """An installation with 1,000 cards. `more` settings say on which engines."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
    environment |= {"NEXUS_EMBEDDER": "hashing", "NEXUS_LOG_LEVEL": "warning"}
    plenty = ("ACTOR_BURST", "ACTOR_PER_SECOND", "TENANT_BURST", "TENANT_PER_SECOND")
    environment |= {f"NEXUS_{name}": "1000000000" for name in plenty}  # what is measured is not how long it is allowed
    environment |= more or {}
    cards = folder / "cards"
    cards.mkdir()
    topics = [
        "returns",
        "parcels",
        "zips",
        "boots",
        "tents",
        "pumps",
        "seals",
        "bearings",
        "invoices",
        "customers",
        "cut-offs",
        "sleeping",
        "bags",
    ]
    for number in range(CARDS):
        topic, other = topics[number % len(topics)], topics[(number * 7 + 3) % len(topics)]
        text = f"Card {number} tells how {topic} and {other} are handled in week {number % 53}, by whom and until when."
        header = f"---\nkey: bench/{number:04}\ncard_type: note\ntitle: {topic} {number}\nlabels: [{topic}]\n---\n"
        (cards / f"{number:04}.md").write_text(header + "\n\n".join([text] * 6))
    for command in (
        ["init"],
        ["tenant", "create", "t_bench", "--env", "dev"],
        ["member", "set", "owner@bench", "--tenant", "t_bench", "--env", "dev", "--role", "owner"],
        ["import", "cards", "--tenant", "t_bench", "--env", "dev", "--no-train-ok"],
    ):
        subprocess.run([sys.executable, "-m", "nexus_graph", *command], cwd=folder, env=environment, check=True)
    return environment


def start(arguments: list[str], folder: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A server process."""
    return subprocess.Popen([sys.executable, *arguments], cwd=folder, env=environment)


def headers(folder: str, environment: dict[str, str]) -> dict[str, str]:
    """Credentials for the house."""
    command = [sys.executable, "-m", "nexus_graph", "token", "owner@bench", "--json"]
    made = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    token = json.loads(made.stdout)["token"]
    return {"Authorization": f"Bearer {token}", "X-Nexus-Tenant": "t_bench", "X-Nexus-Env": "dev"}


async def ready(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait for a server."""
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(300):
            if process.poll() is not None:
                raise SystemExit(f"{address}: the server ended early")
            try:
                if (await client.get(address)).status_code == 200:
                    return
            except httpx.HTTPError:
                await asyncio.sleep(0.1)
    raise SystemExit(f"{address}: not ready after 30 s")
