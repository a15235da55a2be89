"""Search: the cards whose best chunk is nearest to a text, exactly, in one order, from one state of the index.

The text is embedded before the snapshot is opened, and a copy of the vectors on a server is asked (`foreseeing`). In
the snapshot, where there is none, the index in memory is brought up to date with the rows and nominates candidates;
either way the candidates' rows give scores and excerpts.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from operator import and_

import numpy as np
from numpy.typing import NDArray

from nexus_graph.cards.model import CardFilter
from nexus_graph.index import table
from nexus_graph.index.definition import UNDEFINED, Definition, Index, active
from nexus_graph.index.filters import check_filter, filter_json
from nexus_graph.index.foreseeing import Foreseen, foresee, nominees
from nexus_graph.index.loading import loaded
from nexus_graph.index.model import MAX_HITS, CardHit, SearchResult, VectorSource, check_query, query_digest
from nexus_graph.index.nominating import matrix_of, meant, missing, settled, whole
from nexus_graph.safeguards import switches
from nexus_graph.scope.canonical import Json, digest
from nexus_graph.scope.errors import Unavailable
from nexus_graph.scope.handling import Handling, kept
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.vectors.base import Key, Nomination, View
from nexus_graph.stores.vectors.scoring import score
from nexus_graph.stores.work import Read, Stores


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A checked and embedded search.

    `view` was the newest copy of the vectors in memory before any snapshot was opened, `foreseen` what a copy on a
    server named before that. `otherwise`: who answers where it named nothing.
    """

    vector: NDArray[np.float32]
    chosen: CardFilter
    k: int
    view: View
    foreseen: Foreseen | None
    otherwise: VectorSource


async def search(stores: Stores, index: Index, scope: Scope, text: str, chosen: CardFilter, k: int) -> SearchResult:
    """The `k` (1 to 100) current cards nearest to `text` (1 to 8,192 characters) among those that the filter means.

    Raises Invalid for text, filter or k, Unavailable when the scope was indexed with another embedder, Halted when the
    embedder is halted.
    """
    scope.require(Permission.INDEX_SEARCH)
    question = await ask(stores, index, scope, text, chosen, k)
    async with stores.read(scope) as read:
        result = await nearest(read, index, question)
    cards: list[Json] = [{"cardId": hit.card_id, "version": hit.version} for hit in result.hits]
    asked: Json = {"queryDigest": query_digest(text), "filterDigest": digest(filter_json(chosen)), "k": k}
    found: dict[str, Json] = {"cards": cards, "complete": result.complete, "indexState": result.index_state}
    found["answeredBy"] = result.answered_by.value
    handling = reduce(and_, (hit.handling for hit in result.hits)) if result.hits else Handling((), train_ok=False)
    event = Event("cards.searched", "index", "", redact({"input": asked, "output": found}), handling)
    await stores.record(scope, RunKind.SEARCH, event)
    return result


async def ask(
    stores: Stores, index: Index, scope: Scope, text: str, chosen: CardFilter, k: int, most: int = MAX_HITS
) -> Question:
    """Check and embed a search. Raises Invalid, and Halted when the embedder is halted."""
    check_query(text, k, most)
    check_filter(chosen, index.manifests)
    await switches.require(stores, scope, None, index.embedder.provider)
    (vector,) = await index.embedder.embed([text])
    foreseen, otherwise = await foresee(stores, index, scope, vector, chosen, k)
    if foreseen is None:
        view = await loaded(stores, index, scope)
    else:
        view = await index.vectors.view(index.space(scope))
    return Question(vector, chosen, k, view, foreseen, otherwise)


async def nearest(read: Read, index: Index, question: Question) -> SearchResult:
    """Answer a question from the state that the handle sees."""
    definition = await active(read, index) or UNDEFINED
    standing = await index.standings.of(read, index.definition_id, definition.generation)
    only = await meant(read, question.chosen)
    nomination, source = await _nomination(read, index, question, definition, only, standing.outdated)
    keys = await settled(read, index, nomination, question.vector, question.k)
    hits = await _scored(read, index, question, keys)
    return SearchResult(hits, not standing.missing, nomination.exact, index.definition_id, definition.state, source)


async def _nomination(
    read: Read,
    index: Index,
    question: Question,
    definition: Definition,
    only: frozenset[str] | None,
    outdated: frozenset[str],
) -> tuple[Nomination, VectorSource]:
    """By the copy on a server, where it answered and can be exact; else by the copy in memory. And by which."""
    named, by = None, question.otherwise
    if question.foreseen is not None:
        by = question.foreseen.by
        with suppress(Unavailable):  # too much changed since: the memory may hold it all the same
            named = await nominees(
                read, index, question.foreseen, question.vector, question.k, definition, only, outdated
            )
    if named is not None and named.exact:
        return named, by
    try:
        view = await whole(read, index, question.view, definition)
    except Unavailable:
        if named is None:
            raise
        return named, by
    return await view.nominate(question.vector, question.k, only=only, without=outdated), question.otherwise


async def _scored(read: Read, index: Index, question: Question, nominated: tuple[Key, ...]) -> tuple[CardHit, ...]:
    """The best chunk of each of the k best cards; equal scores by card id, equal chunks of a card by their order."""
    if not nominated:
        return ()
    ids = [*dict.fromkeys(card_id for card_id, _ in nominated)]
    ordinals = sorted({ordinal for _, ordinal in nominated})
    found = await read.rows(table.CHUNKS, definition_id=index.definition_id, ids=ids, ordinals=ordinals)
    rows = {(row["card_id"], row["ordinal"]): row for row in found}
    chosen = [row for key in nominated if (row := rows.get(key)) is not None]
    if len(chosen) < len(nominated):
        raise missing()
    scores = score(matrix_of(chosen, index.embedder.dimensions), question.vector).tolist()
    order = sorted(
        zip(scores, chosen, strict=True), key=lambda pair: (-pair[0], pair[1]["card_id"], pair[1]["ordinal"])
    )
    best: dict[str, CardHit] = {}
    for value, row in order:
        best.setdefault(row["card_id"], _hit(row, value))
    return tuple(best.values())[: question.k]


def _hit(row: Row, value: float) -> CardHit:
    return CardHit(
        card_id=row["card_id"],
        version=row["version"],
        score=value,
        start=row["start_at"],
        end=row["end_at"],
        text=row["text"],
        handling=kept(row["pii_flags"], bool(row["train_ok"])),
    )
