"""Re-scan: a second walk over everything, which asks no room and trusts no step.

It reads every value of every row that the schema of record knows, whatever the type of its column, the journal as far
as it was erased, and the key of every object. It tells where something is left and of what kind, never what it says.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nexus_graph.safeguards.erasure.columns import OWN, Columns, rows, tables
from nexus_graph.safeguards.erasure.model import ERASED, Doomed, Finding, TargetKind
from nexus_graph.safeguards.erasure.naming import STAYS
from nexus_graph.safeguards.erasure.planning import RESTLESS
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.work import Read

_WORD: Final = re.compile(r"\w+")

MAY_NAME: Final = {
    "card_artifacts": "somebody else's card cites what is gone, in a text that never changes",
    "index_entries": "an entry without vectors says that the card is gone",
    "pack_cards": "a pack names what it once quoted",
    "strategy_locks": "a lock names the card that it was for; its words are gone",
    OWN: "an erasure knows what it is to erase",
}
"""Tables that may hold the id of something erased, and why. None may hold a name."""


@dataclass(frozen=True, slots=True)
class Rescan:
    """How many rows of each table, and how many objects, were looked at, and what should not have been there."""

    looked: Mapping[str, int]
    findings: tuple[Finding, ...]


async def rescan(read: Read, doomed: Doomed, erasure_id: str, horizon: int) -> Rescan:
    """Look for what an erasure left behind. What came to the journal after `horizon` is new."""
    walk = _Walk(doomed, erasure_id, horizon)
    for columns in await tables():
        async for row in rows(read, columns, columns.every):
            walk.look_at(columns, row)
    async for key in read.blobs.keys():
        walk.look_at_object(key)
    found = tuple(Finding(place, kind, count) for (place, kind), count in sorted(walk.found.items()))
    return Rescan(dict(sorted(walk.looked.items())), found)


class _Walk:
    def __init__(self, doomed: Doomed, erasure_id: str, horizon: int) -> None:
        self.looked: Counter[str] = Counter()
        self.found: Counter[tuple[str, str]] = Counter()
        self._doomed, self._erasure_id, self._horizon = doomed, erasure_id, horizon
        self._everything = doomed.target.kind is TargetKind.TENANT_ENV
        digests = doomed.ids.get("digests", set())
        self._ids, self._words = doomed.every_id() - digests, doomed.every_id()
        self._keys = self._words | doomed.ids.get("exports", set())

    def look_at(self, columns: Columns, row: Row) -> None:
        """One row."""
        self.looked[columns.name] += 1
        if columns.name == "journal_events" and row["seq"] > self._horizon:
            return
        kinds = self._of_scope(columns, row) if self._everything else self._of_subject(columns, row)
        for column, kind in set(kinds):
            self.found[f"{columns.name}.{column}" if column else columns.name, kind] += 1

    def look_at_object(self, key: str) -> None:
        """One object's key."""
        self.looked["objects"] += 1
        words = set(key.split("/")) | set(_WORD.findall(key))
        if self._everything or not words.isdisjoint(self._keys) or self._doomed.target.name.search(key):
            self.found["objects", "object"] += 1

    def _of_scope(self, columns: Columns, row: Row) -> Iterator[tuple[str, str]]:
        if columns.name == "journal_events":
            if row["payload"] is not None or row["salt"] is not None:
                yield "payload", "content"
            for column in ("actor_id", "subject_id"):
                if row[column] != ERASED:
                    yield column, "name"
        elif columns.scoped and columns.name not in STAYS | RESTLESS:
            yield "", "row"

    def _of_subject(self, columns: Columns, row: Row) -> Iterator[tuple[str, str]]:
        if (
            columns.name == "packs"
            and row["erased"] is None
            and not self._words.isdisjoint(_WORD.findall(row["content"]))
        ):
            yield "content", "id"
        for column in columns.every:
            value: Any = row[column]
            if columns.name == OWN and (column == "doomed" or row["erasure_id"] == self._erasure_id):
                continue
            if isinstance(value, (bytes, bytearray)):
                value = bytes(value).decode("utf-8", "replace")
            if not isinstance(value, str):
                continue
            if self._doomed.target.name.search(value):
                yield column, "name"
            if value in self._ids and columns.name not in MAY_NAME:
                yield column, "id"
            if column == "payload" and not self._words.isdisjoint(_WORD.findall(value)):
                yield column, "id"
