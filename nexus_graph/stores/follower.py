"""Followers: how a stage pulls what the stage before it told the journal.

A follower reads entries after its checkpoint, scope by scope in small batches so that no tenant waits for all of
another's, hands them to its deed, and then moves the checkpoint. The deed is idempotent: after a crash the same entries
come again.
A deed that finds a store or server `Unavailable` is tried again later, for as long as it takes; an entry that fails for
any other reason is given up after three attempts, so that it does not hold up those behind it.
Of several processes one at a time follows a scope: see `turns`.
Where a scope is halted, its checkpoint stays; a deed that is halted on its way is cancelled and begins anew later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
import structlog

from nexus_graph.logs import waiting_at
from nexus_graph.scope.clock import moment
from nexus_graph.scope.errors import Conflict, Halted, Unavailable
from nexus_graph.scope.handling import Handling, kept
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores import turns
from nexus_graph.stores.database.base import ScopeKey
from nexus_graph.stores.journal import Event, RunKind, RunStatus, Severity
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Read, Stores

log = structlog.get_logger("nexus_graph.follower")

_BATCH = 64
_ATTEMPTS = 3
_LOOK_SECONDS = 0.4  # between two looks, during a long deed, at whether it is halted
_SLOW = timedelta(seconds=60)  # after which it is told, again and again, where a deed waits
_LAZY = 1000  # entries of no interest after which the checkpoint is moved all the same


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as the journal keeps it. `payload` is None once erased."""

    seq: int
    number: int
    at: datetime
    run_id: str
    surface: str
    actor_kind: str
    actor_id: str
    action: str
    subject_kind: str
    subject_id: str
    severity: Severity
    payload: Mapping[str, Any] | None
    handling: Handling
    ends: str | None
    trace_id: str
    request_id: str
    hash: str


def entry(row: Any) -> Entry:
    """The entry that a row of `journal_events` holds."""
    return Entry(
        seq=row["seq"],
        number=row["number"],
        at=moment(row["at"]),
        run_id=row["run_id"],
        surface=row["surface"],
        actor_kind=row["actor_kind"],
        actor_id=row["actor_id"],
        action=row["action"],
        subject_kind=row["subject_kind"],
        subject_id=row["subject_id"],
        severity=Severity(row["severity"]),
        payload=None if row["payload"] is None else orjson.loads(row["payload"]),
        handling=kept(row["pii_flags"], bool(row["train_ok"])),
        ends=row["ends"],
        trace_id=row["trace_id"],
        request_id=row["request_id"],
        hash=row["hash"],
    )


Deed = Callable[[Stores, Scope, Sequence[Entry]], Awaitable[None]]
IsHalted = Callable[[Read], Awaitable[bool]]
"""Whether something stops a follower in a scope for now."""

_ENTRIES = Statement(
    "select * from journal_events where tenant_id = :tenant_id and env = :env and seq > :after "
    "and action in (:actions...) order by seq limit :most"
)
_HEAD = Statement("select seq from journal_heads where tenant_id = :tenant_id and env = :env")
_RUN_STATUS = Statement(
    "select status from journal_runs where tenant_id = :tenant_id and env = :env and run_id = :run_id"
)
_WAITING = Statement(
    "select count(*) from journal_events where tenant_id = :tenant_id and env = :env and seq > :after "
    "and action in (:actions...)"
)
_CHECKPOINT = Statement(
    "select seq from follower_checkpoints where tenant_id = :tenant_id and env = :env and follower = :follower"
)
_NEWS = (
    "select head.tenant_id, head.env, head.seq, exists (select 1 from journal_events event "
    "where event.tenant_id = head.tenant_id and event.env = head.env and event.seq > coalesce(reached.seq, 0) "
    "and event.action in ({})) as waits from journal_heads head left join follower_checkpoints reached "
    "on reached.tenant_id = head.tenant_id and reached.env = head.env and reached.follower = :follower"
)
_MOVE = Statement(
    "insert into follower_checkpoints (tenant_id, env, follower, seq) values (:tenant_id, :env, :follower, :seq) "
    "on conflict (tenant_id, env, follower) do update "
    "set seq = case when follower_checkpoints.seq > :seq then follower_checkpoints.seq else :seq end"
)


async def _never(_: Read) -> bool:
    return False


def _until_all_look(poll_seconds: float) -> float:
    """How long until the next of the moments at which all followers of a process look: one read is for all of them."""
    return poll_seconds - asyncio.get_running_loop().time() % poll_seconds


@dataclass(slots=True)
class Follower:
    """A stage that pulls: a stable name, the actions that it waits for, and what it does with a batch of them.

    `batch` is how many entries of one scope it takes before the next scope has its turn: few where each takes long.
    `halted` says in which scopes it must stand still for now.
    """

    name: str
    actions: tuple[str, ...]
    deed: Deed
    batch: int = _BATCH
    halted: IsHalted = _never
    _positions: dict[ScopeKey, int] = field(default_factory=dict)
    _behind: dict[ScopeKey, int] = field(default_factory=dict)
    _revision: int | None = None
    _turns: set[ScopeKey] = field(default_factory=set)

    async def run(self, stores: Stores, poll_seconds: float) -> None:
        """Follow every scope until cancelled. `poll_seconds` bounds how long another process's writes go unseen."""
        try:
            with stores.signals.listen(None, self.actions) as listener:
                while True:
                    try:
                        moved = await self.catch_up(stores)
                    except Exception as error:  # whatever it was: a follower that ended by itself would go unnoticed
                        tell = log.warning if isinstance(error, Unavailable) else log.error
                        tell("follower.unavailable", follower=self.name, error=_cause(error))
                        moved = False
                    if not moved:
                        await listener.wait(_until_all_look(poll_seconds))
        finally:
            await self.end(stores)

    async def end(self, stores: Stores) -> None:
        """Let another process follow from now on, without waiting for our turns to run out."""
        turns_held, self._turns = self._turns, set()
        for tenant_id, env in turns_held:
            try:
                await turns.end(stores, Scope.system(tenant_id, Env(env), f"follower:{self.name}"), self.name)
            except Unavailable:
                return  # they run out by themselves

    async def catch_up(self, stores: Stores) -> bool:
        """Take one batch in every scope that has news. True when something was done.

        Once every scope had its turn, raises what kept one of them from being followed: Unavailable when a deed found
        something unavailable, anything else when the scope's own rows can't be read.
        """
        moved, failed = False, None
        for tenant_id, env in await self._look(stores):
            scope = Scope.system(tenant_id, Env(env), f"follower:{self.name}")
            try:
                moved = await self._take(stores, scope) or moved
            except Exception as error:  # one scope's trouble is not for the others to bear
                log.warning("follower.held_up", follower=self.name, error=_cause(error), **_where(scope))
                failed = failed or error
        if failed is not None:
            raise failed
        return moved

    async def is_elsewhere(self, stores: Stores, scope: Scope) -> bool:
        """Whether another process follows this scope at the moment."""
        async with stores.read(scope) as read:
            return await turns.is_anothers(stores, read, self.name)

    async def waiting(self, stores: Stores, scope: Scope) -> int:
        """How many entries it has still to take in a scope."""
        async with stores.read(scope) as read:
            after = max(await read.value(_CHECKPOINT, follower=self.name) or 0, self._positions.get(scope.key, 0))
            return int(await read.value(_WAITING, after=after, actions=self.actions))

    async def lag(self, stores: Stores) -> int:
        """How many entries it has still to take, in all scopes together."""
        waiting = 0
        for tenant_id, env in await self._look(stores):
            waiting += await self.waiting(stores, Scope.system(tenant_id, Env(env), f"follower:{self.name}"))
        return waiting

    async def _look(self, stores: Stores) -> list[ScopeKey]:
        """The scopes whose journals grew beyond where it stands, in order."""
        if self._revision is None:  # one statement for all: most scopes have nothing for it since its checkpoint
            names = {f"action_{number}": action for number, action in enumerate(self.actions)}
            listed = ", ".join(f":{name}" for name in names)
            rows = await stores.across(_NEWS.format(listed), follower=self.name, **names)
            self._positions |= {(row["tenant_id"], row["env"]): row["seq"] for row in rows if not row["waits"]}
            self._revision = 0
        self._revision, heads = await stores.moved(self._revision)
        self._behind |= dict(heads)
        self._behind = {key: head for key, head in self._behind.items() if self._positions.get(key, -1) < head}
        return sorted(self._behind)

    async def _take(self, stores: Stores, scope: Scope) -> bool:
        async with stores.read(scope) as read:
            if await self.halted(read):
                return False
            saved = await read.value(_CHECKPOINT, follower=self.name) or 0
            after = max(saved, self._positions.get(scope.key, 0))
            rows = await read.rows(_ENTRIES, after=after, actions=self.actions, most=self.batch + 1)
            head = await read.value(_HEAD) or 0
            if rows and await turns.is_anothers(stores, read, self.name):
                return False
        if rows:
            if not await turns.take(stores, scope, self.name):
                return False
            self._turns.add(scope.key)
        entries = [entry(row) for row in rows[: self.batch]]
        if entries and not await self._unless_halted(stores, scope, entries):
            return False
        reached = entries[-1].seq if len(rows) > self.batch else head
        if entries or reached - saved >= _LAZY:
            await stores.note(scope, _MOVE, follower=self.name, seq=reached)
            stores.signals.wake(scope.key, ())  # who waits for it, and no follower
        self._positions[scope.key] = reached
        return bool(entries)

    async def _unless_halted(self, stores: Stores, scope: Scope, entries: Sequence[Entry]) -> bool:
        """Do the deed, or cancel it when it is halted on its way. True when it was done."""
        began = prolonged = told = stores.clock()
        deed = asyncio.create_task(self._do(stores, scope, entries))
        try:
            while not (await asyncio.wait([deed], timeout=_LOOK_SECONDS))[0]:
                if stores.clock() - told > _SLOW:
                    told = stores.clock()
                    seconds, places = round((told - began).total_seconds()), waiting_at(deed)
                    log.warning("follower.slow", follower=self.name, seconds=seconds, places=places, **_where(scope))
                async with stores.read(scope) as read:
                    if await self.halted(read):
                        return False
                if stores.clock() - prolonged > turns.LENGTH / 3:
                    if not await turns.take(stores, scope, self.name):
                        return False  # this process slept so long that another goes on
                    prolonged = stores.clock()
            await deed
            return True
        except Halted:  # it saw the switch before we did
            return False
        finally:
            deed.cancel()
            await asyncio.gather(deed, return_exceptions=True)

    async def _do(self, stores: Stores, scope: Scope, entries: Sequence[Entry]) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self.deed(stores, scope, entries)
            except (Unavailable, Halted):
                raise  # no fault of the entries: the checkpoint stays, and they come again
            except Exception as error:
                # A Conflict means that the same follower of another process was faster; the next attempt sees it.
                tell = log.info if isinstance(error, Conflict) else log.error
                tell("follower.failed", follower=self.name, attempt=attempt, error=type(error).__name__)
                if attempt < _ATTEMPTS:
                    await asyncio.sleep(0.1 * 4**attempt)
                elif len(entries) > 1:  # one bad entry must not take its neighbours along
                    for single in entries:
                        await self._do(stores, scope, [single])
                else:
                    await self._give_up(stores, scope, entries[0], error)
            else:
                return

    async def _give_up(self, stores: Stores, scope: Scope, failed: Entry, error: Exception) -> None:
        event = Event(
            "follower.gave_up",
            failed.subject_kind,
            failed.subject_id,
            redact({"input": {"seq": failed.seq, "follower": self.name}, "output": {"error": type(error).__name__}}),
            failed.handling,
            Severity.ERROR,
            RunStatus.FAILED,
        )
        async with stores.read(scope) as read:
            running = await read.value(_RUN_STATUS, run_id=failed.run_id) == RunStatus.RUNNING
        try:
            await self._tell(stores, scope, event, failed.run_id if running else None)
        except Conflict:  # the run ended meanwhile
            await self._tell(stores, scope, event, None)

    async def _tell(self, stores: Stores, scope: Scope, event: Event, run_id: str | None) -> None:
        async with stores.work(scope, RunKind.ADMIN, run_id=run_id) as work:
            work.record(event)


def _where(scope: Scope) -> dict[str, str]:
    return {"tenant": scope.tenant_id, "env": scope.env.value}


def _cause(error: Exception) -> str:
    return error.message if isinstance(error, Unavailable) else type(error).__name__


async def reached(read: Read, follower: str, seq: int) -> bool:
    """Whether a follower has come as far as `seq` in this scope."""
    return (await read.value(_CHECKPOINT, follower=follower) or 0) >= seq


async def wait_for(
    stores: Stores,
    scope: Scope,
    follower: str,
    seq: int,
    seconds: float,
    poll_seconds: float,
    halted: IsHalted = _never,
) -> bool:
    """Wait until a follower has come as far as `seq`, at most `seconds`, and not for a halted one. True when it has."""
    with stores.signals.listen(scope.key) as listener:
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            async with stores.read(scope) as read:
                if await reached(read, follower, seq):
                    return True
                if await halted(read):
                    return False
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            await listener.wait(min(left, poll_seconds))
