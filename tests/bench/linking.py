"""What it costs to follow a link to another node beside telling one attribute more: row 5 of the table of targets.

    python tests/bench/linking.py

A list of 200 references, as four packs of fifty hold them. Four documents ask for it: with the rank of each reference;
with eight or with 48 attributes more, which the compiled plan copies from the value at hand; and with the version of
the card that each refers to, another node, which passes its gate, waits in the loader, is fetched within the tenant's
walls, made an object of the graph, and tells its id. Row 5 is what a linked node adds beside what one of 48 attributes
adds; row 5b the whole request with the links beside the whole request with eight attributes. The documents take turns
on one server, and what is compared is the time of its processors.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import benchmark
import httpx
from benchmark import headers, prepare, ready, start
from door import Request, Server, load, post
from row import Row, table

PORT: Final = 18446
ROUNDS, REQUESTS = 9, 80
PACKS, REFS = 4, 50
NODES: Final = PACKS * REFS
ATTRIBUTES: Final = 8
MANY: Final = 48
TOPICS: Final = ("zips", "boots", "tents", "pumps")
ASK: Final = """query Ask($text: String!, $label: String!) {
  influencePack(ask: {text: $text, k: 50, filter: {labels: [$label]}}) { refs { cardId } } }"""


def listed(more: str) -> str:
    """The document of the list, with more of each reference."""
    return f"{{ influencePacks(first: {PACKS}) {{ edges {{ node {{ id refs {{ rank {more} }} }} }} }} }}"


DOCUMENTS: Final = {
    "alone": listed(""),
    "attributes": listed(" ".join(f"a{number}: cardDigest" for number in range(ATTRIBUTES))),
    "many": listed(" ".join(f"a{number}: cardDigest" for number in range(MANY))),
    "links": listed("version { id }"),
}


async def measure() -> list[Row]:
    """Rows 5 and 5b of the table of targets."""
    benchmark.CARDS = 1000
    with tempfile.TemporaryDirectory() as folder:
        environment = prepare(Path(folder))
        server = Server(start(["-m", "nexus_graph", "serve", "--port", str(PORT)], folder, environment), PORT)
        try:
            address = f"http://127.0.0.1:{PORT}"
            await ready(f"{address}/readyz", server.process)
            given = headers(folder, environment)
            async with httpx.AsyncClient(trust_env=False, base_url=address, headers=given, timeout=60) as client:
                await seal(client)
            for number in range(ROUNDS + 1):
                sys.stderr.write(f"linking: round {number} of {ROUNDS}\n")
                for name, query in DOCUMENTS.items():
                    text = post({"query": query}, given)
                    before = server.seconds()
                    await load(server, always(text), b'"refs"', REQUESTS)
                    if number:  # the first one warms up
                        server.rounds.setdefault(name, []).append((server.seconds() - before) * 1000 / REQUESTS)
        finally:
            server.process.kill()
            server.process.wait(20)
    return rows(server.rounds)


def always(text: bytes) -> Request:
    """The same bytes for each number."""
    return lambda _: text


async def seal(client: httpx.AsyncClient) -> None:
    """The packs, of different cards, and a look at what the documents tell of them."""
    cards = set[str]()
    for topic in TOPICS:
        found = await asked(client, ASK, {"text": f"how are {topic} handled", "label": topic})
        cards |= {ref["cardId"] for ref in found["influencePack"]["refs"]}
    assert len(cards) == NODES, len(cards)
    found = await asked(client, DOCUMENTS["links"], {})
    told = [ref["version"]["id"] for edge in found["influencePacks"]["edges"] for ref in edge["node"]["refs"]]
    assert {version.partition(":")[0] for version in told} == cards


async def asked(client: httpx.AsyncClient, query: str, variables: dict[str, Any]) -> Any:
    """The data of an answer that holds no error."""
    answer = json.loads((await client.post("/graphql", json={"query": query, "variables": variables})).content)
    assert "errors" not in answer, answer
    return answer["data"]


def rows(rounds: dict[str, list[float]]) -> list[Row]:
    """The medians of the rounds."""
    alone, attributes, many, links = (statistics.median(rounds[name]) for name in DOCUMENTS)
    attribute, link = (1000 * (many - alone) / NODES / MANY, 1000 * (links - alone) / NODES)
    whole = statistics.median(three / two for two, three in zip(rounds["attributes"], rounds["links"], strict=True))
    of_request = f"{alone:.1f} ms the list alone"
    return [
        Row("5", "a linked node / an attribute", link / attribute, 2, f"{link:.1f} us", f"{attribute:.2f} us"),
        Row(
            "5b",
            f"list of {NODES} with a link each / with {ATTRIBUTES} attributes each",
            whole,
            2,
            f"{links:.1f} ms, {of_request}",
            f"{attributes:.1f} ms",
        ),
    ]


def main() -> None:
    sys.stdout.write(table(asyncio.run(measure())))


if __name__ == "__main__":
    main()
