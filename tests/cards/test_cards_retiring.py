"""A retired card leaves the lists and stays readable."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest
from card_texts import MANIFESTS, app, events, note, publish

from nexus_graph import cards
from nexus_graph.scope.errors import Conflict, Forbidden, NotFound
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.paging import Window
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]


async def test_a_retired_card_is_read_but_not_listed(stores: Stores, scope_of: MakeScope) -> None:
    """It is gone from lists unless asked for, and answers by id and version with the time of its retirement."""
    scope = scope_of()
    card = (await publish(stores, scope, note())).card
    retired = await cards.retire(stores, MANIFESTS, scope, card.card_id, 1)
    assert retired.retired_at is not None
    assert await cards.fetch(stores, scope, [card.card_id]) == {card.card_id: retired}
    assert (await cards.fetch_versions(stores, scope, [(card.card_id, 1)]))[card.card_id, 1].text == card.text
    assert (await cards.list_cards(stores, MANIFESTS, scope, cards.CardFilter(), Window(10))).items == ()
    everything = cards.CardFilter(include_retired=True)
    assert (await cards.list_cards(stores, MANIFESTS, scope, everything, Window(10))).items == (retired,)


async def test_what_the_journal_tells(stores: Stores, scope_of: MakeScope) -> None:
    """One event with the version and the surfaces concerned, in a run that the index will close."""
    scope = scope_of()
    card = (await publish(stores, scope, app("review", "runs", "overview"))).card
    await cards.retire(stores, MANIFESTS, scope, card.card_id, 1)
    event = (await events(stores, scope))[-1]
    assert (event["action"], event["subject_id"], event["ends"]) == ("card.retired", card.card_id, None)
    assert orjson.loads(event["payload"]) == {
        "input": {"expectedVersion": 1},
        "output": {
            "cardId": card.card_id,
            "version": 1,
            "digest": card.digest,
            "cardType": "app_definition",
            "surfaces": ["overview", "runs"],
        },
    }


async def test_retiring_is_for_who_has_looked(stores: Stores, scope_of: MakeScope) -> None:
    """A stale version, a second time and an unknown card are refused; nothing is written."""
    scope = scope_of()
    card = (await publish(stores, scope, note())).card
    await publish(stores, scope, note("two\n"), expected_version=1)
    with pytest.raises(Conflict, match="current version is 2"):
        await cards.retire(stores, MANIFESTS, scope, card.card_id, 1)
    await cards.retire(stores, MANIFESTS, scope, card.card_id, 2)
    with pytest.raises(Conflict, match="retired already"):
        await cards.retire(stores, MANIFESTS, scope, card.card_id, 2)
    with pytest.raises(NotFound):
        await cards.retire(stores, MANIFESTS, scope, "card_unknown", 1)
    assert [event["action"] for event in await events(stores, scope)] == ["card.published"] * 2 + ["card.retired"]


async def test_once_is_once(stores: Stores, scope_of: MakeScope) -> None:
    """A repetition under the same key answers the same and does nothing."""
    scope = scope_of()
    card = (await publish(stores, scope, note())).card
    first = await cards.retire(stores, MANIFESTS, scope, card.card_id, 1, once=Once("k", {"card": card.card_id}))
    assert (
        await cards.retire(stores, MANIFESTS, scope, card.card_id, 1, once=Once("k", {"card": card.card_id})) == first
    )
    assert len(await events(stores, scope)) == 2


async def test_retiring_is_a_right_inside_one_scope(stores: Stores, scope_of: MakeScope) -> None:
    """Members and agents may not; another tenant and another env find nothing."""
    card = (await publish(stores, scope_of(), note())).card
    for role in (Role.MEMBER, Role.AGENT):
        with pytest.raises(Forbidden):
            await cards.retire(stores, MANIFESTS, scope_of(role=role), card.card_id, 1)
    for elsewhere in (scope_of("t_globex"), scope_of(env=Env.PROD)):
        with pytest.raises(NotFound):
            await cards.retire(stores, MANIFESTS, elsewhere, card.card_id, 1)
