"""Strategy Locks: what is strategic happens only as somebody proposed it and somebody else approved it.

In: a proposal of one exact change or a bounded class of changes; decisions about it; strategic deeds.
Out: `Lock`, lists and histories of them; the gate's refusal, or one use counted.
Never: a lock approved by an author of it, approved unseen, used once more than allowed, or used after its expiry.
"""

from nexus_graph.safeguards.locks.deciding import approve, reject, revoke
from nexus_graph.safeguards.locks.model import ChangeClass, Lock, LockFilter, LockState, Proposal
from nexus_graph.safeguards.locks.proposing import edit, propose
from nexus_graph.safeguards.locks.reading import concerning, fetch, history, list_locks
from nexus_graph.safeguards.locks.using import refusal, required, use

__all__ = [
    "ChangeClass",
    "Lock",
    "LockFilter",
    "LockState",
    "Proposal",
    "approve",
    "concerning",
    "edit",
    "fetch",
    "history",
    "list_locks",
    "propose",
    "refusal",
    "reject",
    "required",
    "revoke",
    "use",
]
