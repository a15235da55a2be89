"""Erasures' rows, declared: a part of the schema of record."""

from __future__ import annotations

from sqlalchemy import Index
from sqlmodel import Field

from nexus_graph.stores.tables import ScopedRow


class ErasureRow(ScopedRow, table=True):
    """An erasure. `doomed` are the ids and objects that go; JSON columns are canonical.

    `ledger_entry` is what the ledger keeps of it, from the certificate on.
    """

    __tablename__ = "erasures"
    __table_args__ = (Index("erasures_by_planning", "tenant_id", "env", "planned_at", "erasure_id"),)
    erasure_id: str = Field(primary_key=True)
    kind: str
    subject: str | None
    mentions: bool
    subject_digest: str | None
    digest: str
    state: str
    doomed: str
    counts: str
    mentioned: str
    planned_by: str
    planned_at: int
    expires_at: int
    confirmed_at: int | None
    ended_at: int | None
    run_id: str | None
    findings: str
    certificate: str | None
    certificate_digest: str | None
    ledger_entry: str | None
