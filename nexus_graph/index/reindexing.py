"""Index a scope anew: build beside what searches use, then switch in one transaction.

An owner or admin asks for it under a Strategy Lock, and a follower does it in the run of that request; the operator
does it at once. Searches under the old definition go on until the switch, and cards published meanwhile are built
before it. A second start continues where an interrupted one stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from nexus_graph import safeguards
from nexus_graph.index import table
from nexus_graph.index.building import MOST, build, record, require_engine
from nexus_graph.index.definition import Index
from nexus_graph.index.model import EMPTY_STATE, IndexState
from nexus_graph.safeguards import Deed, index_rebuild, switches
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import Conflict, NexusError
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.follower import Entry, Follower
from nexus_graph.stores.journal import RunKind, RunStatus
from nexus_graph.stores.outcomes import running
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Stores

Progress = Callable[[int, int], None]
"""Told how many cards are done, and how many there are."""

REQUESTED: Final = "index.rebuild_requested"


async def request_rebuild(stores: Stores, index: Index, scope: Scope, *, once: Once | None = None) -> str:
    """Ask for every current card of the scope to be indexed anew. Returns the run in which a follower does it.

    Raises LockRequired without an approved lock for the definition of this installation.
    """
    scope.require(Permission.INDEX_REBUILD)
    async with stores.work(scope, RunKind.INDEX, once=once) as work:
        if isinstance(answer := await work.earlier_answer(), dict):
            return str(answer["run_id"])
        await safeguards.enforce(work, rebuilding(index))
        record(work, index, REQUESTED, {}, None)
        await work.keep_answer({"run_id": work.run_id})
    return work.run_id


def rebuilding(index: Index) -> Deed:
    """Rebuilding, as the safeguards see it."""
    change = index_rebuild(index.definition_id)
    return Deed("reindex", Permission.INDEX_REBUILD, change=change, provider=index.embedder.provider)


def rebuilder(index: Index) -> Follower:
    """Rebuilds what was asked for. A follower of its own: cards that are published meanwhile do not wait for it.

    A request for another definition than this installation's fails: nobody approved that one.
    """

    async def deed(stores: Stores, scope: Scope, entries: Sequence[Entry]) -> None:
        here = redact(index.definition_id).value  # as the journal tells it
        for entry in entries:
            async with stores.read(scope) as read:
                is_running = await running(read, [entry.run_id])
            if not is_running:
                continue  # it was done, or has failed, before the checkpoint was moved
            if entry.payload is None or entry.payload["input"]["definition"] != here:
                await _fail(stores, index, scope, entry.run_id, Conflict.code)
                continue
            with suppress(NexusError):  # the run says that it failed; whoever wants it asks again
                await _rebuild(stores, index, scope, entry.run_id, None)

    halted = switches.halts("reindex", index.embedder.provider)
    return Follower("rebuild", (REQUESTED,), deed, batch=1, halted=halted)


async def reindex(stores: Stores, index: Index, scope: Scope, progress: Progress | None = None) -> int:
    """Index every current card of the scope anew and switch searches over. Returns how many cards were built.

    For the engine itself (the command line), without a lock, which is journalled as waived. Raises Unavailable when the
    embedder is: searches go on as before.
    """
    require_engine(scope)
    run_id = stores.new_id("run")
    async with stores.work(scope, RunKind.INDEX, run_id=run_id) as work:
        await safeguards.enforce(work, rebuilding(index))
    return await _rebuild(stores, index, scope, run_id, progress)


async def _rebuild(stores: Stores, index: Index, scope: Scope, run_id: str, progress: Progress | None) -> int:
    try:
        built = await _build_all(stores, index, scope, run_id, progress)
        while behind := await _switch(stores, index, scope, run_id, built):
            built += await build(stores, index, scope, run_id, behind, beside=True)
    except NexusError as error:
        await _fail(stores, index, scope, run_id, error.code)
        raise
    return built


async def _fail(stores: Stores, index: Index, scope: Scope, run_id: str, code: str) -> None:
    async with stores.work(scope, RunKind.INDEX, run_id=run_id) as work:
        record(work, index, "index.rebuild_failed", {"error": code}, RunStatus.FAILED)


async def _build_all(stores: Stores, index: Index, scope: Scope, run_id: str, progress: Progress | None) -> int:
    """Build every card; those that an interrupted start has built are skipped, unless searches use them already."""
    async with stores.read(scope) as read:
        total = await read.value(table.COUNT_CARDS)
        active = await read.row(table.ACTIVE)
    again = active is not None and active["definition_id"] == index.definition_id
    built, done, after = 0, 0, ""
    while True:
        async with stores.read(scope) as read:
            ids = [row["card_id"] for row in await read.rows(table.CARD_IDS, after=after, most=MOST)]
        if not ids:
            return built
        built += await build(stores, index, scope, run_id, ids, beside=True, again=again)
        done, after = done + len(ids), ids[-1]
        if progress is not None:
            progress(done, max(done, total))


async def _switch(stores: Stores, index: Index, scope: Scope, run_id: str, built: int) -> Sequence[str]:
    """Let searches use this definition and forget the others; or, if some cards are not built, return those."""
    definition_id = index.definition_id
    async with stores.work(scope, RunKind.INDEX, run_id=run_id) as work:
        rows = await work.rows(table.BEHIND, definition_id=definition_id)
        if behind := [row["card_id"] for row in rows if not _has_failed(row)]:
            return behind[:MOST]
        await work.write(
            table.ADVANCE, definition_id=definition_id, dimensions=index.embedder.dimensions, empty_state=EMPTY_STATE
        )
        await work.write(table.ACTIVATE, definition_id=definition_id, now=micros(work.now))
        await work.write(table.LEAVE_OTHERS, definition_id=definition_id, empty_state=EMPTY_STATE)
        await work.write(table.RETIRE_OTHERS, definition_id=definition_id)
        await work.write(table.FORGET_OTHERS, definition_id=definition_id)
        record(work, index, "index.rebuilt", {"cards": built}, RunStatus.SUCCEEDED)
    return ()


def _has_failed(row: Row) -> bool:
    failed = row["entry_state"] == IndexState.FAILED and row["entry_version"] == row["current_version"]
    return bool(row["retired_at"] is None and failed)
