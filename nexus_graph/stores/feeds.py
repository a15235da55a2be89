"""Where all who follow the same stream wait at its tip: what comes is read once, and handed to each.

Whoever has read everything takes a place at the tip, and is then woken for nothing but what comes. After each look
the feed asks whether rights have changed in the tenant since somebody took their place; who may be concerned is
released, and looks again for themselves. So is, at any doubt, everybody: when the stream ends, the server stops, or a
look fails.

A place at the tip is bound to its position: who comes with an earlier one reads on, who comes with a later one waits
until the feed is there. Nobody is handed a frame twice, and nobody misses one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from contextlib import ExitStack
from contextvars import Context
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from nexus_graph.stores.database.base import ScopeKey
from nexus_graph.stores.lookout import UNKNOWN, Lookout

if TYPE_CHECKING:
    from nexus_graph.stores.work import Stores

Frame = TypeVar("Frame")
Take = Callable[[Sequence[Frame]], int]
"""Is handed frames, and says how many of them it took at once; it waits for nothing."""

_AT_ONCE: Final = 50
"""Places that are handed frames before others have a turn."""


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


@dataclass(frozen=True, slots=True)
class Manner:
    """How streams wait: see `streaming.follow`."""

    poll_seconds: float
    heartbeat_seconds: float
    stopping: asyncio.Event | None = None


class Place(Generic[Frame]):
    """Somebody at the tip, at `position`, who was there when the feed had woken so often, with rights of a mark.

    `take` is handed frames, and says how many of them it took; without it every wake-up releases the place.
    """

    __slots__ = ("known", "position", "quiet_since", "released", "rounds", "take")

    def __init__(self, position: int, known: float, rounds: int, quiet_since: float, take: Take[Frame] | None) -> None:
        self.position, self.known, self.rounds, self.quiet_since, self.take = position, known, rounds, quiet_since, take
        self.released: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def release(self) -> None:
        """Go on alone."""
        if not self.released.done():
            self.released.set_result(None)

    def advance(self, seen: Look[Frame], now: float) -> bool:
        """Take what a look found. False when that was not possible any more: `position` tells from where on."""
        frames = [frame for frame, _ in seen.frames]
        while frames:
            taken = 0 if self.take is None else self.take(frames)
            if not taken:
                return False
            self.position, self.quiet_since = seen.frames[taken - len(frames) - 1][1], now
            del frames[:taken]
        self.position = seen.reached
        return True


class Feed(Generic[Frame]):
    """One stream, for all who follow it. `look` finds what lies after a position; the last who came brought it.

    `rounds` counts how often it has woken: a place that comes from before the last round may have missed something.
    """

    def __init__(self, feeds: Feeds, stores: Stores, key: ScopeKey, manner: Manner) -> None:
        self.tenant_id, self.poll_seconds = key[0], manner.poll_seconds
        self.rounds = self.followers = 0
        self.look: Callable[[int | None], Awaitable[Look[Frame]]]
        self._lookout, self._stores, self._manner = feeds.lookout, stores, manner
        self._position = 0
        self._places: dict[Place[Frame], None] = {}
        self._arriving: dict[Place[Frame], None] = {}
        self._busy = False
        self._now = asyncio.get_running_loop().time
        self._quiet_since = self._now()
        self._held = ExitStack()
        self._listener = self._held.enter_context(stores.signals.listen(key))
        self._task = asyncio.get_running_loop().create_task(self._run(), context=Context())

    def close(self) -> None:
        """Nobody follows any more."""
        self._held.close()
        self._task.cancel()

    def wake(self) -> None:
        """Look again soon."""
        self._listener.wake()

    async def wait(self, place: Place[Frame], until: float | None) -> None:
        """Stand at the tip until the place is released, at the latest at a time of the event loop."""
        timer = None if until is None else asyncio.get_running_loop().call_at(until, place.release)
        self._arriving[place] = None
        try:
            if not self._busy:
                self._settle()
            await place.released
        finally:
            if timer is not None:
                timer.cancel()
            self._arriving.pop(place, None)
            self._places.pop(place, None)

    def _settle(self) -> None:
        """Give those who arrived their places, or send them on."""
        if self._arriving and not self._places:
            newest = max(self._arriving, key=lambda place: place.position)
            self._position = newest.position
            if newest.rounds != self.rounds:
                self.wake()
        rights = self._lookout.rights_known(self.tenant_id)
        for place in [*self._arriving]:
            if place.position > self._position:
                self.wake()
                continue
            del self._arriving[place]
            if place.position < self._position or (place.known < rights < UNKNOWN and place.take is not None):
                place.release()
                continue
            self._places[place] = None
            if rights == UNKNOWN and place.take is not None:
                self.wake()

    async def _run(self) -> None:
        beat = self._manner.heartbeat_seconds
        while True:
            await self._listener.wait(max(0.0, self._quiet_since + beat - self._now()))
            self.rounds += 1
            self._busy = True
            try:
                await self._round()
            except Exception:  # each meets it alone
                self._release(self._places)
                self._release(self._arriving)
            self._busy = False
            self._settle()

    async def _round(self) -> None:
        stopping = self._manner.stopping
        if stopping is not None and stopping.is_set():
            self._release(self._places)
        self._release([place for place in self._places if place.take is None])
        if not self._places and not any(place.position > self._position for place in self._arriving):
            self._quiet_since = self._now()
            return
        seen = await self.look(self._position)
        rights = await self._lookout.rights_changed(self._stores, self.tenant_id)  # as they are after what was seen
        self._release([place for place in self._places if place.known < rights])
        await self._hand(seen)
        self._position = seen.reached
        if seen.last is not None and seen.complete:
            self._release(self._places)
        elif not seen.complete:
            self.wake()

    async def _hand(self, seen: Look[Frame]) -> None:
        now = self._now()
        if seen.frames:
            self._quiet_since = now
        elif seen.complete and now - self._quiet_since >= self._manner.heartbeat_seconds:
            self._quiet_since = now
            seen = replace(seen, frames=[(seen.pause, seen.reached)])
        for count, place in enumerate([*self._places], 1):
            if place in self._places and not place.advance(seen, now):
                self._release([place])
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _release(self, places: Iterable[Place[Frame]]) -> None:
        for place in [*places]:
            self._arriving.pop(place, None)
            self._places.pop(place, None)
            place.release()


class Feeds:
    """The feeds of one process, by what is followed and how: each is open while anybody follows it."""

    def __init__(self) -> None:
        self.lookout = Lookout()
        self._open: dict[Hashable, Feed[Any]] = {}

    def follow(self, stores: Stores, key: ScopeKey, question: Hashable, manner: Manner) -> Following:
        """The feed of a question in a tenant and env: who asks the same there is told the same."""
        name = (key, question, manner.poll_seconds, manner.heartbeat_seconds, id(manner.stopping))
        if (feed := self._open.get(name)) is None:
            feed = self._open[name] = Feed[Any](self, stores, key, manner)
            self.lookout.enter(stores, feed)
        return Following(self, feed, name)

    def leave(self, feed: Feed[Any], name: Hashable) -> None:
        """One follower less."""
        feed.followers -= 1
        if not feed.followers:
            del self._open[name]
            self.lookout.leave(feed)
            feed.close()


class Following:
    """A feed for as long as a block lasts."""

    __slots__ = ("_feed", "_feeds", "_name")

    def __init__(self, feeds: Feeds, feed: Feed[Any], name: Hashable) -> None:
        self._feeds, self._feed, self._name = feeds, feed, name

    def __enter__(self) -> Feed[Any]:
        self._feed.followers += 1
        return self._feed

    def __exit__(self, *_: object) -> None:
        self._feeds.leave(self._feed, self._name)
