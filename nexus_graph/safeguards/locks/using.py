"""The gate: a strategic deed needs an approved lock, and uses it up inside its own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from nexus_graph.safeguards.locks import table
from nexus_graph.safeguards.model import Change, Deed, StrategicAction
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import LockRequired, NexusError
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Role
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.journal import Event
from nexus_graph.stores.work import Read, Work

_UNSEEN = Handling((), train_ok=False)
_PROPOSALS = {
    StrategicAction.PUBLISH_CARD: "publishCard",
    StrategicAction.RETIRE_CARD: "retireCard",
    StrategicAction.REINDEX: "reindex",
    StrategicAction.RELEASE_KILL_SWITCH: "releaseKillSwitch",
    StrategicAction.SET_QUOTA: "setQuota",
}


@dataclass(frozen=True, slots=True)
class _Usable:
    """A lock that allows a change, at the revision that was approved."""

    lock_id: str
    revision: int


async def refusal(read: Read, deed: Deed) -> NexusError | None:
    """LockRequired for a strategic deed that no approved lock allows. The engine and the operator need none."""
    if deed.change is None or read.scope.role is Role.SYSTEM or await _usable(read, deed.change):
        return None
    return required(deed.change)


async def use(work: Work, deed: Deed) -> None:
    """Count one use of the lock that allows a strategic deed: one for exactly it before one for its class.

    Raises LockRequired when the last use was taken meanwhile. What the engine or the operator does without a lock is
    journalled as waived, so that owners see it.
    """
    if deed.change is None:
        return
    if work.scope.role is Role.SYSTEM:
        work.record(_event("lock.waived", "change", deed.change.digest, deed.change, {}))
        return
    for lock in await _usable(work, deed.change):
        rows = await work.write(table.USE, lock_id=lock.lock_id, revision=lock.revision, now=micros(work.now))
        if rows:
            count: dict[str, Json] = {"uses": rows[0]["uses"], "mostUses": rows[0]["most_uses"]}
            work.record(_event("lock.used", "lock", lock.lock_id, deed.change, count))
            return
    raise required(deed.change)


def required(change: Change) -> LockRequired:
    """What a caller is told who has no lock for a change."""
    member = change.content.get("mutation") or _PROPOSALS.get(change.action, "anyOf")
    return LockRequired(
        f"{change.action} needs an approved Strategy Lock.",
        change_digest=change.digest,
        hint=f"Propose it with proposeLock(input: {{change: {{{member}: ...}}}}); "
        "an owner or admin other than the proposer approves it.",
    )


async def _usable(read: Read, change: Change) -> Sequence[_Usable]:
    """The locks that allow a change now, those for exactly it first, then by expiry and id."""
    if change.open:
        return await _perhaps_usable(read, change)
    rows = await read.rows(table.USABLE, change_digest=change.digest, now=micros(read.now))
    classes = ((row, table.change_class(row)) for row in rows)
    return [
        _Usable(row["lock_id"], row["revision"])
        for row, allowed in classes
        if allowed is None or allowed.covers(change)
    ]


async def _perhaps_usable(read: Read, change: Change) -> Sequence[_Usable]:
    """The locks that would allow some change like this: to its target, if it has one yet, with what is known of it.

    One statement for whatever is asked about in one state: a page of cards asks for each of them.
    """
    rows = await read.rows(table.ALL_USABLE, now=micros(read.now))
    classes = ((row, table.change_class(row)) for row in rows)
    return [
        _Usable(row["lock_id"], row["revision"])
        for row, allowed in classes
        if (_same_kind(row, change) if allowed is None else allowed.covers(change))
    ]


def _same_kind(row: Row, change: Change) -> bool:
    if (row["action"], row["card_type"]) != (change.action, change.card_type):
        return False
    return change.target in ("", row["target"]) and change.content.items() <= orjson.loads(row["content"]).items()


def _event(action: str, kind: str, subject: str, change: Change, count: dict[str, Json]) -> Event:
    told: dict[str, Json] = {"action": str(change.action), "changeDigest": change.digest, "cardType": change.card_type}
    return Event(action, kind, subject, redact({"input": told, "output": count}), _UNSEEN, ends=None)
