"""The directory's rows, declared: a part of the schema of record."""

from __future__ import annotations

from sqlmodel import Field, SQLModel

from nexus_graph.stores.tables import ScopedRow, TenantRow


class DirectoryRow(SQLModel, table=True):
    """A tenant."""

    __tablename__ = "tenants"
    tenant_id: str = Field(primary_key=True)
    name: str
    created_at: int


class MemberRow(TenantRow, table=True):
    """A membership."""

    __tablename__ = "members"
    subject: str = Field(primary_key=True)
    role: str
    status: str
    changed_at: int


class ApiKeyRow(ScopedRow, table=True):
    """An API key: its id and the SHA-256 of its secret."""

    __tablename__ = "api_keys"
    key_id: str = Field(primary_key=True)
    name: str
    secret_sha256: str
    created_by: str
    created_at: int
    expires_at: int
    revoked_at: int | None
