"""Kill, start again, and look, as often as asked."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from faults.checking import Checker
from faults.clients import Client, Deed
from faults.ledger import Ledger
from faults.places import Place, Victim

EVERY = 20
"""After so many kills everything is looked for."""

_WORKERS = 3
_TWICE = 0.35  # of the kills, a second one falls before the first has started again
_MOMENTS = ("publish", "keep", "derive", "export", "erase", "pack", "note")
_WAIT_SECONDS = 5.0
_FEW = 3  # deeds between two kills, or it would be a house in which nobody gets anything done


@dataclass(slots=True)
class Figures:
    """What was done."""

    ledger: Ledger
    kills: Counter[str] = field(default_factory=Counter)
    amid: Counter[str] = field(default_factory=Counter)
    looked: int = 0
    seconds: float = 0.0

    def lines(self) -> list[str]:
        """In words."""
        ledger = self.ledger
        return [
            f"{self.kills.total()} kills in {self.seconds:.0f} s: {_told(self.kills)}",
            f"under way at a kill: {_told(self.amid)}",
            f"deeds that came to their end: {_told(ledger.deeds)}",
            f"requests: {_told(ledger.answers)}",
            f"looked for and found as acknowledged: {self.looked - len(ledger.faults)} of {self.looked}",
            *(f"  told {count} times: {what}" for what, count in ledger.refusals.most_common(12)),
            f"{len(ledger.faults)} faults",
            *(f"FAULT {fault}" for fault in ledger.faults),
        ]


class Killing:
    """Clients at work in a place, and what is killed meanwhile."""

    def __init__(self, place: Place, seed: int, say: Callable[[str], None]) -> None:
        self._place = place
        self._seed = seed
        self._dice = random.Random(seed)  # noqa: S311 - chance, not secrecy
        self._say = say
        self._ledger = Ledger()
        self._checker = Checker(place, self._ledger)
        self._figures = Figures(self._ledger)
        self._told = 0

    async def kill(self, kills: int) -> Figures:
        """So many kills; the figures, with everything that was found."""
        began = time.monotonic()
        round_number = 0
        while (done := self._figures.kills.total()) < kills:
            round_number += 1
            await self._round(round_number, min(EVERY, kills - done), kills)
            self._figures.looked += await asyncio.to_thread(self._checker.look)
        self._figures.looked += await asyncio.to_thread(partial(self._checker.look, everything=True))
        await asyncio.to_thread(self._checker.prove)
        await asyncio.to_thread(self._checker.left)
        self._figures.seconds = time.monotonic() - began
        return self._figures

    async def _round(self, number: int, kills: int, of: int) -> None:
        stop = asyncio.Event()
        async with httpx.AsyncClient(timeout=40, trust_env=False) as http:
            tasks = [asyncio.create_task(work) for work in self._clients(number, stop, http)]
            try:
                goal = self._figures.kills.total() + kills
                while self._figures.kills.total() < goal:
                    await self._one(tasks, of)
            finally:
                stop.set()
                await asyncio.gather(*tasks)

    def _clients(
        self, number: int, stop: asyncio.Event, http: httpx.AsyncClient
    ) -> Iterator[Coroutine[Any, Any, None]]:
        for each in range(_WORKERS + 2):
            name = f"{self._seed}-{number}-{each}"
            dice = random.Random(name)  # noqa: S311
            client = Client(name, self._place.owner.headers, self._place.addresses, self._ledger, dice, http)
            deeds: list[Deed] = [client.publish, client.publish, client.keep, client.note, client.pack]
            if each == _WORKERS:
                deeds = [client.export]
            elif each > _WORKERS:
                deeds = [partial(client.erase, token=self._place.token)]
            yield client.work(stop, deeds)

    async def _one(self, tasks: list[asyncio.Task[None]], of: int) -> None:
        """Wait for a moment, kill, and start again; sometimes another one dies meanwhile."""
        await self._moment(tasks)
        for server in self._place.servers:
            if not server.running:
                self._ledger.fault(f"{server.log.name}: a process ended by itself")
        victims = [self._dice.choice(self._place.victims)]
        if self._dice.random() < _TWICE:
            others = [each for each in self._place.victims if each not in victims]
            victims += self._dice.sample(others, min(1, len(others)))
        for victim in victims:
            await self._killed(victim, of)
            await asyncio.sleep(self._dice.random() * 0.3)
        for victim in sorted(victims, key=_stands_on):
            await asyncio.to_thread(victim.start)

    async def _moment(self, tasks: list[asyncio.Task[None]]) -> None:
        ledger, wanted = self._ledger, self._dice.choice(_MOMENTS)
        enough = ledger.deeds.total() + self._dice.randint(1, _FEW)
        deadline = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < deadline:
            if ledger.deeds.total() >= enough and ledger.under_way[wanted]:
                break
            for task in tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.005)
        await asyncio.sleep(self._dice.random() * 0.4)

    async def _killed(self, victim: Victim, of: int) -> None:
        amid = [what for what, count in self._ledger.under_way.items() if count]
        await asyncio.to_thread(victim.kill)
        self._figures.kills[victim.name] += 1
        self._figures.amid.update(amid)
        done = self._figures.kills.total()
        self._say(
            f"kill {done} of {of}: {victim.name}, amid {', '.join(sorted(amid)) or 'nothing'}; "
            f"{self._ledger.deeds.total()} deeds, {len(self._ledger.faults)} faults"
        )
        for fault in self._ledger.faults[self._told :]:
            self._say(f"FAULT {fault}\n")
        self._told = len(self._ledger.faults)


def _stands_on(victim: Victim) -> bool:
    """Ours start last: without what they stand on they refuse to."""
    return victim.name.startswith("process")


def _told(counted: Counter[str]) -> str:
    return ", ".join(f"{what} {count}" for what, count in sorted(counted.items()) if count)


def on_a_line(line: str) -> None:
    """One line, which on a terminal the next one takes the place of."""
    sys.stderr.write(f"\r\x1b[2K{line}" if sys.stderr.isatty() else f"{line}\n")
    sys.stderr.flush()
