"""Group commit: while one transaction is on its way to the disk, the next events gather."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nexus_graph.scope.clock import Clock
from nexus_graph.scope.scope import Scope
from nexus_graph.stores import journal
from nexus_graph.stores.database.base import Connection, Database, ScopeKey, Transaction
from nexus_graph.stores.journal import Event, RunKind

_MOST_TOGETHER = 256


@dataclass(slots=True)
class Pending:
    """An event that waits to be appended, and who waits for it."""

    scope: Scope
    kind: RunKind
    run_id: str
    event: Event
    done: asyncio.Future[None] | None = None

    def settle(self, failure: Exception | None) -> None:
        """Tell who waits what it came to."""
        if self.done is not None and not self.done.done():
            self.done.set_exception(failure) if failure else self.done.set_result(None)


class Recorder:
    """Appends what waits, scope by scope, in as few commits as the database can."""

    def __init__(self) -> None:
        self._waiting: list[Pending] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, database: Database, clock: Clock, new_salt: Callable[[], str], pending: Pending) -> None:
        """Append and commit, together with whatever else is waiting."""
        pending.done = asyncio.get_running_loop().create_future()
        self._waiting.append(pending)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain(database, clock, new_salt))
        await pending.done

    async def _drain(self, database: Database, clock: Clock, new_salt: Callable[[], str]) -> None:
        def appending(batch: Sequence[Pending]) -> Transaction[None]:
            async def append(connection: Connection) -> None:
                now = clock()
                for each in batch:
                    await journal.append(connection, each.scope, each.run_id, each.kind, [each.event], now, new_salt)

            return append

        while self._waiting:
            batch, self._waiting = self._waiting[:_MOST_TOGETHER], self._waiting[_MOST_TOGETHER:]
            groups = _by_scope(batch)
            for group, failure in zip(groups, await _each(database, groups, appending), strict=True):
                if failure is None or len(group) == 1:
                    _settle(group, failure)
                else:  # all were taken back: one bad event must not take its neighbours along
                    alone = [[each] for each in group]
                    for [each], one in zip(alone, await _each(database, alone, appending), strict=True):
                        each.settle(one)


def _by_scope(batch: Sequence[Pending]) -> list[list[Pending]]:
    groups: dict[ScopeKey, list[Pending]] = {}
    for pending in batch:
        groups.setdefault(pending.scope.key, []).append(pending)
    return [*groups.values()]


def _settle(group: Sequence[Pending], failure: Exception | None) -> None:
    for pending in group:
        pending.settle(failure)


async def _each(
    database: Database,
    groups: Sequence[Sequence[Pending]],
    appending: Callable[[Sequence[Pending]], Transaction[None]],
) -> Sequence[Exception | None]:
    """What each group came to. A failure of the whole is that of each."""
    try:
        return await database.write_each([(group[0].scope.key, appending(group)) for group in groups])
    except Exception as error:
        return [error] * len(groups)
