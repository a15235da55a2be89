"""What the rooms cost on Postgres beside the driver alone, in one run: no GraphQL, no admission, no web server.

    python tests/bench/rooms.py            # prints the table of docs/scale.md

A page of 20 cards is what a room reads and journals; its peer is the same SELECT on a pooled connection of asyncpg. A
pack of 10 is searched, sealed, kept and journalled; its peer searches the same vectors and fetches the texts.
The peer is the superuser, for whom there are no walls. `read alone` is the room's page without its entry in the
journal. Each pair takes turns.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

from scale import on_postgres  # noqa: E402
from shipped import MANIFESTS  # noqa: E402

from nexus_graph import cards, index, packs  # noqa: E402
from nexus_graph.cards import CardFilter, table  # noqa: E402
from nexus_graph.index.embedding import load_embedder  # noqa: E402
from nexus_graph.packs import Ask  # noqa: E402
from nexus_graph.scope.clock import system_clock  # noqa: E402
from nexus_graph.scope.policy import Policy  # noqa: E402
from nexus_graph.scope.scope import Env, Principal, PrincipalKind, Role, Scope, Surface  # noqa: E402
from nexus_graph.stores.blobs.files import FileBlobs  # noqa: E402
from nexus_graph.stores.database.place import PostgresPlace  # noqa: E402
from nexus_graph.stores.database.postgres import PostgresDatabase  # noqa: E402
from nexus_graph.stores.migrations import migrate  # noqa: E402
from nexus_graph.stores.paging import Window, page  # noqa: E402
from nexus_graph.stores.signals.local import LocalSignals  # noqa: E402
from nexus_graph.stores.vectors.local import LocalVectors  # noqa: E402
from nexus_graph.stores.work import Stores  # noqa: E402

CARDS, ROUNDS, TIMES = 1000, 9, 60
ORDER = ("card.created_at", "card.card_id")


async def main() -> None:
    with on_postgres() as server, tempfile.TemporaryDirectory() as folder:
        server.create("rooms")
        await asyncio.to_thread(migrate, server.place("rooms"))
        await measure(server.place("rooms"), server.address("rooms", "postgres"), Path(folder))


async def measure(place: PostgresPlace, peer: str, folder: Path) -> None:
    """Fill, then take turns with who knows the `peer` address."""
    database = PostgresDatabase(place)
    await database.open()
    blobs = FileBlobs(folder, secret="x" * 32, address="http://127.0.0.1", clock=system_clock)
    stores = Stores(database, blobs, LocalSignals())
    scope = owner()
    embedder = load_embedder("hashing", model_directory=None, address=None, model=None, key=None, dimensions=None)
    used = index.Index(embedder, MANIFESTS, LocalVectors())
    for number in range(CARDS):
        text = f"---\ncard_type: note\nkey: bench/{number:04}\n---\nHow parcels, zips and seals {number} are handled.\n"
        await cards.publish(stores, MANIFESTS, scope, text, train_ok=True)
    follower = index.follower(used)
    while await follower.catch_up(stores):
        pass
    async with asyncpg.create_pool(peer) as pool:
        vectors = await pool.fetch("select card_id, vector from index_vectors order by card_id")
        ids = [row["card_id"] for row in vectors]
        matrix = np.stack([np.frombuffer(row["vector"], dtype="<f4") for row in vectors])
        select = table.CARDS.replace(":tenant_id", "$1").replace(":env", "$2")
        select += f" order by {', '.join(f'{name} desc' for name in ORDER)} limit 21"
        texts = "select * from card_versions where tenant_id = $1 and env = $2 and card_id = any($3)"
        window = Window(20)
        number = 0

        async def of_room() -> None:
            assert len((await cards.list_cards(stores, MANIFESTS, scope, CardFilter(), window)).items) == 20

        async def of_read() -> None:
            async with stores.read(scope) as read:
                assert len((await page(read, table.CARDS, ORDER, window, table.card)).items) == 20

        async def of_driver() -> None:
            assert len(await pool.fetch(select, *scope.key)) == 21

        async def of_packs() -> None:
            nonlocal number
            number += 1
            ask = Ask(f"how are zips {number} handled", CardFilter(), 10)
            assert len((await packs.request(stores, used, scope, ask)).pack.contents.refs) == 10

        async def of_search() -> None:
            nonlocal number
            number += 1
            (vector,) = await embedder.embed([f"how are zips {number} handled"])
            best = [ids[place] for place in np.argsort(-(matrix @ vector))[:10]]
            assert len(await pool.fetch(texts, *scope.key, best)) == 10

        for _ in range(TIMES):
            await of_room()
            await of_packs()
        await pool.execute("analyze")  # as the server does by itself, within a minute of such growth
        results = [
            await compare("page of 20 cards, with its journal entry", of_room, of_driver, "one SELECT by asyncpg"),
            await compare("page of 20 cards, read alone", of_read, of_driver, "the same"),
            await compare("pack of 10, kept and journalled", of_packs, of_search, "numpy over the vectors, one SELECT"),
        ]
    await database.close()
    sys.stdout.write("| what | room | peer | room / peer | the peer |\n|---|---|---|---|---|\n")
    sys.stdout.writelines(f"{line}\n" for line in results)


def owner() -> Scope:
    """An owner of t_bench."""
    policy = Policy.load(HERE.parents[1] / "casbin_model.conf", HERE.parents[1] / "policies")
    return replace(
        Scope.system("t_bench", Env.DEV, "bench", surface=Surface.GRAPHQL),
        principal=Principal(PrincipalKind.USER, "owner@bench"),
        role=Role.OWNER,
        rights=policy.rights[Role.OWNER],
        policy_version=policy.version,
        expires_at=system_clock() + timedelta(hours=1),
    )


async def compare(what: str, room: Callable[[], Awaitable[Any]], peer: Callable[[], Awaitable[Any]], named: str) -> str:
    """A line of the table: the medians of rounds in which both take turns."""
    rooms, peers = list[float](), list[float]()
    for number in range(ROUNDS + 1):
        sys.stderr.write(f"{what}: round {number} of {ROUNDS}\n")
        for deed, times in ((room, rooms), (peer, peers)):
            began = time.perf_counter()
            for _ in range(TIMES):
                await deed()
            times.append((time.perf_counter() - began) * 1000 / TIMES)
    del rooms[0], peers[0]  # what is done for the first time
    ratio = statistics.median(one / other for one, other in zip(rooms, peers, strict=True))
    return f"| {what} | {statistics.median(rooms):.2f} ms | {statistics.median(peers):.2f} ms | {ratio:.2f} | {named} |"


if __name__ == "__main__":
    asyncio.run(main())
