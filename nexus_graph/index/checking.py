"""Prove that the index holds the current version of every card and nothing else, and mend what is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from itertools import groupby

from nexus_graph.index import table
from nexus_graph.index.building import MOST, build, record, require_engine
from nexus_graph.index.comparing import compare, renew
from nexus_graph.index.definition import UNDEFINED, Index, active, own
from nexus_graph.index.model import EMPTY_STATE, IndexReport, IndexState, chunks_digest, mark, moved
from nexus_graph.scope.errors import Unavailable
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.journal import RunKind, RunStatus
from nexus_graph.stores.work import Read, Stores

Looked = Callable[[int], None]
"""Told how many more cards were looked at."""


async def check(
    stores: Stores, index: Index, scope: Scope, *, repair: bool = False, looked: Looked | None = None
) -> IndexReport:
    """Compare the index of a scope with its cards. With `repair`, index again whatever does not agree.

    For the engine itself (the command line). Cards that the follower has not come to yet are missing. A server that
    holds a copy and does not answer is told. Raises Unavailable when the scope was indexed with another embedder, and
    when the embedder is needed and not there.
    """
    require_engine(scope)
    found = await _look_at_all(stores, index, scope, looked)
    if found.agrees or not repair:
        return found
    if not replace(found, copy_fault=None, copy_unseen=None).agrees:
        await _repair(stores, index, scope, found)
    if found.copy_fault is not None:
        await renew(stores, index, scope)
    return replace(found, repaired=(await _look_at_all(stores, index, scope, looked)).agrees)


async def _look_at_all(stores: Stores, index: Index, scope: Scope, looked: Looked | None) -> IndexReport:
    async with stores.read(scope) as read:
        found = await _look(read, index, looked)
    try:
        return replace(found, copy_fault=await compare(stores, index, scope, looked))
    except Unavailable as error:
        return replace(found, copy_unseen=error.message)


async def _repair(stores: Stores, index: Index, scope: Scope, found: IndexReport) -> None:
    run_id = stores.new_id("run")
    wrong = [*dict.fromkeys((*found.missing, *found.stale, *found.orphaned, *found.damaged))]
    for start in range(0, len(wrong), MOST):
        await build(stores, index, scope, run_id, wrong[start : start + MOST], beside=False, again=True)
    async with stores.work(scope, RunKind.INDEX, run_id=run_id) as work:
        await own(work, index)
        state = EMPTY_STATE
        async for entries in _indexed(work, index):
            state = _entered(state, entries)
        await work.write(table.SET_STATE, definition_id=index.definition_id, state=state)
        record(work, index, "index.repaired", {"cards": len(wrong)}, RunStatus.SUCCEEDED)


async def _look(read: Read, index: Index, looked: Looked | None) -> IndexReport:
    definition = await active(read, index) or UNDEFINED
    mine = index.definition_id
    behind = await read.rows(table.BEHIND, definition_id=mine)
    stale = {row["card_id"] for row in behind if row["entry_state"] == IndexState.INDEXED}
    orphaned = {row["card_id"] for row in await read.rows(table.LOOSE_VECTORS, definition_id=mine)}
    damaged: list[str] = []
    indexed, state = 0, EMPTY_STATE
    async for entries in _indexed(read, index):
        indexed, state = indexed + len(entries), _entered(state, entries)
        orphaned |= {entry["card_id"] for entry in entries if entry["card"] is None}
        stale |= {entry["card_id"] for entry in entries if entry["card"] and entry["digest"] != entry["text_digest"]}
        damaged += await _damaged(read, index, entries)
        if looked is not None:
            looked(len(entries))
    return IndexReport(
        cards=await read.value(table.COUNT_CARDS),
        indexed=indexed,
        vectors=await read.value(table.COUNT_VECTORS, definition_id=mine),
        missing=tuple(row["card_id"] for row in behind if row["entry_state"] != IndexState.INDEXED),
        stale=tuple(sorted(stale)),
        orphaned=tuple(sorted(orphaned)),
        damaged=tuple(damaged),
        state_holds=state == definition.state,
        repaired=False,
    )


async def _indexed(read: Read, index: Index) -> AsyncIterator[Sequence[Row]]:
    """All that the index says it holds, some cards at a time."""
    after = ""
    while entries := await read.rows(table.INDEXED, definition_id=index.definition_id, after=after, most=MOST):
        yield entries
        after = entries[-1]["card_id"]


def _entered(state: str, entries: Sequence[Row]) -> str:
    return moved(state, (), (mark(row["card_id"], row["version"], row["digest"]) for row in entries))


async def _damaged(read: Read, index: Index, entries: Sequence[Row]) -> list[str]:
    """The cards among these whose chunks are not those that were indexed."""
    ids = [entry["card_id"] for entry in entries]
    rows = await read.rows(table.INDEXED_CHUNKS, definition_id=index.definition_id, ids=ids)
    chunks = {card_id: list(group) for card_id, group in groupby(rows, lambda row: str(row["card_id"]))}
    return [entry["card_id"] for entry in entries if not _sound(entry, chunks.get(entry["card_id"], []))]


def _sound(entry: Row, rows: Sequence[Row]) -> bool:
    if len(rows) != entry["chunks"] or any(row["ordinal"] != place for place, row in enumerate(rows)):
        return False
    if any(not isinstance(row["vector"], bytes) for row in rows):
        return False
    found = chunks_digest((row["start_at"], row["end_at"], row["vector"]) for row in rows)
    return found == str(entry["chunks_digest"])
