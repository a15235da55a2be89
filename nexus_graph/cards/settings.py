"""Settings of a screen: the surface's own card, the apps and connectors that name the surface, and how they change."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import datetime

from nexus_graph.cards import table
from nexus_graph.cards.manifests import Manifests
from nexus_graph.cards.model import Card
from nexus_graph.cards.reading import record_read
from nexus_graph.cards.surfaces import APP, CONNECTOR, SETTINGS_TYPES, SURFACE
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Scope
from nexus_graph.stores import streaming
from nexus_graph.stores.feeds import Look, Manner, Take
from nexus_graph.stores.follower import Entry, entry
from nexus_graph.stores.streaming import EndReason
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

    reason: EndReason


SettingsFrame = SettingsChange | SettingsHeartbeat | SettingsEnd


def follow_settings(
    stores: Stores,
    renew: Callable[[], Awaitable[Scope]],
    surface: str,
    after: int | None,
    manner: Manner,
    take: Take[SettingsFrame] | None = None,
) -> AsyncGenerator[SettingsFrame, None]:
    """Every change of the surface's settings after the journal's `after` (None: from now on), and a SettingsEnd.

    Without `after` it begins with a heartbeat, so that there is a cursor at once. A card that names the surface no
    longer is told once more. For the rest see `stores.streaming`. Raises Invalid for a malformed surface or a cursor
    that the journal has not reached.
    """
    _check_surface(surface)
    return streaming.follow(stores, _Changes(stores, surface), renew, after, manner, take)


class _Changes:
    """What is followed."""

    __slots__ = ("_stores", "_surface")
    permission = Permission.SETTINGS_READ

    def __init__(self, stores: Stores, surface: str) -> None:
        self._stores, self._surface = stores, surface

    def question(self, _: Scope) -> Hashable:
        return "settings", self._surface

    async def look(self, scope: Scope, cursor: int | None) -> Look[SettingsFrame]:
        return await _look(self._stores, scope, self._surface, cursor)

    def end(self, reason: EndReason) -> SettingsFrame:
        return SettingsEnd(reason)


async def _look(stores: Stores, scope: Scope, surface: str, after: int | None) -> Look[SettingsFrame]:
    async with stores.read(scope) as read:
        head = await read.value(table.HEAD) or 0
        pause = SettingsHeartbeat(read.now, head)
        if after is None:
            return Look([(pause, head)], head, True, pause)
        if not 0 <= after <= head:
            raise Invalid(
                "The cursor is not one of this journal.",
                hint="Go on with the cursor of the last frame that you received, or with none.",
                path=("after",),
            )
        rows = await read.rows(table.CHANGES, after=after, most=_PAGE)
    entries = [entry(row) for row in rows]
    complete = len(entries) < _PAGE
    changes = [(change, change.seq) for each in entries if (change := _change(each, surface))]
    return Look(changes, head if complete else entries[-1].seq, complete, pause)


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


def _check_surface(surface: str) -> None:
    if not _SURFACE_NAME.fullmatch(surface):
        hint = f"It must match ^{_SURFACE_NAME.pattern}$."
        raise Invalid("The surface is malformed.", hint=hint, path=("surface",))
