"""Prove that a pack is what was sealed, and that the cards it names still say what it quotes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nexus_graph import atoms
from nexus_graph.cards.model import Card
from nexus_graph.cards.table import FIND_VERSIONS
from nexus_graph.cards.table import card as card_of
from nexus_graph.packs import table
from nexus_graph.packs.model import PREFIX, Ref, erased_cards, unseal
from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.errors import NotFound
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.work import Stores


@dataclass(frozen=True, slots=True)
class PackFault:
    """Something that does not hold. `rank` names the ref, None the pack as a whole."""

    rank: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The digest that the stored bytes have now, and everything that does not hold.

    `erased`: an erasure took words out of it, which is no fault, but nobody can prove any more what was sealed.
    `stale`: atoms that its cards cite, and that a newer version of their recipe has replaced; no fault either.
    """

    pack_id: str
    digest: str
    faults: tuple[PackFault, ...]
    erased: bool = False
    stale: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether it is what was sealed, all of it."""
        return not self.faults and not self.erased


async def verify(stores: Stores, scope: Scope, pack_id: str) -> Verification:
    """Recompute every digest of a pack from what is stored. Serves no content. Raises NotFound."""
    scope.require(Permission.PACKS_READ)
    async with stores.read(scope) as read:
        row = await read.row(table.FIND, pack_id=pack_id)
        if row is None:
            raise NotFound("pack")
        digest = sha256(row["content"].encode())
        try:
            refs = unseal(row["content"]).refs
        except (ValueError, KeyError, TypeError):
            return Verification(pack_id, digest, (PackFault(None, "The stored bytes are no pack."),))
        names = [f"{ref.card_id}@{ref.version}" for ref in refs]
        rows = await read.rows(FIND_VERSIONS, ids=[ref.card_id for ref in refs], pairs=names)
    cards = {(row["card_id"], row["version"]): card_of(row) for row in rows}
    erased = erased_cards(row["erased"])
    left = [ref for ref in refs if ref.card_id not in (erased or ())]
    faults = [fault for ref in left for fault in _faults(ref, cards.get((ref.card_id, ref.version)))]
    if pack_id != PREFIX + digest and erased is None:
        faults.insert(0, PackFault(None, "The id is not the digest of the stored bytes."))
    cited = [*dict.fromkeys(artifact for ref in refs for artifact in ref.artifact_refs)]
    stale = await atoms.stale(stores, scope, cited)
    return Verification(
        pack_id, digest, tuple(faults), erased is not None, tuple(atom for atom in cited if atom in stale)
    )


def _faults(ref: Ref, card: Card | None) -> Iterator[PackFault]:
    if card is None:
        yield PackFault(ref.rank, "The card version is gone.")
        return
    if not sha256(card.text.encode()) == card.digest == ref.card_digest:
        yield PackFault(ref.rank, "The card's text does not have the digest that the pack names.")
    if ref.excerpt is not None and card.text[ref.excerpt.start : ref.excerpt.end] != ref.excerpt.text:
        yield PackFault(ref.rank, "The excerpt is not what stands there in the card.")
    if ref.artifact_refs != card.artifact_refs:
        yield PackFault(ref.rank, "The card cites other artifacts.")
