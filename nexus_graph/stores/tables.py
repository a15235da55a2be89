"""What every table shares. The schema of record: rooms declare rows, migrations make them, a test compares."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Integer, event
from sqlmodel import Field, SQLModel


@event.listens_for(Column, "before_parent_attach")
def _widen(column: Column[Any], table: Any) -> None:
    """Times in microseconds, sizes and positions outgrow 32 bits, which is all that some databases give an Integer."""
    if type(column.type) is Integer and table.metadata is SQLModel.metadata:
        column.type = BigInteger()


class TenantRow(SQLModel):
    """A row that all envs of a tenant share. Its key begins with the tenant."""

    tenant_id: str = Field(primary_key=True)


class ScopedRow(TenantRow):
    """A row of one tenant and env. Its key begins with both, and so do its foreign keys."""

    env: str = Field(primary_key=True)
