"""Live streams over the journal: one loop for all of them, in which replay and live are the same thing.

Whoever has read all there is waits at the tip with all who follow the same (`feeds`), whose listener is older than that
look: a lost signal costs one poll, a reconnect is the same call with a later cursor, and nothing is lost or told twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from enum import StrEnum
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from nexus_graph.scope.errors import Forbidden, Halted, Unauthenticated
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.feeds import Look, Manner, Place, Take
from nexus_graph.stores.work import Stores

Frame = TypeVar("Frame")

_FEW: Final = 8
"""Frames that are handed on without a turn of their own: what a stream that just opened has missed, as a rule."""


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


class Source(Protocol[Frame]):
    """What is followed, by whoever holds a permission."""

    permission: Permission

    def question(self, scope: Scope) -> Hashable:
        """Tells those apart who may be told different things."""

    async def look(self, scope: Scope, cursor: int | None) -> Look[Frame]:
        """What lies after a cursor."""

    def end(self, reason: EndReason) -> Frame:
        """The last frame of a stream that breaks off."""


async def follow(
    stores: Stores,
    source: Source[Frame],
    renew: Callable[[], Awaitable[Scope]],
    after: int | None,
    manner: Manner,
    take: Take[Frame] | None = None,
) -> AsyncGenerator[Frame, None]:
    """Every frame that the source finds after the cursor, as it comes, until it gives a last one.

    `renew` gives the scope with the rights of the moment. It is asked before the first look, before every look that
    follows a change of rights in the tenant, and again when the consumer took longer than `poll_seconds` over one.
    Unauthenticated from it ends the stream as EXPIRED, Forbidden or the loss of the permission as REVOKED, Halted as
    HALTED, `stopping` (the server goes down) as SHUTDOWN. `poll_seconds` bounds how long these and another process's
    writes go unnoticed, `heartbeat_seconds` how long the stream is silent. No connection is held while it yields or
    waits, and nothing is read while nothing moves. Close it when leaving early.

    `take` is handed all frames but the last, some at a time: what it does not take is yielded. It is called while the
    stream waits as well.
    """
    now, lookout = asyncio.get_running_loop().time, stores.feeds.lookout
    quiet_since, known = now(), lookout.mark
    scope = await _admitted(renew, source.permission)
    while isinstance(scope, Scope):
        question = source.question(scope)
        with stores.feeds.follow(stores, scope.key, question, manner) as feed:
            while isinstance(scope, Scope) and source.question(scope) == question:
                if manner.stopping is not None and manner.stopping.is_set():
                    yield source.end(EndReason.SHUTDOWN)
                    return
                rounds = feed.rounds
                feed.look = partial(source.look, scope)
                seen = await stores.shared.once(
                    ("in turn", scope.key, question, after), partial(_in_turn, stores, source, scope, after)
                )
                looked_at = now()
                waiting = [*seen.frames]
                while waiting and now() - looked_at <= manner.poll_seconds:
                    frames, taken = [frame for frame, _ in waiting], 0
                    if take is not None and len(frames) <= _FEW:
                        taken = take(frames)
                    elif take is not None:
                        async with stores.pacing.turn(scope):
                            taken = take(frames)
                    if not taken:
                        yield waiting[0][0]
                        taken = 1
                    after, quiet_since = waiting[taken - 1][1], now()
                    del waiting[:taken]
                if not waiting:
                    after = seen.reached
                    if seen.complete:
                        if seen.last is not None:
                            yield seen.last
                            return
                        if now() - quiet_since >= manner.heartbeat_seconds:
                            if take is None or not take([seen.pause]):
                                yield seen.pause
                            quiet_since = now()
                        place = Place(after, known, rounds, quiet_since, take)
                        await feed.wait(place, _until(stores, scope, place, manner))
                        after, quiet_since = place.position, place.quiet_since
                known = lookout.mark
                scope = await _admitted(renew, source.permission)
    yield source.end(scope)


async def _in_turn(stores: Stores, source: Source[Frame], scope: Scope, after: int | None) -> Look[Frame]:
    async with stores.pacing.turn(scope):
        return await source.look(scope, after)


def _until(stores: Stores, scope: Scope, place: Place[Any], manner: Manner) -> float | None:
    """When to look anew at the latest: at the end of the credentials, and to say that it is quiet."""
    ends = [] if place.take is not None else [place.quiet_since + manner.heartbeat_seconds]
    if scope.expires_at is not None:
        left = (scope.expires_at - stores.clock()).total_seconds()
        ends.append(asyncio.get_running_loop().time() + left)
    return min(ends, default=None)


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
