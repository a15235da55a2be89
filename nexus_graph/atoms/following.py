"""The follower that derives atoms from what was sealed, and ends the run in which it was."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from nexus_graph import assets
from nexus_graph.assets import Asset
from nexus_graph.atoms.attempting import Without, attempt, tell
from nexus_graph.atoms.deriving import Derived, add, with_attachments
from nexus_graph.atoms.sandbox import Sandbox
from nexus_graph.safeguards import switches
from nexus_graph.scope.errors import NexusError
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.follower import Entry, Follower
from nexus_graph.stores.journal import RunKind
from nexus_graph.stores.outcomes import outcomes
from nexus_graph.stores.work import Stores, Verb

FOLLOWER = "atoms"
_OUTCOMES = ("atoms.derived", "atoms.refused", "atoms.skipped")
_BATCH = 16  # files of one scope in a row: each may take as long as a derivation is allowed
_AHEAD = 32  # files that are read, or wait to be kept, at the same time; a large one counts as many
_LARGE = 2**20


@dataclass(frozen=True, slots=True)
class _Sealed:
    """An entry that waits for its outcome: the asset, None when that is gone, and the run that it belongs to."""

    entry: Entry
    asset: Asset | None
    run_id: str | None

    @property
    def room(self) -> int:
        """As how many files it counts."""
        return 1 if self.asset is None else min(1 + self.asset.size // _LARGE, _AHEAD)


def follower(sandbox: Sandbox) -> Follower:
    """Derives atoms from every sealed asset with the usual recipe of its kind.

    A file that no recipe reads is skipped; one that can't be read within the limits is refused, and its run fails.
    """

    async def deed(stores: Stores, scope: Scope, entries: Sequence[Entry]) -> None:
        waiting = await _waiting(stores, scope, entries)
        room, turn = asyncio.Semaphore(_AHEAD), asyncio.Lock()

        async def attempt_in_turn(sealed: _Sealed) -> Derived | Without:
            async with turn:  # who is kept first has its room first
                for _ in range(sealed.room):
                    await room.acquire()
            return await _attempt(stores, sandbox, scope, sealed.asset)

        # Read side by side, kept in the order in which they were sealed: together, as many as are ready.
        attempts = [asyncio.create_task(attempt_in_turn(sealed)) for sealed in waiting]
        left = deque(zip(waiting, attempts, strict=True))
        try:
            while left:
                await left[0][1]
                ready = [left.popleft()]
                while left and left[0][1].done():
                    ready.append(left.popleft())
                verbs = [await _verb(stores, scope, sealed, attempted.result()) for sealed, attempted in ready]
                for came_to in await stores.works(scope, RunKind.DERIVE, verbs):
                    if isinstance(came_to, NexusError):
                        raise came_to
                for _ in range(sum(sealed.room for sealed, _ in ready)):
                    room.release()
        finally:
            for attempted in attempts:
                attempted.cancel()
            await asyncio.gather(*attempts, return_exceptions=True)

    return Follower(FOLLOWER, ("asset.sealed",), deed, batch=_BATCH, halted=switches.halts(FOLLOWER, switches.OBJECTS))


async def _waiting(stores: Stores, scope: Scope, entries: Sequence[Entry]) -> list[_Sealed]:
    """The entries whose outcome is not in their run yet. After a crash, entries come a second time."""
    async with stores.read(scope) as read:
        known = await outcomes(read, entries, _OUTCOMES)
    found = await assets.fetch(stores, scope, [entry.subject_id for entry in entries])
    return [
        _Sealed(entry, found.get(entry.subject_id), known.run_of(entry))
        for entry in entries
        if not known.is_told(entry)
    ]


async def _attempt(stores: Stores, sandbox: Sandbox, scope: Scope, asset: Asset | None) -> Derived | Without:
    if asset is None:
        return Without("atoms.skipped", {"reason": "the asset is gone"}, None)
    return await attempt(stores, sandbox, scope, asset)


async def _verb(stores: Stores, scope: Scope, sealed: _Sealed, came_to: Derived | Without) -> Verb[object]:
    """What keeps the outcome of an entry, once attachments are kept."""
    if isinstance(came_to, Derived):
        return Verb(partial(add, await with_attachments(stores, scope, came_to)), sealed.run_id)
    entry = sealed.entry
    detail = redact({"input": {"seq": entry.seq}, "output": came_to.detail})
    return Verb(partial(tell, came_to, entry.subject_id, detail, entry.handling), sealed.run_id)
