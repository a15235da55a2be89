"""Erasure of atoms: they go with their assets. One that names the subject is a mention, and its asset with it."""

from __future__ import annotations

from typing import Final

from nexus_graph.assets import erasing as assets
from nexus_graph.safeguards.erasure import Doomed, Step
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Read, Work

_AT_ONCE: Final = 1000

_NAMING = Statement(
    "select asset_id, text, span, params from atoms "
    "where tenant_id = :tenant_id and env = :env and (text like :like escape '\\' or span like :like escape '\\' "
    "or params like :like escape '\\')"
)
_TOLD_NAMING = Statement(
    "select asset_id, reason, left_out, kind_reason from asset_derivations "
    "where tenant_id = :tenant_id and env = :env and (reason like :like escape '\\' "
    "or left_out like :like escape '\\' or kind_reason like :like escape '\\')"
)
_OF_ASSETS = Statement(
    "select atom_id from atoms where tenant_id = :tenant_id and env = :env and asset_id in (:asset_ids...)"
)
_FORGET = Statement("delete from atoms where tenant_id = :tenant_id and env = :env and asset_id in (:asset_ids...)")
_FORGET_OUTCOMES = Statement(
    "delete from asset_derivations where tenant_id = :tenant_id and env = :env and asset_id in (:asset_ids...)"
)


async def _plan(read: Read, doomed: Doomed) -> None:
    mentions = [
        row["asset_id"]
        for naming in (_NAMING, _TOLD_NAMING)
        for row in await read.rows(naming, like=doomed.target.like)
        if any(doomed.target.name.search(text) for text in row[1:] if text is not None)
    ]
    await assets.mention(read, doomed, mentions)
    await assets.goes(read, doomed)
    ids = doomed.of("assets")
    for start in range(0, len(ids), _AT_ONCE):
        found = await read.rows(_OF_ASSETS, asset_ids=ids[start : start + _AT_ONCE])
        doomed.add("atoms", [row["atom_id"] for row in found])


async def _erase(work: Work, doomed: Doomed) -> None:
    ids = doomed.of("assets")
    for start in range(0, len(ids), _AT_ONCE):
        await work.write(_FORGET_OUTCOMES, asset_ids=ids[start : start + _AT_ONCE])
        await work.write(_FORGET, asset_ids=ids[start : start + _AT_ONCE])


STEP: Final = Step("atoms", _plan, _erase)
