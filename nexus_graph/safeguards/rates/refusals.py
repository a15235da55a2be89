"""What the journal is told of a flood: the first refusal of a second at once, the others of it as one number.

So a flood of an actor costs two entries a second, whatever its size, and the numbers still add up to every refusal.
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


@dataclass(slots=True)
class _Gathered:
    scope: Scope
    count: int
    task: asyncio.Task[None]


class Refusals:
    """The throttled requests that the journal shall know of."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._gathered: dict[tuple[str, str, str], _Gathered] = {}

    async def tell(self, scope: Scope) -> None:
        """One more refusal. It is in the journal on return, or counted with the others of the second."""
        actor = (*scope.key, scope.principal.id)
        if (gathered := self._gathered.get(actor)) is not None:
            gathered.count += 1
            gathered.scope = scope
            return
        self._gathered[actor] = _Gathered(scope, 0, asyncio.create_task(self._tell_later(actor)))
        await self._record(scope, 1)

    async def close(self) -> None:
        """Tell what was gathered and not told yet."""
        tasks = [gathered.task for gathered in self._gathered.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for gathered in self._gathered.values():  # of those that were cancelled before they began
            await self._tell(gathered)
        self._gathered.clear()

    async def _tell_later(self, actor: tuple[str, str, str]) -> None:
        try:
            await asyncio.sleep(GATHER_SECONDS)
        finally:
            await self._tell(self._gathered.pop(actor))

    async def _tell(self, gathered: _Gathered) -> None:
        if gathered.count:
            try:
                await self._record(gathered.scope, gathered.count)
            except Exception as error:  # nobody waits for it: the log keeps the number
                log.error("refusals.untold", count=gathered.count, error=type(error).__name__)

    async def _record(self, scope: Scope, count: int) -> None:
        """In a run of its own: a flood shall not fill a run that the client named."""
        event = Event(
            "request.refused",
            "field",
            "request",
            redact({"input": {"count": count}, "output": {"code": Throttled.code}}),
            Handling((), train_ok=False),
            Severity.WARNING,
            RunStatus.REFUSED,
        )
        await self._stores.record(replace(scope, run_id=None), RunKind.READ, event)
