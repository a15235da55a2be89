"""The follower that derives atoms from what was sealed, and ends the run in which it was."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from nexus_graph import assets
from nexus_graph.assets import Asset
from nexus_graph.atoms.attempting import Without, attempt, tell
from nexus_graph.atoms.deriving import Derived, keep, with_attachments
from nexus_graph.atoms.sandbox import Sandbox
from nexus_graph.safeguards import switches
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.follower import Entry, Follower
from nexus_graph.stores.outcomes import outcomes
from nexus_graph.stores.work import Stores

FOLLOWER = "atoms"
_OUTCOMES = ("atoms.derived", "atoms.refused", "atoms.skipped")
_BATCH = 16  # files of one scope in a row: each may take as long as a derivation is allowed
_AHEAD = 4  # files that are read, or wait to be kept, at the same time: each may be large


@dataclass(frozen=True, slots=True)
class _Sealed:
    """An entry that waits for its outcome: the asset, None when that is gone, and the run that it belongs to."""

    entry: Entry
    asset: Asset | None
    run_id: str | None


def follower(sandbox: Sandbox) -> Follower:
    """Derives atoms from every sealed asset with the usual recipe of its kind.

    A file that no recipe reads is skipped; one that can't be read within the limits is refused, and its run fails.
    """

    async def deed(stores: Stores, scope: Scope, entries: Sequence[Entry]) -> None:
        waiting = await _waiting(stores, scope, entries)
        room = asyncio.Semaphore(_AHEAD)

        async def attempt_in_turn(sealed: _Sealed) -> Derived | Without:
            await room.acquire()
            return await _attempt(stores, sandbox, scope, sealed.asset)

        # Read side by side, kept in the order in which they were sealed.
        attempts = [asyncio.create_task(attempt_in_turn(sealed)) for sealed in waiting]
        try:
            for sealed, attempted in zip(waiting, attempts, strict=True):
                outcome = await attempted
                if isinstance(outcome, Derived):
                    whole = await with_attachments(stores, scope, outcome)
                    await keep(stores, scope, whole, run_id=sealed.run_id)
                else:
                    await _tell(stores, scope, sealed, outcome)
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


async def _tell(stores: Stores, scope: Scope, sealed: _Sealed, without: Without) -> None:
    detail = redact({"input": {"seq": sealed.entry.seq}, "output": without.detail})
    await tell(stores, scope, sealed.entry.subject_id, without, detail, sealed.entry.handling, sealed.run_id)
