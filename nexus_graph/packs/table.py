"""The packs' rows and their SQL. A pack is kept once, however often it is served."""

from __future__ import annotations

from sqlalchemy import ForeignKeyConstraint, Index
from sqlmodel import Field

from nexus_graph.packs.model import Pack, erased_cards, unseal
from nexus_graph.scope.clock import moment
from nexus_graph.scope.handling import kept
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement
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


KEEP = Statement(
    "insert into packs (tenant_id, env, pack_id, content, pii_flags, train_ok, first_served_at, first_served_by) "
    "values (:tenant_id, :env, :pack_id, :content, :pii_flags, :train_ok, :now, :by) "
    "on conflict (tenant_id, env, pack_id) do update set content = :content, pii_flags = :pii_flags, "
    "train_ok = :train_ok, first_served_at = :now, first_served_by = :by, erased = null where packs.erased is not null"
)
QUOTE = Statement(
    "insert into pack_cards (tenant_id, env, pack_id, card_id, version) "
    "values (:tenant_id, :env, :pack_id, :card_id, :version) on conflict do nothing"
)
FIND = Statement("select * from packs where tenant_id = :tenant_id and env = :env and pack_id = :pack_id")
FIND_MANY = Statement("select * from packs where tenant_id = :tenant_id and env = :env and pack_id in (:ids...)")
PACKS = "select * from packs where tenant_id = :tenant_id and env = :env"


def pack(row: Row) -> Pack:
    """The pack in a row."""
    return Pack(
        pack_id=row["pack_id"],
        content=row["content"],
        contents=unseal(row["content"]),
        handling=kept(row["pii_flags"], bool(row["train_ok"])),
        first_served_at=moment(row["first_served_at"]),
        first_served_by=row["first_served_by"],
        erased=erased_cards(row["erased"]),
    )
