"""What every table shares, and all tables together: the schema of record.

Each room declares its rows in a file `rows.py`, migrations make them, a test compares. Statements are literal, so that
nothing needs the declarations that only runs some: they are imported when the schema of record is asked for.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, MetaData, event
from sqlmodel import Field, SQLModel

_PACKAGE: Final = Path(__file__).resolve().parents[1]


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


@cache
def schema_of_record() -> MetaData:
    """All tables that any room declares."""
    for path in sorted(_PACKAGE.rglob("rows.py")):
        import_module(".".join((_PACKAGE.name, *path.relative_to(_PACKAGE).with_suffix("").parts)))
    return SQLModel.metadata
