"""Short ways to a Strategy Lock, for tests that are about what it allows."""

from __future__ import annotations

from nexus_graph.safeguards import Change
from nexus_graph.safeguards.locks import ChangeClass, Lock, Proposal, approve, propose
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.work import Stores


async def proposed(stores: Stores, scope: Scope, binds: Change | ChangeClass) -> Lock:
    """A draft of somebody, from now on for as long as it may be."""
    return await propose(stores, scope, Proposal(binds, "It is time."))


async def approved(stores: Stores, proposer: Scope, approver: Scope, binds: Change | ChangeClass) -> Lock:
    """A lock that one proposed and the other approved."""
    lock = await proposed(stores, proposer, binds)
    return await approve(stores, approver, lock.lock_id, lock.revision, lock.binds.digest)
