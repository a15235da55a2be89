"""What the journal is told of a flood: the first refusal of a second at once, the others of it as one number.

So a flood costs two entries a second for each who floods, whatever its size, and the numbers still add up to every
refusal: of requests that are throttled, and of those who are not let in at all.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import structlog

from nexus_graph.scope.errors import Throttled
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunKind, RunStatus, Severity
from nexus_graph.stores.work import Stores

log = structlog.get_logger("nexus_graph.safeguards")

GATHER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Told:
    """What is refused, or who, and with which code: equal ones of a second are told as one number."""

    action: str
    subject_kind: str
    subject_id: str
    code: str
    kind: RunKind

    def event(self, count: int) -> Event:
        """As the journal has it."""
        return Event(
            self.action,
            self.subject_kind,
            self.subject_id,
            redact({"input": {"count": count}, "output": {"code": self.code}}),
            Handling((), train_ok=False),
            Severity.WARNING,
            RunStatus.REFUSED,
        )


THROTTLED = Told("request.refused", "field", "request", Throttled.code, RunKind.READ)
_Key = tuple[str, str, str, Told]


@dataclass(slots=True)
class _Gathered:
    scope: Scope
    count: int
    task: asyncio.Task[None]


class Refusals:
    """The refusals that anybody can cause as often as they like, and that the journal shall know of."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._gathered: dict[_Key, _Gathered] = {}

    async def tell(self, scope: Scope, told: Told = THROTTLED) -> None:
        """One more refusal. It is in the journal on return, or counted with the others of the second."""
        key = (*scope.key, scope.principal.id, told)
        if (gathered := self._gathered.get(key)) is not None:
            gathered.count += 1
            gathered.scope = scope
            return
        self._gathered[key] = _Gathered(scope, 0, asyncio.create_task(self._tell_later(key)))
        await self._record(scope, told, 1)

    async def close(self) -> None:
        """Tell what was gathered and not told yet."""
        tasks = [gathered.task for gathered in self._gathered.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for (*_, told), gathered in self._gathered.items():  # of those that were cancelled before they began
            await self._tell(told, gathered)
        self._gathered.clear()

    async def _tell_later(self, key: _Key) -> None:
        try:
            await asyncio.sleep(GATHER_SECONDS)
        finally:
            await self._tell(key[-1], self._gathered.pop(key))

    async def _tell(self, told: Told, gathered: _Gathered) -> None:
        if gathered.count:
            try:
                await self._record(gathered.scope, told, gathered.count)
            except Exception as error:  # nobody waits for it: the log keeps the number
                log.error("refusals.untold", count=gathered.count, error=type(error).__name__)

    async def _record(self, scope: Scope, told: Told, count: int) -> None:
        """In a run of its own: a flood shall not fill a run that the client named."""
        await self._stores.record(replace(scope, run_id=None), told.kind, told.event(count))
