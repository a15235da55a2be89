"""Erasure of exports: one that covers anything erased goes with all its objects and parts, and says so.

A part can't be cut: its digest and its manifest are what the export is. Start another one; it covers what is left.
"""

from __future__ import annotations

from typing import Final

from nexus_graph.exports.model import object_key
from nexus_graph.safeguards.erasure import Doomed, Step
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Read, Work

_AT_ONCE: Final = 1000

_COVERING = Statement(
    "select distinct export_id from export_records "
    "where tenant_id = :tenant_id and env = :env and record_id in (:ids...)"
)
_FORGET_RECORDS = Statement(
    "delete from export_records where tenant_id = :tenant_id and env = :env and export_id in (:ids...)"
)
_FORGET_PARTS = Statement(
    "delete from export_parts where tenant_id = :tenant_id and env = :env and export_id in (:ids...)"
)
_EMPTY = Statement(
    "update exports set state = 'ERASED', manifest_digest = null, manifest_size = null "
    "where tenant_id = :tenant_id and env = :env and export_id in (:ids...)"
)


async def _plan(read: Read, doomed: Doomed) -> None:
    records = [*doomed.of("cards"), *doomed.of("atoms")]
    for start in range(0, len(records), _AT_ONCE):
        covering = await read.rows(_COVERING, ids=records[start : start + _AT_ONCE])
        doomed.add("exports", [row["export_id"] for row in covering])
    doomed.objects.update(object_key(export_id, "") for export_id in doomed.of("exports"))


async def _erase(work: Work, doomed: Doomed) -> None:
    ids = doomed.of("exports")
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        for statement in (_FORGET_RECORDS, _FORGET_PARTS, _EMPTY):
            await work.write(statement, ids=part)


STEP: Final = Step("exports", _plan, _erase)
