"""The assets' row and its SQL. Metadata only: the bytes are objects, the database never sees them."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Index, text
from sqlmodel import Field

from nexus_graph.assets.model import Asset, AssetFilter, AssetState, media_type
from nexus_graph.scope.canonical import canonical
from nexus_graph.scope.clock import micros, moment
from nexus_graph.scope.handling import Handling
from nexus_graph.stores.database import Row
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.tables import ScopedRow


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


FIND = Statement("select * from assets where tenant_id = :tenant_id and env = :env and asset_id = :asset_id")
FIND_MANY = Statement(
    "select * from assets where tenant_id = :tenant_id and env = :env and asset_id in (:asset_ids...) "
    "and state <> 'PURGED'"
)
FIND_SEALED = Statement(
    "select * from assets where tenant_id = :tenant_id and env = :env and sha256 = :sha256 and state = 'SEALED'"
)
HELD = Statement(
    "select coalesce(sum(case when state = 'SEALED' then 1 else 0 end), 0) as assets, "
    "coalesce(sum(case when state = 'SEALED' then size else 0 end), 0) as bytes, "
    "count(*) as all_assets, coalesce(sum(size), 0) as all_bytes "
    "from assets where tenant_id = :tenant_id and env = :env and state <> 'PURGED'"
)
STATES = Statement(
    "select asset_id, state from assets where tenant_id = :tenant_id and env = :env and asset_id in (:asset_ids...)"
)
EXPIRED = Statement(
    "select * from assets where tenant_id = :tenant_id and env = :env and state = 'RESERVED' and expires_at <= :now "
    "order by expires_at limit :most"
)
ADD = Statement(
    "insert into assets (tenant_id, env, asset_id, filename, content_type, media_type, size, sha256, state, "
    "captured_at, capture_location, source_ref, pii_flags, declared_train_ok, train_ok, created_by, created_at, "
    "expires_at, object_key) "
    "values (:tenant_id, :env, :asset_id, :filename, :content_type, :media_type, :size, :sha256, 'RESERVED', "
    ":captured_at, :capture_location, :source_ref, :pii_flags, :declared_train_ok, :train_ok, :created_by, "
    ":created_at, :expires_at, :object_key) returning *"
)
SEAL = Statement(
    "update assets set state = 'SEALED', sealed_at = :now "
    "where tenant_id = :tenant_id and env = :env and asset_id = :asset_id and state = 'RESERVED' returning *"
)
# A purged row keeps nothing of what the caller wrote.
PURGE = Statement(
    "update assets set state = 'PURGED', filename = '', capture_location = null, source_ref = null, pii_flags = '[]', "
    "object_key = '', duplicate_of = :duplicate_of "
    "where tenant_id = :tenant_id and env = :env and asset_id = :asset_id and state = 'RESERVED' returning *"
)
HOLD = Statement(
    "update assets set asset_id = asset_id "
    "where tenant_id = :tenant_id and env = :env and asset_id = :asset_id returning *"
)
LABEL = Statement(
    "update assets set pii_flags = :pii_flags, declared_train_ok = declared_train_ok and :train_ok, "
    "train_ok = train_ok and :train_ok "
    "where tenant_id = :tenant_id and env = :env and asset_id = :asset_id returning *"
)


def listed(asset_filter: AssetFilter) -> tuple[str, dict[str, Any]]:
    """The SELECT of a filter, open at the end for paging by (created_at, asset_id), and its values."""
    sql = "select * from assets where tenant_id = :tenant_id and env = :env and state <> 'PURGED'"
    values: dict[str, Any] = {}
    if asset_filter.states:
        sql += " and state in (:states...)"
        values["states"] = [state.value for state in asset_filter.states]
    if asset_filter.content_types:
        sql += " and media_type in (:content_types...)"
        values["content_types"] = [media_type(content_type) for content_type in asset_filter.content_types]
    if asset_filter.created_from is not None:
        sql += " and created_at >= :created_from"
        values["created_from"] = micros(asset_filter.created_from)
    if asset_filter.created_to is not None:
        sql += " and created_at < :created_to"
        values["created_to"] = micros(asset_filter.created_to)
    return sql, values


def asset(row: Row) -> Asset:
    """The asset in a row."""
    captured, sealed = row["captured_at"], row["sealed_at"]
    return Asset(
        asset_id=row["asset_id"],
        filename=row["filename"],
        content_type=row["content_type"],
        size=row["size"],
        sha256=row["sha256"],
        state=AssetState(row["state"]),
        captured_at=None if captured is None else moment(captured),
        capture_location=row["capture_location"],
        source_ref=row["source_ref"],
        handling=Handling(tuple(orjson.loads(row["pii_flags"])), bool(row["train_ok"])),
        created_by=row["created_by"],
        created_at=moment(row["created_at"]),
        sealed_at=None if sealed is None else moment(sealed),
        expires_at=moment(row["expires_at"]),
        object_key=row["object_key"],
        declared_train_ok=bool(row["declared_train_ok"]),
    )


def flags(handling: Handling) -> str:
    """The kinds of personal data as a row keeps them."""
    return canonical([*handling.pii_flags]).decode()
