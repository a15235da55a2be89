"""Fifty who write at once, each a card's worth of rows and an event: row 11 of the table of targets.

    python tests/bench/writing.py

Ours go through the handles of the house, journal and chain included. The peer is SQLite itself, which writes and
commits one card with one event after the other, as durably, with neither journal nor chain.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from row import Row, table

from nexus_graph.cards import table as cards
from nexus_graph.scope.clock import system_clock
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Scope, Surface
from nexus_graph.stores.blobs.files import FileBlobs
from nexus_graph.stores.database.sqlite import SqliteDatabase
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.migrations import migrate
from nexus_graph.stores.signals.local import LocalSignals
from nexus_graph.stores.work import Stores

WRITERS: Final = 50
EACH: Final = 10
ROUNDS: Final = 7
SCOPE: Final = Scope.system("t_bench", Env.DEV, "bench", surface=Surface.COMMAND_LINE)
TEXT: Final = "A card tells how returns are handled, by whom and until when. " * 20


def values(number: int) -> dict[str, Any]:
    """What a card's two rows hold."""
    return {
        "card_id": f"card_{number:032x}",
        "key": f"bench/{number}",
        "card_type": "note",
        "singleton_key": None,
        "version": 1,
        "text": TEXT,
        "body_start": 0,
        "digest": f"{number:064x}",
        "title": f"Card {number}",
        "header": "{}",
        "labels": "[]",
        "artifact_refs": "[]",
        "pii_flags": "[]",
        "declared_train_ok": False,
        "train_ok": False,
        "created_by": "bench",
        "now": number,
    }


async def ours(stores: Stores, first: int) -> float:
    """Seconds that all writers take for all their cards."""
    detail = redact({"input": {"version": 1}})

    async def writer(own: int) -> None:
        for number in range(first + own * EACH, first + (own + 1) * EACH):
            row = values(number)
            async with stores.work(SCOPE, RunKind.PUBLISH) as work:
                await work.write(cards.PUT_CARD, **{name: row[name] for name in PUT})
                await work.write(cards.ADD_VERSION, **{name: row[name] for name in ADD})
                work.record(Event("card.published", "card", row["card_id"], detail, Handling((), train_ok=False)))

    began = time.perf_counter()
    await asyncio.gather(*(writer(own) for own in range(WRITERS)))
    return time.perf_counter() - began


PUT: Final = ("card_id", "key", "card_type", "singleton_key", "version", "now")
ADD: Final = tuple(name for name in values(0) if name not in ("key", "card_type", "singleton_key"))


def bare(database: sqlite3.Connection, first: int) -> float:
    """Seconds for the same cards with one row of an event each, one after the other."""
    place = {"tenant_id": "t_bench", "env": "dev"}
    began = time.perf_counter()
    for number in range(first, first + WRITERS * EACH):
        row = values(number) | place
        database.execute("BEGIN IMMEDIATE")
        database.execute(cards.PUT_CARD.sql, row)
        database.execute(cards.ADD_VERSION.sql, row)
        database.execute("insert into events (card_id, at) values (?, ?)", (row["card_id"], number))
        database.commit()
    return time.perf_counter() - began


async def measure() -> list[Row]:
    """Both take turns, each on a database of its own on the same disk."""
    houses, peers = list[float](), list[float]()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        one, other = Path(folder) / "one.db", Path(folder) / "other.db"
        migrate(one)
        migrate(other)
        peer = sqlite3.connect(other, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            peer.execute(f"PRAGMA {pragma}")
        peer.execute("create table events (card_id text, at integer)")
        database = SqliteDatabase(one)
        await database.open()
        secret, address = "a secret of the bench", "http://127.0.0.1:1"
        blobs = FileBlobs(Path(folder) / "objects", secret=secret, address=address, clock=system_clock)
        stores = Stores(database, blobs, LocalSignals())
        try:
            for number in range(ROUNDS + 1):
                sys.stderr.write(f"writing: round {number} of {ROUNDS}\n")
                houses.append(await ours(stores, number * WRITERS * EACH))
                peers.append(bare(peer, number * WRITERS * EACH))
        finally:
            await database.close()
            peer.close()
    figure = statistics.median(house / mine for house, mine in zip(houses[1:], peers[1:], strict=True))
    each = 1000 / WRITERS / EACH
    return [
        Row(
            "11",
            f"{WRITERS} writers at once, a card and its event",
            figure,
            0.3,
            f"{statistics.median(houses[1:]) * each:.2f} ms each",
            f"sqlite3, one by one {statistics.median(peers[1:]) * each:.2f} ms each",
        )
    ]


if __name__ == "__main__":
    sys.stdout.write(table(asyncio.run(measure())))
