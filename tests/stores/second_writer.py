"""Another process on the same database, started by test_stores_journal: writes works and records."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from side_process import at

from nexus_graph.scope.clock import system_clock
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.blobs.files import FileBlobs
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.signals.local import LocalSignals
from nexus_graph.stores.work import Stores


async def main(place: str, folder: Path, name: str) -> None:
    """For each line on standard input, ten works of two events and ten records at once; then a line in answer."""
    database = at(place)
    await database.open()
    blobs = FileBlobs(folder / "objects", secret="x" * 32, address="http://127.0.0.1:1", clock=system_clock)
    stores, scope = Stores(database, blobs, LocalSignals()), Scope.system("t_acme", Env.DEV, name)
    event = Event("card.seen", "card", name, redact({}), Handling((), train_ok=False))

    async def work() -> None:
        async with stores.work(scope, RunKind.INGEST) as work:
            work.record(event)
            work.record(event)

    while sys.stdin.readline():
        works = [work() for _ in range(10)]
        await asyncio.gather(*works, *(stores.record(scope, RunKind.READ, event) for _ in range(10)))
        sys.stdout.write("done\n")
        sys.stdout.flush()
    await database.close()


asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
