"""Ask for a pack: search and seal in one state, keep the pack if it is new, and journal that it was served."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import reduce
from operator import and_

from nexus_graph.cards.model import Card
from nexus_graph.cards.table import FIND_VERSIONS
from nexus_graph.cards.table import card as card_of
from nexus_graph.index import searching
from nexus_graph.index.definition import Index
from nexus_graph.index.model import VectorSource, query_digest
from nexus_graph.packs import consenting, table
from nexus_graph.packs.assembling import assemble
from nexus_graph.packs.model import MAX_REFS, Ask, Contents, ExcerptRule, Pack, seal
from nexus_graph.scope.canonical import Json, canonical
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import pii_flags, redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.work import Stores


@dataclass(frozen=True, slots=True)
class Served:
    """A pack, the run that served it, and whether nobody had been given it before."""

    pack: Pack
    run_id: str
    new: bool


async def request(stores: Stores, index: Index, scope: Scope, ask: Ask) -> Served:
    """The pack that answers `ask` now. The same request on the same state is the same pack, kept once.

    Raises Invalid for the text, filter, number or excerpt rule, Unavailable when the scope can't be searched.
    """
    scope.require(Permission.PACKS_REQUEST)
    contents, handling, source = await answer(stores, index, scope, ask)
    pack_id, content = seal(contents)
    refs: list[Json] = [{"cardId": ref.card_id, "version": ref.version} for ref in contents.refs]
    asked: Json = {"queryDigest": query_digest(ask.text), "k": ask.k}
    given: Json = {"packId": pack_id, "count": len(refs), "refs": refs, "answeredBy": source.value}
    async with stores.work(scope, RunKind.PACK) as work:
        row = before = await work.row(table.FIND, pack_id=pack_id)
        if before is None or before["erased"] is not None:  # what was erased may be said anew
            await work.write(
                table.KEEP,
                pack_id=pack_id,
                content=content,
                pii_flags=canonical([*handling.pii_flags]).decode(),
                train_ok=handling.train_ok,
                now=micros(work.now),
                by=scope.principal.id,
            )
            await work.write_many(
                table.QUOTE,
                [{"pack_id": pack_id, "card_id": ref.card_id, "version": ref.version} for ref in contents.refs],
            )
            await consenting.follow(work, pack_id)  # consent may have moved on since the cards were read
            row = await work.row(table.FIND, pack_id=pack_id)
        if row is None:
            raise NotFound("pack")
        pack = table.pack(row)
        work.record(Event("pack.served", "pack", pack_id, redact({"input": asked, "output": given}), pack.handling))
    return Served(pack, work.run_id, before is None)


async def answer(stores: Stores, index: Index, scope: Scope, ask: Ask) -> tuple[Contents, Handling, VectorSource]:
    """What a pack would seal now, how it must be handled, and who named the candidates, which is not sealed.

    It is handled as the most restrictive of its cards and the question.
    """
    ask.excerpt.check()
    question = await searching.ask(stores, index, scope, ask.text, ask.chosen, ask.k, MAX_REFS)
    async with stores.read(scope) as read:
        found = await searching.nearest(read, index, question)
        names = [f"{hit.card_id}@{hit.version}" for hit in found.hits]
        rows = await read.rows(FIND_VERSIONS, ids=[hit.card_id for hit in found.hits], pairs=names)
    cards: dict[tuple[str, int], Card] = {(row["card_id"], row["version"]): card_of(row) for row in rows}
    flags = Handling(pii_flags(ask.json()), train_ok=True)
    handling = reduce(and_, (card.handling for card in cards.values()), flags)
    if ask.excerpt.rule is ExcerptRule.HEADER_FIELD:  # up to fifty headers are read again: not on the event loop
        contents = await asyncio.to_thread(assemble, ask, scope.policy_version, found, cards)
    else:
        contents = assemble(ask, scope.policy_version, found, cards)
    return contents, handling, found.answered_by
