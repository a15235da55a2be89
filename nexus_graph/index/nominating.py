"""Bring a copy of vectors in memory up to what a handle sees, and read vectors from their rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
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
from nexus_graph.stores.vectors.base import NOTHING, Change, Key, Nomination, Vectors, View
from nexus_graph.stores.vectors.scoring import score
from nexus_graph.stores.work import Read

_ALL: Final = 2**62
_AT_ONCE: Final = 256  # cards whose vectors are read by one statement
_IN_A_ROW: Final = 1024  # vectors that one statement reads where all are read, or many
_SETTLED: Final = 256  # candidates that are so few that all of them are looked at


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
        if since != NOTHING:
            return await vectors.apply(space, view, await change(read, index, since, definition))
        async for piece in everything(read, index, definition):
            view = await vectors.apply(space, view, piece)
        return view


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


async def everything(read: Read, index: Index, definition: Definition) -> AsyncIterator[Change]:
    """All rows piece by piece, for a copy that holds nothing yet; only the last piece has a generation."""
    card_id, ordinal = "", 0
    while True:
        rows = await read.rows(
            table.VECTORS_AFTER, definition_id=index.definition_id, card_id=card_id, ordinal=ordinal, most=_IN_A_ROW
        )
        last = len(rows) < _IN_A_ROW
        keys = [(row["card_id"], row["ordinal"]) for row in rows]
        matrix = matrix_of(rows, index.embedder.dimensions)
        yield Change(definition.generation if last else NOTHING, (), keys, matrix)
        if last:
            return
        card_id, ordinal = keys[-1]


async def settled(
    read: Read, index: Index, nomination: Nomination, query: NDArray[np.float32], k: int
) -> tuple[Key, ...]:
    """Those of many candidates that may still be among the best once the most promising were scored from their rows.

    They are read best first, until no other one can score as high as k groups do.
    """
    if len(nomination.keys) <= _SETTLED or not nomination.highest:
        return nomination.keys
    best: dict[str, tuple[float, Key]] = {}
    for start in range(0, len(nomination.keys), _IN_A_ROW):
        if len(best) == k and nomination.highest[start] < min(best.values())[0]:
            break
        some = nomination.keys[start : start + _IN_A_ROW]
        ids, ordinals = sorted({group for group, _ in some}), sorted({ordinal for _, ordinal in some})
        rows = await read.rows(table.VECTORS_AT, definition_id=index.definition_id, ids=ids, ordinals=ordinals)
        scores = score(matrix_of(rows, index.embedder.dimensions), query).tolist()
        found = {(row["card_id"], row["ordinal"]): value for value, row in zip(scores, rows, strict=True)}
        if not found.keys() >= set(some):
            raise missing()
        best = best_of_groups([*best.values(), *((found[key], key) for key in some)], k)
    return tuple(key for _, key in best.values())


def missing() -> Unavailable:
    """What is told where a copy in memory names what the rows don't have."""
    return Unavailable("The index names chunks that are not there.", hint="Run `nexus-graph check --repair`.")


def best_of_groups(found: Iterable[tuple[float, Key]], k: int) -> dict[str, tuple[float, Key]]:
    """The best row of each of the k best groups, in order."""
    first: dict[str, tuple[float, Key]] = {}
    for value, key in sorted(found, key=lambda pair: (-pair[0], pair[1])):
        first.setdefault(key[0], (value, key))
        if len(first) == k:
            break
    return first


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
