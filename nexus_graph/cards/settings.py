"""Settings of a screen: the surface's own card, the apps and connectors that name the surface, and how they change."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from nexus_graph.cards import table
from nexus_graph.cards.manifests import Manifests
from nexus_graph.cards.model import Card
from nexus_graph.cards.reading import record_read
from nexus_graph.cards.surfaces import APP, CONNECTOR, SETTINGS_TYPES, SURFACE
from nexus_graph.scope.errors import Forbidden, Invalid, Unauthenticated
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.follower import Entry, entry
from nexus_graph.stores.work import Stores

_SURFACE_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Settings:
    """What a settings screen shows: the surface's own card, None until one is published, and the others by key.

    `strategic_types` are those of the three types whose cards need a Strategy Lock to be written.
    """

    surface: str
    card: Card | None
    apps: tuple[Card, ...]
    connectors: tuple[Card, ...]
    strategic_types: tuple[str, ...]


async def settings(stores: Stores, manifests: Manifests, scope: Scope, surface: str) -> Settings:
    """The current settings cards of a surface, journalled as one read. Raises Invalid for a malformed surface."""
    scope.require(Permission.SETTINGS_READ)
    _check_surface(surface)
    async with stores.read(scope) as read:
        rows = await read.rows(table.SETTINGS, surface=surface, types=SETTINGS_TYPES)
    cards = [table.card(row) for row in rows]
    await record_read(stores, scope, cards)
    own = [card for card in cards if card.card_type == SURFACE]
    strategic = [name for name in SETTINGS_TYPES if (manifest := manifests.get(name)) and manifest.strategic]
    return Settings(
        surface=surface,
        card=own[0] if own else None,
        apps=tuple(card for card in cards if card.card_type == APP),
        connectors=tuple(card for card in cards if card.card_type == CONNECTOR),
        strategic_types=tuple(strategic),
    )


class SettingsEndReason(StrEnum):
    """Why the stream ends. After `EXPIRED` and `SHUTDOWN` the same call with the last cursor goes on."""

    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"
    SHUTDOWN = "SHUTDOWN"


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """A settings card of the surface was published or retired. `seq` is the cursor after it."""

    seq: int
    at: datetime
    card_id: str
    card_type: str
    version: int
    retired: bool


@dataclass(frozen=True, slots=True)
class SettingsHeartbeat:
    """Nothing was withheld: at that moment, with the journal at `seq` (a cursor too), there was no further change."""

    at: datetime
    seq: int


@dataclass(frozen=True, slots=True)
class SettingsEnd:
    """The last frame."""

    reason: SettingsEndReason


SettingsFrame = SettingsChange | SettingsHeartbeat | SettingsEnd


async def follow_settings(
    stores: Stores,
    renew: Callable[[], Awaitable[Scope]],
    surface: str,
    after: int | None,
    *,
    poll_seconds: float,
    heartbeat_seconds: float,
    stopping: asyncio.Event | None = None,
) -> AsyncGenerator[SettingsFrame, None]:
    """Every change of the surface's settings after the journal's `after` (None: from now on), and a SettingsEnd.

    A card that names the surface no longer is told once more. `renew` gives the scope with the rights of the moment and
    is asked before every read; Unauthenticated from it ends the stream as EXPIRED, Forbidden or the loss of
    `settings:read` as REVOKED. `poll_seconds` bounds how long another process's changes, the end of a right and
    `stopping` go unnoticed; a stream that is quiet for `heartbeat_seconds` says so, and one without `after` begins so.
    No connection is held while it yields or waits.

    Raises Invalid for a malformed surface or a cursor that the journal has not reached.
    """
    _check_surface(surface)
    now = asyncio.get_running_loop().time
    scope = await _admitted(renew)
    if isinstance(scope, SettingsEnd):
        yield scope
        return
    with stores.signals.listen(scope.key) as listener:
        quiet_since = now()
        while isinstance(scope, Scope):
            if stopping is not None and stopping.is_set():
                yield SettingsEnd(SettingsEndReason.SHUTDOWN)
                return
            seen = await _look(stores, scope, surface, after)
            if after is None:  # a cursor at once: who is cut off before the first change can still go on from here
                yield SettingsHeartbeat(seen.at, seen.reached)
            after = seen.reached
            for change in seen.changes:
                yield change
                quiet_since = now()
            if seen.complete:
                if now() - quiet_since >= heartbeat_seconds:
                    yield SettingsHeartbeat(seen.at, after)
                    quiet_since = now()
                await listener.wait(min(poll_seconds, max(quiet_since + heartbeat_seconds - now(), 0)))
            scope = await _admitted(renew)
    yield scope


@dataclass(frozen=True, slots=True)
class _Seen:
    """One short look at what lies after the cursor; `complete` unless there is more."""

    changes: list[SettingsChange]
    reached: int
    complete: bool
    at: datetime


async def _look(stores: Stores, scope: Scope, surface: str, after: int | None) -> _Seen:
    async with stores.read(scope) as read:
        head = await read.value(table.HEAD) or 0
        if after is None:
            return _Seen([], head, True, read.now)
        if not 0 <= after <= head:
            raise Invalid(
                "The cursor is not one of this journal.",
                hint="Go on with the cursor of the last frame that you received, or with none.",
                path=("after",),
            )
        rows = await read.rows(table.CHANGES, after=after, most=_PAGE)
    entries = [entry(row) for row in rows]
    complete = len(entries) < _PAGE
    changes = [change for each in entries if (change := _change(each, surface))]
    return _Seen(changes, head if complete else entries[-1].seq, complete, read.now)


def _change(told: Entry, surface: str) -> SettingsChange | None:
    output = (told.payload or {}).get("output", {})
    if surface not in output.get("surfaces", ()):
        return None
    return SettingsChange(
        seq=told.seq,
        at=told.at,
        card_id=told.subject_id,
        card_type=output["cardType"],
        version=output["version"],
        retired=told.action == "card.retired",
    )


async def _admitted(renew: Callable[[], Awaitable[Scope]]) -> Scope | SettingsEnd:
    try:
        scope = await renew()
        scope.require(Permission.SETTINGS_READ)
    except Unauthenticated:
        return SettingsEnd(SettingsEndReason.EXPIRED)
    except Forbidden:
        return SettingsEnd(SettingsEndReason.REVOKED)
    return scope


def _check_surface(surface: str) -> None:
    if not _SURFACE_NAME.fullmatch(surface):
        hint = f"It must match ^{_SURFACE_NAME.pattern}$."
        raise Invalid("The surface is malformed.", hint=hint, path=("surface",))
