"""One tenant: its writers at the source wait, and env by env everything is copied, proven, and only then shown."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import orjson

from nexus_graph.administration import console
from nexus_graph.administration.console import Ticker
from nexus_graph.administration.moving import objects, places, rows, standing, tables
from nexus_graph.administration.moving.objects import CopiedObjects
from nexus_graph.administration.moving.proof import Proof, compare_shown, prove
from nexus_graph.administration.moving.rows import Copied
from nexus_graph.administration.moving.standing import Found, Head, Standing
from nexus_graph.administration.moving.tables import Table
from nexus_graph.api.house import House
from nexus_graph.scope.errors import Conflict
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.work import Stores

MOVING: Final = "tenant.moving"
"""What the journal is told before anything is read: where all of the tenant and env goes."""


@dataclass(slots=True)
class MovedEnv:
    """What became of one env: how far the target was, what was copied, and the proof (None where there is none)."""

    scope: Scope
    found: Found
    rows: Copied = field(default_factory=Copied)
    objects: CopiedObjects = field(default_factory=CopiedObjects)
    erasures: int = 0
    proof: Proof | None = None


@dataclass(frozen=True, slots=True)
class Ends:
    """The two installations. `same_objects`: they share an object store, in which nothing needs to be copied."""

    source: House
    target: House

    @property
    def same_objects(self) -> bool:
        """Whether they share an object store."""
        return places.objects_at(self.source.config) == places.objects_at(self.target.config)


def scopes_of(tenant_id: str) -> list[Scope]:
    """An operator's scope in every env of a tenant."""
    return [console.operator(tenant_id, env.value) for env in Env]


async def move_tenant(ends: Ends, tenant_id: str, tick: Ticker) -> list[MovedEnv]:
    """Move a tenant: what became of each of its envs. Differences are told, and then nothing of that env is shown.

    Raises Conflict when the target holds what did not come from this source, and Unavailable when somebody writes at
    the source for too long, or a store does not answer. Then it can be run again, and goes on.
    """
    source, target = ends.source.stores, ends.target.stores
    scopes = scopes_of(tenant_id)
    before = await standing.look_at_all(source, target, scopes)
    if not {was.standing for was in before} <= standing.SETTLED:
        await _require_known_erasures(ends, tenant_id)
    for scope, was in zip(scopes, before, strict=True):
        if was.standing not in standing.SETTLED:
            await _announce(source, scope, places.name_of(ends.target.config))
    async with standing_still(source, scopes):
        moved = [*map(MovedEnv, scopes, await standing.look_at_all(source, target, scopes))]
        for each in moved:
            if each.found.source is not None:
                await _move_env(ends, each, each.found.source, tick)
        if all(each.proof is None or not each.proof.differences for each in moved):
            await _directory(source, target, moved)
    return moved


@asynccontextmanager
async def standing_still(stores: Stores, scopes: Sequence[Scope]) -> AsyncIterator[None]:
    """Be the one writer of every env of a tenant, and write nothing: everybody else waits, or is told to try again."""
    first, *others = scopes
    async with stores.database.writing(first.key) as connection:
        for scope in others:
            await connection.hold("/".join(scope.key))  # the name under which a work holds its scope
        await connection.hold(f"tenant/{first.tenant_id}")
        yield


async def _announce(stores: Stores, scope: Scope, name: str) -> None:
    """Tell the source's journal, unless its last entry says so: the entry moves along, and a second run adds none."""
    async with stores.read(scope) as read:
        row = await read.row(tables.LAST_EVENT)
    told = {} if row is None or row["payload"] is None else orjson.loads(row["payload"])
    if row is not None and row["action"] == MOVING and told.get("input") == {"target": name}:
        return
    async with stores.work(scope, RunKind.ADMIN) as work:
        detail = redact({"input": {"target": name}})
        work.record(Event(MOVING, "tenant", scope.tenant_id, detail, Handling((), train_ok=False)))


async def _move_env(ends: Ends, each: MovedEnv, head: Head, tick: Ticker) -> None:
    source, target, scope = ends.source.stores, ends.target.stores, each.scope
    was = each.found.standing
    if was is Standing.AHEAD:
        return
    if was is not Standing.SAME:
        if was is Standing.BEHIND:
            await rows.remove(target, scope)
        each.rows = await rows.copy(source, target, scope, tick)
        if not ends.same_objects:
            ours = was is not Standing.NEW
            each.objects = await objects.copy(source.blobs, target.blobs, scope, tick, ours=ours)
    each.proof = await prove(ends.source, ends.target, scope, head, tick)
    if each.proof.differences:
        return
    if was is Standing.SAME:
        still = [table for table in tables.shown_last() if table.name not in tables.RESTLESS]
        compare_shown(each.proof, await rows.shown(source, target, scope, still))
    else:
        await _show(source, target, each, each.proof, tables.shown_last())
    each.erasures = await _tell_ledger(ends, scope)


async def _show(source: Stores, target: Stores, each: MovedEnv, proof: Proof, wanted: Sequence[Table]) -> None:
    found = await rows.show(source, target, each.scope, wanted)
    each.rows.written += sum(len(theirs) for _, theirs, _ in found)
    compare_shown(proof, found)


async def _require_known_erasures(ends: Ends, tenant_id: str) -> None:
    """Raises Conflict when the target's ledger tells of an erasure of which the source's does not."""
    told, known = await ends.target.eraser.ledger.keys(), await ends.source.eraser.ledger.keys()
    if missing := sorted(key for key in told - known if key[0] == tenant_id):
        shown = ", ".join(f"{erasure_id} of {tenant_id}/{env}" for _, env, erasure_id in missing[:5])
        raise Conflict(
            f"The target's erasure ledger names erasures that the source does not know ({shown}).",
            hint="What was erased there would come back. Erase it at the source first.",
        )


async def _tell_ledger(ends: Ends, scope: Scope) -> int:
    """Enter the tenant's and env's erasures in the target's ledger, whose rows are there by now. Returns how many."""
    theirs, ours = ends.source.eraser.ledger, ends.target.eraser.ledger
    wanted = {key for key in await theirs.keys() if key[:2] == scope.key} - await ours.keys()
    for entry in await theirs.entries(wanted):
        await ours.append(entry)
    return len(wanted)


async def _directory(source: Stores, target: Stores, moved: Sequence[MovedEnv]) -> None:
    """The tenant itself and its members, last of all; left alone where the target went on by itself."""
    standings = {each.found.standing for each in moved}
    if Standing.AHEAD in standings:
        return
    proven = next((each for each in moved if each.proof is not None), None)
    if proven is None or proven.proof is None:
        return
    if not standings <= standing.SETTLED or await rows.lacks_directory(target, proven.scope):
        await _show(source, target, proven, proven.proof, tables.directory())
    else:
        compare_shown(proven.proof, await rows.shown(source, target, proven.scope, tables.directory()))
