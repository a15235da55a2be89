"""Sessions' rows, declared: a part of the schema of record."""

from __future__ import annotations

from sqlalchemy import Index
from sqlmodel import Field

from nexus_graph.stores.tables import ScopedRow


class SessionRow(ScopedRow, table=True):
    """A session of one principal; `size` in bytes of all its entries' contents."""

    __tablename__ = "sessions"
    __table_args__ = (Index("sessions_by_expiry", "tenant_id", "env", "expires_at"),)
    actor_kind: str = Field(primary_key=True)
    actor_id: str = Field(primary_key=True)
    session_id: str = Field(primary_key=True)
    entries: int
    last_ordinal: int
    size: int
    created_at: int
    changed_at: int
    expires_at: int


class SessionEntryRow(ScopedRow, table=True):
    """What a session remembers. The only copy of the content there is."""

    __tablename__ = "session_entries"
    actor_kind: str = Field(primary_key=True)
    actor_id: str = Field(primary_key=True)
    session_id: str = Field(primary_key=True)
    ordinal: int = Field(primary_key=True)
    kind: str
    content: str
    pii_flags: str
    train_ok: bool
    created_at: int
