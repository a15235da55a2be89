"""Runs by window, kind and status; their entries; what they add up to."""

from __future__ import annotations

from collections.abc import Sequence

from nexus_graph.runs import table
from nexus_graph.runs.model import Run, RunFilter, Subject
from nexus_graph.scope.errors import Invalid, NotFound
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.follower import Entry, entry
from nexus_graph.stores.paging import Page, Window, page
from nexus_graph.stores.work import Read, Stores

MOST_RUNS = 1000
_SOURCE_ENTRIES = 20


async def list_runs(stores: Stores, scope: Scope, chosen: RunFilter, window: Window) -> Page[Run]:
    """The runs that the scope may see, newest first. Without `runs:read_all` these are the principal's own."""
    scope.require(Permission.RUNS_READ)
    seen, own = table.visible(scope)
    condition, values = table.run_conditions(chosen)
    order = ("run.started_at", "run.run_id")
    async with stores.read(scope) as read:
        return await page(
            read, table.RUNS + seen + condition, order, window, table.run, descending=True, **values, **own
        )


async def fetch(stores: Stores, scope: Scope, run_ids: Sequence[str]) -> dict[str, Run]:
    """Runs by id, in one statement; what is unknown or not visible is left out. Raises Invalid for over 1,000 ids."""
    scope.require(Permission.RUNS_READ)
    statement, own = table.find_runs(scope)
    async with stores.read(scope) as read:
        rows = await read.rows(statement, run_ids=_bounded(run_ids), **own)
    return {row["run_id"]: table.run(row) for row in rows}


async def counts(stores: Stores, scope: Scope, run_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many entries of each action each run has, in one statement, actions in order; as `fetch` otherwise."""
    scope.require(Permission.RUNS_READ)
    statement, own = table.count_actions(scope)
    async with stores.read(scope) as read:
        rows = await read.rows(statement, run_ids=_bounded(run_ids), **own)
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["run_id"], {})[row["action"]] = row["entries"]
    return found


async def sources(stores: Stores, scope: Scope, run_ids: Sequence[str]) -> dict[str, tuple[Subject, ...]]:
    """The distinct subjects of each run's first 20 entries, in order, in one statement; as `fetch` otherwise."""
    scope.require(Permission.RUNS_READ)
    statement, own = table.first_subjects(scope)
    async with stores.read(scope) as read:
        rows = await read.rows(statement, run_ids=_bounded(run_ids), most=_SOURCE_ENTRIES, **own)
    found: dict[str, dict[Subject, None]] = {}
    for row in rows:
        found.setdefault(row["run_id"], {})[Subject(row["subject_kind"], row["subject_id"])] = None
    return {run_id: tuple(subjects) for run_id, subjects in found.items()}


async def log(stores: Stores, scope: Scope, run_id: str, window: Window) -> Page[Entry]:
    """The entries of a run by number. Raises NotFound for a run that is unknown or not visible."""
    scope.require(Permission.RUNS_READ)
    async with stores.read(scope) as read:
        await visible_run(read, scope, run_id)
        return await page(read, table.LOG, ("number",), window, entry, descending=False, run_id=run_id)


async def visible_run(read: Read, scope: Scope, run_id: str) -> Run:
    """The run as this handle sees it. Raises NotFound for one that is unknown or not visible."""
    statement, own = table.find_runs(scope)
    if (row := await read.row(statement, run_ids=[run_id], **own)) is None:
        raise NotFound("run")
    return table.run(row)


def _bounded(run_ids: Sequence[str]) -> Sequence[str]:
    if len(run_ids) > MOST_RUNS:
        raise Invalid(f"{len(run_ids):,} runs at once; at most {MOST_RUNS:,}.", hint="Ask in parts.", path=("ids",))
    return run_ids
