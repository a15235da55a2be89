"""Retire: a card leaves lists, searches and its singleton's place; its versions stay readable. Nothing is deleted."""

from __future__ import annotations

import asyncio

from nexus_graph import safeguards
from nexus_graph.cards import table
from nexus_graph.cards.comparing import unified
from nexus_graph.cards.manifests import Manifests
from nexus_graph.cards.model import Card
from nexus_graph.cards.publishing import Proposed, told
from nexus_graph.cards.surfaces import surfaces
from nexus_graph.safeguards import Change, Deed, Resource, StrategicAction
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import Conflict, NotFound
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Stores


async def retire(
    stores: Stores, manifests: Manifests, scope: Scope, card_id: str, expected_version: int, *, once: Once | None = None
) -> Card:
    """Retire a card for good, at the version that the caller has seen.

    Raises NotFound, Conflict (version, retired), LockRequired for a strategic type.
    """
    scope.require(Permission.CARDS_RETIRE)
    async with stores.work(scope, RunKind.PUBLISH, once=once) as work:
        row = await work.row(table.FIND, card_id=card_id)
        if row is not None and await work.earlier_answer() is not None:
            return table.card(row)
        card = _retirable(row, expected_version)
        await safeguards.enforce(work, _deed(manifests, card))
        await work.write(table.RETIRE, card_id=card_id, now=micros(work.now))
        detail: Json = {"input": {"expectedVersion": expected_version}, "output": told(card, None)}
        work.record(Event("card.retired", "card", card_id, redact(detail), card.handling, ends=None))
        await work.keep_answer({"card_id": card_id})
    return card._replace(retired_at=work.now)


async def propose_retirement(
    stores: Stores, manifests: Manifests, scope: Scope, card_id: str, expected_version: int
) -> Proposed:
    """What `retire` would change with these arguments. Writes nothing; raises NotFound, Conflict."""
    scope.require(Permission.CARDS_READ)
    async with stores.read(scope) as read:
        card = _retirable(await read.row(table.FIND, card_id=card_id), expected_version)
    return Proposed(
        change=retirement(card),
        strategic=manifests.strategic(card.card_type),
        text="",
        difference=await asyncio.to_thread(unified, card.text, ""),
        surfaces=surfaces(card.card_type, card.header),
        named=True,
        before=card,
    )


def _retirable(row: Row | None, expected_version: int) -> Card:
    """The card in a row, unless it is retired, or not what the caller has seen."""
    if row is None:
        raise NotFound("card", path=("input", "cardId"))
    card = table.card(row)
    if card.retired_at is not None:
        raise Conflict("The card is retired already.", path=("input", "cardId"))
    if card.version != expected_version:
        raise Conflict(
            f"The card's current version is {card.version}.",
            hint=f"Look at version {card.version}, then retire with expectedVersion {card.version}.",
            path=("input", "expectedVersion"),
        )
    return card


def retirement(card: Card) -> Change:
    """Retiring a card at its version, as a lock binds it."""
    content: dict[str, Json] = {"version": card.version}
    return Change(StrategicAction.RETIRE_CARD, card.card_id, content, card.card_type)


def _deed(manifests: Manifests, card: Card) -> Deed:
    strategic = manifests.strategic(card.card_type)
    change = retirement(card) if strategic else None
    return Deed("retireCard", Permission.CARDS_RETIRE, {Resource.INDEX_WRITES: 1}, change, card.handling)
