"""Search: the cards whose best chunk is nearest to a text, exactly, in one order, from one state of the index.

The text is embedded before the snapshot is opened. In the snapshot the vector index is brought up to date with the
rows, nominates candidates, and the candidates' rows give scores and excerpts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from nexus_graph.cards.model import CardFilter
from nexus_graph.cards.table import conditions
from nexus_graph.index import table
from nexus_graph.index.definition import UNDEFINED, Definition, Index, active
from nexus_graph.index.filters import check_filter, filter_json
from nexus_graph.index.model import MAX_HITS, CardHit, SearchResult, check_query, query_digest
from nexus_graph.safeguards import switches
from nexus_graph.scope.canonical import Json, digest
from nexus_graph.scope.errors import Unavailable
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.vectors.base import Change, Key, Space, View
from nexus_graph.stores.vectors.scoring import score
from nexus_graph.stores.work import Read, Stores

_ALL: Final = 2**62
_AT_ONCE: Final = 256  # cards whose vectors are read by one statement


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A checked and embedded search. `view` was the newest copy of the vectors before any snapshot was opened."""

    vector: NDArray[np.float32]
    chosen: CardFilter
    k: int
    view: View


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
    found: Json = {"cards": cards, "complete": result.complete, "indexState": result.index_state}
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
    return Question(vector, chosen, k, await index.vectors.view(index.space(scope)))


async def nearest(read: Read, index: Index, question: Question) -> SearchResult:
    """Answer a question from the state that the handle sees."""
    definition = await active(read, index) or UNDEFINED
    standing = await index.standings.of(read, index.definition_id, definition.generation)
    view = await _up_to_date(read, index, question.view, definition)
    only = None
    if question.chosen != CardFilter():
        only = await _meant(read, question.chosen)
    nomination = await view.nominate(question.vector, question.k, only=only, without=standing.outdated)
    hits = await _scored(read, index, question, nomination.keys)
    return SearchResult(hits, not standing.missing, nomination.exact, index.definition_id, definition.state)


async def _meant(read: Read, chosen: CardFilter) -> list[str]:
    sql, values = conditions(chosen)
    statement = Statement(table.CARD_IDS_OF + sql)
    return [row["card_id"] for row in await read.rows(statement, **values)]


async def _up_to_date(read: Read, index: Index, view: View, definition: Definition) -> View:
    if view.generation >= definition.generation:
        return view
    space = index.space(read.scope)
    async with index.loading:
        newest = await index.vectors.view(space)
        if view.generation < newest.generation <= definition.generation:  # never newer than what the handle sees
            view = newest
        if view.generation == definition.generation:
            return view
        change = await _change(read, space, view.generation, definition.generation)
        return await index.vectors.apply(space, view, change)


async def _change(read: Read, space: Space, since: int, generation: int) -> Change:
    changed = await read.rows(table.CHANGED_ENTRIES, definition_id=space.definition_id, generation=since, most=_ALL)
    groups = [row["card_id"] for row in changed]
    keys: list[Key] = []
    parts = [np.empty((0, space.dimensions), dtype=np.float32)]
    for start in range(0, len(groups), _AT_ONCE):
        ids = groups[start : start + _AT_ONCE]
        rows = await read.rows(table.VECTORS, definition_id=space.definition_id, ids=ids)
        keys += [(row["card_id"], row["ordinal"]) for row in rows]
        parts.append(_matrix(rows, space.dimensions))
    return Change(generation, groups, keys, np.concatenate(parts))


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
        raise Unavailable("The index names chunks that are not there.", hint="Run `nexus-graph check --repair`.")
    scores = score(_matrix(chosen, index.embedder.dimensions), question.vector).tolist()
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
        handling=Handling(tuple(orjson.loads(row["pii_flags"])), bool(row["train_ok"])),
    )


def _matrix(rows: Sequence[Row], dimensions: int) -> NDArray[np.float32]:
    """The vectors of rows, (rows, dimensions). Raises Unavailable for one of another length."""
    if any(len(row["vector"]) != 4 * dimensions for row in rows):
        raise Unavailable("A stored vector has another dimension.", hint="Run `nexus-graph check --repair`.")
    flat = np.frombuffer(b"".join(row["vector"] for row in rows), dtype="<f4")
    return flat.reshape(len(rows), dimensions).astype(np.float32, copy=False)
