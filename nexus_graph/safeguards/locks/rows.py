"""Strategy Locks' rows, declared: a part of the schema of record."""

from __future__ import annotations

from sqlalchemy import Index
from sqlmodel import Field

from nexus_graph.stores.tables import ScopedRow


class StrategyLockRow(ScopedRow, table=True):
    """A lock. `action`, `target`, `card_type` and `content` are one exact change, the `class_` columns a class.

    `authors` and `concerns` are JSON lists: who proposed or edited it, and which settings screens show it.
    """

    __tablename__ = "strategy_locks"
    __table_args__ = (
        Index("strategy_locks_by_state", "tenant_id", "env", "state", "expires_at"),
        Index("strategy_locks_by_time", "tenant_id", "env", "proposed_at", "lock_id"),
    )
    lock_id: str = Field(primary_key=True)
    state: str
    action: str | None
    target: str
    card_type: str | None
    change_digest: str
    content: str
    document: str
    concerns: str
    reason: str
    class_actions: str | None
    class_card_types: str | None
    valid_from: int
    expires_at: int
    uses: int
    most_uses: int
    revision: int
    authors: str
    proposed_by: str
    proposed_at: int
    decided_by: str | None
    decided_at: int | None
    pii_flags: str
    train_ok: bool
