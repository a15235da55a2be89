"""Cards are found by what they are, page by page, and every look at content is journalled once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from card_texts import MANIFESTS, app, connector, events, note, publish

from nexus_graph import cards
from nexus_graph.cards import CardFilter, Comparison, FieldCondition
from nexus_graph.scope.errors import Forbidden, Invalid, NotFound
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Role, Scope
from nexus_graph.stores.paging import Page, Window
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]


async def keys(stores: Stores, scope: Scope, chosen: CardFilter, window: Window | None = None) -> list[str]:
    """The keys of the cards that a filter chooses."""
    page = await cards.list_cards(stores, MANIFESTS, scope, chosen, window or Window(50))
    return [card.key for card in page.items]


def on(field: str, comparison: Comparison, *values: Any) -> CardFilter:
    """A filter with one condition."""
    return CardFilter(fields=(FieldCondition(field, comparison, values),))


def corridor(kpi: str, lower: float, upper: float) -> str:
    """A KPI corridor."""
    kept = f"key: corridor/{kpi}\ntitle: Corridor\nkpi: {kpi}\nwindow: Rolling 30D\nlower: {lower}\nupper: {upper}\n"
    return f"---\ncard_type: kpi_corridor\n{kept}---\nText.\n"


async def test_newest_first_by_the_birth_of_the_card(stores: Stores, scope_of: MakeScope) -> None:
    """A revision does not move a card in the list, and the list shows its current version."""
    scope = scope_of()
    for key in ("a", "b", "c"):
        await publish(stores, scope, note(key=key))
    await publish(stores, scope, note("two\n", key="a"), expected_version=1)
    page = await cards.list_cards(stores, MANIFESTS, scope, CardFilter(), Window(10))
    assert [(card.key, card.version) for card in page.items] == [("c", 1), ("b", 1), ("a", 2)]


async def test_pages_join_up_both_ways(stores: Stores, scope_of: MakeScope) -> None:
    """Walking forward and backward in windows of three gives every card once, in order."""
    scope = scope_of()
    for place in range(10):
        await publish(stores, scope, note(key=f"k{place}"))
    whole = await keys(stores, scope, CardFilter())

    async def walk(forward: bool) -> list[str]:
        found: list[str] = []
        window = Window(3, forward)
        while True:
            page: Page[cards.Card] = await cards.list_cards(stores, MANIFESTS, scope, CardFilter(), window)
            part = [card.key for card in page.items]
            found = found + part if forward else part + found
            if not (page.has_next if forward else page.has_previous):
                return found
            window = Window(3, forward, after=page.keys[-1]) if forward else Window(3, forward, before=page.keys[0])

    assert len(whole) == 10
    assert await walk(True) == whole
    assert await walk(False) == whole


async def test_filters_by_type_label_and_time(stores: Stores, scope_of: MakeScope, clock: Any) -> None:
    """Any of the types, all of the labels, from included, to excluded."""
    scope = scope_of()
    await publish(stores, scope, note(key="plain", more="labels: [x]\n"))
    await publish(stores, scope, note(key="both", more="labels: [x, y]\n"))
    clock.advance(days=1)
    middle = clock.now
    await publish(stores, scope, app("review", "overview"))
    assert await keys(stores, scope, CardFilter(types=("note", "persona"))) == ["both", "plain"]
    assert await keys(stores, scope, CardFilter(types=("persona",))) == []
    assert await keys(stores, scope, CardFilter(labels=("x",))) == ["both", "plain"]
    assert await keys(stores, scope, CardFilter(labels=("y", "x", "x"))) == ["both"]
    assert await keys(stores, scope, CardFilter(labels=("y", "z"))) == []
    assert await keys(stores, scope, CardFilter(created_from=middle)) == ["app/review"]
    assert await keys(stores, scope, CardFilter(created_to=middle)) == ["both", "plain"]
    (card,) = (await cards.fetch(stores, scope, [cards.card_id_of(scope, "app/review")])).values()
    assert await keys(stores, scope, CardFilter(created_from=card.created_at)) == ["app/review"]
    assert await keys(stores, scope, CardFilter(created_from=middle, created_to=card.created_at)) == []
    later = card.created_at + timedelta(microseconds=1)
    assert await keys(stores, scope, CardFilter(created_from=middle, created_to=later)) == ["app/review"]


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        (on("surfaces", Comparison.EQUALS, "runs"), {"app/review", "connector/shop"}),
        (on("surfaces", Comparison.IN, "overview", "nowhere"), {"app/review"}),
        (on("enabled", Comparison.EQUALS, True), {"connector/shop"}),
        (on("enabled", Comparison.EQUALS, False), set()),
        (on("lower", Comparison.EQUALS, 1), {"corridor/aoa"}),
        (on("lower", Comparison.RANGE, 1, 2), {"corridor/aoa"}),
        (on("lower", Comparison.RANGE, 1.5, None), {"corridor/mer"}),
        (on("lower", Comparison.RANGE, None, 2.5), {"corridor/aoa", "corridor/mer"}),
        (on("noted_on", Comparison.RANGE, "2026-01-01", "2026-06-30"), {"plan"}),
        (
            CardFilter(
                types=("app_definition", "connector_config"),
                fields=(
                    FieldCondition("surfaces", Comparison.EQUALS, ("runs",)),
                    FieldCondition("surfaces", Comparison.EQUALS, ("overview",)),
                ),
            ),
            {"app/review"},
        ),
    ],
)
async def test_filters_by_header_fields(
    stores: Stores, scope_of: MakeScope, chosen: CardFilter, found: set[str]
) -> None:
    """Text, numbers and booleans; equality, lists and ranges; several conditions at once."""
    scope = scope_of()
    for text in (
        note(more="noted_on: '2026-02-03'\n"),
        app("review", "overview", "runs"),
        connector("shop", "runs"),
        corridor("aoa", 1, 5),
        corridor("mer", 2.5, 5),
    ):
        await publish(stores, scope, text)
    assert set(await keys(stores, scope, chosen)) == found


async def test_a_filter_that_means_nothing_is_refused(stores: Stores, scope_of: MakeScope) -> None:
    """With the path inside the filter."""
    with pytest.raises(Invalid) as caught:
        await keys(stores, scope_of(), on("colour", Comparison.EQUALS, "red"))
    assert caught.value.path == ("fields", 0, "field")


async def test_versions_page_backwards_in_time(stores: Stores, scope_of: MakeScope) -> None:
    """All versions, latest first, each as it was published."""
    scope = scope_of()
    published = [(await publish(stores, scope, note(f"{place}\n"), expected_version=place)).card for place in range(5)]
    first = await cards.versions(stores, scope, published[0].card_id, Window(3))
    rest = await cards.versions(stores, scope, published[0].card_id, Window(3, after=first.keys[-1]))
    assert [*first.items, *rest.items] == published[::-1]
    assert (first.has_next, rest.has_next) == (True, False)
    with pytest.raises(NotFound):
        await cards.versions(stores, scope, "card_unknown", Window(3))


async def test_difference_between_versions(stores: Stores, scope_of: MakeScope) -> None:
    """Line by line, in either direction; a version that isn't there is not found."""
    scope = scope_of()
    card_id = (await publish(stores, scope, note("one\n"))).card.card_id
    await publish(stores, scope, note("two\n"), expected_version=1)
    assert (await cards.difference(stores, scope, card_id, 1, 2)).text.endswith("-one\n+two\n")
    assert (await cards.difference(stores, scope, card_id, 2, 1)).text.endswith("-two\n+one\n")
    assert (await cards.difference(stores, scope, card_id, 2, 2)).hunks == ()
    before = len(await events(stores, scope))
    for old, new in ((1, 3), (0, 1)):
        with pytest.raises(NotFound):
            await cards.difference(stores, scope, card_id, old, new)
    assert len(await events(stores, scope)) == before


async def test_each_call_is_journalled_once(stores: Stores, scope_of: MakeScope) -> None:
    """One `cards.read` with ids, versions and the strictest labels; none where nothing was served, or on request."""
    scope = scope_of()
    one = (await publish(stores, scope, note("ada@example.com\n", key="one"))).card
    two = (await publish(stores, scope, note(key="two"), train_ok=False)).card
    before = len(await events(stores, scope))
    await cards.fetch(stores, scope, [two.card_id, one.card_id, one.card_id, "card_unknown"])
    (event,) = (await events(stores, scope))[before:]
    assert (event["action"], event["kind"], event["ends"]) == ("cards.read", "READ", "SUCCEEDED")
    assert (event["subject_id"], event["pii_flags"], event["train_ok"]) == (two.card_id, '["email"]', 0)
    assert orjson.loads(event["payload"])["input"] == {
        "cards": [{"cardId": two.card_id, "version": 1}, {"cardId": one.card_id, "version": 1}],
        "count": 2,
    }
    before += 1
    await keys(stores, scope, CardFilter())
    await cards.versions(stores, scope, one.card_id, Window(5))
    await cards.difference(stores, scope, one.card_id, 1, 1)
    await cards.fetch_versions(stores, scope, [(one.card_id, 1), (two.card_id, 1)])
    assert [event["action"] for event in (await events(stores, scope))[before:]] == ["cards.read"] * 4
    before += 4
    await cards.fetch(stores, scope, [one.card_id], record=False)
    await cards.fetch_versions(stores, scope, [(one.card_id, 1)], record=False)
    await cards.fetch(stores, scope, ["card_unknown"])
    await keys(stores, scope, CardFilter(types=("persona",)))
    assert len(await events(stores, scope)) == before


async def test_a_long_read_names_a_hundred(stores: Stores, scope_of: MakeScope) -> None:
    """More than a hundred cards are counted, and the first hundred named."""
    scope = scope_of()
    ids = [(await publish(stores, scope, note(key=f"k{place}"))).card.card_id for place in range(101)]
    assert [*await cards.fetch(stores, scope, ids)] == ids
    told = orjson.loads((await events(stores, scope))[-1]["payload"])["input"]
    assert (len(told["cards"]), told["count"]) == (100, 101)


async def test_statements_do_not_grow(stores: Stores, scope_of: MakeScope, statements: list[str]) -> None:
    """One statement reads one card or twenty, whichever way they are asked for."""
    scope = scope_of()
    ids = [(await publish(stores, scope, note(key=f"k{place}"))).card.card_id for place in range(20)]
    statements.clear()
    await cards.fetch(stores, scope, ids)
    await cards.fetch_versions(stores, scope, [(card_id, 1) for card_id in ids])
    await cards.list_cards(stores, MANIFESTS, scope, CardFilter(labels=("x",)), Window(20))
    assert len([sql for sql in statements if " cards " in sql]) == 3


async def test_reading_is_a_right(stores: Stores, scope_of: MakeScope) -> None:
    """Without `cards:read` nothing is served, and agents have it."""
    agent = scope_of(role=Role.AGENT)
    card = (await publish(stores, scope_of(), note())).card
    assert await cards.fetch(stores, agent, [card.card_id])
    nobody = replace(agent, rights=agent.rights - {Permission.CARDS_READ})
    for refused in (
        cards.fetch(stores, nobody, [card.card_id]),
        cards.fetch_versions(stores, nobody, [(card.card_id, 1)]),
        cards.list_cards(stores, MANIFESTS, nobody, CardFilter(), Window(1)),
        cards.versions(stores, nobody, card.card_id, Window(1)),
        cards.difference(stores, nobody, card.card_id, 1, 1),
        cards.citing(stores, nobody, "asset_1", Window(1)),
    ):
        with pytest.raises(Forbidden):
            await refused
