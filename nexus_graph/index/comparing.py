"""Compare the copy of a scope's vectors on a server with the rows, and make it anew where they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nexus_graph.index import table
from nexus_graph.index.copying import bring_up
from nexus_graph.index.definition import Copies, Index
from nexus_graph.index.nominating import changed_since, vectors_of
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.vectors.base import NOTHING, Key, Lost
from nexus_graph.stores.work import Read, Stores

_AT_ONCE = 1000


async def compare(stores: Stores, index: Index, scope: Scope, looked: Callable[[int], None] | None) -> str | None:
    """What is wrong with the copy of a scope, or None. Cards that changed since it was written are not its business.

    Of an offloaded copy, which stays where it is, the files in the bucket are looked at, and not what is in them.
    Raises Unavailable when the server does not answer.
    """
    if index.copies is None:
        return None
    view = await index.copies.vectors.view(index.space(scope))
    if view.generation == NOTHING:
        return None
    if view.offloaded:
        whole = await index.copies.vectors.intact(index.space(scope), view)
        return None if whole else "is not in the bucket as it was offloaded"
    try:
        reached = await index.copies.vectors.reached(index.space(scope), view)
        async with stores.read(scope) as read:
            if (row := await read.row(table.ACTIVE)) is None or reached > row["generation"]:
                return "is newer than the rows, which were restored"
        wrong = await _differing(stores, index, index.copies, scope, looked)
    except Lost:
        return "is not on the server"
    async with stores.read(scope) as read:
        wrong.difference_update(await changed_since(read, index, view.generation))
    return f"differs in {len(wrong)} cards, {min(wrong)} among them" if wrong else None


async def renew(stores: Stores, index: Index, scope: Scope) -> None:
    """Remove the copy of a scope and make it anew. Raises Unavailable."""
    if index.copies is not None:
        await index.copies.vectors.erase(*scope.key)
        await bring_up(stores, index, index.copies, scope)


async def _differing(
    stores: Stores, index: Index, copies: Copies, scope: Scope, looked: Callable[[int], None] | None
) -> set[str]:
    wrong: set[str] = set()
    seen: Counter[str] = Counter()
    async for keys, matrix in copies.vectors.held(index.space(scope)):
        seen.update(group for group, _ in keys)
        async with stores.read(scope) as read:
            wrong |= await _unlike(read, index, keys, matrix)
        if looked is not None:
            looked(len(keys))
    after = ""
    while True:
        async with stores.read(scope) as read:
            entries = await read.rows(table.INDEXED, definition_id=index.definition_id, after=after, most=_AT_ONCE)
        if not entries:
            return wrong
        wrong |= {entry["card_id"] for entry in entries if seen[entry["card_id"]] != entry["chunks"]}
        after = entries[-1]["card_id"]


async def _unlike(read: Read, index: Index, keys: Sequence[Key], matrix: NDArray[np.float32]) -> set[str]:
    """The cards of those rows of the copy that are no rows of the database."""
    rows, vectors = await vectors_of(read, index, sorted({group for group, _ in keys}))
    places = {key: place for place, key in enumerate(rows)}
    return {
        key[0]
        for key, vector in zip(keys, matrix, strict=True)
        if key not in places or vectors[places[key]].tobytes() != vector.tobytes()
    }
