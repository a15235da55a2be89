"""Earlier packs: by id and as a list."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import and_
from typing import Final

from nexus_graph.packs import table
from nexus_graph.packs.model import Pack
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.paging import Page, Window, page
from nexus_graph.stores.work import Stores

_AT_ONCE: Final = 1000
_MOST_TOLD: Final = 100


async def fetch(stores: Stores, scope: Scope, ids: Sequence[str]) -> dict[str, Pack]:
    """These packs, by id. What is unknown or foreign is not in it."""
    scope.require(Permission.PACKS_READ)
    wanted = [*dict.fromkeys(ids)]
    found: dict[str, Pack] = {}
    async with stores.read(scope) as read:
        for start in range(0, len(wanted), _AT_ONCE):
            rows = await read.rows(table.FIND_MANY, ids=wanted[start : start + _AT_ONCE])
            found |= {row["pack_id"]: table.pack(row) for row in rows}
    packs = {pack_id: found[pack_id] for pack_id in wanted if pack_id in found}
    await _record_read(stores, scope, [*packs.values()])
    return packs


async def list_packs(stores: Stores, scope: Scope, window: Window) -> Page[Pack]:
    """The packs of the scope, the one that was served first most recently at the front."""
    scope.require(Permission.PACKS_LIST)
    async with stores.read(scope) as read:
        packs = await page(read, table.PACKS, ("first_served_at", "pack_id"), window, table.pack)
    await _record_read(stores, scope, packs.items)
    return packs


async def _record_read(stores: Stores, scope: Scope, packs: Sequence[Pack]) -> None:
    if not packs:
        return
    ids: list[Json] = [pack.pack_id for pack in packs[:_MOST_TOLD]]
    detail = redact({"input": {"packs": ids, "count": len(packs)}})
    handling = reduce(and_, (pack.handling for pack in packs))
    await stores.record(scope, RunKind.READ, Event("packs.read", "pack", packs[0].pack_id, detail, handling))
