"""Exports' rows, declared: a part of the schema of record."""

from __future__ import annotations

from sqlalchemy import ForeignKeyConstraint, Index
from sqlmodel import Field

from nexus_graph.stores.tables import ScopedRow

_EXPORT = ("tenant_id", "env", "export_id")


class ExportRow(ScopedRow, table=True):
    """A training export. `spec` is canonical JSON; `position` is the last record that was decided."""

    __tablename__ = "exports"
    __table_args__ = (Index("exports_by_request", "tenant_id", "env", "requested_at", "export_id"),)
    export_id: str = Field(primary_key=True)
    run_id: str
    state: str
    spec: str
    requested_by: str
    requested_at: int
    finished_at: int | None
    covered: int
    position: int
    included: int
    excluded: int
    parts: int
    manifest_digest: str | None
    manifest_size: int | None


class ExportPartRow(ScopedRow, table=True):
    """A finished part. `last_position` is the last record that was decided with it."""

    __tablename__ = "export_parts"
    __table_args__ = (ForeignKeyConstraint(_EXPORT, [f"exports.{name}" for name in _EXPORT], ondelete="CASCADE"),)
    export_id: str = Field(primary_key=True)
    part: int = Field(primary_key=True)
    digest: str
    size: int
    records: int
    last_position: int


class ExportRecordRow(ScopedRow, table=True):
    """A record that an export covers: in a part with the digest of its line, or left out for a reason, or undecided."""

    __tablename__ = "export_records"
    __table_args__ = (ForeignKeyConstraint(_EXPORT, [f"exports.{name}" for name in _EXPORT], ondelete="CASCADE"),)
    export_id: str = Field(primary_key=True)
    position: int = Field(primary_key=True)
    kind: str
    record_id: str
    version: int
    part: int | None
    digest: str | None
    reason: str | None
    layer: str | None
