"""Erasure of raw assets: the rows, and by their keys the objects, of all that a subject brought in.

A file that somebody else brought in as well was never stored twice, so it goes too. One whose words name the subject is
a mention.
"""

from __future__ import annotations

from typing import Final

from nexus_graph.assets import table
from nexus_graph.assets.model import AssetState
from nexus_graph.safeguards import quotas
from nexus_graph.safeguards.erasure import Doomed, Step
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Read, Work

_AT_ONCE: Final = 1000

_BROUGHT = Statement(
    "select asset_id from assets where tenant_id = :tenant_id and env = :env and created_by = :subject"
)
_NAMING = Statement(
    "select asset_id, filename, capture_location, source_ref from assets "
    "where tenant_id = :tenant_id and env = :env and (filename like :like escape '\\' "
    "or capture_location like :like escape '\\' or source_ref like :like escape '\\')"
)
_KNOWN = Statement(
    "select asset_id, sha256 from assets where tenant_id = :tenant_id and env = :env and asset_id in (:asset_ids...)"
)
_FIND = Statement("select * from assets where tenant_id = :tenant_id and env = :env and asset_id in (:asset_ids...)")
_FORGET = Statement("delete from assets where tenant_id = :tenant_id and env = :env and asset_id in (:asset_ids...)")
_FORGET_DUPLICATES = Statement(
    "update assets set duplicate_of = null "
    "where tenant_id = :tenant_id and env = :env and duplicate_of in (:asset_ids...)"
)


async def _plan(read: Read, doomed: Doomed) -> None:
    doomed.add("assets", [row["asset_id"] for row in await read.rows(_BROUGHT, subject=doomed.subject)])
    naming = [
        row["asset_id"]
        for row in await read.rows(_NAMING, like=doomed.target.like)
        if any(doomed.target.name.search(text) for text in row[1:] if text is not None)
    ]
    doomed.mention("assets", naming)
    await goes(read, doomed)


async def goes(read: Read, doomed: Doomed) -> None:
    """Add what belongs to the doomed assets: their objects, and the digests of their bytes."""
    ids = doomed.of("assets")
    doomed.objects.update(f"raw/{asset_id}/" for asset_id in ids)
    for start in range(0, len(ids), _AT_ONCE):
        known = await read.rows(_KNOWN, asset_ids=ids[start : start + _AT_ONCE])
        doomed.add("digests", [row["sha256"] for row in known])


async def _erase(work: Work, doomed: Doomed) -> None:
    ids = doomed.of("assets")
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        for asset in [table.asset(row) for row in await work.rows(_FIND, asset_ids=part)]:
            if asset.state is not AssetState.PURGED:
                await quotas.give_back(work, asset.room, settled=asset.state is AssetState.SEALED)
        await work.write(_FORGET_DUPLICATES, asset_ids=part)
        await work.write(_FORGET, asset_ids=part)


STEP: Final = Step("assets", _plan, _erase)
