"""Cards to make packs of, an index over them, and stores that can be opened by a second process.

As a script: `pack_house.py FOLDER EMBEDDER` asks for the standard pack and writes its content to standard output.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from side_process import at

from nexus_graph import cards, index, packs
from nexus_graph.cards import CardFilter
from nexus_graph.packs import Ask, ExcerptChoice, ExcerptRule
from nexus_graph.scope.clock import system_clock
from nexus_graph.scope.resources import resource
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.blobs.files import FileBlobs
from nexus_graph.stores.signals.local import LocalSignals
from nexus_graph.stores.vectors.local import LocalVectors
from nexus_graph.stores.work import Stores

MANIFESTS = cards.Manifests.load(resource("core/manifests"))
NOTES = {
    "returns": "Parcels of shoes come back since they run small.\n\nThe size chart of shoes was wrong in May.",
    "linen": "Linen shirts come from Porto.\n\nThe supplier sends parcels on Mondays.",
    "discount": "Between March and May prices may be cut by fifteen percent.",
    "newsletter": "Subscribers get one mail a week.",
}
ASK = Ask("Why do parcels of shoes come back?", CardFilter(types=("note",)), 3, ExcerptChoice(ExcerptRule.BEST_CHUNK))


def make_index(embedder: str = "hashing") -> index.Index:
    """An index with nothing in its memory."""
    return index.Index(index.load_embedder(embedder), MANIFESTS, LocalVectors())


def note(key: str, body: str, more: str = "") -> str:
    """A note."""
    return f"---\ncard_type: note\nkey: {key}\ntitle: About {key}\n{more}---\n{body}\n"


async def publish(stores: Stores, scope: Scope, text: str, expected_version: int | None = None) -> cards.Card:
    """Publish under the shipped manifests."""
    published = await cards.publish(stores, MANIFESTS, scope, text, train_ok=True, expected_version=expected_version)
    return published.card


async def settle(stores: Stores, used: index.Index) -> None:
    """Let the index catch up with the journal."""
    follower = index.follower(used)
    while await follower.catch_up(stores):
        pass


async def fill(stores: Stores, scope: Scope, used: index.Index) -> None:
    """Publish and index the notes."""
    for key, body in NOTES.items():
        await publish(stores, scope, note(key, body))
    await settle(stores, used)


@asynccontextmanager
async def opened(place: str, folder: Path) -> AsyncIterator[Stores]:
    """The stores on a database, with the objects of a folder."""
    database = at(place)
    await database.open()
    blobs = FileBlobs(folder / "objects", secret="s" * 32, address="http://127.0.0.1:8300", clock=system_clock)
    try:
        yield Stores(database, blobs, LocalSignals())
    finally:
        await database.close()


async def _main(place: str, folder: Path, embedder: str) -> None:
    scope = replace(Scope.system("t_acme", Env.DEV, "second process"), policy_version="policy-test")
    async with opened(place, folder) as stores:
        served = await packs.request(stores, make_index(embedder), scope, ASK)
    sys.stdout.buffer.write(served.pack.content.encode())


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
