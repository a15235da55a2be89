"""Erasure from the index: the vectors of erased cards go; their entries stay as retired ones, without digest.

From a retired entry every copy of the vectors, in whatever process, learns that its card is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nexus_graph.index import table
from nexus_graph.index.model import EMPTY_STATE, IndexState, chunks_digest, mark, moved
from nexus_graph.safeguards.erasure import Doomed, Step
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.work import Read, Work

_AT_ONCE: Final = 500

_DEFINITIONS = Statement(
    "select definition_id, state from index_definitions where tenant_id = :tenant_id and env = :env "
    "order by definition_id"
)
_COUNT = Statement(
    "select count(*) from index_vectors where tenant_id = :tenant_id and env = :env and card_id in (:ids...)"
)
_NEXT = Statement(
    "update index_definitions set generation = generation + 1 "
    "where tenant_id = :tenant_id and env = :env and definition_id = :definition_id returning generation, state"
)
_FORGET = Statement(
    "delete from index_vectors "
    "where tenant_id = :tenant_id and env = :env and definition_id = :definition_id and card_id in (:ids...)"
)
_ENTRIES = Statement(
    "select card_id from index_entries "
    "where tenant_id = :tenant_id and env = :env and definition_id = :definition_id order by card_id"
)


async def _plan(read: Read, doomed: Doomed) -> None:
    ids, count = doomed.of("cards"), 0
    for start in range(0, len(ids), _AT_ONCE):
        count += int(await read.value(_COUNT, ids=ids[start : start + _AT_ONCE]))
    doomed.counts["index_vectors"] = count


async def _erase(work: Work, doomed: Doomed) -> None:
    ids = doomed.of("cards")
    for row in await work.rows(_DEFINITIONS):
        for start in range(0, len(ids), _AT_ONCE):
            await _retire(work, row["definition_id"], ids[start : start + _AT_ONCE])


async def _empty(work: Work) -> None:
    for row in await work.rows(_DEFINITIONS):
        definition_id = row["definition_id"]
        ids = [entry["card_id"] for entry in await work.rows(_ENTRIES, definition_id=definition_id)]
        for start in range(0, len(ids), _AT_ONCE):
            await _retire(work, definition_id, ids[start : start + _AT_ONCE])
        await work.write(table.SET_STATE, definition_id=definition_id, state=EMPTY_STATE)


async def _retire(work: Work, definition_id: str, ids: Sequence[str]) -> None:
    (made,) = await work.write(_NEXT, definition_id=definition_id)
    before = await work.rows(table.ENTRIES, definition_id=definition_id, ids=ids)
    left = [mark(row["card_id"], row["version"], row["digest"]) for row in before if row["state"] == IndexState.INDEXED]
    await work.write(_FORGET, definition_id=definition_id, ids=ids)
    entry: dict[str, Value] = {"definition_id": definition_id, "version": 0, "digest": "", "chunks": 0}
    entry |= {"state": IndexState.RETIRED.value, "chunks_digest": chunks_digest(()), "generation": made["generation"]}
    await work.write_many(table.PUT_ENTRY, [{**entry, "card_id": card_id} for card_id in ids])
    await work.write(table.SET_STATE, definition_id=definition_id, state=moved(made["state"], left, ()))


STEP: Final = Step("index", _plan, _erase, _empty)
