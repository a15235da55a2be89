"""The only handles to data: `Read` sees one state of one scope, `Work` is one verb and one transaction.

    async with stores.read(scope) as read:      # a snapshot; can't write, and mypy sees it
    async with stores.work(scope, RunKind.PUBLISH) as work:   # commits on a clean exit, rolls back on an exception

    await stores.works(scope, RunKind.INGEST, verbs)   # many verbs, each whole or not at all, and one commit

A `Work` that wrote something must record what it did: the journal is part of the transaction, not a habit.
The work of a scope that rehearses does everything and then rolls back: a dry run is the deed itself, taken back.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from nexus_graph.scope.canonical import Json, canonical
from nexus_graph.scope.clock import Clock, micros, system_clock
from nexus_graph.scope.errors import NexusError, Unavailable
from nexus_graph.scope.ids import NewId, new_id
from nexus_graph.scope.limits import Limits
from nexus_graph.scope.scope import Scope
from nexus_graph.stores import appending, journal, repeating
from nexus_graph.stores.appending import ChainHead, Entry
from nexus_graph.stores.blobs.base import Blobs, ScopedBlobs
from nexus_graph.stores.database.base import Connection, Database, Entangled, Row, Transaction
from nexus_graph.stores.feeds import Feeds
from nexus_graph.stores.heads import Head, Heads
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.pacing import Pacing
from nexus_graph.stores.recording import Recorder
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.sharing import SharedReads
from nexus_graph.stores.signals.base import Signals
from nexus_graph.stores.statement import Statement, Value, require_storable

Result = TypeVar("Result")


class Read:
    """One state of one scope. Rows are filtered by tenant and env, objects rooted there; there is no way to write."""

    def __init__(self, connection: Connection, scope: Scope, blobs: ScopedBlobs, now: datetime, limits: Limits) -> None:
        self._connection = connection
        self.scope = scope
        self.blobs = blobs
        self.now = now
        self.limits = limits

    async def rows(self, statement: Statement, **values: Value | Sequence[Value]) -> Sequence[Row]:
        """All rows that a statement answers with."""
        return await self._connection.rows(*statement.within(self.scope, **values))

    async def row(self, statement: Statement, **values: Value | Sequence[Value]) -> Row | None:
        """The first row, or None."""
        rows = await self.rows(statement, **values)
        return rows[0] if rows else None

    async def value(self, statement: Statement, **values: Value | Sequence[Value]) -> Any:
        """The first column of the first row, or None."""
        rows = await self.rows(statement, **values)
        return rows[0][0] if rows else None

    async def verify_journal(self) -> tuple[int, journal.Fault | None]:
        """How many entries of the scope's journal hold, and the first fault."""
        return await journal.verify(self._connection, self.scope)

    async def walk_journal(self) -> tuple[int, str, journal.Fault | None]:
        """Walk the journal, whatever its head says: how many entries hold, the last one's hash, the first fault."""
        return await journal.walk(self._connection, self.scope)


class _TakenBack(Exception):
    """Rolls a rehearsal back."""


class Work(Read):
    """One verb: writes and the events that tell of them, committed together or not at all.

    `now` is fixed at entry. `run_id` is the run that the events belong to.
    """

    def __init__(
        self,
        connection: Connection,
        scope: Scope,
        blobs: ScopedBlobs,
        now: datetime,
        limits: Limits,
        run_id: str,
        kind: RunKind,
        make_id: NewId,
        new_salt: Callable[[], str],
        once: Once | None,
        *,
        begins: bool,
    ) -> None:
        super().__init__(connection, scope, blobs, now, limits)
        self.run_id = run_id
        self.new_id = make_id
        self.head: ChainHead | None = None  # of the journal, once something is told
        self._begins = begins  # a run of its own
        self._kind = kind
        self._new_salt = new_salt
        self._once = once
        self._wrote = False
        self._events: list[Event] = []
        self._actions: set[str] = set()
        self._after: list[Callable[[], None]] = []

    async def hold_tenant(self) -> None:
        """Until the end, nobody else who holds the tenant writes: for what its envs share, read and decided upon."""
        await self._connection.hold(f"tenant/{self.scope.tenant_id}")

    async def write(self, statement: Statement, **values: Value | Sequence[Value]) -> Sequence[Row]:
        """Run a statement that changes rows; returns what its RETURNING clause answers."""
        self._wrote = True
        return await self.rows(statement, **values)

    async def write_many(self, statement: Statement, sets: Sequence[dict[str, Value]]) -> None:
        """Run one statement for each set of values, in one hop. Raises Invalid as `Statement.bind` does."""
        self._wrote = True
        own: dict[str, Value] = {"tenant_id": self.scope.tenant_id, "env": self.scope.env.value}
        for values in sets:
            require_storable(values)
        await self._connection.many(statement.sql, [{**values, **own} for values in sets])

    def record(self, event: Event) -> None:
        """Tell what happened. Appended to the journal, in this order, just before the commit."""
        self._events.append(event)
        self._actions.add(event.action)

    async def finish(self) -> None:
        """Tell what is left to tell. Raises RuntimeError when rows were written and nothing was told."""
        await self.tell()
        if self._wrote and self.head is None:
            raise RuntimeError("A work wrote rows without recording an event.")

    async def tell(self) -> None:
        """Append to the journal what was recorded so far, so that this work can read it. The end does so anyway."""
        if self._events:
            events, self._events = self._events, []
            begins, self._begins = self._begins, False
            self.head = await appending.append(
                self._connection, self.scope, self.run_id, self._kind, events, self.now, self._new_salt, begins=begins
            )

    @property
    def seq(self) -> int:
        """Of the last event that was told; 0 before there is one."""
        return self.head.seq if self.head is not None else 0

    def after(self, deed: Callable[[], None]) -> None:
        """Do something once the commit is safe; never when it was rolled back."""
        self._after.append(deed)

    async def earlier_answer(self) -> Json:
        """What this idempotency key was answered before, or None. Raises Conflict when it stood for another request."""
        if self._once is None:
            return None
        return self._once.answer(await self.row(repeating.FIND, actor_id=self.scope.principal.id, key=self._once.key))

    async def keep_answer(self, answer: Json) -> None:
        """Keep the answer for the idempotency key, if any. Call it once, with what `earlier_answer` shall give."""
        if self._once is not None:
            await self.write(
                repeating.KEEP,
                actor_id=self.scope.principal.id,
                key=self._once.key,
                request_digest=self._once.request_digest,
                answer=canonical(answer).decode(),
                at=micros(self.now),
            )


@dataclass(frozen=True, slots=True)
class Verb(Generic[Result]):
    """One of many that are done together: it awaits nothing but its work. `run_id` as for `Stores.work`."""

    deed: Callable[[Work], Coroutine[Any, Any, Result]]
    run_id: str | None = None


class Reading:
    """One state of a scope, for as long as the context is open."""

    __slots__ = ("_held", "_scope", "_stores")

    def __init__(self, stores: Stores, scope: Scope) -> None:
        self._stores = stores
        self._scope = scope
        self._held = stores.database.reading(scope.key)

    async def __aenter__(self) -> Read:
        stores, scope = self._stores, self._scope
        connection = await self._held.__aenter__()
        return Read(connection, scope, ScopedBlobs(stores.blobs, scope), stores.clock(), stores.limits)

    async def __aexit__(self, *raised: Any) -> bool | None:
        return await self._held.__aexit__(*raised)


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything that touches the world, and the two doors to it."""

    database: Database
    blobs: Blobs
    signals: Signals
    clock: Clock = system_clock
    new_id: NewId = new_id
    new_salt: Callable[[], str] = field(default=lambda: secrets.token_hex(16))
    limits: Limits = field(default_factory=Limits)
    process: str = field(default_factory=lambda: new_id("process"))
    shared: SharedReads = field(default_factory=SharedReads, repr=False)
    feeds: Feeds = field(default_factory=Feeds, init=False, repr=False)
    pacing: Pacing = field(default_factory=Pacing, init=False, repr=False)
    _recorder: Recorder = field(default_factory=Recorder, repr=False)
    _heads: Heads = field(default_factory=Heads, init=False, repr=False)

    def read(self, scope: Scope) -> Reading:
        """One state of the scope, to look at."""
        return Reading(self, scope)

    @asynccontextmanager
    async def work(
        self, scope: Scope, kind: RunKind, *, once: Once | None = None, run_id: str | None = None
    ) -> AsyncIterator[Work]:
        """One transaction of one verb. Events go to the run `run_id`, else the one the scope names, else a new one."""
        with suppress(_TakenBack):
            async with self.database.writing(scope.key) as connection:
                work = self._work(connection, scope, kind, once, run_id)
                yield work
                await work.finish()
                if scope.rehearsal:
                    raise _TakenBack
        if not scope.rehearsal:
            self._committed(scope, [work])

    async def works(self, scope: Scope, kind: RunKind, verbs: Sequence[Verb[Result]]) -> list[Result | NexusError]:
        """Many verbs in one transaction and one hop: what each came to, in order.

        Each is whole or not at all: what it refuses takes back that verb alone, and stands in its place. All are
        durable on return. Raises Unavailable, and whatever is no NexusError; then none of them was done.
        """
        done: list[Work] = []
        results: list[Result | NexusError] = []

        async def all_of_them(connection: Connection) -> None:
            done.clear()  # of an attempt that was taken back
            results.clear()
            for verb in verbs:
                work = self._work(connection, scope, kind, None, verb.run_id)
                await connection.rows("SAVEPOINT verb", {})
                try:
                    result: Result | NexusError = await verb.deed(work)
                    await work.finish()
                    done.append(work)
                except (Unavailable, Entangled):
                    raise
                except NexusError as error:
                    result = error
                    await connection.rows("ROLLBACK TO verb", {})
                await connection.rows("RELEASE verb", {})
                results.append(result)
            if scope.rehearsal:
                raise _TakenBack

        with suppress(_TakenBack):
            await self.database.write(scope.key, all_of_them)
            self._committed(scope, done)
        return results

    def _work(self, connection: Connection, scope: Scope, kind: RunKind, once: Once | None, run_id: str | None) -> Work:
        run = run_id or scope.run_id or self.new_id("run")
        blobs = ScopedBlobs(self.blobs, scope)
        now, begins = self.clock(), run_id is None and scope.run_id is None
        return Work(
            connection, scope, blobs, now, self.limits, run, kind, self.new_id, self.new_salt, once, begins=begins
        )

    def _committed(self, scope: Scope, works: Sequence[Work]) -> None:
        told = [work for work in works if work.head is not None]
        if actions := {action for work in told for action in work._actions}:
            self.signals.wake(scope.key, actions)
        if told and told[-1].head is not None:
            self._recorder.learn(scope.key, told[-1].head)
        for work in works:
            for deed in work._after:
                deed()

    async def heads(self) -> Sequence[tuple[str, str, int]]:
        """Tenant, env and last `seq` of every journal. Who asks often asks for what `moved`."""
        rows = await self.across("select tenant_id, env, seq from journal_heads order by tenant_id, env")
        return [(row["tenant_id"], row["env"], row["seq"]) for row in rows]

    async def moved(self, revision: int) -> tuple[int, list[Head]]:
        """The heads that moved after a revision, and the newest one to ask with the next time; 0 for all."""
        await self.shared.once("heads", lambda: self._heads.look(self.database))
        return self._heads.moved(revision)

    async def across(self, sql: str, **values: Value) -> Sequence[Row]:
        """What a statement over all tenants answers: which scopes there is something to do in, never whose content.

        For the engine's own rounds. What it may read, `migrations.walls` lists; scopes are then visited one by one.
        """
        async with self.database.reading(None) as connection:
            return await connection.rows(sql, values)

    async def note(self, scope: Scope, statement: Statement, **values: Value) -> Sequence[Row]:
        """Write what is no event: how far events were read, whose turn it is to read them, when a copy was used."""
        bound = statement.within(scope, **values)
        return await self.database.write(scope.key, lambda connection: connection.rows(*bound))

    async def count(self, transaction: Transaction[Result]) -> Result:
        """One transaction for what is counted and no event: how fast somebody asks, which streams are open.

        For budgets and leases alone, whose statements name tenant and env by themselves.
        """
        return await self.database.write(None, transaction)

    async def record(self, scope: Scope, kind: RunKind, event: Event) -> str:
        """Journal something that changed no row: content that is about to be served, or a refusal. Returns the run id.

        Durable on return. Events of many requests share one commit, so that reading stays cheap. A rehearsal leaves no
        trace.
        """
        run = scope.run_id or self.new_id("run")
        if scope.rehearsal:
            return run
        entry, begins = Entry(scope, kind, run, event), scope.run_id is None
        await self._recorder.add(self.database, self.clock, self.new_salt, entry, begins=begins)
        self.signals.wake(scope.key, (event.action,))
        return run
