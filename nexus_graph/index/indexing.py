"""Take cards into the index: cut and embed them outside of any transaction, then keep rows and event together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nexus_graph.cards.model import Card
from nexus_graph.index import table
from nexus_graph.index.chunking import MAX_TOKENS, chunks, embedded_text
from nexus_graph.index.definition import Index
from nexus_graph.index.model import EMPTY_STATE, IndexState, chunks_digest, mark, moved
from nexus_graph.scope.errors import NexusError, Unavailable
from nexus_graph.stores.statement import Value
from nexus_graph.stores.work import Work


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What the index shall hold of a card from now on.

    `spans` are the chunks as offsets in the card's text, `matrix` (chunks, dimensions) their vectors. Without any, the
    card is taken out (RETIRED), or could not be taken in (FAILED).
    """

    card_id: str
    version: int
    digest: str
    state: IndexState
    spans: Sequence[tuple[int, int]]
    matrix: NDArray[np.float32]

    def chunks(self) -> Iterable[tuple[int, int, bytes]]:
        """Start, end and vector of each chunk, as rows keep them."""
        for (start, end), vector in zip(self.spans, self.matrix, strict=True):
            yield start, end, vector.astype("<f4").tobytes()


async def prepare(index: Index, card: Card) -> Prepared:
    """Cut and embed a card. A card that can't be embedded is FAILED. Raises Unavailable when the embedder is."""
    embedder = index.embedder
    start = len(card.text) - len(card.body)
    try:
        pieces = await asyncio.to_thread(
            chunks, card.text, start, embedder.count_tokens, max_tokens=min(MAX_TOKENS, embedder.max_tokens)
        )
        matrix = await embedder.embed([embedded_text(card.title or "", piece.text) for piece in pieces])
    except Unavailable:
        raise
    except NexusError:
        return _without(index, card.card_id, card.version, card.digest, IndexState.FAILED)
    spans = [(piece.start, piece.end) for piece in pieces]
    return Prepared(card.card_id, card.version, card.digest, IndexState.INDEXED, spans, matrix)


def removal(index: Index, card_id: str, version: int) -> Prepared:
    """To take a card out."""
    return _without(index, card_id, version, "", IndexState.RETIRED)


def _without(index: Index, card_id: str, version: int, digest: str, state: IndexState) -> Prepared:
    return Prepared(card_id, version, digest, state, (), np.empty((0, index.embedder.dimensions), dtype=np.float32))


async def keep(work: Work, index: Index, prepared: Sequence[Prepared]) -> None:
    """Replace what this definition holds of these cards, each named once, and move its generation and state along."""
    definition_id = index.definition_id
    (made,) = await work.write(
        table.ADVANCE,
        definition_id=definition_id,
        dimensions=index.embedder.dimensions,
        empty_state=EMPTY_STATE,
    )
    ids = [item.card_id for item in prepared]
    before = await work.rows(table.ENTRIES, definition_id=definition_id, ids=ids)
    left = [mark(row["card_id"], row["version"], row["digest"]) for row in before if row["state"] == IndexState.INDEXED]
    entered = [mark(item.card_id, item.version, item.digest) for item in prepared if item.state is IndexState.INDEXED]
    await work.write_many(table.FORGET_VECTORS, [{"definition_id": definition_id, "card_id": name} for name in ids])
    await work.write_many(table.PUT_ENTRY, [_entry(definition_id, item, made["generation"]) for item in prepared])
    await work.write_many(table.ADD_VECTOR, [row for item in prepared for row in _vectors(definition_id, item)])
    await work.write(table.SET_STATE, definition_id=definition_id, state=moved(made["state"], left, entered))


def _entry(definition_id: str, item: Prepared, generation: int) -> dict[str, Value]:
    return {
        "definition_id": definition_id,
        "card_id": item.card_id,
        "version": item.version,
        "digest": item.digest,
        "state": item.state.value,
        "chunks": len(item.spans),
        "chunks_digest": chunks_digest(item.chunks()),
        "generation": generation,
    }


def _vectors(definition_id: str, item: Prepared) -> Iterable[dict[str, Value]]:
    for ordinal, (start, end, vector) in enumerate(item.chunks()):
        yield {
            "definition_id": definition_id,
            "card_id": item.card_id,
            "ordinal": ordinal,
            "start_at": start,
            "end_at": end,
            "vector": vector,
        }
