"""Approve, reject, revoke: the decision of somebody else about exactly what they have seen."""

from __future__ import annotations

from nexus_graph.safeguards import chain
from nexus_graph.safeguards.locks import table
from nexus_graph.safeguards.locks.model import OPEN, Lock, LockState
from nexus_graph.safeguards.locks.telling import deed, found, moved_on, told
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import Conflict
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import RunKind
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Stores, Work


async def approve(
    stores: Stores, scope: Scope, lock_id: str, revision: int, change_digest: str, *, once: Once | None = None
) -> Lock:
    """Allow what a draft binds, as the approver has seen it: at this revision, with this digest.

    For an owner or admin who neither proposed nor edited it. Raises NotFound, Forbidden, Conflict when it is another
    revision, another change or no draft.
    """
    scope.require(Permission.LOCKS_APPROVE)
    async with stores.work(scope, RunKind.ADMIN, once=once) as work:
        before = await found(work, lock_id)
        if await work.earlier_answer() is not None:
            return before
        await chain.enforce(work, deed("approveLock", scope, before))
        if before.state is LockState.DRAFT and before.revision == revision and before.binds.digest != change_digest:
            path = ("input", "changeDigest")
            raise Conflict("The lock binds another change.", hint="Look at the lock again, then decide.", path=path)
        return await _decide(work, before, revision, (LockState.DRAFT,), LockState.APPROVED)


async def reject(stores: Stores, scope: Scope, lock_id: str, revision: int, *, once: Once | None = None) -> Lock:
    """Refuse a draft for good. For owners and admins. Raises NotFound, Conflict for another revision or no draft."""
    scope.require(Permission.LOCKS_APPROVE)
    async with stores.work(scope, RunKind.ADMIN, once=once) as work:
        before = await found(work, lock_id)
        if await work.earlier_answer() is not None:
            return before
        await chain.enforce(work, deed("rejectLock", scope, before))
        return await _decide(work, before, revision, (LockState.DRAFT,), LockState.REJECTED)


async def revoke(stores: Stores, scope: Scope, lock_id: str, *, once: Once | None = None) -> Lock:
    """End an open lock at once, whatever its revision. For its proposer, owners and admins.

    Raises NotFound, Forbidden, Conflict when it is not open any more.
    """
    scope.require(Permission.LOCKS_PROPOSE)
    async with stores.work(scope, RunKind.ADMIN, once=once) as work:
        before = await found(work, lock_id)
        if await work.earlier_answer() is not None:
            return before
        await chain.enforce(work, deed("revokeLock", scope, before))
        return await _decide(work, before, before.revision, OPEN, LockState.REVOKED)


_TOLD = {
    LockState.APPROVED: "lock.approved",
    LockState.REJECTED: "lock.rejected",
    LockState.REVOKED: "lock.revoked",
}


async def _decide(work: Work, before: Lock, revision: int, states: tuple[LockState, ...], state: LockState) -> Lock:
    """One statement compares and decides, so that nothing changes between the look and the decision."""
    rows = await work.write(
        table.DECIDE,
        lock_id=before.lock_id,
        revision=revision,
        states=states,
        state=state.value,
        decided_by=work.scope.principal.id,
        now=micros(work.now),
    )
    if not rows:
        raise moved_on(before)
    lock = table.lock(rows[0], work.now)
    work.record(told(_TOLD[state], lock))
    await work.keep_answer({"lock_id": lock.lock_id})
    return lock
