"""What every deed on a lock needs: the lock itself, the event that tells of it, the error when it moved on."""

from __future__ import annotations

from nexus_graph.safeguards.locks import table
from nexus_graph.safeguards.locks.model import OPEN, ChangeClass, Lock
from nexus_graph.safeguards.model import Deed
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.clock import iso
from nexus_graph.scope.errors import Conflict, Forbidden, NotFound
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Role, Scope
from nexus_graph.stores.journal import Event
from nexus_graph.stores.work import Read

ACTIONS = ("lock.proposed", "lock.edited", "lock.approved", "lock.rejected", "lock.revoked", "lock.used")
"""What may happen to a lock, as the journal names it."""


_RIGHTS = {
    "editLock": Permission.LOCKS_PROPOSE,
    "approveLock": Permission.LOCKS_APPROVE,
    "rejectLock": Permission.LOCKS_APPROVE,
    "revokeLock": Permission.LOCKS_PROPOSE,
}


async def found(read: Read, lock_id: str) -> Lock:
    """The lock as it stands now, or NotFound."""
    row = await read.row(table.FIND, lock_id=lock_id)
    if row is None:
        raise NotFound("lock", path=("input", "lockId"))
    return table.lock(row, read.now)


def deed(action: str, scope: Scope, lock: Lock) -> Deed:
    """A deed on a lock, as the safeguards see it. Deciding about one's own is nobody's right."""
    approver = scope.may(Permission.LOCKS_APPROVE)
    barred: Forbidden | None = None
    if action == "approveLock" and scope.role is Role.SYSTEM:
        barred = Forbidden("The engine approves no lock.", hint="An owner or admin of the tenant does.")
    elif action == "approveLock" and scope.principal.id in lock.authors:
        barred = Forbidden("Nobody approves what they proposed or edited.", hint="Ask another owner or admin.")
    elif action == "revokeLock" and scope.principal.id != lock.proposed_by and not approver:
        barred = Forbidden("Only its proposer, an owner or an admin revokes a lock.", hint="Ask one of them.")
    elif action == "editLock" and scope.principal.id not in lock.authors and not approver:
        barred = Forbidden("Only its authors, an owner or an admin edit a lock.", hint="Propose one of your own.")
    return Deed(action, _RIGHTS[action], barred=barred)


def told(action: str, lock: Lock) -> Event:
    """What happened to a lock: its terms, never the text or the reason."""
    output: dict[str, Json] = {"state": lock.state.value, "revision": lock.revision}
    output |= {"changeDigest": lock.binds.digest, "actions": _actions(lock), "mostUses": lock.most_uses}
    output |= {"validFrom": iso(lock.valid_from), "expiresAt": iso(lock.expires_at)}
    return Event(action, "lock", lock.lock_id, redact({"output": output}), lock.handling)


def moved_on(lock: Lock) -> Conflict:
    """The lock is not what the caller has seen."""
    if lock.state not in OPEN:
        return Conflict(f"The lock is {lock.state}.", hint="Propose another one.", path=("input", "lockId"))
    return Conflict(
        f"The lock is {lock.state} at revision {lock.revision}.",
        hint=f"Look at revision {lock.revision}, then decide about that.",
        path=("input", "revision"),
    )


def _actions(lock: Lock) -> list[Json]:
    binds = lock.binds
    return [action.value for action in (binds.actions if isinstance(binds, ChangeClass) else (binds.action,))]
