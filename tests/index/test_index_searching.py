"""Search is exact, in one order, over the current cards of one scope, and says what it could not know."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from engines import behind
from index_house import EVENTS, VECTORS, Meddled, make_index, note, publish, rows, settle
from numpy.typing import NDArray
from shipped import MANIFESTS

from nexus_graph import cards, index
from nexus_graph.cards import CardFilter, Comparison, FieldCondition
from nexus_graph.index import loading, nominating
from nexus_graph.index.chunking import chunks, embedded_text
from nexus_graph.index.definition import Definition
from nexus_graph.index.embedding import HashingEmbedder
from nexus_graph.index.nominating import everything
from nexus_graph.index.searching import ask, nearest
from nexus_graph.safeguards.switches import Known, Target
from nexus_graph.safeguards.switches.engaging import engage
from nexus_graph.scope.errors import Forbidden, Halted, Invalid, Unavailable
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.vectors.base import Change, Nomination
from nexus_graph.stores.vectors.local import LocalVectors, LocalView
from nexus_graph.stores.vectors.scoring import score
from nexus_graph.stores.work import Read, Stores

MakeScope = Callable[..., Scope]
WORDS = ["parcel", "return", "shoe", "coat", "linen", "price", "discount", "spring", "winter", "porto", "margin"]
EVERYTHING = CardFilter()


def body(seed: int) -> str:
    """Some paragraphs out of few words."""
    chance = random.Random(seed)  # noqa: S311 - reproducible texts
    return "\n\n".join(" ".join(chance.choices(WORDS, k=90)) + "." for _ in range(chance.randint(1, 4)))


async def fill(stores: Stores, scope: Scope, count: int) -> dict[str, cards.Card]:
    """That many notes, by card id."""
    published = [await publish(stores, scope, note(f"card-{seed}", body(seed))) for seed in range(count)]
    return {each.card.card_id: each.card for each in published}


async def ids(stores: Stores, used: index.Index, scope: Scope, text: str, chosen: CardFilter, k: int) -> list[str]:
    """The ids of the cards found."""
    return [hit.card_id for hit in (await index.search(stores, used, scope, text, chosen, k)).hits]


async def test_the_hits_are_the_best_chunks_of_the_best_cards(stores: Stores, scope_of: MakeScope) -> None:
    """Against embedding every chunk by hand: same cards, same scores, same order, and each text is a slice."""
    scope, used = scope_of(), make_index()
    made = await fill(stores, scope, 30)
    await settle(stores, used)
    embedder = HashingEmbedder()
    query = (await embedder.embed(["linen discount"]))[0]
    expected = []
    for card in made.values():
        pieces = chunks(card.text, len(card.text) - len(card.body), embedder.count_tokens)
        rows_of_card = await embedder.embed([embedded_text(card.title or "", p.text) for p in pieces])
        scores = score(rows_of_card, query).tolist()
        at = max(range(len(scores)), key=lambda place: (scores[place], -place))
        expected.append((-scores[at], card.card_id, pieces[at].start, pieces[at].end))
    expected.sort()
    result = await index.search(stores, used, scope, "linen discount", EVERYTHING, 12)
    assert [(-hit.score, hit.card_id, hit.start, hit.end) for hit in result.hits] == expected[:12]
    assert all(made[hit.card_id].text[hit.start : hit.end] == hit.text for hit in result.hits)
    assert (result.complete, result.exact, result.definition_id) == (True, True, embedder.id)


async def test_equal_scores_stand_in_the_order_of_card_ids(stores: Stores, scope_of: MakeScope) -> None:
    """Twins under different keys; also where the number of results cuts through the twins."""
    scope, used = scope_of(), make_index()
    text = "---\ncard_type: note\nkey: {}\ntitle: Twin\n---\nParcels come back.\n"
    twins = sorted([(await publish(stores, scope, text.format(f"twin-{n}"))).card.card_id for n in range(8)])
    await settle(stores, used)
    assert await ids(stores, used, scope, "parcels", EVERYTHING, 8) == twins
    assert await ids(stores, used, scope, "parcels", EVERYTHING, 3) == twins[:3]
    assert await ids(stores, used, scope, "!!!", EVERYTHING, 3) == twins[:3]


@dataclass(frozen=True, slots=True)
class Everything:
    """A view that names every row, the last first, and promises nothing."""

    keys: list[tuple[str, int]]
    generation: int = 1 << 40

    async def nominate(self, query: object, k: int, *, only: object = None, without: object = ()) -> Nomination:
        """All."""
        return Nomination(tuple(reversed(self.keys)), exact=False)


class Generous(LocalVectors):
    """A vector index of such views."""

    def __init__(self, keys: list[tuple[str, int]]) -> None:
        super().__init__()
        self.keys = keys

    async def view(self, space: object) -> Any:
        """The view."""
        return Everything(self.keys)


async def test_the_order_does_not_depend_on_who_nominates(stores: Stores, scope_of: MakeScope) -> None:
    """Another vector index that names too many, in another order, changes nothing but `exact`."""
    scope, used = scope_of(), make_index()
    text = "---\ncard_type: note\nkey: {}\ntitle: Twin\n---\nParcels come back.\n\n" + "linen coat " * 80
    for n in range(5):
        await publish(stores, scope, text.format(f"twin-{n}"))
    await fill(stores, scope, 5)
    await settle(stores, used)
    keys = [(row["card_id"], row["ordinal"]) for row in await rows(stores, scope, VECTORS)]
    other = index.Index(used.embedder, used.manifests, Generous(keys))
    for query in ("parcels", "linen coat", "!!!"):
        expected = await index.search(stores, used, scope, query, EVERYTHING, 4)
        found = await index.search(stores, other, scope, query, EVERYTHING, 4)
        assert found == replace(expected, exact=False)


async def test_a_filter_chooses_before_the_nearest_are_taken(stores: Stores, scope_of: MakeScope) -> None:
    """The k nearest of those meant, not those meant of the k nearest; a filter that means none finds none."""
    scope, used = scope_of(), make_index()
    for n in range(12):
        await publish(stores, scope, note(f"near-{n}", "parcels parcels parcels"))
    far = await publish(stores, scope, note("far", "Something else.", "topic: far\nlabels: [rare]\n"))
    await settle(stores, used)
    for chosen in (
        CardFilter(labels=("rare",)),
        CardFilter(types=("note",), fields=(FieldCondition("topic", Comparison.EQUALS, ("far",)),)),
    ):
        assert await ids(stores, used, scope, "parcels", chosen, 3) == [far.card.card_id]
    assert await ids(stores, used, scope, "parcels", CardFilter(labels=("none",)), 3) == []


async def test_only_current_unretired_versions_are_found(stores: Stores, scope_of: MakeScope) -> None:
    """Before the index has caught up, outdated versions and retired cards are left out, and others take their place."""
    scope, used = scope_of(), make_index()
    revised = await publish(stores, scope, note("revised", "parcels parcels"))
    retired = await publish(stores, scope, note("retired", "parcels parcels parcels"))
    stays = await publish(stores, scope, note("stays", "one parcel among much else that is told here"))
    await settle(stores, used)
    assert len(await ids(stores, used, scope, "parcels", EVERYTHING, 3)) == 3
    await publish(stores, scope, note("revised", "linen"), expected_version=1)
    await cards.retire(stores, MANIFESTS, scope, retired.card.card_id, 1)
    behind = await index.search(stores, used, scope, "parcels", EVERYTHING, 1)
    assert ([hit.card_id for hit in behind.hits], behind.complete) == ([stays.card.card_id], False)
    await settle(stores, used)
    after = await index.search(stores, used, scope, "parcels", EVERYTHING, 3)
    assert {(hit.card_id, hit.version) for hit in after.hits} == {(revised.card.card_id, 2), (stays.card.card_id, 1)}
    assert after.complete


async def test_a_retired_card_alone_does_not_make_a_search_incomplete(stores: Stores, scope_of: MakeScope) -> None:
    """What is retired is not missing, even before the index has taken it out."""
    scope, used = scope_of(), make_index()
    retired = await publish(stores, scope, note("retired", "parcels"))
    await settle(stores, used)
    await cards.retire(stores, MANIFESTS, scope, retired.card.card_id, 1)
    result = await index.search(stores, used, scope, "parcels", EVERYTHING, 3)
    assert (result.hits, result.complete) == ((), True)


async def test_a_memory_brought_up_to_date_equals_a_fresh_one(stores: Stores, scope_of: MakeScope) -> None:
    """After revisions, retirements and evictions, the index in memory finds what one read from the rows finds."""
    scope, used, tiny = scope_of(), make_index(), make_index(budget=1)
    made = [*(await fill(stores, scope, 12)).values()]
    for step, card in enumerate(made):
        await settle(stores, used)
        expected = await index.search(stores, make_index(), scope, "porto margin shoe", EVERYTHING, 20)
        assert await index.search(stores, used, scope, "porto margin shoe", EVERYTHING, 20) == expected
        assert await index.search(stores, tiny, scope, "porto margin shoe", EVERYTHING, 20) == expected
        await index.search(stores, tiny, scope_of("t_globex"), "porto", EVERYTHING, 1)
        if step % 3:
            await publish(stores, scope, note(card.key, body(100 + step)), expected_version=1)
        else:
            await cards.retire(stores, MANIFESTS, scope, card.card_id, 1)
            await publish(stores, scope, note(f"new-{step}", body(200 + step)))


async def test_the_index_state_names_what_is_indexed_and_nothing_else(stores: Stores, scope_of: MakeScope) -> None:
    """However the cards came and in how many steps, the same cards are the same state; another text is another."""
    acme, used = scope_of(), make_index()
    states: list[str] = []
    for order in ([1, 2, 3], [3, 1, 2]):
        for seed in order:
            await publish(stores, acme, note(f"card-{seed}-{len(states)}", body(seed)))
            if order[0] == 1:
                await settle(stores, used)
        await settle(stores, used)
        result = await index.search(stores, used, acme, "linen", EVERYTHING, 1)
        states.append(result.index_state)
    last = await publish(stores, acme, note("extra", "Extra."))
    await settle(stores, used)
    with_extra = (await index.search(stores, used, acme, "linen", EVERYTHING, 1)).index_state
    await cards.retire(stores, MANIFESTS, acme, last.card.card_id, 1)
    await settle(stores, used)
    assert (await index.search(stores, used, acme, "linen", EVERYTHING, 1)).index_state == states[1]
    assert len({*states, with_extra}) == 3


async def test_no_statement_more_for_more_results_or_cards(
    stores: Stores, scope_of: MakeScope, statements: list[str]
) -> None:
    """Once the vectors are in memory, one result among 5 cards costs as many statements as 40 among 60."""
    scope, used = scope_of(), make_index()
    costs = []
    for count, k in ((5, 1), (60, 40)):
        for n in range(count):
            await publish(stores, scope, note(f"{count}-{n}", body(n)))
        await settle(stores, used)
        await index.search(stores, used, scope, "linen", EVERYTHING, k)
        statements.clear()
        found = await index.search(stores, used, scope, "linen", CardFilter(types=("note",)), k)
        looked = [sql for sql in statements if sql.startswith("select")]
        assert len(found.hits) == k
        costs.append(len(looked))
    assert 0 < costs[0] == costs[1] <= 7


async def test_a_search_sees_its_own_tenant_and_env_alone(stores: Stores, scope_of: MakeScope) -> None:
    """The nearest text stands in another tenant and in another env; neither is found, and both share one memory."""
    used = make_index()
    own = await publish(stores, scope_of(), note("own", "Something about coats."))
    for other in (scope_of("t_globex"), scope_of(env=Env.PROD)):
        await publish(stores, other, note("own", "secret parcels of others"))
    await settle(stores, used)
    for scope in (scope_of("t_globex"), scope_of(env=Env.PROD), scope_of()):
        found = await index.search(stores, used, scope, "secret parcels", EVERYTHING, 10)
        assert len(found.hits) == 1
    assert [hit.card_id for hit in found.hits] == [own.card.card_id]


async def test_an_older_snapshot_is_not_told_of_what_came_later(stores: Stores, scope_of: MakeScope) -> None:
    """What one search learnt of newer cards is not held against a search that began before they came."""
    scope, used = scope_of(), make_index()
    await fill(stores, scope, 3)
    await settle(stores, used)
    question = await ask(stores, used, scope, "linen", EVERYTHING, 10)
    async with stores.read(scope) as earlier:
        before = await nearest(earlier, make_index(), question)
        await publish(stores, scope, note("card-0", "linen"), expected_version=1)
        newer = await index.search(stores, used, scope, "linen", EVERYTHING, 10)
        assert (len(newer.hits), newer.complete) == (2, False)
        assert await nearest(earlier, used, question) == before
    assert before.complete


async def test_an_empty_scope_answers(stores: Stores, scope_of: MakeScope) -> None:
    """Nothing is there, and nothing is missing."""
    result = await index.search(stores, make_index(), scope_of(), "anything", EVERYTHING, 10)
    assert (result.hits, result.complete, result.exact, result.index_state) == ((), True, True, "0" * 64)


@pytest.mark.parametrize(
    ("text", "chosen", "k", "path"),
    [
        ("", EVERYTHING, 1, ("text",)),
        (" \n", EVERYTHING, 1, ("text",)),
        ("a" * 8193, EVERYTHING, 1, ("text",)),
        ("\ud800", EVERYTHING, 1, ("text",)),
        ("a", EVERYTHING, 0, ("k",)),
        ("a", EVERYTHING, 101, ("k",)),
        ("a", CardFilter(include_retired=True), 1, ("include_retired",)),
        ("a", CardFilter(types=("No Type",)), 1, ("types", 0)),
    ],
)
async def test_what_cannot_be_searched_is_refused(
    stores: Stores, scope_of: MakeScope, text: str, chosen: CardFilter, k: int, path: tuple[str, ...]
) -> None:
    """A clear error that leads to the argument, before anything is embedded or journalled."""
    with pytest.raises(Invalid) as refused:
        await index.search(stores, make_index(), scope_of(), text, chosen, k)
    assert refused.value.path == path
    assert await rows(stores, scope_of(), EVENTS) == []


async def test_a_search_needs_the_right(stores: Stores, scope_of: MakeScope) -> None:
    """Without `index:search` nothing is looked at."""
    scope = Scope.system("t_acme", Env.DEV, "test")
    nobody = type(scope)(**{name: getattr(scope, name) for name in scope.__slots__} | {"rights": frozenset()})
    with pytest.raises(Forbidden):
        await index.search(stores, make_index(), nobody, "text", EVERYTHING, 1)


async def test_the_journal_keeps_the_search_without_its_text(stores: Stores, scope_of: MakeScope) -> None:
    """One event: digest of the text, what was found and its labels; neither question nor excerpts."""
    scope, used = scope_of(role=Role.AGENT), make_index()
    published = await publish(stores, scope_of(), note("mail", "Write to jane@example.com about parcels."))
    await settle(stores, used)
    await index.search(stores, used, scope, "who is jane of the parcels", EVERYTHING, 5)
    event = (await rows(stores, scope, EVENTS))[-1]
    assert (event["action"], event["kind"], event["ends"]) == ("cards.searched", "SEARCH", "SUCCEEDED")
    assert published.card.card_id in event["payload"]
    assert "jane" not in event["payload"]
    assert event["pii_flags"] == '["email"]'


async def test_rows_that_do_not_fit_are_never_passed_over(
    stores: Stores, scope_of: MakeScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vector that disappeared under the memory, or has another length, stops the search and says what to do."""
    scope, used = scope_of(), make_index()
    await publish(stores, scope, note("one", "parcels"))
    await settle(stores, used)
    await index.search(stores, used, scope, "parcels", EVERYTHING, 1)
    async with behind(stores) as connection:
        await connection.rows("update index_vectors set vector = :bytes", {"bytes": bytes(4)})
    with pytest.raises(Unavailable, match="dimension"):
        await index.search(stores, used, scope, "parcels", EVERYTHING, 1)
    async with behind(stores) as connection:
        await connection.rows("delete from index_vectors", {})
    for many in (256, 0):  # few candidates, and many
        monkeypatch.setattr(nominating, "_SETTLED", many)
        with pytest.raises(Unavailable, match="not there"):
            await index.search(stores, used, scope, "parcels", EVERYTHING, 1)


async def test_one_search_sees_one_state(stores: Stores, scope_of: MakeScope) -> None:
    """Cards that are published and indexed while the question is embedded are all in; the answer fits its own state."""
    scope = scope_of()
    await fill(stores, scope, 3)
    plain = make_index()
    await settle(stores, plain)

    async def grow(_: object) -> None:
        await publish(stores, scope, note("late", "linen linen linen"))
        await settle(stores, plain)

    used = index.Index(Meddled(grow), plain.manifests, plain.vectors)
    late = await index.search(stores, used, scope, "linen", EVERYTHING, 10)
    assert late == await index.search(stores, make_index(), scope, "linen", EVERYTHING, 10)
    assert len(late.hits) == 4


async def test_a_halted_embedder_is_given_no_question(stores: Stores, scope_of: MakeScope) -> None:
    """A search answers Halted before its text leaves the house; another tenant's is answered."""
    asked: list[object] = []

    async def note_down(texts: object) -> None:
        asked.append(texts)

    used = make_index(Meddled(note_down))
    known = Known(frozenset(), frozenset({"hashing"}))
    await engage(stores, scope_of(), known, Target.PROVIDER, "hashing", "It leaks.")
    with pytest.raises(Halted, match="The provider hashing is halted"):
        await index.search(stores, used, scope_of(), "linen", EVERYTHING, 10)
    assert asked == []
    assert (await index.search(stores, used, scope_of("t_globex"), "linen", EVERYTHING, 10)).hits == ()
    assert asked == [["linen"]]


async def test_vectors_are_loaded_to_the_end_when_who_asked_has_gone(
    stores: Stores, scope_of: MakeScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits too long is told to come again; the rows are read once for all who come, and kept."""
    scope, other, used = scope_of(), scope_of(tenant_id="t_south"), make_index()
    made, of_other = await fill(stores, scope, 5), await fill(stores, other, 1)
    await settle(stores, used)
    cold, go_on, reads = make_index(), asyncio.Event(), 0

    async def slow(read: Read, used: index.Index, definition: Definition) -> AsyncIterator[Change]:
        nonlocal reads
        if read.scope.tenant_id == scope.tenant_id:
            reads += 1
            await go_on.wait()
        async for piece in everything(read, used, definition):
            yield piece

    monkeypatch.setattr(nominating, "everything", slow)
    monkeypatch.setattr(loading, "PATIENCE_SECONDS", 0.05)
    for _ in range(3):
        with pytest.raises(Unavailable, match="being loaded"):
            await index.search(stores, cold, scope, "parcel", EVERYTHING, 5)
    assert await ids(stores, cold, other, "parcel", EVERYTHING, 5) == [*of_other]  # nobody else waits
    go_on.set()
    monkeypatch.setattr(loading, "PATIENCE_SECONDS", 20)
    assert {*await ids(stores, cold, scope, "parcel", EVERYTHING, 5)} == {*made}
    assert reads == 1


async def test_more_vectors_than_one_statement_reads_are_all_loaded(
    stores: Stores, scope_of: MakeScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Piece by piece, also where a piece ends amid the chunks of a card."""
    monkeypatch.setattr(nominating, "_IN_A_ROW", 3)
    scope, used = scope_of(), make_index()
    made = await fill(stores, scope, 10)
    await settle(stores, used)
    cold = make_index()
    assert {*await ids(stores, cold, scope, "parcel", EVERYTHING, 20)} == {*made}
    async for keys, matrix in cold.vectors.held(cold.space(scope)):
        held = dict(zip(keys, matrix, strict=True))
    kept = await rows(stores, scope, VECTORS)
    assert [*held] == [(row["card_id"], row["ordinal"]) for row in kept]
    for row in kept:
        assert np.abs(held[row["card_id"], row["ordinal"]] - np.frombuffer(row["vector"], "<f4")).max() < 0.01


async def test_many_candidates_are_read_best_first_until_no_other_can_win(
    stores: Stores, scope_of: MakeScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All twins are read, since their ids decide; what is clearly worse is not; the hits stay the same."""
    scope, used = scope_of(), make_index()
    text = "---\ncard_type: note\nkey: {}\ntitle: Twin\n---\nParcels come back.\n"
    for number in range(9):
        await publish(stores, scope, text.format(f"twin-{number}"))
    await fill(stores, scope, 6)
    await settle(stores, used)
    expected = [await index.search(stores, used, scope, "parcels", EVERYTHING, k) for k in (1, 4, 12)]
    read_at: list[int] = []

    def noted(matrix: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float64]:
        read_at.append(len(matrix))
        return score(matrix, query)

    async def all_of_them(view: LocalView, query: NDArray[np.float32], k: int, **asked: Any) -> Nomination:
        return await nominate(view, query, max(k, 100), **asked)

    nominate = LocalView.nominate
    monkeypatch.setattr(nominating, "_SETTLED", 0)
    monkeypatch.setattr(nominating, "_IN_A_ROW", 2)
    monkeypatch.setattr(nominating, "score", noted)
    monkeypatch.setattr(LocalView, "nominate", all_of_them)
    found = [await index.search(stores, used, scope, "parcels", EVERYTHING, k) for k in (1, 4, 12)]
    assert found == expected
    assert read_at[:10] == [2] * 10
    assert 10 <= len(read_at) < 20
