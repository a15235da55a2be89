"""Quotas' rows, declared: a part of the schema of record."""

from __future__ import annotations

from sqlalchemy import Index
from sqlmodel import Field

from nexus_graph.stores.tables import ScopedRow


class QuotaRow(ScopedRow, table=True):
    """A limit that a tenant and env has of its own; without a row the installation's holds."""

    __tablename__ = "quotas"
    resource: str = Field(primary_key=True)
    upper_limit: int
    changed_by: str
    changed_at: int


class QuotaUsageRow(ScopedRow, table=True):
    """What is held of a resource. `period` is a UTC day, or empty where days are not counted apart."""

    __tablename__ = "quota_usage"
    resource: str = Field(primary_key=True)
    period: str = Field(primary_key=True)
    used: int
    reserved: int


class StreamLeaseRow(ScopedRow, table=True):
    """A live stream that some process holds open, and renews until it ends."""

    __tablename__ = "stream_leases"
    __table_args__ = (Index("stream_leases_by_expiry", "tenant_id", "env", "expires_at"),)
    lease_id: str = Field(primary_key=True)
    actor_kind: str
    actor_id: str
    expires_at: int
