"""Assets' rows, declared: a part of the schema of record."""

from __future__ import annotations

from sqlalchemy import ForeignKeyConstraint, Index, text
from sqlmodel import Field

from nexus_graph.stores.tables import ScopedRow

_REFERRED = ["assets.tenant_id", "assets.env", "assets.asset_id"]


class AssetRow(ScopedRow, table=True):
    """A raw asset. `duplicate_of` is set on a purged one whose bytes another asset has sealed before it."""

    __tablename__ = "assets"
    __table_args__ = (
        Index("assets_by_creation", "tenant_id", "env", "created_at", "asset_id"),
        Index(
            "assets_sealed_once",
            "tenant_id",
            "env",
            "sha256",
            unique=True,
            sqlite_where=text("state = 'SEALED'"),
            postgresql_where=text("state = 'SEALED'"),
        ),
        Index(
            "assets_by_expiry",
            "tenant_id",
            "env",
            "expires_at",
            sqlite_where=text("state = 'RESERVED'"),
            postgresql_where=text("state = 'RESERVED'"),
        ),
    )
    asset_id: str = Field(primary_key=True)
    filename: str
    content_type: str
    media_type: str
    size: int
    sha256: str
    state: str
    captured_at: int | None
    capture_location: str | None
    source_ref: str | None
    pii_flags: str
    declared_train_ok: bool
    train_ok: bool
    created_by: str
    created_at: int
    sealed_at: int | None
    expires_at: int
    object_key: str
    duplicate_of: str | None


class AssetPartRow(ScopedRow, table=True):
    """An asset and where it was found. `brought` says that it was kept for that; otherwise its bytes were here."""

    __tablename__ = "asset_parts"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "env", "parent_id"], _REFERRED),
        ForeignKeyConstraint(["tenant_id", "env", "asset_id"], _REFERRED),
        Index("asset_parts_by_asset", "tenant_id", "env", "asset_id", "parent_id", "position"),
    )
    parent_id: str = Field(primary_key=True)
    position: int = Field(primary_key=True)
    asset_id: str
    place: str
    filename: str
    brought: bool
