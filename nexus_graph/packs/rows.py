"""Packs' rows, declared: a part of the schema of record."""

from __future__ import annotations

from sqlalchemy import ForeignKeyConstraint, Index
from sqlmodel import Field

from nexus_graph.stores.tables import ScopedRow

_PACK = ("tenant_id", "env", "pack_id")


class PackRow(ScopedRow, table=True):
    """A sealed pack: its canonical JSON, when it was served first, and to whom.

    `erased` is null until an erasure took words out of the content; then it lists the cards that are gone.
    """

    __tablename__ = "packs"
    __table_args__ = (Index("packs_by_first_served", "tenant_id", "env", "first_served_at", "pack_id"),)
    pack_id: str = Field(primary_key=True)
    content: str
    pii_flags: str
    train_ok: bool
    first_served_at: int
    first_served_by: str
    erased: str | None


class PackCardRow(ScopedRow, table=True):
    """A card version that a pack quotes: the lineage that its content tells too, for statements. Goes with its pack."""

    __tablename__ = "pack_cards"
    __table_args__ = (
        ForeignKeyConstraint(_PACK, [f"packs.{name}" for name in _PACK], ondelete="CASCADE"),
        Index("pack_cards_by_card", "tenant_id", "env", "card_id", "version"),
    )
    pack_id: str = Field(primary_key=True)
    card_id: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
