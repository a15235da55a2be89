"""Bring a copy of vectors in memory up to what a handle sees, and read vectors from their rows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexus_graph.cards.model import CardFilter
from nexus_graph.cards.table import conditions
from nexus_graph.index import table
from nexus_graph.index.copies import OFFLOADED_AT
from nexus_graph.index.definition import Definition, Index
from nexus_graph.scope.errors import Unavailable
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.vectors.base import NOTHING, Change, Key, Vectors, View
from nexus_graph.stores.work import Read

_ALL: Final = 2**62
_AT_ONCE: Final = 256  # cards whose vectors are read by one statement
_IN_A_ROW: Final = 1024  # vectors that one statement reads where all are read


async def meant(read: Read, chosen: CardFilter) -> frozenset[str] | None:
    """The ids of the cards that a filter means; None when it means all."""
    if chosen == CardFilter():
        return None
    sql, values = conditions(chosen)
    statement = Statement(table.CARD_IDS_OF + sql)
    return frozenset([row["card_id"] for row in await read.rows(statement, **values)])


async def changed_since(read: Read, index: Index, generation: int) -> list[str]:
    """The cards whose entries changed after a generation."""
    rows = await read.rows(table.CHANGED_ENTRIES, definition_id=index.definition_id, generation=generation, most=_ALL)
    return [row["card_id"] for row in rows]


async def whole(read: Read, index: Index, view: View, definition: Definition) -> View:
    """The scope's vectors as the handle sees them; `view` was the newest copy before the handle was opened.

    Raises Unavailable where a scope that may have a copy elsewhere has more vectors than rows may answer.
    """
    return await _up_to_date(read, index, index.vectors, index.definition_id, view, definition, NOTHING)


async def recent(read: Read, index: Index, vectors: Vectors, since: int, definition: Definition) -> View:
    """What changed after the generation `since`, as the handle sees it. Raises Unavailable as `whole`."""
    name = f"{index.definition_id}@{since}"
    view = await vectors.view(replace(index.space(read.scope), definition_id=name))
    return await _up_to_date(read, index, vectors, name, view, definition, since)


async def _up_to_date(
    read: Read, index: Index, vectors: Vectors, name: str, view: View, definition: Definition, since: int
) -> View:
    if view.generation >= definition.generation:
        return view
    space = replace(index.space(read.scope), definition_id=name)
    async with index.loading.setdefault(space, asyncio.Lock()):
        newest = await vectors.view(space)
        if view.generation < newest.generation <= definition.generation:  # never newer than what the handle sees
            view = newest
        if view.generation == definition.generation:
            return view
        if view.generation == NOTHING:
            await _require_few(read, index, since)
        since = max(view.generation, since)
        told = await (
            everything(read, index, definition) if since == NOTHING else change(read, index, since, definition)
        )
        return await vectors.apply(space, view, told)


async def _require_few(read: Read, index: Index, since: int) -> None:
    if index.copies is None:
        return
    count = int(await read.value(table.CHUNKS_SINCE, definition_id=index.definition_id, generation=since))
    if count <= index.copies.rows:
        return
    loading = await read.value(OFFLOADED_AT, definition_id=index.definition_id)
    what = "is loading the copy of this scope from its bucket" if loading else "does not answer for this scope"
    raise Unavailable(
        f"The vector index Weaviate {what}, and {count} vectors are more than rows answer.",
        hint=f"Try again, or raise NEXUS_VECTORS_ROWS, which is {index.copies.rows}.",
    )


async def change(read: Read, index: Index, since: int, definition: Definition) -> Change:
    """What the rows became after the generation `since`."""
    groups = await changed_since(read, index, since)
    keys, matrix = await vectors_of(read, index, groups)
    return Change(definition.generation, groups, keys, matrix)


async def everything(read: Read, index: Index, definition: Definition) -> Change:
    """All rows, for a copy that holds nothing yet."""
    count = int(await read.value(table.COUNT_VECTORS, definition_id=index.definition_id))
    keys: list[Key] = []
    matrix = np.empty((count, index.embedder.dimensions), dtype=np.float32)  # once: it is large
    card_id, ordinal = "", 0
    while len(keys) < count:
        rows = await read.rows(
            table.VECTORS_AFTER, definition_id=index.definition_id, card_id=card_id, ordinal=ordinal, most=_IN_A_ROW
        )
        matrix[len(keys) : len(keys) + len(rows)] = matrix_of(rows, index.embedder.dimensions)
        keys += [(row["card_id"], row["ordinal"]) for row in rows]
        card_id, ordinal = keys[-1]
    return Change(definition.generation, (), keys, matrix)


async def vectors_of(read: Read, index: Index, ids: Sequence[str]) -> tuple[list[Key], NDArray[np.float32]]:
    """All chunks of these cards and their vectors, from the rows."""
    keys: list[Key] = []
    parts = [np.empty((0, index.embedder.dimensions), dtype=np.float32)]
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        rows = await read.rows(table.VECTORS, definition_id=index.definition_id, ids=some)
        keys += [(row["card_id"], row["ordinal"]) for row in rows]
        parts.append(matrix_of(rows, index.embedder.dimensions))
    return keys, np.concatenate(parts)


def matrix_of(rows: Sequence[Row], dimensions: int) -> NDArray[np.float32]:
    """The vectors of rows, (rows, dimensions). Raises Unavailable for one of another length."""
    if any(len(row["vector"]) != 4 * dimensions for row in rows):
        raise Unavailable("A stored vector has another dimension.", hint="Run `nexus-graph check --repair`.")
    flat = np.frombuffer(b"".join(row["vector"] for row in rows), dtype="<f4")
    return flat.reshape(len(rows), dimensions).astype(np.float32, copy=False)
