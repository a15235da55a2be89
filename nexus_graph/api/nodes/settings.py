"""Settings screens: settings are cards, gathered by surface in one query, and a stream that tells when they change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import Annotated

import strawberry

from nexus_graph import cards
from nexus_graph.api.context import Context, Info
from nexus_graph.api.fields import read, stream
from nexus_graph.api.nodes.allowed_actions import AllowedAction, allowed
from nexus_graph.api.nodes.cards import ACTIONS, Card
from nexus_graph.api.nodes.locks import StrategyLock
from nexus_graph.api.paging import CursorList
from nexus_graph.cards.surfaces import SETTINGS_TYPES, SURFACE
from nexus_graph.safeguards import locks
from nexus_graph.scope.permission import Permission
from nexus_graph.stores.streaming import EndReason


@strawberry.type(description="What a settings screen shows, and what its viewer may do.")
class Settings:
    """The settings of a surface."""

    surface: str = strawberry.field(description="The surface.")
    card: Card | None = strawberry.field(description="The surface's own settings card; null until one is published.")
    apps: list[Card] = strawberry.field(description="App cards that name the surface, by key.")
    connectors: list[Card] = strawberry.field(description="Connector cards that name the surface, by key.")

    @read(Permission.VIEWER_READ, "What the viewer may do to the surface's own card, one that is still to be made too.")
    async def allowed_actions(self, info: Info) -> list[AllowedAction]:
        """Preflight."""
        target, version = (None, 0) if self.card is None else (str(self.card.id), self.card.version)
        return [await allowed(info, action, target, SURFACE, version) for action in ACTIONS]

    @read(Permission.LOCKS_READ, "Open Strategy Locks that concern the cards here, latest first, at most 100.")
    async def locks(self, info: Info) -> list[StrategyLock]:
        """Drafts and approved ones."""
        stores, scope = info.context.house.stores, info.context.scope
        shown = [card for card in (self.card, *self.apps, *self.connectors) if card is not None]
        targets = [str(card.id) for card in shown]
        found = await locks.concerning(stores, scope, targets, self.surface, SETTINGS_TYPES)
        return [StrategyLock.of(lock) for lock in found]


@strawberry.type(description="A settings card of the surface was published or retired.")
class SettingsChange:
    """A change."""

    cursor: str = strawberry.field(description="Go on after it with this.")
    at: datetime = strawberry.field(description="When.")
    card_id: strawberry.ID = strawberry.field(description="The card.")
    card_type: str = strawberry.field(description="Its type.")
    version: int = strawberry.field(description="Its newest version.")
    retired: bool = strawberry.field(description="Whether it was retired.")


@strawberry.type(description="Nothing new, and nothing withheld.")
class SettingsHeartbeat:
    """A pause."""

    at: datetime = strawberry.field(description="When.")
    cursor: str = strawberry.field(description="Go on after it with this.")


@strawberry.type(description="The stream is over.")
class SettingsEnd:
    """The last frame."""

    reason: EndReason = strawberry.field(description="Why.")


SettingsFrame = Annotated[
    SettingsChange | SettingsHeartbeat | SettingsEnd,
    strawberry.union("SettingsFrame", description="What a settings stream sends."),
]

Surface = Annotated[str, strawberry.argument(description="The surface, such as overview.")]


@strawberry.type
class SettingsQuery:
    """Queries of the room."""

    @read(Permission.SETTINGS_READ, "All settings of a surface, in one query.", points=5)
    async def settings(self, info: Info, surface: Surface) -> Settings:
        """The settings of a surface."""
        house, scope = info.context.house, info.context.scope
        found = await cards.settings(house.stores, house.manifests, scope, surface)
        return Settings(
            surface=found.surface,
            card=Card.of(found.card) if found.card else None,
            apps=[Card.of(card) for card in found.apps],
            connectors=[Card.of(card) for card in found.connectors],
        )


@strawberry.type
class SettingsSubscription:
    """Subscriptions of the room."""

    @stream(Permission.SETTINGS_READ, "Changes to the settings of a surface, from a cursor on and live.")
    def settings_changed(
        self,
        info: Info,
        surface: Surface,
        after: Annotated[
            str | None, strawberry.argument(description="The cursor of the last frame you have; null from now on.")
        ] = None,
    ) -> AsyncIterator[SettingsFrame]:
        """Follow the settings of a surface."""
        return _followed(info.context, surface, after)


async def _followed(context: Context, surface: str, after: str | None) -> AsyncIterator[SettingsFrame]:
    cursors = context.house.cursors.list_of(context.scope, "settings", surface)
    frames = cards.follow_settings(
        context.house.stores,
        context.renew,
        surface,
        None if after is None else int(str(cursors.read(after, "after")[0])),
        context.house.manner,
        context.handing(surface, lambda frame: _frame(frame, cursors)),
    )
    async with aclosing(frames):
        async for frame in frames:
            yield _frame(frame, cursors)


def _frame(frame: cards.SettingsFrame, cursors: CursorList) -> SettingsChange | SettingsHeartbeat | SettingsEnd:
    match frame:
        case cards.SettingsChange(seq, at, card_id, card_type, version, retired):
            return SettingsChange(
                cursor=cursors.write((seq,)),
                at=at,
                card_id=strawberry.ID(card_id),
                card_type=card_type,
                version=version,
                retired=retired,
            )
        case cards.SettingsHeartbeat(at, seq):
            return SettingsHeartbeat(at=at, cursor=cursors.write((seq,)))
        case cards.SettingsEnd(reason):
            return SettingsEnd(reason=reason)
