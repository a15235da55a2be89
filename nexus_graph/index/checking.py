"""Prove that the index holds the current version of every card and nothing else, and mend what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nexus_graph.index import table
from nexus_graph.index.building import MOST, build, record, require_engine
from nexus_graph.index.definition import UNDEFINED, Index, active, own
from nexus_graph.index.model import EMPTY_STATE, IndexReport, IndexState, mark, moved
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.database import Row
from nexus_graph.stores.journal import RunKind, RunStatus
from nexus_graph.stores.work import Read, Stores


async def check(stores: Stores, index: Index, scope: Scope, *, repair: bool = False) -> IndexReport:
    """Compare the index of a scope with its cards. With `repair`, index again whatever does not agree.

    For the engine itself (the command line). Cards that the follower has not come to yet are missing. Raises
    Unavailable when the scope was indexed with another embedder, or when the embedder is needed and not there.
    """
    require_engine(scope)
    async with stores.read(scope) as read:
        found = await _look(read, index)
    if found.agrees or not repair:
        return found
    run_id = stores.new_id("run")
    wrong = [*dict.fromkeys((*found.missing, *found.stale, *found.orphaned, *found.damaged))]
    for start in range(0, len(wrong), MOST):
        await build(stores, index, scope, run_id, wrong[start : start + MOST], beside=False, again=True)
    async with stores.work(scope, RunKind.INDEX, run_id=run_id) as work:
        await own(work, index)
        entries = await _entries(work, index)
        await work.write(table.SET_STATE, definition_id=index.definition_id, state=_state(entries))
        record(work, index, "index.repaired", {"cards": len(wrong)}, RunStatus.SUCCEEDED)
    async with stores.read(scope) as read:
        return replace(found, repaired=(await _look(read, index)).agrees)


async def _look(read: Read, index: Index) -> IndexReport:
    definition = await active(read, index) or UNDEFINED
    mine = index.definition_id
    entries = await _entries(read, index)
    behind = await read.rows(table.BEHIND, definition_id=mine)
    loose = await read.rows(table.LOOSE_VECTORS, definition_id=mine)
    homeless = [row["card_id"] for row in entries if row["card"] is None]
    return IndexReport(
        cards=await read.value(table.COUNT_CARDS),
        indexed=len(entries),
        vectors=await read.value(table.COUNT_VECTORS, definition_id=mine),
        missing=tuple(row["card_id"] for row in behind if row["entry_state"] != IndexState.INDEXED),
        stale=tuple(row["card_id"] for row in behind if row["entry_state"] == IndexState.INDEXED),
        orphaned=tuple(sorted({*homeless, *(row["card_id"] for row in loose)})),
        damaged=tuple(row["card_id"] for row in entries if not row["sound"] == row["vectors"] == row["chunks"]),
        state_holds=_state(entries) == definition.state,
        repaired=False,
    )


async def _entries(read: Read, index: Index) -> Sequence[Row]:
    embedder = index.embedder
    return await read.rows(table.ALL_ENTRIES, definition_id=embedder.id, bytes=4 * embedder.dimensions)


def _state(entries: Sequence[Row]) -> str:
    return moved(EMPTY_STATE, (), (mark(row["card_id"], row["version"], row["digest"]) for row in entries))
