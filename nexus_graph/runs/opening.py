"""Research runs: an agent opens one, writes entries of its own into it and closes it. What they say is never read."""

from __future__ import annotations

from nexus_graph import safeguards
from nexus_graph.runs import table
from nexus_graph.runs.listing import visible_run
from nexus_graph.runs.model import Run
from nexus_graph.safeguards import Deed
from nexus_graph.scope.canonical import Json, canonical
from nexus_graph.scope.errors import Conflict, Forbidden, Invalid, NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.follower import Entry, entry
from nexus_graph.stores.journal import Event, RunKind, RunStatus, Severity
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Stores

LONGEST_TITLE = 200  # characters
LARGEST_TEXT = 16 * 1024  # bytes of UTF-8
LARGEST_DATA = 64 * 1024  # bytes of canonical JSON
CLOSING = (RunStatus.SUCCEEDED, RunStatus.FAILED)


async def open_run(stores: Stores, scope: Scope, title: str, *, once: Once | None = None) -> Run:
    """Open a run of kind RESEARCH of the scope's principal. Raises Invalid unless the title has 1 to 200 characters."""
    scope.require(Permission.RUNS_WRITE)
    title = title.strip()
    if not 1 <= len(title) <= LONGEST_TITLE:
        raise Invalid(f"A run needs a title of 1 to {LONGEST_TITLE} characters.", path=("input", "title"))
    _size(title, ("input", "title"))
    run_id = stores.new_id("run")
    async with stores.work(scope, RunKind.RESEARCH, once=once, run_id=run_id) as work:
        earlier = await work.earlier_answer()
        if isinstance(earlier, str):
            return await visible_run(work, scope, earlier)
        await safeguards.enforce(work, Deed("openRun", Permission.RUNS_WRITE))
        work.record(_event("run.opened", run_id, {"input": {"title": title}}, Severity.INFO, None))
        await work.keep_answer(run_id)
        await work.tell()
        return await visible_run(work, scope, run_id)


async def append_entry(
    stores: Stores,
    scope: Scope,
    run_id: str,
    text: str | None,
    data: Json = None,
    severity: Severity = Severity.INFO,
    *,
    once: Once | None = None,
) -> Entry:
    """Write into one's own open research run: a text of at most 16 KiB, JSON of at most 64 KiB, or both; redacted.

    Raises Invalid for neither, too much or what JSON can't say; NotFound for a run that is unknown or not visible;
    Forbidden for somebody else's; Conflict for one that has ended.
    """
    scope.require(Permission.RUNS_WRITE)
    content = {name: value for name, value in (("text", text), ("data", data)) if value is not None}
    if not content:
        raise Invalid("An entry needs a text or data.", path=("input",))
    if text is not None and _size(text, ("input", "text")) > LARGEST_TEXT:
        raise Invalid(f"The text is longer than {LARGEST_TEXT:,} bytes.", path=("input", "text"))
    if _size(data, ("input", "data")) > LARGEST_DATA:
        raise Invalid(f"The data is larger than {LARGEST_DATA:,} bytes.", path=("input", "data"))
    noted = _event("run.noted", run_id, {"input": content}, severity, None)
    async with stores.work(scope, RunKind.RESEARCH, once=once, run_id=run_id) as work:
        number = await work.earlier_answer()
        if not isinstance(number, int):
            run = await visible_run(work, scope, run_id)
            await safeguards.enforce(work, deed("appendRunLog", scope, run))
            number = _open(run).entries + 1  # nobody else writes while this work does
            work.record(noted)
            await work.keep_answer(number)
            await work.tell()
        if (row := await work.row(table.ENTRY, run_id=run_id, number=number)) is None:
            raise NotFound("entry")
        return entry(row)


async def close_run(stores: Stores, scope: Scope, run_id: str, status: RunStatus, *, once: Once | None = None) -> Run:
    """End an open research run of one's own as SUCCEEDED or FAILED. Raises as `append_entry` does."""
    scope.require(Permission.RUNS_WRITE)
    if status not in CLOSING:
        raise Invalid(f"A run is closed as SUCCEEDED or FAILED, not {status}.", path=("input", "status"))
    async with stores.work(scope, RunKind.RESEARCH, once=once, run_id=run_id) as work:
        if await work.earlier_answer() is None:
            run = await visible_run(work, scope, run_id)
            await safeguards.enforce(work, deed("closeRun", scope, run))
            _open(run)
            work.record(_event("run.closed", run_id, {"input": {"status": status}}, Severity.INFO, status))
            await work.keep_answer(run_id)
            await work.tell()
        return await visible_run(work, scope, run_id)


def deed(action: str, scope: Scope, run: Run) -> Deed:
    """Writing into a run, as the safeguards see it: a research run is its opener's, any other the engine's own."""
    own = (run.actor_kind, run.actor_id) == (scope.principal.kind.value, scope.principal.id)
    barred = Forbidden("Only who opened a research run writes to it.", hint="Open a run of your own.")
    return Deed(action, Permission.RUNS_WRITE, barred=None if own and run.kind is RunKind.RESEARCH else barred)


def _open(run: Run) -> Run:
    if run.status is not RunStatus.RUNNING:
        raise Conflict(f"The run has ended as {run.status}.", hint="Open another run.")
    return run


def _event(action: str, run_id: str, payload: Json, severity: Severity, ends: RunStatus | None) -> Event:
    redacted = redact(payload)
    return Event(action, "run", run_id, redacted, Handling(redacted.pii_flags, train_ok=False), severity, ends)


def _size(value: Json, path: tuple[str, ...]) -> int:
    """Bytes of UTF-8 of a text, of canonical JSON of anything else; Invalid for what can't be written as such."""
    try:
        return len(value.encode() if isinstance(value, str) else canonical(value))
    except (ValueError, RecursionError) as error:
        raise Invalid(
            "This can't be written as JSON.",
            hint="No half surrogates, no infinite numbers, no integers beyond 2^53-1, no nesting deeper than 64.",
            path=path,
        ) from error
