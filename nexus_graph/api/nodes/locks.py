"""Strategy Locks: look at them, propose, edit, decide."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from nexus_graph import cards
from nexus_graph.api.context import Info
from nexus_graph.api.fields import DEAR, change, read
from nexus_graph.api.idempotency import RepeatableInput, once
from nexus_graph.api.nodes.card_differences import CardDifference
from nexus_graph.api.nodes.lock_changes import Asked, LockChangeInput, change_json, wanted
from nexus_graph.api.nodes.runs import LogEntry
from nexus_graph.api.paging import After, Before, Connection, First, Last
from nexus_graph.api.scalars import Node, described
from nexus_graph.api.user_errors import UserError
from nexus_graph.safeguards import StrategicAction, locks
from nexus_graph.safeguards.locks import ChangeClass, LockFilter, LockState, Proposal
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Role

described(
    LockState,
    "How far a Strategy Lock is.",
    {
        "DRAFT": "Proposed, or edited since it was approved: it allows nothing.",
        "APPROVED": "Allows what it binds, within its window.",
        "REJECTED": "Refused for good.",
        "REVOKED": "Ended before its time.",
        "EXPIRED": "Its window is over.",
        "USED": "Used as often as it may be.",
    },
)


@strawberry.type(description="What somebody proposed, exactly or as a bounded class, and somebody else may allow.")
class StrategyLock(Node):
    """A lock."""

    id: strawberry.ID = strawberry.field(description="The lock's id.")
    state: LockState = strawberry.field(description="How far it is now.")
    action: StrategicAction | None = strawberry.field(description="What it allows; null for a class of changes.")
    target: str | None = strawberry.field(description="To what: a card, a subject, a resource; null for a class.")
    card_type: str | None = strawberry.field(description="The type of the card, where it is about one.")
    change_digest: str = strawberry.field(description="SHA-256 of what it binds. Whoever approves it states this.")
    change: JSON | None = strawberry.field(description="The exact change; null for a class.")
    text: str | None = strawberry.field(description="The exact text of the card that would be published.")
    reason: str = strawberry.field(description="Why, in the words of its proposer.")
    class_actions: list[StrategicAction] | None = strawberry.field(description="What a class allows; null otherwise.")
    class_card_types: list[str] | None = strawberry.field(description="On cards of which types; null otherwise.")
    valid_from: datetime = strawberry.field(description="From when on it counts.")
    expires_at: datetime = strawberry.field(description="From when on it counts no more.")
    uses: int = strawberry.field(description="How often it was used.")
    most_uses: int = strawberry.field(description="How often it may be used.")
    revision: int = strawberry.field(description="Raised by every edit. Whoever decides states this.")
    proposed_by: str = strawberry.field(description="Who proposed it, or edited it last.")
    proposed_at: datetime = strawberry.field(description="When.")
    decided_by: str | None = strawberry.field(description="Who approved, rejected or revoked it; null while a draft.")
    decided_at: datetime | None = strawberry.field(description="When.")
    lock: strawberry.Private[locks.Lock]

    @classmethod
    def of(cls, lock: locks.Lock) -> StrategyLock:
        """From the safeguard's value."""
        binds = lock.binds
        allowed, exact = (binds, None) if isinstance(binds, ChangeClass) else (None, binds)
        return cls(
            id=strawberry.ID(lock.lock_id),
            state=lock.state,
            action=exact.action if exact else None,
            target=exact.target if exact else None,
            card_type=exact.card_type if exact else None,
            change_digest=binds.digest,
            change=None if exact is None else JSON(change_json(exact)),
            text=lock.document or None,
            reason=lock.reason,
            class_actions=list(allowed.actions) if allowed else None,
            class_card_types=list(allowed.card_types) if allowed else None,
            valid_from=lock.valid_from,
            expires_at=lock.expires_at,
            uses=lock.uses,
            most_uses=lock.most_uses,
            revision=lock.revision,
            proposed_by=lock.proposed_by,
            proposed_at=lock.proposed_at,
            decided_by=lock.decided_by,
            decided_at=lock.decided_at,
            lock=lock,
        )

    @read(Permission.CARDS_READ, "What it would do to the card as it stands now; null when it is not about a card.")
    async def difference(self, info: Info) -> CardDifference | None:
        """A diff against the current version."""
        if self.action not in (StrategicAction.PUBLISH_CARD, StrategicAction.RETIRE_CARD) or self.target is None:
            return None
        current = await info.context.loaders.cards.load(self.target)
        before = "" if current is None else current.text
        return CardDifference.of(await asyncio.to_thread(cards.unified, before, self.lock.document))

    @read(Permission.LOCKS_READ, "What happened to it, oldest first.")
    async def history(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[LogEntry]:
        """A page of the journal's entries about it."""
        context = info.context
        cursors = context.house.cursors.list_of(context.scope, "lockHistory", self.lock.lock_id)
        window = cursors.window(first, after, last, before)
        page = await locks.history(context.house.stores, context.scope, self.lock.lock_id, window)
        return cursors.connection(page, LogEntry.of)


@strawberry.type(description="What a lock for a change would bind. Nothing is written.")
class LockProposal:
    """A preview."""

    change_digest: str = strawberry.field(description="SHA-256 of what it would bind.")
    strategic: bool = strawberry.field(description="Whether the change needs a lock at all.")
    change: JSON | None = strawberry.field(description="The exact change; null for a class.")
    difference: CardDifference | None = strawberry.field(
        description="What it would do to the card; null when it is not about one."
    )
    approvers: list[Role] = strawberry.field(description="Who may approve it, its own proposer apart.")


@strawberry.input(description="What to ask for, and why.")
class ProposeLockInput(RepeatableInput):
    """Input of proposeLock."""

    change: LockChangeInput = strawberry.field(description="One exact change, or a bounded class.")
    reason: str = strawberry.field(description="Why, 1 to 1000 characters, for whoever decides.")
    valid_from: datetime | None = strawberry.field(default=None, description="From when on; null from now on.")
    expires_at: datetime | None = strawberry.field(
        default=None, description="Until when; null as long as the installation allows."
    )


@strawberry.input(description="What an open lock shall ask for instead. Its approval is void.")
class EditLockInput(ProposeLockInput):
    """Input of editLock."""

    lock_id: strawberry.ID = strawberry.field(description="The lock.")
    revision: int = strawberry.field(description="Its revision as you know it.")


@strawberry.input(description="Which lock to approve, as you have seen it.")
class ApproveLockInput(RepeatableInput):
    """Input of approveLock."""

    lock_id: strawberry.ID = strawberry.field(description="The lock.")
    revision: int = strawberry.field(description="The revision that you have looked at.")
    change_digest: str = strawberry.field(description="The changeDigest that you have looked at.")


@strawberry.input(description="Which lock to reject, as you have seen it.")
class RejectLockInput(RepeatableInput):
    """Input of rejectLock."""

    lock_id: strawberry.ID = strawberry.field(description="The lock.")
    revision: int = strawberry.field(description="The revision that you have looked at.")


@strawberry.input(description="Which lock to end.")
class RevokeLockInput(RepeatableInput):
    """Input of revokeLock."""

    lock_id: strawberry.ID = strawberry.field(description="The lock.")


@strawberry.type(description="The lock as it is now.")
class LockPayload:
    """Payload of every mutation of a lock."""

    lock: StrategyLock | None = strawberry.field(default=None, description="The lock; null when refused.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to mend; empty on success.")


@strawberry.type
class LockQuery:
    """Queries of the safeguard."""

    @read(Permission.LOCKS_READ, "A Strategy Lock by its id; null when there is none here.", unstoppable=True)
    async def lock(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> StrategyLock | None:
        """One lock."""
        found = await info.context.loaders.locks.load(str(id))
        return StrategyLock.of(found) if found else None

    @read(Permission.LOCKS_READ, "Strategy Locks, latest proposed first.", unstoppable=True)
    async def locks(
        self,
        info: Info,
        states: Annotated[list[LockState] | None, strawberry.argument(description="In any of these states.")] = None,
        actions: Annotated[
            list[StrategicAction] | None, strawberry.argument(description="For any of these actions, classes too.")
        ] = None,
        target: Annotated[str | None, strawberry.argument(description="On this card, subject or resource.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[StrategyLock]:
        """A page of locks."""
        stores, scope = info.context.house.stores, info.context.scope
        chosen = LockFilter(tuple(sorted(set(states or ()))), tuple(sorted(set(actions or ()))), target)
        conditions: Json = [[*chosen.states], [*chosen.actions], target]
        cursors = info.context.house.cursors.list_of(scope, "locks", conditions)
        window = cursors.window(first, after, last, before)
        return cursors.connection(await locks.list_locks(stores, scope, chosen, window), StrategyLock.of)

    @read(
        Permission.LOCKS_PROPOSE,
        "What a lock for a change would bind, and who may approve it.",
        points=DEAR,
        unstoppable=True,
    )
    async def proposal(self, info: Info, change: Asked) -> LockProposal:
        """A preview of proposeLock."""
        found = await wanted(info, change)
        if found.before is not None:
            await cards.record_read(info.context.house.stores, info.context.scope, [found.before])
        rights = info.context.house.admission.policy.rights
        return LockProposal(
            change_digest=found.binds.digest,
            strategic=found.strategic,
            change=None if isinstance(found.binds, ChangeClass) else JSON(change_json(found.binds)),
            difference=CardDifference.of(found.difference) if found.difference else None,
            approvers=[role for role in Role if Permission.LOCKS_APPROVE in rights.get(role, ())],
        )


@strawberry.type
class LockMutation:
    """Mutations of the safeguard. None can be halted: a release of the kill switch itself needs a lock."""

    @change(
        Permission.LOCKS_PROPOSE, "Ask for a Strategy Lock; somebody else approves it.", locked=None, unstoppable=True
    )
    async def propose_lock(
        self, info: Info, input: Annotated[ProposeLockInput, strawberry.argument(description="What and why.")]
    ) -> LockPayload:
        """Propose."""
        stores, scope = info.context.house.stores, info.context.scope
        proposal = await _proposal(info, input)
        return _payload(await locks.propose(stores, scope, proposal, once=once("proposeLock", input)))

    @change(
        Permission.LOCKS_PROPOSE,
        "Replace what an open lock asks for: it is a draft again, and its editor can't approve it.",
        locked=None,
        unstoppable=True,
    )
    async def edit_lock(
        self, info: Info, input: Annotated[EditLockInput, strawberry.argument(description="Which, what and why.")]
    ) -> LockPayload:
        """Edit."""
        stores, scope = info.context.house.stores, info.context.scope
        proposal, repeat = await _proposal(info, input), once("editLock", input)
        return _payload(await locks.edit(stores, scope, str(input.lock_id), input.revision, proposal, once=repeat))

    @change(
        Permission.LOCKS_APPROVE,
        "Allow what a lock binds, exactly as you have seen it. Never one that you proposed or edited.",
        locked=None,
        unstoppable=True,
    )
    async def approve_lock(
        self, info: Info, input: Annotated[ApproveLockInput, strawberry.argument(description="Which, as seen.")]
    ) -> LockPayload:
        """Approve."""
        stores, scope = info.context.house.stores, info.context.scope
        repeat = once("approveLock", input)
        return _payload(
            await locks.approve(stores, scope, str(input.lock_id), input.revision, input.change_digest, once=repeat)
        )

    @change(Permission.LOCKS_APPROVE, "Refuse a draft for good.", locked=None, unstoppable=True)
    async def reject_lock(
        self, info: Info, input: Annotated[RejectLockInput, strawberry.argument(description="Which, as seen.")]
    ) -> LockPayload:
        """Reject."""
        stores, scope = info.context.house.stores, info.context.scope
        repeat = once("rejectLock", input)
        return _payload(await locks.reject(stores, scope, str(input.lock_id), input.revision, once=repeat))

    @change(
        Permission.LOCKS_PROPOSE,
        "End an open lock at once: one's own, or any for whoever may approve.",
        locked=None,
        unstoppable=True,
    )
    async def revoke_lock(
        self, info: Info, input: Annotated[RevokeLockInput, strawberry.argument(description="Which.")]
    ) -> LockPayload:
        """Revoke."""
        stores, scope = info.context.house.stores, info.context.scope
        return _payload(await locks.revoke(stores, scope, str(input.lock_id), once=once("revokeLock", input)))


async def _proposal(info: Info, input: ProposeLockInput) -> Proposal:
    found = (await wanted(info, input.change)).lockable()
    return Proposal(
        binds=found.binds,
        reason=input.reason,
        valid_from=input.valid_from,
        expires_at=input.expires_at,
        document=found.document,
        concerns=found.concerns,
    )


def _payload(lock: locks.Lock) -> LockPayload:
    return LockPayload(lock=StrategyLock.of(lock))
