"""A run's log, live."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable

from nexus_graph.runs import table
from nexus_graph.runs.listing import visible_run
from nexus_graph.runs.model import EndFrame, EntryFrame, Frame, GapFrame, HeartbeatFrame
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Scope
from nexus_graph.stores import streaming
from nexus_graph.stores.feeds import Look, Manner, Take
from nexus_graph.stores.follower import entry
from nexus_graph.stores.journal import RunStatus
from nexus_graph.stores.streaming import EndReason
from nexus_graph.stores.work import Stores

_PAGE = 200


def follow(
    stores: Stores,
    renew: Callable[[], Awaitable[Scope]],
    run_id: str,
    after: int,
    manner: Manner,
    take: Take[Frame] | None = None,
) -> AsyncGenerator[Frame, None]:
    """Every entry of the run numbered above `after` (0: from the start), as it comes, and an EndFrame.

    Ends as RUN_ENDED only after the run has ended and all its entries were delivered; for all else see
    `stores.streaming`. Raises NotFound for a run that is unknown or not visible, Invalid for a cursor that the run has
    not reached.
    """
    return streaming.follow(stores, _Log(stores, run_id), renew, after, manner, take)


class _Log:
    """What is followed."""

    __slots__ = ("_run_id", "_stores")
    permission = Permission.RUNS_READ

    def __init__(self, stores: Stores, run_id: str) -> None:
        self._stores, self._run_id = stores, run_id

    def question(self, scope: Scope) -> Hashable:
        return _question(scope, self._run_id)

    async def look(self, scope: Scope, cursor: int | None) -> Look[Frame]:
        return await _look(self._stores, scope, self._run_id, cursor or 0)

    def end(self, reason: EndReason) -> Frame:
        return EndFrame(reason, None)


def _question(scope: Scope, run_id: str) -> Hashable:
    """Who sees all runs is told the same; others are told of their own."""
    return "run log", None if scope.may(Permission.RUNS_READ_ALL) else scope.principal, run_id


async def _look(stores: Stores, scope: Scope, run_id: str, after: int) -> Look[Frame]:
    """One short look at what lies after the cursor, shared by all who stand there and may see the run."""
    if after < 0:
        raise Invalid("A cursor is 0 or more.", path=("after",))
    question = (scope.key, _question(scope, run_id), after)
    return await stores.shared.once(question, lambda: _read_on(stores, scope, run_id, after))


async def _read_on(stores: Stores, scope: Scope, run_id: str, after: int) -> Look[Frame]:
    async with stores.read(scope) as read:
        run = await visible_run(read, scope, run_id)
        if after > run.entries:
            raise Invalid(
                f"The cursor {after} is ahead of the run, which has {run.entries} entries.",
                hint="Go on with the cursor of the last entry that you received, or with 0.",
                path=("after",),
            )
        rows = await read.rows(table.LATER, run_id=run_id, after=after, most=_PAGE)
        seq = await read.value(table.HEAD)
    frames: list[tuple[Frame, int]] = []
    for row in rows:
        if row["number"] > after + 1:
            frames.append((GapFrame(after + 1, row["number"] - 1), row["number"] - 1))
        after = row["number"]
        frames.append((EntryFrame(entry(row), after), after))
    if len(rows) < _PAGE and after < run.entries:
        frames.append((GapFrame(after + 1, run.entries), run.entries))
        after = run.entries
    return Look(
        frames=frames,
        reached=after,
        complete=after == run.entries,
        pause=HeartbeatFrame(read.now, seq),
        last=None if run.status is RunStatus.RUNNING else EndFrame(EndReason.RUN_ENDED, run.status),
    )
