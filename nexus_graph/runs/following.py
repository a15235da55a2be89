"""A run's log, live: one path for what was and what comes, so there is no switch to get wrong.

The listener is opened before the first read, and each wake-up reads what lies after the last number delivered: a lost
signal costs one poll, a reconnect is the same call with a later cursor, and nothing is lost or told twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from nexus_graph.runs import table
from nexus_graph.runs.listing import visible_run
from nexus_graph.runs.model import EndFrame, EndReason, EntryFrame, Frame, GapFrame, HeartbeatFrame, Run
from nexus_graph.scope.errors import Forbidden, Invalid, Unauthenticated
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.follower import entry
from nexus_graph.stores.journal import RunStatus
from nexus_graph.stores.work import Stores

_PAGE = 200


async def follow(
    stores: Stores,
    renew: Callable[[], Awaitable[Scope]],
    run_id: str,
    after: int,
    *,
    poll_seconds: float,
    heartbeat_seconds: float,
    stopping: asyncio.Event | None = None,
) -> AsyncGenerator[Frame, None]:
    """Every entry of the run numbered above `after` (0: from the start), as it comes, and an EndFrame.

    `renew` gives the scope with the rights of the moment; it is asked before every read, and again when the consumer
    took longer than `poll_seconds` over a page. Unauthenticated from it ends the stream as EXPIRED, Forbidden or the
    loss of `runs:read` as REVOKED. `poll_seconds` bounds how long another process's entries, the end of a right and
    `stopping` (the server goes down) go unnoticed; a stream that is quiet for `heartbeat_seconds` says so. Ends as
    RUN_ENDED only after the run has ended and all its entries were delivered.

    Raises NotFound for a run that is unknown or not visible, Invalid for a cursor that the run has not reached. No
    database connection is held while it yields or waits. Close it (`contextlib.aclosing`) when leaving early.
    """
    if after < 0:
        raise Invalid("A cursor is 0 or more.", path=("after",))
    now = asyncio.get_running_loop().time
    scope = await _admitted(renew)
    if isinstance(scope, EndFrame):
        yield scope
        return
    with stores.signals.listen(scope.key) as listener:
        quiet_since = now()
        while isinstance(scope, Scope):
            if stopping is not None and stopping.is_set():
                yield EndFrame(EndReason.SHUTDOWN, None)
                return
            seen = await _look(stores, scope, run_id, after)
            read_at = now()
            for frame in seen.frames:
                yield frame
                after = frame.cursor if isinstance(frame, EntryFrame) else frame.last
                quiet_since = now()
                if quiet_since - read_at > poll_seconds:
                    break
            if after == seen.run.entries:
                if seen.run.status is not RunStatus.RUNNING:
                    yield EndFrame(EndReason.RUN_ENDED, seen.run.status)
                    return
                if now() - quiet_since >= heartbeat_seconds:
                    yield HeartbeatFrame(seen.at, seen.seq)
                    quiet_since = now()
                await listener.wait(min(poll_seconds, max(quiet_since + heartbeat_seconds - now(), 0)))
            scope = await _admitted(renew)
    yield scope


async def _admitted(renew: Callable[[], Awaitable[Scope]]) -> Scope | EndFrame:
    try:
        scope = await renew()
        scope.require(Permission.RUNS_READ)
    except Unauthenticated:
        return EndFrame(EndReason.EXPIRED, None)
    except Forbidden:
        return EndFrame(EndReason.REVOKED, None)
    return scope


@dataclass(frozen=True, slots=True)
class _Seen:
    """One short look: the run and what lies after the cursor, from the same snapshot."""

    run: Run
    frames: tuple[EntryFrame | GapFrame, ...]
    at: datetime
    seq: int


async def _look(stores: Stores, scope: Scope, run_id: str, after: int) -> _Seen:
    """One short look at what lies after the cursor, shared by all who stand there and may see the run."""
    owner = None if scope.may(Permission.RUNS_READ_ALL) else scope.principal
    question = ("run log", scope.key, owner, run_id, after)
    return await stores.shared.once(question, lambda: _read_on(stores, scope, run_id, after))


async def _read_on(stores: Stores, scope: Scope, run_id: str, after: int) -> _Seen:
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
    frames: list[EntryFrame | GapFrame] = []
    for row in rows:
        if row["number"] > after + 1:
            frames.append(GapFrame(after + 1, row["number"] - 1))
        after = row["number"]
        frames.append(EntryFrame(entry(row), after))
    if len(rows) < _PAGE and after < run.entries:
        frames.append(GapFrame(after + 1, run.entries))
    return _Seen(run, tuple(frames), read.now, seq)
