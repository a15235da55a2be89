"""The packs' rows and their SQL. A pack is kept once, however often it is served."""

from __future__ import annotations

from nexus_graph.packs.model import Pack, erased_cards, unseal
from nexus_graph.scope.clock import moment
from nexus_graph.scope.handling import kept
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement

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
