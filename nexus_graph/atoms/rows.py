"""Atoms' rows, declared: a part of the schema of record."""

from __future__ import annotations

from sqlalchemy import ForeignKeyConstraint, Index
from sqlmodel import Field

from nexus_graph.stores.tables import ScopedRow

_ASSET = ("tenant_id", "env", "asset_id")


class AtomRow(ScopedRow, table=True):
    """An atom. `params` and `span` are canonical JSON; equal params are equal text."""

    __tablename__ = "atoms"
    __table_args__ = (
        ForeignKeyConstraint(_ASSET, [f"assets.{name}" for name in _ASSET]),
        Index("atoms_by_asset", *_ASSET, "op", "op_version", "params", "ordinal"),
    )
    atom_id: str = Field(primary_key=True)
    asset_id: str
    op: str
    op_version: str
    params: str
    ordinal: int
    kind: str
    span: str
    text: str
    digest: str
    pii_flags: str
    train_ok: bool
    derived_at: int
    stale: bool


class OutcomeRow(ScopedRow, table=True):
    """The outcome of the last derivation of an asset. `left_out` is canonical JSON."""

    __tablename__ = "asset_derivations"
    __table_args__ = (ForeignKeyConstraint(_ASSET, [f"assets.{name}" for name in _ASSET]),)
    asset_id: str = Field(primary_key=True)
    state: str
    reason: str | None
    left_out: str
    media_type: str | None
    kind_reason: str | None
    op: str | None
    op_version: str | None
    atoms: int
    derived_at: int
