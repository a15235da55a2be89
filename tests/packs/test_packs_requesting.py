"""A request becomes one sealed pack, kept once, journalled each time, whole in a few statements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from pack_house import ASK, NOTES, fill, make_index, note, publish, settle

from nexus_graph import cards, packs
from nexus_graph.cards import CardFilter
from nexus_graph.packs import Ask, ExcerptChoice, ExcerptRule
from nexus_graph.scope.errors import Forbidden, Invalid
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.paging import Window
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]
EVENTS = Statement("select * from journal_events where tenant_id = :tenant_id and env = :env order by seq")


async def events(stores: Stores, scope: Scope, action: str) -> list[Any]:
    """The scope's events of one kind."""
    async with stores.read(scope) as read:
        return [row for row in await read.rows(EVENTS) if row["action"] == action]


async def test_a_pack_names_cards_as_they_are(stores: Stores, scope_of: MakeScope) -> None:
    """Ranks from 1, falling scores, versions, digests, and excerpts that are slices of the cards' texts."""
    scope, used = scope_of(), make_index()
    await fill(stores, scope, used)
    served = await packs.request(stores, used, scope, ASK)
    contents = served.pack.contents
    assert [ref.rank for ref in contents.refs] == [1, 2, 3]
    assert [ref.score for ref in contents.refs] == sorted((ref.score for ref in contents.refs), reverse=True)
    assert contents.refs[0].card_id == cards.card_id_of(scope, "returns")
    current = await cards.fetch(stores, scope, [ref.card_id for ref in contents.refs], record=False)
    for ref in contents.refs:
        card = current[ref.card_id]
        assert (ref.version, ref.card_digest, ref.artifact_refs) == (card.version, card.digest, card.artifact_refs)
        assert ref.excerpt is not None
        assert card.text[ref.excerpt.start : ref.excerpt.end] == ref.excerpt.text != ""
    assert (contents.complete, contents.exact, contents.policy_version) == (True, True, scope.policy_version)
    assert contents.definition_id == used.definition_id


async def test_the_same_request_is_the_same_pack_served_again(stores: Stores, scope_of: MakeScope) -> None:
    """By another person, in another role, later: the same row; each time a run of its own and an event."""
    scope, used = scope_of(), make_index()
    await fill(stores, scope, used)
    first = await packs.request(stores, used, scope, ASK)
    agent = scope_of(role=Role.AGENT)
    second = await packs.request(stores, make_index(), agent, ASK)
    assert second.pack == first.pack
    assert (first.new, second.new) == (True, False)
    assert second.pack.first_served_by == scope.principal.id
    told = await events(stores, scope, "pack.served")
    assert [(row["run_id"], row["kind"], row["ends"]) for row in told] == [
        (first.run_id, "PACK", "SUCCEEDED"),
        (second.run_id, "PACK", "SUCCEEDED"),
    ]
    payload = orjson.loads(told[0]["payload"])
    assert payload["output"]["refs"] == [
        {"cardId": ref.card_id, "version": ref.version} for ref in first.pack.contents.refs
    ]
    assert "shoe" not in told[0]["payload"]


async def test_another_state_or_request_is_another_pack(stores: Stores, scope_of: MakeScope) -> None:
    """A card more, though not among the results, is another state; so is each part of the request."""
    scope, used = scope_of(), make_index()
    await fill(stores, scope, used)
    ids = [(await packs.request(stores, used, scope, ask)).pack.pack_id for ask in (
        ASK,
        replace(ASK, text="Why do shoes come back?"),
        replace(ASK, k=2),
        replace(ASK, chosen=CardFilter()),
        replace(ASK, excerpt=ExcerptChoice(ExcerptRule.FIRST_CHARACTERS, 10)),
    )]  # fmt: skip
    await publish(stores, scope, note("far", "Nothing to do with it."))
    pending = await packs.request(stores, used, scope, ASK)
    assert not pending.pack.contents.complete
    await settle(stores, used)
    ids += [pending.pack.pack_id, (await packs.request(stores, used, scope, ASK)).pack.pack_id]
    assert len(set(ids)) == 7


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ExcerptChoice(ExcerptRule.FIRST_CHARACTERS, 7), "Körper "),
        (ExcerptChoice(ExcerptRule.FIRST_CHARACTERS, 4000), "Körper 😀 und mehr.\n"),
        (ExcerptChoice(ExcerptRule.HEADER_FIELD, None, "title"), "Über Körper"),
        (ExcerptChoice(ExcerptRule.HEADER_FIELD, None, "topic"), "it''s 😀"),
        (ExcerptChoice(ExcerptRule.HEADER_FIELD, None, "labels"), None),
        (ExcerptChoice(ExcerptRule.HEADER_FIELD, None, "missing"), None),
        (ExcerptChoice(ExcerptRule.BEST_CHUNK), "Körper 😀 und mehr."),
    ],
)
async def test_an_excerpt_is_a_slice_of_the_card(
    stores: Stores, scope_of: MakeScope, choice: ExcerptChoice, expected: str | None
) -> None:
    """Of the body's beginning, of a header field as written without its quotes, or of the best chunk."""
    scope, used = scope_of(), make_index()
    header = "card_type: note\nkey: k\ntitle: Über Körper\ntopic: 'it''s 😀'\nlabels: [a, 'b']\n"
    card = await publish(stores, scope, f"---\n{header}---\nKörper 😀 und mehr.\n")
    await settle(stores, used)
    (ref,) = (await packs.request(stores, used, scope, Ask("Körper", excerpt=choice))).pack.contents.refs
    assert (None if ref.excerpt is None else ref.excerpt.text) == expected
    if ref.excerpt is not None:
        assert card.text[ref.excerpt.start : ref.excerpt.end] == expected


async def test_no_statement_more_for_a_larger_pack(stores: Stores, scope_of: MakeScope, statements: list[str]) -> None:
    """A pack of 50 costs as many statements as a pack of 1."""
    scope, used = scope_of(), make_index()
    for n in range(60):
        await publish(stores, scope, note(f"card-{n}", f"Parcel number {n}."))
    await settle(stores, used)
    await packs.request(stores, used, scope, Ask("warm"))
    costs = []
    for k in (1, 7, 50):
        statements.clear()
        assert len((await packs.request(stores, used, scope, Ask("parcel", k=k))).pack.contents.refs) == k
        costs.append(len(statements))
    assert len(set(costs)) == 1
    assert 0 < costs[0] <= 20


async def test_packs_are_invisible_to_other_scopes(stores: Stores, scope_of: MakeScope) -> None:
    """The same question in another tenant or env sees its own cards; foreign packs are as unknown ones."""
    used = make_index()
    scopes = [scope_of(), scope_of("t_globex"), scope_of(env=Env.PROD)]
    for scope in scopes:
        await fill(stores, scope, used)
    served = [(await packs.request(stores, used, scope, ASK)).pack for scope in scopes]
    assert len({pack.pack_id for pack in served}) == 3
    for scope, own in zip(scopes, served, strict=True):
        ids = [pack.pack_id for pack in served]
        assert [*await packs.fetch(stores, scope, [*ids, "pack_unknown"])] == [own.pack_id]
        assert [pack.pack_id for pack in (await packs.list_packs(stores, scope, Window(10))).items] == [own.pack_id]


async def test_packs_are_listed_by_when_they_were_first_served(stores: Stores, scope_of: MakeScope) -> None:
    """Latest first, page by page, unchanged when one is served again; looking at them is journalled once a call."""
    scope, used = scope_of(), make_index()
    await fill(stores, scope, used)
    ids = [(await packs.request(stores, used, scope, replace(ASK, k=k))).pack.pack_id for k in (1, 2, 3)]
    await packs.request(stores, used, scope, replace(ASK, k=1))
    first = await packs.list_packs(stores, scope, Window(2))
    rest = await packs.list_packs(stores, scope, Window(2, after=first.keys[-1]))
    assert [pack.pack_id for pack in (*first.items, *rest.items)] == ids[::-1]
    await packs.fetch(stores, scope, ids)
    told = [orjson.loads(row["payload"])["input"] for row in await events(stores, scope, "packs.read")]
    assert [each["count"] for each in told] == [2, 1, 3]


async def test_a_pack_is_handled_as_its_most_delicate_part(stores: Stores, scope_of: MakeScope) -> None:
    """Personal data in a card or in the question flags the pack; consent that one card lacks is lacking."""
    scope, used = scope_of(), make_index()
    await fill(stores, scope, used)
    plain = (await packs.request(stores, used, scope, ASK)).pack.handling
    asked = (await packs.request(stores, used, scope, replace(ASK, text="mail of jane@example.com"))).pack.handling
    text = note("private", "Parcels of shoes of jane@example.com come back.")
    await cards.publish(stores, used.manifests, scope, text, train_ok=False)
    await settle(stores, used)
    cited = (await packs.request(stores, used, scope, ASK)).pack.handling
    assert [(each.pii_flags, each.train_ok) for each in (plain, asked, cited)] == [
        ((), True),
        (("email",), True),
        (("email",), False),
    ]


async def test_what_cannot_be_asked_is_refused(stores: Stores, scope_of: MakeScope) -> None:
    """Without the right, out of bounds or with a filter that means nothing: no pack, no event."""
    scope, used = scope_of(), make_index()
    for ask in (replace(ASK, k=51), replace(ASK, text=" "), replace(ASK, chosen=CardFilter(include_retired=True))):
        with pytest.raises(Invalid):
            await packs.request(stores, used, scope, ask)
    with pytest.raises(Forbidden):
        await packs.request(stores, used, replace(scope, rights=frozenset()), ASK)
    assert await events(stores, scope, "pack.served") == []


async def test_an_empty_scope_gives_an_empty_pack(stores: Stores, scope_of: MakeScope) -> None:
    """No card is an answer too."""
    served = await packs.request(stores, make_index(), scope_of(), ASK)
    assert (served.pack.contents.refs, served.pack.contents.complete) == ((), True)
    assert len(NOTES) > ASK.k
