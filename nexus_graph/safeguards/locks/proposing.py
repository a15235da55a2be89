"""Propose a lock, or edit one. Nothing is allowed by that: somebody else approves it."""

from __future__ import annotations

from dataclasses import replace

from nexus_graph.safeguards import chain
from nexus_graph.safeguards.locks import model, table
from nexus_graph.safeguards.locks.model import OPEN, ChangeClass, Lock, Proposal
from nexus_graph.safeguards.locks.telling import deed, found, moved_on, told
from nexus_graph.safeguards.model import Deed
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import QuotaExceeded
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import pii_flags
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import RunKind
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.statement import Value
from nexus_graph.stores.work import Stores, Work

MOST_DRAFTS = 100


async def propose(stores: Stores, scope: Scope, proposal: Proposal, *, once: Once | None = None) -> Lock:
    """Ask for a lock. Raises Invalid (reason, window, class), QuotaExceeded with 100 undecided ones of one's own."""
    scope.require(Permission.LOCKS_PROPOSE)
    proposal = _checked(proposal)
    flags = pii_flags([proposal.document, proposal.reason])
    async with stores.work(scope, RunKind.ADMIN, once=once) as work:
        if isinstance(answer := await work.earlier_answer(), dict):
            return await found(work, str(answer["lock_id"]))
        await chain.enforce(work, Deed("proposeLock", Permission.LOCKS_PROPOSE))
        drafts = await work.value(table.COUNT_DRAFTS, proposed_by=scope.principal.id, now=micros(work.now))
        if drafts >= MOST_DRAFTS:
            message = f"{MOST_DRAFTS} proposals of yours wait for a decision."
            raise QuotaExceeded(message, hint="Withdraw one with revokeLock.")
        lock_id = work.new_id("lock")
        columns = _columns(work, proposal, flags, ())
        [row] = await work.write(table.ADD, lock_id=lock_id, **columns)
        lock = table.lock(row, work.now)
        work.record(told("lock.proposed", lock))
        await work.keep_answer({"lock_id": lock_id})
    return lock


async def edit(
    stores: Stores, scope: Scope, lock_id: str, revision: int, proposal: Proposal, *, once: Once | None = None
) -> Lock:
    """Replace what an open lock asks for. Its approval is void, its uses begin anew, the editor is its proposer.

    For its authors, and for whoever may approve. Raises NotFound, Forbidden, Invalid, Conflict (revision, state).
    """
    scope.require(Permission.LOCKS_PROPOSE)
    proposal = _checked(proposal)
    flags = pii_flags([proposal.document, proposal.reason])
    async with stores.work(scope, RunKind.ADMIN, once=once) as work:
        before = await found(work, lock_id)
        if await work.earlier_answer() is not None:
            return before
        await chain.enforce(work, deed("editLock", scope, before))
        if before.state not in OPEN or before.revision != revision:
            raise moved_on(before)
        columns = _columns(work, proposal, flags, before.authors)
        rows = await work.write(table.EDIT, lock_id=lock_id, revision=revision, **columns)
        if not rows:
            raise moved_on(before)
        lock = table.lock(rows[0], work.now)
        work.record(told("lock.edited", lock))
        await work.keep_answer({"lock_id": lock_id})
    return lock


def _checked(proposal: Proposal) -> Proposal:
    binds = proposal.binds.checked() if isinstance(proposal.binds, ChangeClass) else proposal.binds
    return replace(proposal, binds=binds, reason=model.reason(proposal.reason))


def _columns(work: Work, proposal: Proposal, flags: tuple[str, ...], authors: tuple[str, ...]) -> dict[str, Value]:
    valid_from, expires_at = model.window(proposal, work.now, work.limits.lock_seconds)
    who = work.scope.principal.id
    handling = Handling(flags, train_ok=False)  # a proposal is somebody's argument, not material
    return {
        **table.terms(proposal.binds),
        "document": proposal.document,
        "concerns": table.texts(sorted(set(proposal.concerns))),
        "reason": proposal.reason,
        "valid_from": micros(valid_from),
        "expires_at": micros(expires_at),
        "authors": table.texts(sorted({*authors, who})),
        "proposed_by": who,
        "now": micros(work.now),
        "pii_flags": table.texts(handling.pii_flags),
        "train_ok": handling.train_ok,
    }
