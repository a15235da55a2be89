"""Runs, their logs, research runs that an agent writes, and the audit."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any

import strawberry
from strawberry.scalars import JSON

from nexus_graph import runs
from nexus_graph.api.context import Info
from nexus_graph.api.fields import change, link, read
from nexus_graph.api.idempotency import RepeatableInput, once
from nexus_graph.api.nodes.allowed_actions import AllowedAction, allowed
from nexus_graph.api.paging import After, Before, Connection, CursorList, First, Last
from nexus_graph.api.scalars import BigInt, Node, described
from nexus_graph.api.user_errors import UserError
from nexus_graph.runs import AuditFilter, RunFilter
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.clock import iso
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import PrincipalKind
from nexus_graph.stores.journal import RunKind, RunStatus, Severity

described(
    RunKind,
    "What a run is about.",
    {
        "INGEST": "Raw bytes came in.",
        "DERIVE": "Atoms were derived.",
        "PUBLISH": "A card was published or retired.",
        "INDEX": "The index was changed outside a publishing.",
        "SEARCH": "Somebody searched.",
        "PACK": "An influence pack was served.",
        "EXPORT": "Something was exported.",
        "ERASE": "Something was erased.",
        "RESEARCH": "Opened by a client, which writes its own entries.",
        "SESSION": "Session memory was written or swept.",
        "READ": "Content was read.",
        "ADMIN": "Members, keys and other housekeeping.",
    },
)
described(
    RunStatus,
    "How far a run is.",
    {
        "RUNNING": "Not over: a follower or its client has still to end it.",
        "SUCCEEDED": "Over, and well.",
        "FAILED": "Over, and not well: its last entries say why.",
        "REFUSED": "A gate said no.",
    },
)
described(
    Severity,
    "How much attention an entry deserves.",
    {"INFO": "None in particular.", "WARNING": "Some.", "ERROR": "Something failed."},
)
described(
    PrincipalKind,
    "What stands behind a request.",
    {"USER": "A person with a token.", "AGENT": "A program with an API key.", "SYSTEM": "A part of the engine."},
)


@strawberry.type(description="Somebody, as the journal names them.")
class Actor:
    """An actor."""

    kind: PrincipalKind = strawberry.field(description="What it is.")
    actor_id: str = strawberry.field(description="Token subject, API key id, or part of the engine.")


@strawberry.type(description="What an entry is about.")
class Subject:
    """A subject."""

    kind: str = strawberry.field(description="What it is: asset, atom, card, pack, run, member, field, ...")
    subject_id: str = strawberry.field(description="Its id.")


@strawberry.type(description="Something that happened, as the journal keeps it: redacted, chained, never changed.")
class LogEntry:
    """An entry."""

    id: strawberry.ID = strawberry.field(description="The entry's id.")
    seq: BigInt = strawberry.field(description="Its place in the journal of this tenant and env, from 1, without gaps.")
    number: int = strawberry.field(description="Its place in its run, from 1, without gaps.")
    at: datetime = strawberry.field(description="When.")
    type: str = strawberry.field(description="What happened, such as card.published.")
    severity: Severity = strawberry.field(description="How much attention it deserves.")
    actor: Actor = strawberry.field(description="Who did it.")
    subject: Subject = strawberry.field(description="What it is about.")
    payload: JSON | None = strawberry.field(description="Input, output and metadata, redacted; null once erased.")
    pii_flags: list[str] = strawberry.field(description="Kinds of personal data in what it tells of.")
    train_ok: bool = strawberry.field(description="Whether training on what it tells of is allowed.")
    surface: str = strawberry.field(description="The door it came through: graphql, command_line or follower.")
    trace_id: str = strawberry.field(description="The trace it belongs to.")
    request_id: str = strawberry.field(description="The request it belongs to.")
    run_id: strawberry.ID = strawberry.field(description="The run it belongs to.")
    hash: str = strawberry.field(description="The chain's hash up to and including it.")

    @classmethod
    def of(cls, entry: runs.LogEntry) -> LogEntry:
        """From the room's value."""
        payload: Any = entry.payload
        return cls(
            id=strawberry.ID(f"entry_{entry.seq}"),
            seq=BigInt(entry.seq),
            number=entry.number,
            at=entry.at,
            type=entry.action,
            severity=entry.severity,
            actor=Actor(kind=PrincipalKind(entry.actor_kind), actor_id=entry.actor_id),
            subject=Subject(kind=entry.subject_kind, subject_id=entry.subject_id),
            payload=payload,
            pii_flags=list(entry.handling.pii_flags),
            train_ok=entry.handling.train_ok,
            surface=entry.surface,
            trace_id=entry.trace_id,
            request_id=entry.request_id,
            run_id=strawberry.ID(entry.run_id),
            hash=entry.hash,
        )


@strawberry.type(description="How many entries of one kind.")
class Count:
    """A count."""

    type: str = strawberry.field(description="What happened.")
    count: int = strawberry.field(description="How often.")


@strawberry.type(description="What belongs together: one mutation, one pack request, or a research run.")
class ResearchRun(Node):
    """A run, as its entries add up."""

    id: strawberry.ID = strawberry.field(description="The run's id.")
    kind: RunKind = strawberry.field(description="What it is about.")
    status: RunStatus = strawberry.field(description="How far it is.")
    title: str | None = strawberry.field(description="What a research run was opened with.")
    started_at: datetime = strawberry.field(description="When its first entry was written.")
    ended_at: datetime | None = strawberry.field(description="When it ended; null while it runs.")
    entries: int = strawberry.field(description="How many entries it has: they are numbered 1 to this.")
    actor: Actor = strawberry.field(description="Who wrote its first entry.")
    trace_id: str = strawberry.field(description="The trace of its first entry.")

    @classmethod
    def of(cls, run: runs.Run) -> ResearchRun:
        """From the room's value."""
        return cls(
            id=strawberry.ID(run.run_id),
            kind=run.kind,
            status=run.status,
            title=run.title,
            started_at=run.started_at,
            ended_at=run.ended_at,
            entries=run.entries,
            actor=Actor(kind=PrincipalKind(run.actor_kind), actor_id=run.actor_id),
            trace_id=run.trace_id,
        )

    @read(Permission.VIEWER_READ, "What the viewer may do to it.")
    async def allowed_actions(self, info: Info) -> list[AllowedAction]:
        """Preflight; all runs of the operation at once."""
        found = [allowed(info, action, str(self.id)) for action in ("appendRunLog", "closeRun")]
        return list(await asyncio.gather(*found))

    @link(
        Permission.RUNS_READ,
        "How many entries of each type it has.",
        lambda loaders: loaders.run_counts,
        lambda own: str(own.id),
    )
    def counts(self, found: dict[str, int] | None) -> list[Count]:
        """Counts, by type."""
        return [Count(type=action, count=number) for action, number in (found or {}).items()]

    @link(
        Permission.RUNS_READ,
        "What its first entries are about.",
        lambda loaders: loaders.run_sources,
        lambda own: str(own.id),
    )
    def sources(self, found: tuple[runs.Subject, ...] | None) -> list[Subject]:
        """Distinct subjects of the first 20 entries."""
        return [Subject(kind=subject.kind, subject_id=subject.id) for subject in found or ()]

    @read(Permission.RUNS_READ, "Its log, oldest first. Its cursors are good for `runLog` too.")
    async def log(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[LogEntry]:
        """A page of entries."""
        context = info.context
        cursors = log_cursors(info, str(self.id))
        window = cursors.window(first, after, last, before)
        page = await runs.log(context.house.stores, context.scope, str(self.id), window)
        return cursors.connection(page, LogEntry.of)


@strawberry.input(description="Which runs: all conditions together.")
class RunFilterInput:
    """A filter over runs."""

    kinds: list[RunKind] | None = strawberry.field(default=None, description="Of any of these kinds.")
    statuses: list[RunStatus] | None = strawberry.field(default=None, description="In any of these states.")
    started_from: datetime | None = strawberry.field(default=None, description="Started at or after.")
    started_to: datetime | None = strawberry.field(default=None, description="Started before.")


@strawberry.input(description="Which events: all conditions together.")
class AuditFilterInput:
    """A filter over the journal."""

    types: list[str] | None = strawberry.field(
        default=None, description="Of any of these types, such as card.published."
    )
    actor: str | None = strawberry.field(default=None, description="By this actor's id.")
    subject: str | None = strawberry.field(default=None, description="About this subject's id.")
    at_from: datetime | None = strawberry.field(default=None, description="At or after.")
    at_to: datetime | None = strawberry.field(default=None, description="Before.")


@strawberry.input(description="A research run to open.")
class OpenRunInput(RepeatableInput):
    """Input of openRun."""

    title: str = strawberry.field(description="What it is for, 1 to 200 characters.")


@strawberry.input(description="An entry for a research run of one's own.")
class AppendRunLogInput(RepeatableInput):
    """Input of appendRunLog."""

    run_id: strawberry.ID = strawberry.field(description="The run.")
    text: str | None = strawberry.field(default=None, description="Free text, at most 16 KiB; redacted, never read.")
    data: JSON | None = strawberry.field(default=None, description="Any JSON, at most 64 KiB; redacted, never read.")
    severity: Severity = strawberry.field(default=Severity.INFO, description="How much attention it deserves.")


@strawberry.input(description="A research run to end.")
class CloseRunInput(RepeatableInput):
    """Input of closeRun."""

    run_id: strawberry.ID = strawberry.field(description="The run.")
    status: RunStatus = strawberry.field(default=RunStatus.SUCCEEDED, description="SUCCEEDED or FAILED.")


@strawberry.type(description="The run as it is now.")
class RunPayload:
    """Payload of openRun and closeRun."""

    run: ResearchRun | None = strawberry.field(default=None, description="The run; null when refused.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to mend; empty on success.")


@strawberry.type(description="The entry as it was kept.")
class AppendRunLogPayload:
    """Payload of appendRunLog."""

    entry: LogEntry | None = strawberry.field(default=None, description="The entry; null when refused.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to mend; empty on success.")


@strawberry.type
class RunQuery:
    """Queries of the room."""

    @read(Permission.RUNS_READ, "A run by its id; null when there is none here that you may see.")
    async def run(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> ResearchRun | None:
        """One run."""
        found = await info.context.loaders.runs.load(str(id))
        return ResearchRun.of(found) if found else None

    @read(Permission.RUNS_READ, "Runs, newest first. Agents see their own.")
    async def runs(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: Annotated[RunFilterInput | None, strawberry.argument(description="Which ones; all when null.")] = None,
    ) -> Connection[ResearchRun]:
        """A page of runs."""
        context, given = info.context, filter or RunFilterInput()
        chosen = RunFilter(
            tuple(dict.fromkeys(given.kinds or ())),
            tuple(dict.fromkeys(given.statuses or ())),
            given.started_from,
            given.started_to,
        )
        bound: list[Json] = [
            [kind.value for kind in chosen.kinds],
            [status.value for status in chosen.statuses],
            _iso(chosen.started_from),
            _iso(chosen.started_to),
        ]
        cursors = context.house.cursors.list_of(context.scope, "runs", bound)
        window = cursors.window(first, after, last, before)
        page = await runs.list_runs(context.house.stores, context.scope, chosen, window)
        return cursors.connection(page, ResearchRun.of)

    @read(Permission.AUDIT_READ, "Everything that happened in this tenant and env, newest first.", unstoppable=True)
    async def audit(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: Annotated[AuditFilterInput | None, strawberry.argument(description="Which; all when null.")] = None,
    ) -> Connection[LogEntry]:
        """A page of the journal."""
        context, given = info.context, filter or AuditFilterInput()
        chosen = AuditFilter(tuple(given.types or ()), given.actor, given.subject, given.at_from, given.at_to)
        bound = [list(chosen.actions), chosen.actor, chosen.subject, _iso(chosen.at_from), _iso(chosen.at_to)]
        cursors = context.house.cursors.list_of(context.scope, "audit", bound)
        window = cursors.window(first, after, last, before)
        page = await runs.audit(context.house.stores, context.scope, chosen, window)
        return cursors.connection(page, LogEntry.of)


@strawberry.type
class RunMutation:
    """Mutations of the room."""

    @change(Permission.RUNS_WRITE, "Open a research run. Name it in X-Nexus-Run to gather requests in it.", locked=None)
    async def open_run(
        self, info: Info, input: Annotated[OpenRunInput, strawberry.argument(description="Its title.")]
    ) -> RunPayload:
        """Open."""
        stores, scope = info.context.house.stores, info.context.scope
        return RunPayload(
            run=ResearchRun.of(await runs.open_run(stores, scope, input.title, once=once("openRun", input)))
        )

    @change(Permission.RUNS_WRITE, "Append an entry to a research run of one's own.", locked=None)
    async def append_run_log(
        self, info: Info, input: Annotated[AppendRunLogInput, strawberry.argument(description="Run and entry.")]
    ) -> AppendRunLogPayload:
        """Append."""
        stores, scope = info.context.house.stores, info.context.scope
        data: Any = input.data
        entry = await runs.append_entry(
            stores, scope, str(input.run_id), input.text, data, input.severity, once=once("appendRunLog", input)
        )
        return AppendRunLogPayload(entry=LogEntry.of(entry))

    @change(Permission.RUNS_WRITE, "End a research run of one's own.", locked=None)
    async def close_run(
        self, info: Info, input: Annotated[CloseRunInput, strawberry.argument(description="Run and outcome.")]
    ) -> RunPayload:
        """Close."""
        stores, scope = info.context.house.stores, info.context.scope
        closed = await runs.close_run(stores, scope, str(input.run_id), input.status, once=once("closeRun", input))
        return RunPayload(run=ResearchRun.of(closed))


def log_cursors(info: Info, run_id: str) -> CursorList:
    """The cursors of a run's log: the same for its pages and its stream."""
    return info.context.house.cursors.list_of(info.context.scope, "log", run_id)


def _iso(moment: datetime | None) -> str | None:
    return iso(moment) if moment else None
