"""The follower that keeps copies of large scopes on a vector server behind their rows, and lets go of small ones.

It only makes searches faster: what a copy does not hold yet is scored from the rows. So it takes its time, and any
number of processes may do the same work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from nexus_graph.index import table
from nexus_graph.index.copies import OTHERS
from nexus_graph.index.definition import FOLLOWER, UNDEFINED, Copies, Definition, Index, active
from nexus_graph.index.nominating import vectors_of
from nexus_graph.safeguards import switches
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.follower import Entry, Follower
from nexus_graph.stores.vectors.base import NOTHING, Change, Lost, View
from nexus_graph.stores.work import Read, Stores

ACTIONS: Final = (
    "card.indexed",
    "card.unindexed",
    "index.built",
    "index.rebuilt",
    "index.repaired",
    "erasure.completed",
    "index.copy_called",
)
KEEPER: Final = "copies"
"""The name of the follower that keeps copies."""

log = structlog.get_logger("nexus_graph.vectors")

_FOREVER: Final = 2**62
_BATCH: Final = 1000  # entries that are one reason to look
_CARDS: Final = 500  # of one change


def keeper(index: Index, copies: Copies) -> Follower:
    """Brings the copies of scopes that changed up to date. Stands still, and comes back, while the server is away."""

    async def deed(stores: Stores, scope: Scope, _: Sequence[Entry]) -> None:
        await bring_up(stores, index, copies, scope)

    halted = switches.halts(FOLLOWER, index.embedder.provider)  # as the index itself
    return Follower(KEEPER, ACTIONS, deed, batch=_BATCH, halted=halted)


async def bring_up(stores: Stores, index: Index, copies: Copies, scope: Scope) -> None:
    """Give a scope the copy that its size asks for, at the generation of its rows; or none. An offloaded one is loaded.

    Raises Unavailable when the server is, or when the copy was let go meanwhile: then begin again.
    """
    space = index.space(scope)
    view = await copies.vectors.view(space)
    if view.offloaded:
        whole = await copies.vectors.onload(space, view)
        log.info("vectors.onloaded", tenant=scope.tenant_id, env=scope.env.value, whole=whole)
        if not whole:
            await copies.vectors.erase(*scope.key)
        view = await copies.vectors.view(space)
    try:
        reached = await copies.vectors.reached(space, view)
    except Lost:
        reached = _FOREVER
    async with stores.read(scope) as read:
        row = await read.row(table.ACTIVE)
        if row is None or row["definition_id"] != index.definition_id:
            return  # nobody can search it, and whoever rebuilds it comes here afterwards
        size = int(await read.value(table.CHUNKS_SINCE, definition_id=index.definition_id, generation=NOTHING))
        others = await read.value(OTHERS, but=index.definition_id)
    kept = size >= copies.least if view.generation == NOTHING else size >= copies.least // 2
    if reached > row["generation"]:  # it is lost, or the rows were restored and it knows a future that never came
        await copies.vectors.erase(*scope.key)
        view = await copies.vectors.view(space)
    elif others is not None or (not kept and view.generation != NOTHING):
        await copies.vectors.erase(*scope.key, but=index.definition_id if kept else None)
    while kept:
        async with stores.read(scope) as read:
            definition = await active(read, index) or UNDEFINED
            change = await _next(read, index, view, definition)
        if change is None:
            return
        view = await copies.vectors.apply(space, view, change)


async def _next(read: Read, index: Index, view: View, definition: Definition) -> Change | None:
    """What changed next after the view: some hundred cards, and all of a generation or none; None at the end."""
    since = view.generation
    if since >= definition.generation:
        return None
    mine = index.definition_id
    rows = await read.rows(table.ENTRIES_SINCE, definition_id=mine, generation=since, most=_CARDS + 1)
    until = definition.generation if len(rows) <= _CARDS else int(rows[_CARDS - 1]["generation"])
    found = await read.rows(table.ENTRIES_BETWEEN, definition_id=mine, generation=since, until=until)
    groups = [row["card_id"] for row in found]
    keys, matrix = await vectors_of(read, index, groups)
    return Change(until, groups, keys, matrix)
