"""What every table shares. The schema of record: rooms declare rows, migrations make them, a test compares."""

from __future__ import annotations

from sqlmodel import Field, SQLModel


class TenantRow(SQLModel):
    """A row that all envs of a tenant share. Its key begins with the tenant."""

    tenant_id: str = Field(primary_key=True)


class ScopedRow(TenantRow):
    """A row of one tenant and env. Its key begins with both, and so do its foreign keys."""

    env: str = Field(primary_key=True)
