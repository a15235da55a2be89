"""The packs' part in consent: a pack follows whoever asked for it first and every card version that it quotes."""

from __future__ import annotations

from nexus_graph.safeguards.consent.changing import Step
from nexus_graph.safeguards.consent.table import allowed
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Work

_FLIP = "update packs set train_ok = not train_ok where tenant_id = :tenant_id and env = :env"
_CARDS_ALLOW = (
    "not exists (select 1 from pack_cards quoted "
    "left join card_versions version on version.tenant_id = quoted.tenant_id and version.env = quoted.env "
    "and version.card_id = quoted.card_id and version.version = quoted.version "
    "where quoted.tenant_id = packs.tenant_id and quoted.env = packs.env and quoted.pack_id = packs.pack_id "
    "and not coalesce(version.train_ok, false))"
)
_FOLLOW = f"{_FLIP} and train_ok <> ({allowed('packs.first_served_by')} and {_CARDS_ALLOW})"
_REEVALUATE = Statement(f"{_FOLLOW} returning pack_id")
_REEVALUATE_ONE = Statement(f"{_FOLLOW} and pack_id = :pack_id returning pack_id")


async def reevaluate(work: Work) -> int:
    """Make every pack's effective consent follow from its layers. Returns how many changed."""
    return len(await work.write(_REEVALUATE, installation=work.limits.train_ok))


async def follow(work: Work, pack_id: str) -> None:
    """Make the effective consent of one pack that was just kept follow from its layers as they are now."""
    await work.write(_REEVALUATE_ONE, pack_id=pack_id, installation=work.limits.train_ok)


PACKS = Step("packs", reevaluate)
