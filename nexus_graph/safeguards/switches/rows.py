"""Kill switches' rows, declared: a part of the schema of record."""

from __future__ import annotations

from sqlalchemy import Index, text
from sqlmodel import Field

from nexus_graph.stores.tables import ScopedRow

_ENGAGED = text("released_at IS NULL")


class KillSwitchRow(ScopedRow, table=True):
    """A switch, engaged or released. One target is engaged once at a time."""

    __tablename__ = "kill_switches"
    __table_args__ = (
        Index("kill_switches_by_engaging", "tenant_id", "env", "engaged_at", "switch_id"),
        Index(
            "kill_switches_engaged",
            "tenant_id",
            "env",
            "target",
            "name",
            unique=True,
            sqlite_where=_ENGAGED,
            postgresql_where=_ENGAGED,
        ),
    )
    switch_id: str = Field(primary_key=True)
    target: str
    name: str
    reason: str
    engaged_by: str
    engaged_at: int
    released_by: str | None
    released_at: int | None
