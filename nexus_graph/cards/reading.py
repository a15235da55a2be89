"""Read cards: by id, by version, as lists, as differences, by what they cite.

Whatever serves content is journalled before it is handed over: one event for each call. `record=False` is for callers
inside the engine, which journal what they serve themselves or serve nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import reduce
from operator import and_

from nexus_graph.cards import table
from nexus_graph.cards.comparing import Difference, unified
from nexus_graph.cards.manifests import Manifests
from nexus_graph.cards.model import Card, CardFilter, check
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import NotFound
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.paging import Page, Window, page
from nexus_graph.stores.work import Stores

_AT_ONCE = 1000
_MOST_TOLD = 100


async def fetch(stores: Stores, scope: Scope, ids: Sequence[str], *, record: bool = True) -> dict[str, Card]:
    """The current versions of these cards, by id, retired ones too. What is unknown or foreign is not in it."""
    scope.require(Permission.CARDS_READ)
    wanted = [*dict.fromkeys(ids)]
    found: dict[str, Card] = {}
    async with stores.read(scope) as read:
        for start in range(0, len(wanted), _AT_ONCE):
            rows = await read.rows(table.FIND_MANY, ids=wanted[start : start + _AT_ONCE])
            found |= {row["card_id"]: table.card(row) for row in rows}
    cards = {card_id: found[card_id] for card_id in wanted if card_id in found}
    if record:
        await record_read(stores, scope, [*cards.values()])
    return cards


async def fetch_versions(
    stores: Stores, scope: Scope, pairs: Sequence[tuple[str, int]], *, record: bool = True
) -> dict[tuple[str, int], Card]:
    """These versions, old ones too, by card id and version. What is unknown or foreign is not in it."""
    scope.require(Permission.CARDS_READ)
    wanted = [*dict.fromkeys(pairs)]
    found: dict[tuple[str, int], Card] = {}
    async with stores.read(scope) as read:
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            names = [f"{card_id}@{version}" for card_id, version in part]
            rows = await read.rows(table.FIND_VERSIONS, ids=[card_id for card_id, _ in part], pairs=names)
            found |= {(row["card_id"], row["version"]): table.card(row) for row in rows}
    cards = {pair: found[pair] for pair in wanted if pair in found}
    if record:
        await record_read(stores, scope, [*cards.values()])
    return cards


async def list_cards(
    stores: Stores, manifests: Manifests, scope: Scope, chosen: CardFilter, window: Window
) -> Page[Card]:
    """Cards at their current version, latest created first. Raises Invalid with the path inside the filter."""
    scope.require(Permission.CARDS_READ)
    check(chosen, manifests)
    sql, values = table.conditions(chosen)
    async with stores.read(scope) as read:
        order = ("card.created_at", "card.card_id")
        cards = await page(read, table.CARDS + sql, order, window, table.card, descending=True, **values)
    await record_read(stores, scope, cards.items)
    return cards


async def versions(stores: Stores, scope: Scope, card_id: str, window: Window) -> Page[Card]:
    """The versions of a card, latest first. Raises NotFound."""
    scope.require(Permission.CARDS_READ)
    async with stores.read(scope) as read:
        if await read.row(table.EXISTS, card_id=card_id) is None:
            raise NotFound("card")
        cards = await page(read, table.VERSIONS, ("version.version",), window, table.card, card_id=card_id)
    await record_read(stores, scope, cards.items)
    return cards


async def difference(stores: Stores, scope: Scope, card_id: str, old: int, new: int) -> Difference:
    """What turns the text of version `old` into that of version `new`. Raises NotFound."""
    cards = await fetch_versions(stores, scope, [(card_id, old), (card_id, new)], record=False)
    if (card_id, old) not in cards or (card_id, new) not in cards:
        raise NotFound("card version")
    await record_read(stores, scope, [*cards.values()])
    return await asyncio.to_thread(unified, cards[card_id, old].text, cards[card_id, new].text)


async def citing(stores: Stores, scope: Scope, artifact_id: str, window: Window) -> Page[Card]:
    """The unretired cards whose current version cites an asset or atom, latest created first."""
    scope.require(Permission.CARDS_READ)
    async with stores.read(scope) as read:
        order = ("card.created_at", "card.card_id")
        cards = await page(read, table.CITING, order, window, table.card, artifact_id=artifact_id)
    await record_read(stores, scope, cards.items)
    return cards


async def record_read(stores: Stores, scope: Scope, cards: Sequence[Card]) -> None:
    """Journal that the content of these cards is about to be served; of more than 100, the first 100 are named."""
    if not cards:
        return
    named: list[Json] = [{"cardId": card.card_id, "version": card.version} for card in cards[:_MOST_TOLD]]
    handling = reduce(and_, (card.handling for card in cards))
    detail = redact({"input": {"cards": named, "count": len(cards)}})
    await stores.record(scope, RunKind.READ, Event("cards.read", "card", cards[0].card_id, detail, handling))
