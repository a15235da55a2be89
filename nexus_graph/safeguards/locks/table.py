"""The rows of the locks and their SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from nexus_graph.safeguards.locks.model import OPEN, ChangeClass, Lock, LockFilter, LockState
from nexus_graph.safeguards.model import Change, StrategicAction
from nexus_graph.scope.canonical import canonical
from nexus_graph.scope.clock import micros, moment
from nexus_graph.scope.handling import kept
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement, Value

Values = dict[str, Value | Sequence[Value]]


_HERE = "from strategy_locks where tenant_id = :tenant_id and env = :env"
_AT_NOW = "(case when state in ('DRAFT', 'APPROVED') and expires_at <= :now then 'EXPIRED' else state end)"

LOCKS = f"select * {_HERE}"
FIND = Statement(f"{LOCKS} and lock_id = :lock_id")
FIND_MANY = Statement(f"{LOCKS} and lock_id in (:ids...)")
COUNT_DRAFTS = Statement(
    f"select count(*) {_HERE} and state = 'DRAFT' and expires_at > :now and proposed_by = :proposed_by"
)
USABLE = Statement(
    f"select lock_id, revision, class_actions, class_card_types, most_uses {_HERE} "
    "and state = 'APPROVED' and uses < most_uses and valid_from <= :now and expires_at > :now "
    "and (change_digest = :change_digest or class_actions is not null) "
    "order by case when class_actions is null then 0 else 1 end, expires_at, lock_id"
)
ALL_USABLE = Statement(
    f"select lock_id, revision, action, target, card_type, content, class_actions, class_card_types, most_uses {_HERE} "
    "and state = 'APPROVED' and uses < most_uses and valid_from <= :now and expires_at > :now"
)
ADD = Statement(
    "insert into strategy_locks (tenant_id, env, lock_id, state, action, target, card_type, change_digest, content, "
    "document, concerns, reason, class_actions, class_card_types, valid_from, expires_at, uses, most_uses, revision, "
    "authors, proposed_by, proposed_at, decided_by, decided_at, pii_flags, train_ok) values (:tenant_id, :env, "
    ":lock_id, 'DRAFT', :action, :target, :card_type, :change_digest, :content, :document, :concerns, :reason, "
    ":class_actions, :class_card_types, :valid_from, :expires_at, 0, :most_uses, 1, :authors, :proposed_by, :now, "
    "null, null, :pii_flags, :train_ok) returning *"
)
EDIT = Statement(
    "update strategy_locks set state = 'DRAFT', action = :action, target = :target, card_type = :card_type, "
    "change_digest = :change_digest, content = :content, document = :document, concerns = :concerns, "
    "reason = :reason, class_actions = :class_actions, class_card_types = :class_card_types, "
    "valid_from = :valid_from, expires_at = :expires_at, uses = 0, most_uses = :most_uses, revision = revision + 1, "
    "authors = :authors, proposed_by = :proposed_by, proposed_at = :now, decided_by = null, decided_at = null, "
    "pii_flags = :pii_flags, train_ok = :train_ok where tenant_id = :tenant_id and env = :env "
    "and lock_id = :lock_id and revision = :revision and state in ('DRAFT', 'APPROVED') "
    "and strategy_locks.expires_at > :now returning *"
)
DECIDE = Statement(
    "update strategy_locks set state = :state, decided_by = :decided_by, decided_at = :now "
    "where tenant_id = :tenant_id and env = :env and lock_id = :lock_id and revision = :revision "
    "and state in (:states...) and expires_at > :now returning *"
)
USE = Statement(
    "update strategy_locks set uses = uses + 1, state = case when uses + 1 >= most_uses then 'USED' else state end "
    "where tenant_id = :tenant_id and env = :env and lock_id = :lock_id and revision = :revision "
    "and state = 'APPROVED' and uses < most_uses and valid_from <= :now and expires_at > :now "
    "returning uses, most_uses"
)
EVENTS = (
    "select * from journal_events where tenant_id = :tenant_id and env = :env "
    "and action in (:actions...) and subject_id = :lock_id"
)


def conditions(chosen: LockFilter, now: datetime) -> tuple[str, Values]:
    """The condition on a lock that a filter means at a moment."""
    sql, values = "", Values()
    if chosen.states:
        sql += f" and {_AT_NOW} in (:states...)"
        values |= {"states": [*chosen.states], "now": micros(now)}
    if chosen.actions:
        listed, patterns = _names("class_actions", chosen.actions)
        sql += f" and (action in (:actions...) or {listed})"
        values |= {"actions": [*chosen.actions], **patterns}
    if chosen.target is not None:
        sql += " and target = :target"
        values["target"] = chosen.target
    return sql, values


def concerning(targets: Sequence[str], screen: str, card_types: Sequence[str], now: datetime) -> tuple[str, Values]:
    """The condition on a lock that is open and concerns these targets, a settings screen or these card types."""
    shown, values = _names("concerns", [screen])
    classes, patterns = _names("class_card_types", card_types)
    sql = f" and {_AT_NOW} in (:states...) and (target in (:targets...) or {shown} or {classes})"
    return sql, {"states": [*OPEN], "now": micros(now), "targets": [*targets], **values, **patterns}


def _names(column: str, words: Sequence[str]) -> tuple[str, Values]:
    """The condition that a JSON list of plain words holds one of these."""
    values: Values = {f"{column}_{place}": f'%"{word.replace("_", "!_")}"%' for place, word in enumerate(words)}
    return "(" + " or ".join(f"{column} like :{name} escape '!'" for name in values) + ")", values


def terms(binds: Change | ChangeClass) -> dict[str, Value]:
    """The columns of what a lock binds."""
    if isinstance(binds, ChangeClass):
        actions, card_types = _json([*binds.actions]), _json([*binds.card_types])
        exact: dict[str, Value] = {"action": None, "target": "", "card_type": None, "content": "{}"}
        allowed: dict[str, Value] = {"class_actions": actions, "class_card_types": card_types, "most_uses": binds.uses}
    else:
        content = canonical(dict(binds.content)).decode()
        exact = {"action": binds.action.value, "target": binds.target, "card_type": binds.card_type, "content": content}
        allowed = {"class_actions": None, "class_card_types": None, "most_uses": 1}
    return {**exact, **allowed, "change_digest": binds.digest}


def texts(values: Sequence[str]) -> str:
    """A list of texts as a column keeps it."""
    return _json([*values])


def change_class(row: Row) -> ChangeClass | None:
    """The class in a row; None for an exact change."""
    if row["class_actions"] is None:
        return None
    actions = tuple(StrategicAction(action) for action in orjson.loads(row["class_actions"]))
    return ChangeClass(actions, tuple(orjson.loads(row["class_card_types"])), row["most_uses"])


def lock(row: Row, now: datetime) -> Lock:
    """The lock in a row, as it stands at a moment."""
    state = LockState(row["state"])
    decided = row["decided_at"]
    return Lock(
        lock_id=row["lock_id"],
        state=LockState.EXPIRED if state in OPEN and row["expires_at"] <= micros(now) else state,
        binds=change_class(row) or _change(row),
        document=row["document"],
        reason=row["reason"],
        valid_from=moment(row["valid_from"]),
        expires_at=moment(row["expires_at"]),
        uses=row["uses"],
        most_uses=row["most_uses"],
        revision=row["revision"],
        authors=tuple(orjson.loads(row["authors"])),
        proposed_by=row["proposed_by"],
        proposed_at=moment(row["proposed_at"]),
        decided_by=row["decided_by"],
        decided_at=None if decided is None else moment(decided),
        handling=kept(row["pii_flags"], bool(row["train_ok"])),
    )


def _change(row: Row) -> Change:
    content: dict[str, Any] = orjson.loads(row["content"])
    return Change(StrategicAction(row["action"]), row["target"], content, row["card_type"])


def _json(values: list[Any]) -> str:
    return canonical(values).decode()
