"""Execute: the follower that lets go what was confirmed, room by room. After a crash it begins again where it can.

First nobody may come in any more; then, after a pause for who is inside, the state is looked at again, since something
may have come after the plan; then rows go, then objects: a crash between them leaves objects of nobody, which the next
walk finds. Every step can be repeated. What is found afterwards that should be gone fails the erasure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from nexus_graph.safeguards.erasure import naming, table
from nexus_graph.safeguards.erasure.certifying import certify
from nexus_graph.safeguards.erasure.columns import Columns, tables
from nexus_graph.safeguards.erasure.model import UNHANDLED, Doomed, Eraser, ErasureState, Step, TargetKind
from nexus_graph.safeguards.erasure.planning import RESTLESS, look
from nexus_graph.safeguards.erasure.rescanning import Rescan, rescan
from nexus_graph.scope.canonical import Json, canonical
from nexus_graph.scope.clock import micros
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.blobs.base import ScopedBlobs
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.follower import Entry, Follower
from nexus_graph.stores.journal import Event, RunKind, RunStatus, Severity
from nexus_graph.stores.work import Stores, Work

FOLLOWER: Final = "erasures"
_ATTEMPTS: Final = 3  # while others still write


def follower(eraser: Eraser) -> Follower:
    """Executes what was confirmed. An entry may have lost its subject by then, so it is the table that is asked."""

    async def deed(stores: Stores, scope: Scope, entries: Sequence[Entry]) -> None:
        async with stores.read(scope) as read:
            rows = await read.rows(table.OPEN)
        for row in rows:
            await execute(stores, eraser, scope, row["erasure_id"])

    return Follower(FOLLOWER, ("erasure.confirmed",), deed)


async def execute(stores: Stores, eraser: Eraser, scope: Scope, erasure_id: str) -> None:
    """Bring a confirmed erasure to its end: a certificate, or FAILED with what was found."""
    async with stores.read(scope) as read:
        row = await read.row(table.FIND, erasure_id=erasure_id)
    if row is not None and row["state"] == ErasureState.CONFIRMED:
        row = await _Execution(stores, eraser, scope, row).run()
    if row is not None and row["state"] == ErasureState.ERASED:
        await certify(stores, eraser, scope, row)


class _Execution:
    """One erasure under way."""

    def __init__(self, stores: Stores, eraser: Eraser, scope: Scope, row: Row) -> None:
        self._stores, self._eraser, self._scope, self._row = stores, eraser, scope, row
        self._doomed = Doomed(table.target(row))
        self._doomed.take_in(row["doomed"])

    async def run(self) -> Row:
        """Let go, look again, and settle the outcome."""
        for _ in range(_ATTEMPTS):
            if self._doomed.target.kind is TargetKind.SUBJECT:
                horizon = await self._erase_subject()
            else:
                horizon = await self._erase_everything()
            await self._erase_objects()
            self._eraser.forget(self._scope)
            await self._eraser.erase_copies(self._scope)
            async with self._stores.read(self._scope) as read:
                found = await rescan(read, self._doomed, str(self._row["erasure_id"]), horizon)
            if not found.findings:
                break
        return await self._settle(found)

    async def _erase_subject(self) -> int:
        *others, door = self._eraser.steps
        await self._step(door)
        await asyncio.sleep(self._eraser.pause)
        await self._look_again()
        for step in reversed(others):
            await self._step(step)
        async with self._work() as work:
            count = await naming.erase_names(work, self._doomed, str(self._row["erasure_id"]))
            horizon = await naming.erase_entries(work, self._doomed)
            _progress(work, self._row, "names", count)
        return horizon

    async def _erase_everything(self) -> int:
        for step in self._eraser.steps:
            if step.empty is not None:
                async with self._work() as work:
                    await step.empty(work)
                    _progress(work, self._row, step.name, None)
        for columns in await tables():
            if columns.scoped and columns.name not in naming.STAYS:
                await self._empty(columns)
        alone = not await elsewhere(self._stores, self._scope)
        for columns in await tables():
            if alone and not columns.scoped:
                await self._empty(columns)
        await asyncio.sleep(self._eraser.pause)
        async with self._work() as work:
            horizon = await naming.erase_journal(work, self._doomed, str(self._row["erasure_id"]))
            _progress(work, self._row, "journal_events", horizon)
        return horizon

    async def _step(self, step: Step) -> None:
        async with self._work() as work:
            await step.erase(work, self._doomed)
            _progress(work, self._row, step.name, len(self._doomed.of(step.name)))

    async def _look_again(self) -> None:
        async with self._work() as work:
            self._doomed, _ = await look(work, self._eraser, self._doomed.target, self._doomed.text())
            erasure_id = self._row["erasure_id"]
            await work.write(table.LOOK_AGAIN, erasure_id=erasure_id, doomed=self._doomed.text())
            _progress(work, self._row, "plan", len(self._doomed.every_id()))

    async def _empty(self, columns: Columns) -> None:
        async with self._stores.read(self._scope) as read:
            count = int(await read.value(columns.count()))
        if count:
            async with self._work() as work:
                await naming.empty(work, columns)
                _progress(work, self._row, columns.name, count)

    async def _erase_objects(self) -> None:
        blobs = ScopedBlobs(self._stores.blobs, self._scope)
        everything = self._doomed.target.kind is TargetKind.TENANT_ENV
        for prefix in [""] if everything else sorted(self._doomed.objects):
            for key in [key async for key in blobs.keys(prefix)]:
                await blobs.remove(key)
            await blobs.clear_unfinished(prefix)

    async def _settle(self, found: Rescan) -> Row:
        state = ErasureState.FAILED if found.findings else ErasureState.ERASED
        findings: list[Json] = [{"place": one.place, "kind": one.kind, "count": one.count} for one in found.findings]
        ids: dict[str, Json] = {kind: [*self._doomed.of(kind)] for kind in ("assets", "cards")}
        looked: dict[str, Json] = {**found.looked}
        kept: Json = {"ids": ids, "objects": [], "looked": looked}
        async with self._work() as work:
            (row,) = await work.write(
                table.SETTLE,
                erasure_id=self._row["erasure_id"],
                state=state.value,
                findings=canonical(findings).decode(),
                doomed=canonical(kept).decode(),
                now=micros(work.now),
            )
            detail: Json = {"output": {"findings": findings}}
            if found.findings:
                action, severity, ends = "erasure.failed", Severity.ERROR, RunStatus.FAILED
            else:
                action, severity, ends = "erasure.erased", Severity.INFO, None
            erasure_id = self._row["erasure_id"]
            work.record(Event(action, "erasure", erasure_id, redact(detail), UNHANDLED, severity, ends))
        if found.findings:
            await self._stores.database.forget_deleted()
        return row

    def _work(self) -> AbstractAsyncContextManager[Work]:
        return self._stores.work(self._scope, RunKind.ERASE, run_id=self._row["run_id"])


def _progress(work: Work, row: Row, what: str, count: int | None) -> None:
    detail = redact({"output": {"step": what, "count": count}})
    work.record(Event("erasure.progressed", "erasure", row["erasure_id"], detail, UNHANDLED, ends=None))


async def elsewhere(stores: Stores, scope: Scope) -> bool:
    """Whether the tenant holds anything in another env. Each is looked at by itself: no env sees another's rows."""
    kept = [columns for columns in await tables() if columns.scoped and columns.name not in naming.STAYS | RESTLESS]
    for env in Env:
        if env is not scope.env:
            async with stores.read(Scope.system(scope.tenant_id, env, scope.principal.id)) as read:
                for columns in kept:
                    any_row = columns.statement("select 1 from", columns.name, "where", columns.here, "limit 1")
                    if await read.value(any_row) is not None:
                        return True
    return False
