"""Make the flags of everything that a scope keeps follow the ruleset of this version.

A batch is read, evaluated off the event loop, and written in one transaction with the place that was reached: a crash
loses one batch at most, and rows whose flags stay the same are not written. Whoever changes a record in between has the
batch read again. The rooms that keep records stand above this one, so each gives a `Step`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import orjson
import structlog

from nexus_graph.scope.canonical import Json, canonical
from nexus_graph.scope.errors import Conflict
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import RULESET, redact
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores import rulesets
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.work import Read, Stores, Work

log = structlog.get_logger("nexus_graph.rulesets")

MOST = 100
_RETRY_SECONDS = 60.0
_TRIES = 20
"""How often a batch is read again before somebody is told."""

Key = tuple[Value, ...]
Changed = Mapping[str, int]
"""How many records of each kind have other flags now."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A record: its key in the order of its room, its flags as the row has them, and how to find out what they are now.

    `row` is what the step's statement takes beside the flags. `evaluate` takes a while.
    """

    key: Key
    flags: str
    row: Mapping[str, Value]
    evaluate: Callable[[], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Step:
    """One room's part. `kind` is what it keeps, in the plural.

    `look` gives the records after a key, in the order of their keys and so many at most; `first` comes before all of
    them. `change` sets `:flags` where they still are `:was`, and returns the row. A key that names somebody is not kept
    (`named`): then what was begun in this room begins anew.
    """

    kind: str
    first: Key
    look: Callable[[Read, Key, int], Awaitable[Sequence[Kept]]]
    change: Statement
    named: bool = False


def step_by_rows(
    kind: str,
    look: Statement,
    change: Statement,
    *,
    first: Mapping[str, Value],
    evaluate: Callable[[Row], Iterable[str]],
    also: Sequence[str] = (),
    named: bool = False,
) -> Step:
    """The step of a room whose rows hold all that their flags come from.

    `look` takes the columns of the key by their names, which are those of `first` in order, and `:most`. `change` takes
    these columns too, and those in `also`, as they were when the row was looked at. `evaluate` is called in a thread.
    """

    async def rows_after(read: Read, after: Key, most: int) -> Sequence[Kept]:
        rows = await read.rows(look, **dict(zip(first, after, strict=True)), most=most)
        return [
            Kept(
                tuple(row[name] for name in first),
                row["pii_flags"],
                {name: row[name] for name in (*first, *also)},
                partial(evaluate, row),
            )
            for row in rows
        ]

    return Step(kind, tuple(first.values()), rows_after, change, named)


Steps = tuple[Step, ...]


class _MovedOnError(Exception):
    """Somebody else changed a record, or took the same batch."""


@dataclass(slots=True)
class _Batch:
    """What comes next in a scope: the step and its records, or neither when there is nothing left."""

    standing: Row | None
    step: Step | None = None
    kept: Sequence[Kept] = ()
    changes: list[tuple[Kept, str]] = field(default_factory=list)


async def settle(stores: Stores, steps: Steps) -> dict[tuple[str, str], Changed]:
    """Make the flags of every scope follow this ruleset. Returns what changed where there was something to do.

    Where it fails, the other scopes are settled first; then the first failure is raised.
    """
    changed: dict[tuple[str, str], Changed] = {}
    failures: list[Exception] = []
    for (tenant_id, env), standing in (await standings(stores)).items():
        if standing.ruleset == RULESET:
            continue
        scope = Scope.system(tenant_id, Env(env), "ruleset")
        try:
            counts = await reevaluate(stores, steps, scope)
        except Exception as error:  # one scope's trouble is none of another's
            log.error("rulesets.failed", tenant_id=tenant_id, env=env, error=type(error).__name__)
            failures.append(error)
        else:
            changed |= {} if counts is None else {scope.key: counts}
    if failures:
        raise failures[0]
    return changed


@dataclass(frozen=True, slots=True)
class Standing:
    """The ruleset that the flags of a scope follow, None for one older than pii-3, and the one that they are moving to.

    While they move, what was looked at already follows the new one.
    """

    ruleset: str | None
    target: str | None


async def standings(stores: Stores) -> dict[tuple[str, str], Standing]:
    """The ruleset of every scope, by tenant and env."""
    rows = await stores.across(rulesets.STANDINGS)
    return {(row["tenant_id"], row["env"]): Standing(row["ruleset"], row["target"]) for row in rows}


async def follow(stores: Stores, steps: Steps) -> None:
    """Settle beside a server that serves already; what fails is tried again later."""
    while True:
        try:
            await settle(stores, steps)
        except Exception as error:  # whatever it was: who gave up here would go unnoticed
            log.error("rulesets.unavailable", error=type(error).__name__)
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return


async def reevaluate(stores: Stores, steps: Steps, scope: Scope) -> Changed | None:
    """Make the flags of one scope follow this ruleset. None when they do already.

    Raises Conflict when others change what was read again and again.
    """
    counts: dict[str, int] = dict.fromkeys((step.kind for step in steps), 0)
    after: dict[str, Key] = {}  # by kind; what the rows keep of it goes before
    worked, tries, stood = False, 0, None
    while True:
        async with stores.read(scope) as read:
            batch = await _next(read, steps, after)
        if batch is None:
            return counts if worked else None
        batch.changes = await asyncio.to_thread(_changes, batch.kept)
        try:
            async with stores.work(scope, RunKind.ADMIN) as work:
                await _keep(work, steps, batch)
        except _MovedOnError as error:
            tries = tries + 1 if _place(batch.standing) == stood else 1  # what others look at is no try in vain
            stood = _place(batch.standing)
            if tries < _TRIES:
                continue
            message = "What is kept changed again and again while a new ruleset looked at it."
            raise Conflict(message, hint="Evaluate it again when less is written.") from error
        worked, tries = True, 0
        if batch.step is not None:
            counts[batch.step.kind] += len(batch.changes)
            after[batch.step.kind] = batch.kept[-1].key


async def _next(read: Read, steps: Steps, after: Mapping[str, Key]) -> _Batch | None:
    """The next records to look at; None when the scope follows this ruleset already."""
    standing = await read.row(rulesets.FIND)
    if standing is not None and standing["ruleset"] == RULESET:
        return None
    reached = standing["kind"] if standing is not None and standing["target"] == RULESET else None
    kinds = [step.kind for step in steps]
    for step in steps[kinds.index(reached) if reached in kinds else 0 :]:
        begin = after.get(step.kind, step.first)
        if standing is not None and step.kind == reached and standing["after"] is not None:
            begin = tuple(orjson.loads(standing["after"]))
        if kept := await step.look(read, begin, MOST):
            return _Batch(standing, step, kept)
    return _Batch(standing)


def _changes(kept: Sequence[Kept]) -> list[tuple[Kept, str]]:
    """The records whose flags are others now, with what they are."""
    evaluated = [(each, canonical(sorted(set(each.evaluate()))).decode()) for each in kept]
    return [(each, flags) for each, flags in evaluated if flags != each.flags]


async def _keep(work: Work, steps: Steps, batch: _Batch) -> None:
    """Write what changed, the place that was reached, and the entry that tells of both."""
    standing = await work.row(rulesets.FIND)
    if _place(standing) != _place(batch.standing):
        raise _MovedOnError
    for each, flags in batch.changes:
        own = {**each.row, "flags": flags, "was": each.flags}
        if batch.step is None or not await work.write(batch.step.change, **own):
            raise _MovedOnError
    before = None if standing is None else standing["ruleset"]
    done = batch.step is None or (batch.step is steps[-1] and len(batch.kept) < MOST)
    if batch.step is None or done:
        await work.write(rulesets.PUT, ruleset=RULESET, target=None, kind=None, after=None)
    else:
        key = None if batch.step.named else canonical([*batch.kept[-1].key]).decode()
        await work.write(rulesets.PUT, ruleset=before, target=RULESET, kind=batch.step.kind, after=key)
    output: dict[str, Json] = {"looked": len(batch.kept), "changed": len(batch.changes), "done": done}
    if batch.step is not None:
        output |= {"kind": batch.step.kind, **_told(batch.changes)}
    detail = redact({"input": {"from": before, "to": RULESET}, "output": output})
    work.record(Event("redaction.reevaluated", "tenant", work.scope.tenant_id, detail, Handling((), train_ok=False)))


def _told(changes: Sequence[tuple[Kept, str]]) -> dict[str, Json]:
    """How many records got each flag, and how many lost it: what explains an older finding."""
    gained: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for each, flags in changes:
        was, now = set(orjson.loads(each.flags)), set(orjson.loads(flags))
        gained.update(now - was)
        lost.update(was - now)
    return {"gained": {**gained}, "lost": {**lost}}


def _place(standing: Row | None) -> tuple[Value, ...] | None:
    return None if standing is None else tuple(standing)
