"""The disk is filled while clients write, and after a while there is room again.

    python -m tests.faults.filling             # SQLite and files
    python -m tests.faults.filling production  # the disk of Postgres

The disk is a small one in memory, mounted where nobody else sees it. While it is full, what needs room is refused with
UNAVAILABLE, and with nothing else; nothing half-written is left. With room again all goes on, the same requests are
answered, and everything that was acknowledged is there.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import httpx

from faults.away import enclose, run
from faults.checking import Checker
from faults.clients import Client, Deed
from faults.ledger import Ledger
from faults.places import Place, embedded, production

DISKS = {"embedded": 64, "production": 320}
"""MiB of each."""

_LEFT = 3 * 1024 * 1024  # bytes that clients have to fill
_BULK = 60_000  # bytes of a card or file
_REFUSALS = 30
_FULL_SECONDS = 10.0  # and so long it stays full after these
_WAIT_SECONDS = 30.0
_WORKERS = 3


class Filling:
    """Clients at work on a disk that fills."""

    def __init__(self, place: Place, disk: Path, say: Callable[[str], None]) -> None:
        self._place = place
        self._disk = disk
        self._say = say
        self.ledger = Ledger()

    async def fill(self) -> None:
        """Fill it, make room, and look for everything."""
        ledger, stop = self.ledger, asyncio.Event()
        async with httpx.AsyncClient(timeout=40, trust_env=False) as http:
            working = [asyncio.create_task(self._client(http, number, stop)) for number in range(_WORKERS)]
            await asyncio.sleep(5)
            before = dict(ledger.deeds)
            ballast = self._disk / "ballast"
            free = shutil.disk_usage(self._disk).free
            ballast.write_bytes(bytes(max(free - _LEFT, 0)))
            self._say(f"{free} bytes were free, {_LEFT} are left; {before} had been done")
            deadline = time.monotonic() + _WAIT_SECONDS
            while ledger.answers["refused"] < _REFUSALS and time.monotonic() < deadline:  # noqa: ASYNC110 - a number
                await asyncio.sleep(0.1)
            await asyncio.sleep(_FULL_SECONDS)
            self._say(f"full: {shutil.disk_usage(self._disk).free} bytes free; {dict(ledger.answers)}")
            if ledger.answers["refused"] < _REFUSALS:
                ledger.fault(f"the disk was never full: {dict(ledger.answers)}")
            ballast.unlink()
            await asyncio.to_thread(self._started_again)
            stop.set()
            await asyncio.gather(*working)
        for what, count in ledger.refusals.most_common():
            self._say(f"  told {count} times: {what}")
        checker = Checker(self._place, ledger)
        looked = await asyncio.to_thread(partial(checker.look, everything=True))
        await asyncio.to_thread(checker.prove)
        self._say(f"looked for {looked} acknowledged things, {dict(ledger.deeds)}; {len(ledger.faults)} faults")

    async def _client(self, http: httpx.AsyncClient, number: int, stop: asyncio.Event) -> None:
        name = f"full-{number}"
        headers, dice = self._place.owner.headers, random.Random(name)  # noqa: S311 - chance, not secrecy
        client = Client(name, headers, self._place.addresses, self.ledger, dice, http, bulk=_BULK)
        deeds: list[Deed] = [client.publish, client.keep, client.note, client.pack]
        await client.work(stop, deeds)

    def _started_again(self) -> None:
        """What did not bear it: Postgres ends when it has no room for its log."""
        server = self._place.postgres
        if server is not None and not server.running:
            self._say("Postgres had ended, and is started again")
            server.start()


def main() -> int:
    """Fill the disk of what is named; the exit status."""
    if (ended := enclose("tests.faults.filling", sys.argv[1:])) is not None:
        return ended
    folder = Path(tempfile.mkdtemp(prefix="nexus-faults-"))
    folder.chmod(0o755)  # Postgres is run by another user
    kind = "production" if "production" in sys.argv else "embedded"
    disk = folder / ("postgres" if kind == "production" else "house")
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={DISKS[kind]}m,mode=755", "tmpfs", str(disk))

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    try:
        with (production if kind == "production" else embedded)(folder) as place:
            filling = Filling(place, disk, say)
            asyncio.run(filling.fill())
    finally:
        if "--keep" in sys.argv:
            kept = Path(tempfile.mkdtemp(prefix="nexus-faults-kept-"))
            for log in (*folder.glob("*/*.log"), *folder.glob("*.log")):
                shutil.copy(log, kept)
            say(f"logs are in {kept}")
        run("umount", "--lazy", str(disk))
        shutil.rmtree(folder, ignore_errors=True)
    for fault in filling.ledger.faults:
        say(f"FAULT {fault}")
    return 1 if filling.ledger.faults else 0


if __name__ == "__main__":
    sys.exit(main())
