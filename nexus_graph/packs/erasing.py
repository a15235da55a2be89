"""Erasure in packs: a pack stays, with its digest, references and scores. What it quoted of erased cards goes, and so
does a question that the subject asked, that names the subject, or that such a pack answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from nexus_graph.cards.model import CardFilter
from nexus_graph.packs.model import Ref, erased_cards, seal, unseal
from nexus_graph.safeguards.erasure import Doomed, Step
from nexus_graph.scope.canonical import Json, canonical
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.work import Read, Work

_AT_ONCE: Final = 500

_QUOTING = Statement(
    "select distinct pack_id from pack_cards where tenant_id = :tenant_id and env = :env and card_id in (:ids...)"
)
_ASKED = Statement(
    "select pack_id from packs where tenant_id = :tenant_id and env = :env and first_served_by = :subject"
)
_NAMING = Statement(
    "select pack_id, content from packs where tenant_id = :tenant_id and env = :env and content like :like escape '\\'"
)
_FIND = Statement("select * from packs where tenant_id = :tenant_id and env = :env and pack_id in (:ids...)")
_EMPTY = Statement(
    "update packs set content = :content, erased = :erased, pii_flags = '[]', train_ok = false "
    "where tenant_id = :tenant_id and env = :env and pack_id = :pack_id"
)


async def _plan(read: Read, doomed: Doomed) -> None:
    cards = doomed.of("cards")
    for start in range(0, len(cards), _AT_ONCE):
        quoting = await read.rows(_QUOTING, ids=cards[start : start + _AT_ONCE])
        doomed.add("packs", [row["pack_id"] for row in quoting])
    doomed.add("packs", [row["pack_id"] for row in await read.rows(_ASKED, subject=doomed.subject)])
    naming = await read.rows(_NAMING, like=doomed.target.like)
    doomed.add("packs", [row["pack_id"] for row in naming if doomed.target.name.search(row["content"])])


async def _erase(work: Work, doomed: Doomed) -> None:
    ids = doomed.of("packs")
    for start in range(0, len(ids), _AT_ONCE):
        rows = await work.rows(_FIND, ids=ids[start : start + _AT_ONCE])
        await work.write_many(_EMPTY, [_emptied(row, doomed) for row in rows])


def _emptied(row: Row, doomed: Doomed) -> dict[str, Value]:
    contents, gone = unseal(row["content"]), set(erased_cards(row["erased"]) or ()) | doomed.ids.get("cards", set())
    refs = [_without_words(ref, gone, doomed) for ref in contents.refs]
    ask = replace(contents.ask, text="", chosen=CardFilter())
    _, content = seal(replace(contents, ask=ask, refs=tuple(refs)))
    erased: Sequence[Json] = [ref.card_id for ref in contents.refs if ref.card_id in gone]
    return {"pack_id": row["pack_id"], "content": content, "erased": canonical(erased).decode()}


def _without_words(ref: Ref, gone: set[str], doomed: Doomed) -> Ref:
    named = ref.excerpt is not None and doomed.target.name.search(ref.excerpt.text)
    return replace(ref, excerpt=None) if ref.card_id in gone or named else ref


STEP: Final = Step("packs", _plan, _erase)
