"""Live streams over the journal: one loop for all of them, in which replay and live are the same thing.

The listener is opened before the first look, and each wake-up looks at what lies after the last cursor that was sent: a
lost signal costs one poll, a reconnect is the same call with a later cursor, and nothing is lost or told twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from nexus_graph.scope.errors import Forbidden, Halted, Unauthenticated
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.work import Stores

Frame = TypeVar("Frame")


class EndReason(StrEnum):
    """Why a live stream ends.

    After `EXPIRED` and `SHUTDOWN` the same call with the last cursor goes on; after `HALTED` it does so once the kill
    switch is released.
    """

    RUN_ENDED = "RUN_ENDED"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"
    HALTED = "HALTED"
    SHUTDOWN = "SHUTDOWN"


@dataclass(frozen=True, slots=True)
class Look(Generic[Frame]):
    """What lies after a cursor, from one snapshot.

    `frames` come with the cursor after each; `reached` is the cursor after all of them. `complete`: there was no more;
    then `pause` says so when the stream has been quiet for long, and `last`, if there is one, ends it.
    """

    frames: Sequence[tuple[Frame, int]]
    reached: int
    complete: bool
    pause: Frame
    last: Frame | None = None


async def follow(
    stores: Stores,
    renew: Callable[[], Awaitable[Scope]],
    permission: Permission,
    look: Callable[[Scope, int | None], Awaitable[Look[Frame]]],
    end: Callable[[EndReason], Frame],
    after: int | None,
    *,
    poll_seconds: float,
    heartbeat_seconds: float,
    stopping: asyncio.Event | None = None,
) -> AsyncGenerator[Frame, None]:
    """Every frame that `look` finds after the cursor, as it comes, until `look` gives a last one.

    `renew` gives the scope with the rights of the moment; it is asked before every look, and again when the consumer
    took longer than `poll_seconds` over one. Unauthenticated from it ends the stream as EXPIRED, Forbidden or the loss
    of `permission` as REVOKED, Halted as HALTED, `stopping` (the server goes down) as SHUTDOWN. `poll_seconds` bounds
    how long these and another process's writes go unnoticed. No connection is held while it yields or waits. Close it
    when leaving early.
    """
    now = asyncio.get_running_loop().time
    scope = await _admitted(renew, permission)
    if isinstance(scope, EndReason):
        yield end(scope)
        return
    with stores.signals.listen(scope.key) as listener:
        quiet_since = now()
        while isinstance(scope, Scope):
            if stopping is not None and stopping.is_set():
                yield end(EndReason.SHUTDOWN)
                return
            seen = await look(scope, after)
            looked_at = now()
            for frame, cursor in seen.frames:
                yield frame
                after, quiet_since = cursor, now()
                if quiet_since - looked_at > poll_seconds:
                    break
            else:
                after = seen.reached
                if seen.complete:
                    if seen.last is not None:
                        yield seen.last
                        return
                    if now() - quiet_since >= heartbeat_seconds:
                        yield seen.pause
                        quiet_since = now()
                    await listener.wait(min(poll_seconds, max(quiet_since + heartbeat_seconds - now(), 0)))
            scope = await _admitted(renew, permission)
    yield end(scope)


async def _admitted(renew: Callable[[], Awaitable[Scope]], permission: Permission) -> Scope | EndReason:
    try:
        scope = await renew()
        scope.require(permission)
    except Unauthenticated:
        return EndReason.EXPIRED
    except Forbidden:
        return EndReason.REVOKED
    except Halted:
        return EndReason.HALTED
    return scope
