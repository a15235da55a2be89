"""The live log of a run: replay and what happens now are one stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import Annotated

import strawberry

from nexus_graph import runs
from nexus_graph.api.context import Context, Info
from nexus_graph.api.fields import stream
from nexus_graph.api.nodes.runs import LogEntry, log_cursors
from nexus_graph.api.paging import CursorList
from nexus_graph.api.scalars import BigInt, described
from nexus_graph.runs import EndReason
from nexus_graph.scope.permission import Permission
from nexus_graph.stores.journal import RunStatus

described(
    EndReason,
    "Why a live stream ended.",
    {
        "RUN_ENDED": "The run is over and every entry was delivered.",
        "EXPIRED": "The credentials ran out: connect again and go on with the last cursor.",
        "REVOKED": "The right to see it is gone.",
        "HALTED": "The kill switch was engaged: once it is released, go on with the last cursor.",
        "SHUTDOWN": "The server goes down: connect again and go on with the last cursor.",
    },
)


@strawberry.type(description="The next entry.")
class RunLogEntry:
    """A frame with an entry."""

    entry: LogEntry = strawberry.field(description="The entry.")
    cursor: str = strawberry.field(description="Go on after it with this, in a new stream or in `log`.")


@strawberry.type(description="Entries that are no longer kept.")
class RunLogGap:
    """A frame for a gap."""

    first: int = strawberry.field(description="The first number that is missing.")
    last: int = strawberry.field(description="The last number that is missing.")


@strawberry.type(description="Nothing new, and nothing withheld.")
class RunLogHeartbeat:
    """A frame for a pause."""

    at: datetime = strawberry.field(description="When.")
    seq: BigInt = strawberry.field(description="How far the journal was.")


@strawberry.type(description="The stream is over.")
class RunLogEnd:
    """The last frame."""

    reason: EndReason = strawberry.field(description="Why.")
    status: RunStatus | None = strawberry.field(description="How the run ended, where it did.")


RunLogFrame = Annotated[
    RunLogEntry | RunLogGap | RunLogHeartbeat | RunLogEnd,
    strawberry.union("RunLogFrame", description="What a live log sends."),
]


@strawberry.type
class RunSubscription:
    """Subscriptions of the room."""

    @stream(Permission.RUNS_READ, "A run's log, from a cursor on and live, without gap or repetition.")
    def run_log(
        self,
        info: Info,
        run_id: Annotated[strawberry.ID, strawberry.argument(description="The run.")],
        after: Annotated[
            str | None, strawberry.argument(description="The cursor of the last entry you have; null from the start.")
        ] = None,
    ) -> AsyncIterator[RunLogFrame]:
        """Replay and live are one path."""
        return _followed(info.context, log_cursors(info, str(run_id)), str(run_id), after)


async def _followed(
    context: Context, cursors: CursorList, run_id: str, after: str | None
) -> AsyncIterator[RunLogFrame]:
    frames = runs.follow(
        context.house.stores,
        context.renew,
        run_id,
        0 if after is None else int(str(cursors.read(after, "after")[0])),
        context.house.manner,
        context.handing(run_id, lambda frame: _frame(frame, cursors)),
    )
    async with aclosing(frames):
        async for frame in frames:
            yield _frame(frame, cursors)


def _frame(frame: runs.Frame, cursors: CursorList) -> RunLogEntry | RunLogGap | RunLogHeartbeat | RunLogEnd:
    match frame:
        case runs.EntryFrame(entry, cursor):
            return RunLogEntry(entry=LogEntry.of(entry), cursor=cursors.write((cursor,)))
        case runs.GapFrame(first, last):
            return RunLogGap(first=first, last=last)
        case runs.HeartbeatFrame(at, seq):
            return RunLogHeartbeat(at=at, seq=BigInt(seq))
        case runs.EndFrame(reason, status):
            return RunLogEnd(reason=reason, status=status)
