"""Erasure of cards: a card of which the subject wrote any version goes with all of them, and what is kept beside them.

A version's text can't be changed, so a card of somebody else that names the subject goes as a whole or stays: it is a
mention.
"""

from __future__ import annotations

from typing import Final

from nexus_graph.safeguards import Resource, quotas
from nexus_graph.safeguards.erasure import Doomed, Step
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Read, Work

_AT_ONCE: Final = 500

_WRITTEN = Statement(
    "select distinct card_id from card_versions where tenant_id = :tenant_id and env = :env and created_by = :subject"
)
_NAMING = Statement(
    "select card.card_id, card.key, card.singleton_key, version.text from cards card "
    "join card_versions version on version.tenant_id = card.tenant_id and version.env = card.env "
    "and version.card_id = card.card_id where card.tenant_id = :tenant_id and card.env = :env "
    "and (version.text like :like escape '\\' or card.key like :like escape '\\' "
    "or card.singleton_key like :like escape '\\')"
)
_DIGESTS = Statement(
    "select digest from card_versions where tenant_id = :tenant_id and env = :env and card_id in (:ids...)"
)
_COUNT = Statement("select count(*) from cards where tenant_id = :tenant_id and env = :env and card_id in (:ids...)")
_FORGET: Final = (
    Statement("delete from card_artifacts where tenant_id = :tenant_id and env = :env and card_id in (:ids...)"),
    Statement("delete from card_fields where tenant_id = :tenant_id and env = :env and card_id in (:ids...)"),
    Statement("delete from card_labels where tenant_id = :tenant_id and env = :env and card_id in (:ids...)"),
    Statement("delete from card_versions where tenant_id = :tenant_id and env = :env and card_id in (:ids...)"),
    Statement("delete from cards where tenant_id = :tenant_id and env = :env and card_id in (:ids...)"),
)


async def _plan(read: Read, doomed: Doomed) -> None:
    doomed.add("cards", [row["card_id"] for row in await read.rows(_WRITTEN, subject=doomed.subject)])
    naming = [
        row["card_id"]
        for row in await read.rows(_NAMING, like=doomed.target.like)
        if any(doomed.target.name.search(text) for text in row[1:] if text is not None)
    ]
    doomed.mention("cards", naming)
    ids = doomed.of("cards")
    for start in range(0, len(ids), _AT_ONCE):
        found = await read.rows(_DIGESTS, ids=ids[start : start + _AT_ONCE])
        doomed.add("digests", [row["digest"] for row in found])
        doomed.counts["card_versions"] = doomed.counts.get("card_versions", 0) + len(found)


async def _erase(work: Work, doomed: Doomed) -> None:
    ids = doomed.of("cards")
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        await quotas.give_back(work, {Resource.CARDS: int(await work.value(_COUNT, ids=part))})
        for forget in _FORGET:
            await work.write(forget, ids=part)


STEP: Final = Step("cards", _plan, _erase)
