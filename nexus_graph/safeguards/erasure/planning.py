"""Plan: what would go, counted, under a digest of whom it is of and of the state. Nothing goes by a plan.

The digest covers the ids of what goes, not what grows by itself: the journal, budgets, the keys of repeated requests.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Final

from nexus_graph.safeguards import chain
from nexus_graph.safeguards.erasure import table
from nexus_graph.safeguards.erasure.columns import JOURNAL, OWN, Columns, rows, tables
from nexus_graph.safeguards.erasure.model import UNHANDLED, Doomed, Eraser, Erasure, Target, TargetKind
from nexus_graph.safeguards.model import Deed
from nexus_graph.scope.canonical import Json, canonical, digest
from nexus_graph.scope.clock import micros
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Read, Stores

LIFE: Final = timedelta(hours=1)
"""How long a plan can be confirmed."""

RESTLESS: Final = JOURNAL | {
    OWN,
    "follower_checkpoints",
    "follower_turns",
    "idempotency_keys",
    "index_copies",
    "quota_usage",
    "rate_buckets",
    "rulesets",
    "stream_leases",
}
"""Tables that move without anybody's doing: counted, but not part of the digest."""

_NAMED_ENTRIES = Statement(
    "select count(*) from journal_events "
    "where tenant_id = :tenant_id and env = :env and (actor_id = :subject or subject_id = :subject)"
)


async def plan(stores: Stores, eraser: Eraser, scope: Scope, target: Target, *, once: Once | None = None) -> Erasure:
    """Count what an erasure would take, and keep the plan for an hour. Raises Conflict for the last owner."""
    scope.require(Permission.ERASURES_WRITE)
    async with stores.work(scope, RunKind.ERASE, once=once) as work:
        if isinstance(answer := await work.earlier_answer(), str):
            (row,) = await work.rows(table.FIND, erasure_id=answer)
            return table.erasure(row, micros(work.now))
        await chain.enforce(work, Deed("planErasure", Permission.ERASURES_WRITE))
        doomed, state = await look(work, eraser, target)
        erasure_id = work.new_id("erasure")
        named = None if target.subject is None else eraser.pseudonyms.of(scope.tenant_id, target.subject)
        mentioned: dict[str, Json] = {kind: len(ids) for kind, ids in sorted(doomed.mentions.items())}
        counts: dict[str, Json] = {name: count for name, count in sorted(doomed.counts.items()) if count}
        await work.write(table.FORGET_PLANS, erasure_id="", subject="", everybody=0, now=micros(work.now))
        (row,) = await work.write(
            table.ADD,
            erasure_id=erasure_id,
            kind=target.kind.value,
            subject=target.subject,
            mentions=target.mentions,
            subject_digest=named,
            digest=state,
            doomed=doomed.text(),
            counts=canonical(counts).decode(),
            mentioned=canonical(mentioned).decode(),
            planned_by=scope.principal.id,
            now=micros(work.now),
            expires_at=micros(work.now + LIFE),
        )
        detail: Json = {"input": {"kind": target.kind.value}, "output": {"digest": state, "counts": counts}}
        work.record(Event("erasure.planned", "erasure", erasure_id, redact(detail), UNHANDLED))
        await work.keep_answer(erasure_id)
    return table.erasure(row, micros(work.now))


async def look(read: Read, eraser: Eraser, target: Target, earlier: str | None = None) -> tuple[Doomed, str]:
    """What goes as things stand, with what an earlier look found, and the digest of that state."""
    doomed = Doomed(target)
    if earlier is not None:
        doomed.take_in(earlier)
    state: dict[str, Json] = {}
    if target.kind is TargetKind.SUBJECT:
        for step in eraser.steps:
            await step.plan(read, doomed)
            for kind, ids in doomed.ids.items():
                doomed.counts[kind] = len(ids)
        doomed.counts["journal_events"] = await read.value(_NAMED_ENTRIES, subject=target.subject) or 0
    for columns in await tables():
        if columns.scoped or target.kind is TargetKind.SUBJECT:
            count, keys = await _concerned(read, columns, target)
            doomed.counts[columns.name] = max(count, doomed.counts.get(columns.name, 0))
            if columns.name not in RESTLESS and count:
                state[columns.name] = keys
    doomed.counts["objects"] = await _objects(read, doomed)
    of: Json = [*read.scope.key, target.kind.value, target.subject, target.mentions]
    return doomed, digest({"target": of, "doomed": doomed.json(), "rows": state})


async def _concerned(read: Read, columns: Columns, target: Target) -> tuple[int, str]:
    """How many rows of a table name the subject or, of a tenant and env, there are; and the digest of their keys."""
    if columns.name == OWN or (columns.name in JOURNAL and target.kind is TargetKind.SUBJECT):
        return 0, ""
    everybody = target.kind is TargetKind.TENANT_ENV
    if everybody and columns.name in RESTLESS:
        count = await read.value(columns.count())
        return int(count), ""
    count, keys = 0, hashlib.sha256()
    async for row in rows(read, columns, () if everybody else columns.texts):
        if everybody or any(row[name] == target.subject for name in columns.texts):
            count += 1
            keys.update(canonical([row[name] for name in columns.key]))
    return count, keys.hexdigest()


async def _objects(read: Read, doomed: Doomed) -> int:
    prefixes = [""] if doomed.target.kind is TargetKind.TENANT_ENV else sorted(doomed.objects)
    count = 0
    for prefix in prefixes:
        async for _ in read.blobs.keys(prefix):
            count += 1
    return count
