"""The manifest: what is in an export and what is not, and why. The same state gives the same bytes.

Canonical JSON, put together from pieces so that a long list is never held as values.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from nexus_graph.exports import table
from nexus_graph.exports.model import FORMAT, MANIFEST, Export, Part, part_name
from nexus_graph.scope.canonical import Json, canonical
from nexus_graph.scope.redaction import RULESET
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.work import Stores

__all__ = ["MANIFEST", "build"]

_AT_ONCE = 5000


async def build(stores: Stores, scope: Scope, export: Export, parts: Sequence[Part]) -> bytes:
    """The manifest of an export of which every record is decided."""
    included, excluded = bytearray(), bytearray()
    after = 0
    while True:
        async with stores.read(scope) as read:
            rows = await read.rows(table.DECIDED, export_id=export.export_id, after=after, most=_AT_ONCE)
        if not rows:
            break
        await asyncio.to_thread(_append, rows, included, excluded)
        after = rows[-1]["position"]
    counts: Json = {"covered": export.covered, "included": export.included, "excluded": export.excluded}
    selection: Json = {
        "kinds": [kind.value for kind in export.kinds],
        "cards": "the current version of every card that is not retired",
        "atoms": "every atom of a sealed asset that is not stale",
        "consent": "installation, tenant, user, record and all ancestors",
    }
    files: list[Json] = [_file(part) for part in parts]
    members = {  # sorted, as canonical JSON has them
        b"counts": canonical(counts),
        b"excluded": b"[" + excluded + b"]",
        b"format": canonical(FORMAT),
        b"included": b"[" + included + b"]",
        b"parts": canonical(files),
        b"ruleset": canonical(RULESET),
        b"selection": canonical(selection),
    }
    return b"{" + b",".join(b'"' + name + b'":' + value for name, value in members.items()) + b"}"


def _file(part: Part) -> Json:
    return {
        "part": part.number,
        "name": part_name(part.number),
        "digest": part.digest,
        "records": part.records,
        "sizeBytes": part.size,
    }


def _append(rows: Sequence[Row], included: bytearray, excluded: bytearray) -> None:
    for row in rows:
        entry: dict[str, Json] = {"id": table.name(row)}
        if row["part"] is not None:
            entry |= {"digest": row["digest"], "part": row["part"]}
        else:
            entry |= {"reason": row["reason"]} | ({"layer": row["layer"]} if row["layer"] else {})
        entries = included if row["part"] is not None else excluded
        entries += (b"," if entries else b"") + canonical(entry)
