"""The follower that writes exports: part by part, each a step that a crash can't spoil, and a last look at consent.

An object is stored before its row, so a crash between them leaves bytes that the same step stores again. A part whose
records are no longer allowed when all are written is taken back with those after it, and written anew. Several
processes may write one export: each step counts only when nobody else was faster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from nexus_graph.exports import manifest, table
from nexus_graph.exports.judging import judge
from nexus_graph.exports.model import Export, ExportRules, ExportState, Outcome, object_key, part_name
from nexus_graph.safeguards import switches
from nexus_graph.safeguards.consent.releasing import withheld_by
from nexus_graph.scope.canonical import Json, sha256
from nexus_graph.scope.clock import micros
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.blobs.base import ScopedBlobs, Stat
from nexus_graph.stores.follower import Entry, Follower
from nexus_graph.stores.journal import Event, RunKind, RunStatus
from nexus_graph.stores.outcomes import running
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.work import Read, Stores, Work

FOLLOWER = "exports"
_AT_ONCE = 50  # records of up to 1 MiB each


class _Overtaken(Exception):
    """Somebody else took this step."""


@dataclass(frozen=True, slots=True)
class _Gathered:
    """The next part: what was decided, in order, and the lines of what is in it."""

    outcomes: Sequence[Outcome]
    lines: Sequence[bytes]


def follower(rules: ExportRules | None = None) -> Follower:
    """Writes every export that was asked for, one after the other."""
    chosen = rules or ExportRules()

    async def deed(stores: Stores, scope: Scope, entries: Sequence[Entry]) -> None:
        for entry in entries:
            await write(stores, chosen, scope, entry.subject_id)
            await _end_erased(stores, scope, entry)

    return Follower(FOLLOWER, ("export.requested",), deed, batch=1, halted=switches.halts(FOLLOWER, switches.OBJECTS))


async def write(stores: Stores, rules: ExportRules, scope: Scope, export_id: str) -> None:
    """Go on with an export from where it stands until it is done. Nothing happens for one that has ended."""
    while (export := await _load(stores, scope, export_id)) is not None and export.state is ExportState.RUNNING:
        with suppress(_Overtaken):
            if export.position < export.covered:
                await _keep(stores, scope, export, await _gather(stores, rules, scope, export))
            else:
                await _finish(stores, scope, export)


async def _end_erased(stores: Stores, scope: Scope, entry: Entry) -> None:
    """End the run of an export that was erased under way: nobody else will."""
    async with stores.read(scope) as read:
        if entry.run_id not in await running(read, [entry.run_id]):
            return
    async with stores.work(scope, RunKind.EXPORT, run_id=entry.run_id) as work:
        detail = redact({"output": {"reason": "What it covered was erased."}})
        event = Event("export.erased", "export", entry.subject_id, detail, entry.handling, ends=RunStatus.FAILED)
        work.record(event)


async def _load(stores: Stores, scope: Scope, export_id: str) -> Export | None:
    async with stores.read(scope) as read:
        row = await read.row(table.FIND_MANY, ids=[export_id])
    return None if row is None else table.export(row)


async def _gather(stores: Stores, rules: ExportRules, scope: Scope, export: Export) -> _Gathered:
    """Decide records from the export's position on until a part is full or none is left."""
    outcomes: list[Outcome] = []
    lines: list[bytes] = []
    size, position = 0, export.position
    while position < export.covered:
        for outcome in await _judged(stores, scope, export, position):
            if outcome.line is not None:
                size += len(outcome.line)
                if lines and (len(lines) == rules.records or size > rules.size):
                    return _Gathered(outcomes, lines)
                lines.append(outcome.line)
            outcomes.append(outcome)
            position = outcome.position
    return _Gathered(outcomes, lines)


async def _judged(stores: Stores, scope: Scope, export: Export, after: int) -> list[Outcome]:
    bounds: dict[str, Value] = {"export_id": export.export_id, "after": after, "upto": after + _AT_ONCE}
    async with stores.read(scope) as read:
        found = [*await read.rows(table.CARDS, **bounds), *await read.rows(table.ATOMS, **bounds)]
        rows = [(row, withheld_by(read, row)) for row in found]  # cards come first, and each kind in order
    return await asyncio.to_thread(judge, rows)


async def _keep(stores: Stores, scope: Scope, export: Export, gathered: _Gathered) -> None:
    """Store the part, and then count it."""
    data = b"".join(gathered.lines)
    digest = await asyncio.to_thread(sha256, data)
    number = export.parts + 1 if gathered.lines else export.parts
    if gathered.lines:
        await _put(stores, scope, object_key(export.export_id, part_name(number)), data, digest)
    decided = await asyncio.to_thread(_decided, export.export_id, number, gathered.outcomes)
    flags = {flag for outcome in gathered.outcomes for flag in outcome.pii_flags}
    last, included = gathered.outcomes[-1].position, len(gathered.lines)
    excluded = len(gathered.outcomes) - included
    async with stores.work(scope, RunKind.EXPORT, run_id=export.run_id) as work:
        counts: dict[str, Value] = {"position": last, "parts": number, "included": included, "excluded": excluded}
        await _step(work, export, table.ADVANCE, counts)
        await work.write_many(table.DECIDE, decided)
        if gathered.lines:
            part: dict[str, Value] = {"part": number, "digest": digest, "size": len(data), "records": included}
            await work.write(table.ADD_PART, export_id=export.export_id, last_position=last, **part)
        told: dict[str, Json] = {"part": number, "size": len(data), "included": included, "excluded": excluded}
        told |= {"position": last, "covered": export.covered}
        _record(work, export, "export.part_written", {"output": told}, flags)


def _decided(export_id: str, number: int, outcomes: Sequence[Outcome]) -> list[dict[str, Value]]:
    return [
        {
            "export_id": export_id,
            "position": outcome.position,
            "part": None if outcome.line is None else number,
            "digest": None if outcome.line is None else sha256(outcome.line),
            "reason": outcome.reason,
            "layer": outcome.layer,
        }
        for outcome in outcomes
    ]


async def _finish(stores: Stores, scope: Scope, export: Export) -> None:
    """Look at consent and at every object once more, store the manifest, and end; or take back what does not hold."""
    blobs = ScopedBlobs(stores.blobs, scope)
    async with stores.read(scope) as read:
        parts = [table.part(row) for row in await read.rows(table.ALL_PARTS, export_id=export.export_id)]
        broken = await withdrawn(read, export.export_id)
    keys = {object_key(export.export_id, part_name(part.number)): part for part in parts}
    for key, part in keys.items():
        if await blobs.stat(key) != Stat(part.size, part.digest):
            broken = min(part.number, broken or part.number)
            break
    if broken is not None:
        async with stores.work(scope, RunKind.EXPORT, run_id=export.run_id) as work:
            await _rewind(work, export, broken)
        return
    data = await manifest.build(stores, scope, export, parts)
    digest = await asyncio.to_thread(sha256, data)
    manifest_key = object_key(export.export_id, manifest.MANIFEST)
    await _put(stores, scope, manifest_key, data, digest)
    async for key in blobs.keys(object_key(export.export_id, "")):
        if key not in keys and key != manifest_key:  # of a part that was taken back
            await blobs.remove(key)
    async with stores.work(scope, RunKind.EXPORT, run_id=export.run_id) as work:
        if (broken := await withdrawn(work, export.export_id)) is not None:
            await _rewind(work, export, broken)
            return
        await _step(work, export, table.FINISH, {"now": micros(work.now), "digest": digest, "size": len(data)})
        output: Json = {
            "manifestDigest": digest,
            "parts": export.parts,
            "included": export.included,
            "excluded": export.excluded,
        }
        _record(work, export, "export.finished", {"output": output}, set(), ends=RunStatus.SUCCEEDED)


async def withdrawn(read: Read, export_id: str, part: int | None = None) -> int | None:
    """The first part with a record that is withheld or gone by now, of all parts or of one; None when all hold."""
    values: dict[str, Value] = {"export_id": export_id, "installation": read.limits.train_ok}
    if part is not None:
        values["part"] = part
    statements = table.WITHDRAWN if part is None else table.WITHDRAWN_OF_PART
    found = [await read.value(statement, **values) for statement in statements]
    return min((number for number in found if number is not None), default=None)


async def _rewind(work: Work, export: Export, part: int) -> None:
    """Take a part back with all after it."""
    own: dict[str, Value] = {"export_id": export.export_id}
    position = int(await work.value(table.PART_BEFORE, **own, part=part))
    await work.write(table.FORGET_PARTS, **own, part=part)
    await work.write(table.UNDECIDE, **own, position=position)
    await _step(work, export, table.REWIND, {"part": part, "position": position})
    _record(work, export, "export.part_withdrawn", {"output": {"part": part, "position": position}}, set())


async def _step(work: Work, export: Export, statement: Statement, values: dict[str, Value]) -> None:
    before: dict[str, Value] = {"before": export.position, "parts_before": export.parts}
    if not await work.write(statement, export_id=export.export_id, **before, **values):
        raise _Overtaken


async def _put(stores: Stores, scope: Scope, key: str, data: bytes, digest: str) -> None:
    """Store an object, in the place of one that an interrupted step may have left there."""
    blobs = ScopedBlobs(stores.blobs, scope)
    found = await blobs.stat(key)
    if found is not None and found != Stat(len(data), digest):
        await blobs.remove(key)
    await blobs.put(key, data)


def _record(
    work: Work, export: Export, action: str, detail: Json, flags: set[str], ends: RunStatus | None = None
) -> None:
    handling = Handling(tuple(flags), train_ok=True)
    work.record(Event(action, "export", export.export_id, redact(detail), handling, ends=ends))
