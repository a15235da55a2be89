"""How the index stands towards the cards: which card versions are in it, and which are not yet or no longer right."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from nexus_graph.index import table
from nexus_graph.index.model import IndexState
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.work import Read, Stores

_SCOPES: Final = 1024  # whose standing is remembered
_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Standing:
    """`missing`: cards whose current version is not in the index. `outdated`: cards in it that no search may find.

    True of one definition at one generation, and of the cards as they were after the entry `seq` of the journal.
    """

    definition_id: str
    generation: int
    seq: int
    missing: frozenset[str]
    outdated: frozenset[str]


@dataclass(slots=True)
class Standings:
    """Remembers the standing of each scope, and looks again at those cards alone that may have moved since."""

    _known: OrderedDict[tuple[str, str], Standing] = field(default_factory=OrderedDict)

    def forget(self, key: tuple[str, str]) -> None:
        """Forget a scope's standing."""
        self._known.pop(key, None)

    async def of(self, read: Read, definition_id: str, generation: int) -> Standing:
        """The standing of the handle's scope, as the handle sees it."""
        seq = await read.value(table.LAST_CHANGE)
        known = self._known.get(read.scope.key)
        if known is None or (known.definition_id, known.generation, known.seq) != (definition_id, generation, seq):
            known = await _standing(read, known, definition_id, generation, seq)
            self._known[read.scope.key] = known
        self._known.move_to_end(read.scope.key)
        while len(self._known) > _SCOPES:
            self._known.popitem(last=False)
        return known


async def _standing(read: Read, known: Standing | None, definition_id: str, generation: int, seq: int) -> Standing:
    moved = None if known is None else await _moved(read, known, definition_id, generation, seq)
    if known is None or moved is None:
        moved, known = frozenset(), Standing(definition_id, 0, 0, frozenset(), frozenset())
        rows = await read.rows(table.BEHIND, definition_id=definition_id)
    else:
        rows = await read.rows(table.BEHIND_OF, definition_id=definition_id, ids=[*moved])
    missing = {row["card_id"] for row in rows if row["retired_at"] is None}
    outdated = {row["card_id"] for row in rows if row["entry_state"] == IndexState.INDEXED}
    return Standing(
        definition_id, generation, seq, (known.missing - moved) | missing, (known.outdated - moved) | outdated
    )


async def _moved(read: Read, known: Standing, definition_id: str, generation: int, seq: int) -> frozenset[str] | None:
    """The cards whose standing may not be as known; None when they are too many, or when what is known is newer."""
    if known.definition_id != definition_id or known.generation > generation or known.seq > seq:
        return None
    told = await read.rows(table.CHANGED_CARDS, seq=known.seq, most=_AT_ONCE + 1)
    done = await read.rows(
        table.CHANGED_ENTRIES, definition_id=definition_id, generation=known.generation, most=_AT_ONCE + 1
    )
    moved = frozenset(row[0] for row in (*told, *done))
    return moved if max(len(told), len(done)) <= _AT_ONCE else None


async def states(
    stores: Stores, scope: Scope, versions: Iterable[tuple[str, int]]
) -> dict[tuple[str, int], IndexState]:
    """Where card versions stand in the scope's index. Versions of unknown cards are left out."""
    scope.require(Permission.CARDS_READ)
    wanted = [*dict.fromkeys(versions)]
    ids = [*dict.fromkeys(card_id for card_id, _ in wanted)]
    rows: dict[str, Row] = {}
    async with stores.read(scope) as read:
        active = await read.row(table.ACTIVE)
        definition_id = active["definition_id"] if active else ""
        for start in range(0, len(ids), _AT_ONCE):
            found = await read.rows(table.STANDING, definition_id=definition_id, ids=ids[start : start + _AT_ONCE])
            rows |= {row["card_id"]: row for row in found}
    return {
        (card_id, version): state(row, version)
        for card_id, version in wanted
        if (row := rows.get(card_id)) is not None and 1 <= version <= row["current_version"]
    }


def state(row: Row, version: int) -> IndexState:
    """Where a version stands, from its card's row of `table.STANDING`."""
    if row["retired_at"] is not None or version != row["current_version"]:
        return IndexState.RETIRED
    return IndexState(row["entry_state"]) if row["entry_version"] == version else IndexState.PENDING


def is_settled(row: Row) -> bool:
    """Whether the index knows all of an unretired card, from its row of `table.STANDING`."""
    return bool(row["entry_version"] == row["current_version"] and row["entry_state"] != IndexState.RETIRED)
