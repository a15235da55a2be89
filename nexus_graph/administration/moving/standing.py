"""How far a target is with a tenant and env: its journal tells, whose chain nobody can write but who copied it.

Every write tells the journal. So a target whose last entry is an entry of the source holds nothing of its own, and one
that has another entry anywhere was written to by somebody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from nexus_graph.administration.moving import tables
from nexus_graph.scope.errors import Conflict
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.work import Read, Stores


class Standing(StrEnum):
    """How far the target is."""

    NOTHING = "NOTHING"
    """The source has no journal there, and the target none."""
    NEW = "NEW"
    """Nothing was copied yet."""
    BEGUN = "BEGUN"
    """A copy was begun, and nobody can enter it."""
    BEHIND = "BEHIND"
    """An earlier copy was shown, and the source went on."""
    SAME = "SAME"
    """The copy was shown, and both are at the same entry."""
    AHEAD = "AHEAD"
    """The copy was shown, and the target went on."""


SETTLED: Final = frozenset({Standing.NOTHING, Standing.SAME, Standing.AHEAD})
"""Nothing is left to be copied."""


class Head(NamedTuple):
    """An entry of a journal."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Found:
    """How far the target is, and the heads of both journals."""

    standing: Standing
    source: Head | None
    target: Head | None


async def head(stores: Stores, scope: Scope) -> Head | None:
    """The end of a journal, as it is shown."""
    async with stores.read(scope) as read:
        row = await read.row(tables.HEAD)
    return None if row is None else Head(row["seq"], row["hash"])


async def look(source: Stores, target: Stores, scope: Scope) -> Found:
    """How far the target is. Raises Conflict when it holds what did not come from this source."""
    theirs, ours = await head(source, scope), await head(target, scope)
    async with target.read(scope) as read:
        entry = await read.row(tables.LAST_ENTRY)
        held = [table.name for table in tables.moving() if await _holds(read, table)] if entry is None else []
    last = ours or (Head(entry["seq"], entry["hash"]) if entry is not None else None)
    if theirs is None or last is None:
        if last is not None or held:
            raise _foreign(scope, f"entry {last.seq} of its journal" if last else f"rows of {held[0]}")
        return Found(Standing.NOTHING if theirs is None else Standing.NEW, theirs, None)
    if ours == theirs:
        return Found(Standing.SAME, theirs, ours)
    if ours is not None and await _hash_at(target, scope, theirs.seq) == theirs.hash:
        return Found(Standing.AHEAD, theirs, ours)
    if await _hash_at(source, scope, last.seq) != last.hash:
        raise _foreign(scope, f"entry {last.seq} of its journal")
    return Found(Standing.BEGUN if ours is None else Standing.BEHIND, theirs, last)


async def look_at_all(source: Stores, target: Stores, scopes: Sequence[Scope]) -> list[Found]:
    """How far the target is in every env of a tenant. Raises Conflict as `look` does, and when both sides went on."""
    found = [await look(source, target, scope) for scope in scopes]
    on = next((scope for scope, each in zip(scopes, found, strict=True) if each.standing is Standing.AHEAD), None)
    if on is not None and not {each.standing for each in found} <= SETTLED:
        raise Conflict(
            f"The target went on with {'/'.join(on.key)} after an earlier move, and the source with another env of it.",
            hint="Nothing of it was changed. What was written at the source since must be written again at the target.",
        )
    return found


async def _holds(read: Read, table: tables.Table) -> bool:
    return await table.count(read) > 0


async def _hash_at(stores: Stores, scope: Scope, seq: int) -> str | None:
    async with stores.read(scope) as read:
        found = await read.value(tables.HASH_AT, seq=seq)
    return None if found is None else str(found)


def _foreign(scope: Scope, what: str) -> Conflict:
    return Conflict(
        f"The target holds {'/'.join(scope.key)} already, and {what} did not come from this source.",
        hint="Nothing of it was changed. Move to an installation that does not hold this tenant, or erase it there.",
    )
