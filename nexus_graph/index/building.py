"""Bring a batch of cards into a definition, whatever stood there before: what rebuilding and repairing share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from nexus_graph.cards.table import card as card_of
from nexus_graph.index import table
from nexus_graph.index.definition import Index, own
from nexus_graph.index.indexing import Prepared, keep, prepare, removal
from nexus_graph.index.standing import is_settled
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Forbidden
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Role, Scope
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.journal import Event, RunKind, RunStatus
from nexus_graph.stores.work import Stores, Work

MOST: Final = 32
"""Cards of one batch: one transaction."""


async def build(
    stores: Stores, index: Index, scope: Scope, run_id: str, ids: Sequence[str], *, beside: bool, again: bool = False
) -> int:
    """Index these cards at their current versions, take out those retired or unknown. Returns how many were changed.

    `beside`: the definition need not be the one that searches use. `again`: also cards that are indexed already. A card
    that changes meanwhile is left as it is. Raises Unavailable when the embedder is.
    """
    async with stores.read(scope) as read:
        rows = await read.rows(table.STANDING, definition_id=index.definition_id, ids=ids)
        due = [row["card_id"] for row in rows if row["retired_at"] is None and (again or not is_settled(row))]
        cards = [card_of(row) for row in await read.rows(table.CURRENT, ids=due)]
    prepared = {card.card_id: await prepare(index, card) for card in cards}
    async with stores.work(scope, RunKind.INDEX, run_id=run_id) as work:
        if not beside:
            await own(work, index)
        standing = {
            row["card_id"]: row for row in await work.rows(table.STANDING, definition_id=index.definition_id, ids=ids)
        }
        wanted = (_change(index, card_id, standing.get(card_id), prepared.get(card_id)) for card_id in ids)
        changes = [change for change in wanted if change is not None]
        if changes:
            await keep(work, index, changes)
            record(work, index, "index.built", {"cards": len(changes)}, None)
    return len(changes)


def _change(index: Index, card_id: str, row: Row | None, prepared: Prepared | None) -> Prepared | None:
    if row is None or row["retired_at"] is not None:
        return removal(index, card_id, 0 if row is None else row["current_version"])
    return prepared if prepared is not None and prepared.version == row["current_version"] else None


def record(work: Work, index: Index, action: str, output: Mapping[str, Json], ends: RunStatus | None) -> None:
    """Tell what was done to a definition as a whole."""
    detail: Json = {"input": {"definition": index.definition_id}, "output": output}
    work.record(Event(action, "index", "", redact(detail), Handling((), train_ok=False), ends=ends))


def require_engine(scope: Scope) -> None:
    """Raises Forbidden for anybody but the engine itself."""
    if scope.role is not Role.SYSTEM:
        raise Forbidden("Only the engine itself rebuilds an index.", hint="Use the command line.")
