"""The index follows the cards: current versions alone, whatever order, repetition or failure the journal brings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from index_house import (
    DEFINITIONS,
    ENTRIES,
    EVENTS,
    RUNS,
    VECTORS,
    Meddled,
    actions,
    make_index,
    note,
    publish,
    rows,
    settle,
)
from shipped import MANIFESTS

from nexus_graph import cards, index
from nexus_graph.index import IndexState
from nexus_graph.index.chunking import embedded_text
from nexus_graph.index.embedding import HashingEmbedder
from nexus_graph.safeguards.switches import Known, Target
from nexus_graph.safeguards.switches.engaging import engage
from nexus_graph.scope.errors import Invalid, Unavailable
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.follower import entry
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]
LONG = "\n\n".join(f"Paragraph {number} tells of parcels and their ways. " * 8 for number in range(6))


async def test_a_published_card_is_indexed_in_the_run_of_its_publishing(stores: Stores, scope_of: MakeScope) -> None:
    """One vector for each chunk, named by its characters; the run ends with the event that says so."""
    scope, used = scope_of(), make_index()
    published = await publish(stores, scope, note("returns", LONG))
    version = (published.card.card_id, 1)
    assert await index.states(stores, scope, [version]) == {version: IndexState.PENDING}
    await settle(stores, used)
    assert await index.states(stores, scope, [version]) == {version: IndexState.INDEXED}
    vectors = await rows(stores, scope, VECTORS)
    assert len(vectors) > 1
    for row in vectors:
        text = embedded_text("returns", published.card.text[row["start_at"] : row["end_at"]])
        (expected,) = await HashingEmbedder().embed([text])
        assert row["vector"] == expected.astype("<f4").tobytes()
    (run,) = await rows(stores, scope, RUNS)
    assert (run["status"], run["number"]) == ("SUCCEEDED", 2)
    assert await actions(stores, scope) == ["card.published", "card.indexed"]


async def test_a_revision_replaces_the_vectors_of_the_version_before(stores: Stores, scope_of: MakeScope) -> None:
    """Two revisions of which the index sees only the last: one entry, vectors of that version, every run ended."""
    scope, used = scope_of(), make_index()
    first = await publish(stores, scope, note("returns", LONG))
    await settle(stores, used)
    await publish(stores, scope, note("returns", "Second."), expected_version=1)
    await publish(stores, scope, note("returns", "Third."), expected_version=2)
    await settle(stores, used)
    (entry_row,) = await rows(stores, scope, ENTRIES)
    assert (entry_row["version"], entry_row["state"], entry_row["chunks"]) == (3, "INDEXED", 1)
    assert len(await rows(stores, scope, VECTORS)) == 1
    assert {run["status"] for run in await rows(stores, scope, RUNS)} == {"SUCCEEDED"}
    card_id = first.card.card_id
    assert await index.states(stores, scope, [(card_id, 1), (card_id, 2), (card_id, 3), (card_id, 4)]) == {
        (card_id, 1): IndexState.RETIRED,
        (card_id, 2): IndexState.RETIRED,
        (card_id, 3): IndexState.INDEXED,
    }


async def test_a_retired_card_leaves_the_index(stores: Stores, scope_of: MakeScope) -> None:
    """Its vectors go, its entry says RETIRED, the state is again that of an empty index, the runs have ended."""
    scope, used = scope_of(), make_index()
    published = await publish(stores, scope, note("returns", LONG))
    await settle(stores, used)
    await cards.retire(stores, MANIFESTS, scope, published.card.card_id, 1)
    await settle(stores, used)
    assert await rows(stores, scope, VECTORS) == []
    assert [row["state"] for row in await rows(stores, scope, ENTRIES)] == ["RETIRED"]
    assert [row["state"] for row in await rows(stores, scope, DEFINITIONS)] == ["0" * 64]
    assert await actions(stores, scope) == ["card.published", "card.indexed", "card.retired", "card.unindexed"]
    assert {run["status"] for run in await rows(stores, scope, RUNS)} == {"SUCCEEDED"}


async def test_entries_that_come_again_or_late_change_nothing(stores: Stores, scope_of: MakeScope) -> None:
    """After a crash between rows and checkpoint the whole journal comes again, oldest last: no row, no event more."""
    scope, used = scope_of(), make_index()
    published = await publish(stores, scope, note("returns", "First."))
    await publish(stores, scope, note("returns", "Second."), expected_version=1)
    other = await publish(stores, scope, note("other", "Other."))
    await cards.retire(stores, MANIFESTS, scope, other.card.card_id, 1)
    await settle(stores, used)
    before = [await rows(stores, scope, each) for each in (VECTORS, ENTRIES, DEFINITIONS, EVENTS)]
    late = [entry(row) for row in before[3] if row["action"] in ("card.published", "card.retired")]
    await index.follower(used).deed(stores, scope, [*reversed(late)])
    assert [await rows(stores, scope, each) for each in (VECTORS, ENTRIES, DEFINITIONS, EVENTS)] == before
    assert (await index.states(stores, scope, [(published.card.card_id, 2)])).popitem()[1] is IndexState.INDEXED


async def test_a_card_revised_while_it_is_embedded_ends_up_at_its_new_version(
    stores: Stores, scope_of: MakeScope
) -> None:
    """The vectors of a version that is no longer current are thrown away, never written."""
    scope = scope_of()
    embedder = Meddled()
    used = make_index(embedder)
    await publish(stores, scope, note("returns", "First."))

    async def revise(_: Sequence[str]) -> None:
        embedder.before = None
        await publish(stores, scope, note("returns", "Second."), expected_version=1)

    embedder.before = revise
    await settle(stores, used)
    (row,) = await rows(stores, scope, VECTORS)
    (expected,) = await embedder.embed([embedded_text("returns", "Second.")])
    assert np.array_equal(np.frombuffer(row["vector"], dtype="<f4"), expected)
    assert [row["version"] for row in await rows(stores, scope, ENTRIES)] == [2]
    assert [row["generation"] for row in await rows(stores, scope, DEFINITIONS)] == [1]
    assert {run["status"] for run in await rows(stores, scope, RUNS)} == {"SUCCEEDED"}


async def test_a_run_that_an_agent_opened_is_told_once_and_left_open(stores: Stores, scope_of: MakeScope) -> None:
    """Its cards are told of in it, also when their entries come again; only who opened it ends it."""
    scope, used = scope_of(), make_index()
    async with stores.work(scope, RunKind.RESEARCH) as work:
        work.record(Event("run.opened", "run", work.run_id, redact({}), Handling((), train_ok=False), ends=None))
    named = replace(scope, run_id=work.run_id)
    await publish(stores, named, note("one", "First."))
    await publish(stores, named, note("two", "Second."))
    await settle(stores, used)
    told = ["card.published", "card.published", "card.indexed", "card.indexed"]
    assert await actions(stores, scope) == told
    entries = [entry(row) for row in await rows(stores, scope, EVENTS) if row["action"] == "card.published"]
    await index.follower(used).deed(stores, scope, entries)
    assert await actions(stores, scope) == told
    assert [(run["status"], run["number"]) for run in await rows(stores, scope, RUNS)] == [("RUNNING", 5)]


async def test_several_cards_published_in_one_run_end_it_together(stores: Stores, scope_of: MakeScope) -> None:
    """The run goes on until the last of its cards is indexed; nothing follows its end."""
    scope, used = scope_of(), make_index()
    cards_of_run = [(await publish(stores, scope, note(f"card-{n}", "Text."))).card for n in range(3)]
    async with stores.work(scope, RunKind.PUBLISH) as work:
        for card in cards_of_run:
            work.record(Event("card.published", "card", card.card_id, redact({}), card.handling, ends=None))
    await settle(stores, used)
    run = (await rows(stores, scope, RUNS))[3]
    assert (run["run_id"], run["status"], run["number"]) == (work.run_id, "SUCCEEDED", 6)


async def test_a_card_that_cannot_be_embedded_has_failed_and_hides_no_other(
    stores: Stores, scope_of: MakeScope
) -> None:
    """Its run has FAILED, searches say that they are not complete, its neighbours are found."""
    scope = scope_of()

    async def refuse(texts: Sequence[str]) -> None:
        if any("poison" in text for text in texts):
            raise Invalid("No.")

    used = make_index(Meddled(refuse))
    bad = await publish(stores, scope, note("bad", "poison"))
    good = await publish(stores, scope, note("good", "parcels"))
    await settle(stores, used)
    versions = [(bad.card.card_id, 1), (good.card.card_id, 1)]
    assert [*(await index.states(stores, scope, versions)).values()] == [IndexState.FAILED, IndexState.INDEXED]
    assert [run["status"] for run in await rows(stores, scope, RUNS)] == ["FAILED", "SUCCEEDED"]
    found = await index.search(stores, used, scope, "parcels", cards.CardFilter(), 10)
    assert ([hit.card_id for hit in found.hits], found.complete) == ([good.card.card_id], False)


async def test_an_embedder_that_is_down_only_delays(stores: Stores, scope_of: MakeScope) -> None:
    """Nothing is written and nothing given up while it is down; afterwards the card is indexed."""
    scope = scope_of()

    async def down(_: Sequence[str]) -> None:
        raise Unavailable("Down.")

    embedder = Meddled(down)
    used = make_index(embedder)
    follower = index.follower(used)
    published = await publish(stores, scope, note("returns", "Text."))
    with pytest.raises(Unavailable):
        await follower.catch_up(stores)
    assert await rows(stores, scope, ENTRIES) == []
    embedder.before = None
    assert await follower.catch_up(stores)
    assert await index.wait_indexed(stores, scope, published.seq, 1.0, 0.1)
    assert await index.settled_state(stores, used, scope, published, 1.0, 0.1) is IndexState.INDEXED


async def test_waiting_for_the_index_ends_with_the_truth(stores: Stores, scope_of: MakeScope) -> None:
    """When nobody follows, the wait is over in time and the state says PENDING."""
    published = await publish(stores, scope_of(), note("returns", "Text."))
    assert not await index.wait_indexed(stores, scope_of(), published.seq, 0.01, 0.01)
    assert await index.settled_state(stores, make_index(), scope_of(), published, 0.01, 0.01) is IndexState.PENDING


@pytest.mark.parametrize(("target", "name"), [("EVERYTHING", ""), ("ACTION", "index"), ("PROVIDER", "hashing")])
async def test_a_halted_index_stands_still_and_nobody_waits_for_it(
    stores: Stores, scope_of: MakeScope, target: str, name: str
) -> None:
    """The kill switch halts it by each of its names: PENDING at once; what halts another leaves it alone."""
    scope, used = scope_of(), make_index()
    published = await publish(stores, scope, note("returns", "Text."))
    known = Known(frozenset({"index", "atoms"}), frozenset({"hashing", "onnx"}))
    await engage(stores, scope, known, Target(target), name, "Wrong model.")
    await settle(stores, used)
    async with asyncio.timeout(20):
        assert await index.settled_state(stores, used, scope, published, 1000, 1000) is IndexState.PENDING
    assert await rows(stores, scope, ENTRIES) == []
    other = scope_of("t_globex")
    for kind, not_ours in ((Target.ACTION, "atoms"), (Target.PROVIDER, "onnx")):
        await engage(stores, other, known, kind, not_ours, "Not ours.")
    elsewhere = await publish(stores, other, note("returns", "Text."))
    await settle(stores, used)
    assert await index.settled_state(stores, used, other, elsewhere, 20, 20) is IndexState.INDEXED


async def test_another_embedder_never_mixes_into_a_scope(stores: Stores, scope_of: MakeScope) -> None:
    """Its follower stops before the first row, and the start of its process is refused with the way out."""
    scope = scope_of()
    await publish(stores, scope, note("returns", "Text."))
    await settle(stores, make_index())
    before = await rows(stores, scope, VECTORS)
    await publish(stores, scope, note("more", "Text."))
    other = make_index(Meddled(id="other@1:384:chunk-1"))
    with pytest.raises(Unavailable, match="another embedder"):
        await index.follower(other).catch_up(stores)
    with pytest.raises(Unavailable, match="another embedder"):
        await index.search(stores, other, scope, "text", cards.CardFilter(), 1)
    with pytest.raises(Exception, match=r"t_acme/dev with hashing@v1:384:chunk-1.*nexus-graph reindex"):
        await index.require_definition(stores, other)
    await index.require_definition(stores, make_index())
    assert await rows(stores, scope, VECTORS) == before


async def test_each_scope_has_an_index_of_its_own(stores: Stores, scope_of: MakeScope) -> None:
    """The same card in two tenants and two envs makes rows in each, and no scope tells of another's cards."""
    scopes = [scope_of(), scope_of("t_globex"), scope_of(env=Env.PROD)]
    published = [await publish(stores, scope, note("same", f"Text {place}.")) for place, scope in enumerate(scopes)]
    await settle(stores, make_index())
    for scope, own in zip(scopes, published, strict=True):
        assert [row["card_id"] for row in await rows(stores, scope, VECTORS)] == [own.card.card_id]
        foreign = [(other.card.card_id, 1) for other in published if other is not own]
        assert await index.states(stores, scope, foreign) == {}
