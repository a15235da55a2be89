"""The follower that keeps the index behind the cards: it reads what was published and retired, and settles each card.

What counts is where a card stands when the rows are written, not what an entry of the journal said: entries may come
late, twice or out of order, and the index still ends up with current versions alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nexus_graph.cards.publishing import Published
from nexus_graph.cards.table import card as card_of
from nexus_graph.index import table
from nexus_graph.index.definition import FOLLOWER, Index, active, own
from nexus_graph.index.indexing import Prepared, keep, prepare, removal
from nexus_graph.index.model import IndexState
from nexus_graph.index.standing import is_settled, states
from nexus_graph.safeguards import switches
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.follower import Entry, Follower, IsHalted, wait_for
from nexus_graph.stores.journal import Event, RunKind, RunStatus, Severity
from nexus_graph.stores.outcomes import Outcomes, outcomes
from nexus_graph.stores.work import Stores

_BATCH = 16  # cards of one scope in a row: a long one takes seconds
_ACTIONS = {
    IndexState.INDEXED: "card.indexed",
    IndexState.FAILED: "card.index_failed",
    IndexState.RETIRED: "card.unindexed",
}


def follower(index: Index) -> Follower:
    """Indexes what was published, takes out what was retired, and ends the runs in which that happened."""

    async def deed(stores: Stores, scope: Scope, entries: Sequence[Entry]) -> None:
        while entries:
            entries = await _settle_all(stores, index, scope, entries)

    return Follower(FOLLOWER, ("card.published", "card.retired"), deed, batch=_BATCH, halted=_halted(index))


def _halted(index: Index) -> IsHalted:
    return switches.halts(FOLLOWER, index.embedder.provider)


async def wait_indexed(stores: Stores, scope: Scope, seq: int, seconds: float, poll_seconds: float) -> bool:
    """Wait until the index has seen the journal as far as `seq`, at most `seconds`. True when it has."""
    return await wait_for(stores, scope, FOLLOWER, seq, seconds, poll_seconds)


async def settled_state(
    stores: Stores, index: Index, scope: Scope, published: Published, seconds: float, poll_seconds: float
) -> IndexState:
    """Where a version stands that was just published, once the index has seen it or `seconds` are over.

    Nobody waits for an index that the kill switch halts: the version is PENDING then.
    """
    await wait_for(stores, scope, FOLLOWER, published.seq, seconds, poll_seconds, _halted(index))
    version = (published.card.card_id, published.card.version)
    return (await states(stores, scope, [version])).get(version, IndexState.PENDING)


@dataclass(frozen=True, slots=True)
class _Batch:
    """What was known before the work began: vectors of the cards that need some, runs that may be continued."""

    prepared: Mapping[str, Prepared]
    outcomes: Outcomes
    last_of_run: Mapping[str, int]


async def _settle_all(stores: Stores, index: Index, scope: Scope, entries: Sequence[Entry]) -> Sequence[Entry]:
    """Settle each entry's card. Returns the entries whose card got another version meanwhile."""
    batch = await _batch(stores, index, scope, entries)
    return [
        entry
        for entry in entries
        if not batch.outcomes.is_told(entry) and not await _settle(stores, index, scope, entry, batch)
    ]


async def _batch(stores: Stores, index: Index, scope: Scope, entries: Sequence[Entry]) -> _Batch:
    ids = [*dict.fromkeys(entry.subject_id for entry in entries)]
    async with stores.read(scope) as read:
        await active(read, index)
        standing = await read.rows(table.STANDING, definition_id=index.definition_id, ids=ids)
        due = [row["card_id"] for row in standing if row["retired_at"] is None and not is_settled(row)]
        cards = [card_of(row) for row in await read.rows(table.CURRENT, ids=due)] if due else []
        known = await outcomes(read, entries, [*_ACTIONS.values()])
    return _Batch(
        prepared={card.card_id: await prepare(index, card) for card in cards},
        outcomes=known,
        last_of_run={entry.run_id: entry.seq for entry in entries},
    )


async def _settle(stores: Stores, index: Index, scope: Scope, entry: Entry, batch: _Batch) -> bool:
    """Bring the index to where the entry's card stands. False when the vectors at hand are of another version."""
    run_id = batch.outcomes.run_of(entry)
    async with stores.work(scope, RunKind.INDEX, run_id=run_id) as work:
        row = await work.row(table.STANDING, definition_id=index.definition_id, ids=[entry.subject_id])
        if row is None:  # erased, and its vectors with it
            return True
        change: Prepared | None = None
        if row["retired_at"] is not None:
            if row["entry_state"] in (IndexState.INDEXED, IndexState.FAILED):
                change = removal(index, entry.subject_id, row["entry_version"])
            state = IndexState.RETIRED
        elif is_settled(row):
            state = IndexState(row["entry_state"])
        else:
            change = batch.prepared.get(entry.subject_id)
            if change is None or change.version != row["current_version"]:
                return False
            state = change.state
        if change is not None:
            await own(work, index)
            await keep(work, index, [change])
        if change is not None or run_id is not None:
            ends = entry.seq == batch.last_of_run[entry.run_id] or run_id is None
            work.record(_event(index, entry, row["current_version"], state, ends=ends))
    return True


def _event(index: Index, entry: Entry, version: int, state: IndexState, *, ends: bool) -> Event:
    failed = state is IndexState.FAILED
    detail: Json = {"input": {"seq": entry.seq}, "output": {"version": version, "definition": index.definition_id}}
    return Event(
        _ACTIONS[state],
        "card",
        entry.subject_id,
        redact(detail),
        entry.handling,
        Severity.ERROR if failed else Severity.INFO,
        (RunStatus.FAILED if failed else RunStatus.SUCCEEDED) if ends else None,
    )
