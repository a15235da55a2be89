"""Group commit: while one transaction is on its way to the disk, the next events gather."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from nexus_graph.scope.clock import Clock
from nexus_graph.scope.errors import NexusError, Unavailable
from nexus_graph.stores import appending
from nexus_graph.stores.appending import ChainHead, Entry
from nexus_graph.stores.database.base import Connection, Database, ScopeKey, Transaction

_MOST_TOGETHER = 256
_MOST_HEADS: Final = 10_000


@dataclass(slots=True)
class Pending:
    """An entry that waits to be appended, and who waits for it. `begins`: it begins a run of its own."""

    entry: Entry
    begins: bool
    done: asyncio.Future[None]

    @property
    def key(self) -> ScopeKey:
        """Tenant and env."""
        return self.entry.scope.key

    def settle(self, failure: Exception | None) -> None:
        """Tell who waits what it came to."""
        if not self.done.done():
            self.done.set_exception(failure) if failure else self.done.set_result(None)


class Recorder:
    """Appends what waits, scope by scope, in as few commits as the database can.

    Where each statement is a round trip to a server, it remembers where journals end: what tells of no row is appended
    there in one. Where another process was faster, that changes nothing, and the head is asked for.
    """

    def __init__(self) -> None:
        self._waiting: list[Pending] = []
        self._task: asyncio.Task[None] | None = None
        self._heads: OrderedDict[ScopeKey, ChainHead] = OrderedDict()

    def learn(self, key: ScopeKey, head: ChainHead) -> None:
        """Where a journal ends, once that is committed."""
        known = self._heads.get(key)
        if known is None or known.seq < head.seq:
            self._heads[key] = head
        self._heads.move_to_end(key)
        if len(self._heads) > _MOST_HEADS:
            self._heads.popitem(last=False)

    async def add(
        self, database: Database, clock: Clock, new_salt: Callable[[], str], entry: Entry, *, begins: bool
    ) -> None:
        """Append and commit, together with whatever else is waiting. `begins`: the entry begins a run of its own."""
        pending = Pending(entry, begins, asyncio.get_running_loop().create_future())
        self._waiting.append(pending)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain(database, clock, new_salt))
        await pending.done

    async def _drain(self, database: Database, clock: Clock, new_salt: Callable[[], str]) -> None:
        def appending_to(batch: Sequence[Pending]) -> Transaction[None]:
            async def append(connection: Connection) -> None:
                now = clock()
                for each in batch:
                    entry = each.entry
                    heads[each.key] = await appending.append(
                        connection, entry.scope, entry.run_id, entry.kind, [entry.event], now, new_salt
                    )

            return append

        while self._waiting:
            heads: dict[ScopeKey, ChainHead] = {}
            batch, self._waiting = self._waiting[:_MOST_TOGETHER], self._waiting[_MOST_TOGETHER:]
            groups = _by_scope(batch)
            if database.distant:
                groups = await self._continued(database, clock, new_salt, groups)
            for group, failure in zip(groups, await _each(database, groups, appending_to), strict=True):
                if failure is None or len(group) == 1:
                    _settle(group, failure)
                else:  # all were taken back: one bad event must not take its neighbours along
                    alone = [[each] for each in group]
                    for [each], one in zip(alone, await _each(database, alone, appending_to), strict=True):
                        each.settle(one)
                if failure is None:
                    self.learn(group[0].key, heads[group[0].key])

    async def _continued(
        self, database: Database, clock: Clock, new_salt: Callable[[], str], groups: list[list[Pending]]
    ) -> list[list[Pending]]:
        """Append where the end of the journal is known; the groups for which that was not enough."""

        async def is_left(group: Sequence[Pending]) -> bool:
            key = group[0].key
            head = self._heads.get(key)
            if head is None or not all(each.begins for each in group):
                return True
            try:
                statements, end = appending.continued(head, [each.entry for each in group], clock(), new_salt)
                if await database.batch(key, statements):
                    self.learn(key, end)
                    _settle(group, None)
                    return False
                self._heads.pop(key, None)  # among many others it may have been let go meanwhile
            except Exception as error:
                if isinstance(error, Unavailable) or not isinstance(error, NexusError):
                    _settle(group, error)
                    return False
            return True  # also when one of several is refused: each is tried by itself

        left = await asyncio.gather(*(is_left(group) for group in groups))
        return [group for group, still in zip(groups, left, strict=True) if still]


def _by_scope(batch: Sequence[Pending]) -> list[list[Pending]]:
    groups: dict[ScopeKey, list[Pending]] = {}
    for pending in batch:
        groups.setdefault(pending.key, []).append(pending)
    return [*groups.values()]


def _settle(group: Sequence[Pending], failure: Exception | None) -> None:
    for pending in group:
        pending.settle(failure)


async def _each(
    database: Database,
    groups: Sequence[Sequence[Pending]],
    appending_to: Callable[[Sequence[Pending]], Transaction[None]],
) -> Sequence[Exception | None]:
    """What each group came to. A failure of the whole is that of each."""
    try:
        return await database.write_each([(group[0].key, appending_to(group)) for group in groups])
    except Exception as error:
        return [error] * len(groups)
