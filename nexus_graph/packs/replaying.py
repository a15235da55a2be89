"""Ask a pack's question again and name every difference between what was sealed and what would be sealed now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from nexus_graph.index.definition import Index
from nexus_graph.packs import table
from nexus_graph.packs.model import Contents, Pack, Ref, seal
from nexus_graph.packs.requesting import answer
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import NotFound
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.work import Stores


class DifferenceKind(StrEnum):
    """What is different: of the whole (STATE to EXACTNESS), or of one card. ERASED is either."""

    STATE = "STATE"
    EMBEDDER = "EMBEDDER"
    POLICY = "POLICY"
    COMPLETENESS = "COMPLETENESS"
    EXACTNESS = "EXACTNESS"
    ENTERED = "ENTERED"
    LEFT = "LEFT"
    MOVED = "MOVED"
    SCORE = "SCORE"
    VERSION = "VERSION"
    EXCERPT = "EXCERPT"
    ARTIFACTS = "ARTIFACTS"
    ERASED = "ERASED"


@dataclass(frozen=True, slots=True)
class PackDifference:
    """One difference. `before` and `after` name ranks, scores, versions, states or spans; None where there is none."""

    kind: DifferenceKind
    card_id: str | None
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Replay:
    """The pack that was sealed, the id of the one that would be now, and what sets them apart."""

    pack_id: str
    now_id: str
    differences: tuple[PackDifference, ...]

    @property
    def same(self) -> bool:
        """Whether the same bytes would be sealed again."""
        return self.pack_id == self.now_id and not self.differences


async def replay(stores: Stores, index: Index, scope: Scope, pack_id: str) -> Replay:
    """Ask again; nothing is kept. Raises NotFound, and Unavailable when the scope can't be searched.

    A pack whose question was erased can't be asked again: its one kind of difference is ERASED.
    """
    scope.require(Permission.PACKS_REQUEST)
    async with stores.read(scope) as read:
        row = await read.row(table.FIND, pack_id=pack_id)
    if row is None:
        raise NotFound("pack")
    before = table.pack(row)
    if before.erased is not None:
        return _erased(before)
    after, handling, source = await answer(stores, index, scope, before.contents.ask)
    now_id, _ = seal(after)
    found = tuple(differences(before.contents, after))
    detail: Json = {
        "input": {"packId": pack_id},
        "output": {"packId": now_id, "differences": len(found), "answeredBy": source.value},
    }
    event = Event("pack.replayed", "pack", pack_id, redact(detail), before.handling & handling)
    await stores.record(scope, RunKind.PACK, event)
    return Replay(pack_id, now_id, found)


def _erased(pack: Pack) -> Replay:
    whole = PackDifference(DifferenceKind.ERASED, None, None, None)
    ranks = {ref.card_id: str(ref.rank) for ref in pack.contents.refs}
    cards = [PackDifference(DifferenceKind.ERASED, card_id, ranks[card_id], None) for card_id in pack.erased or ()]
    return Replay(pack.pack_id, pack.pack_id, (whole, *cards))


def differences(before: Contents, after: Contents) -> Iterator[PackDifference]:
    """Every difference: first those of the whole, then card by card, in the old order and then the new one."""
    for kind, old, new in (
        (DifferenceKind.STATE, before.index_state, after.index_state),
        (DifferenceKind.EMBEDDER, before.definition_id, after.definition_id),
        (DifferenceKind.POLICY, before.policy_version, after.policy_version),
        (DifferenceKind.COMPLETENESS, _word(before.complete), _word(after.complete)),
        (DifferenceKind.EXACTNESS, _word(before.exact), _word(after.exact)),
    ):
        if old != new:
            yield PackDifference(kind, None, old, new)
    old_refs = {ref.card_id: ref for ref in before.refs}
    new_refs = {ref.card_id: ref for ref in after.refs}
    for card_id, ref in old_refs.items():
        if card_id in new_refs:
            yield from _of_card(ref, new_refs[card_id])
        else:
            yield PackDifference(DifferenceKind.LEFT, card_id, str(ref.rank), None)
    for card_id, ref in new_refs.items():
        if card_id not in old_refs:
            yield PackDifference(DifferenceKind.ENTERED, card_id, None, str(ref.rank))


def _of_card(old: Ref, new: Ref) -> Iterator[PackDifference]:
    for kind, before, after in (
        (DifferenceKind.MOVED, str(old.rank), str(new.rank)),
        (DifferenceKind.VERSION, str(old.version), str(new.version)),
        (DifferenceKind.SCORE, f"{old.score:.6f}", f"{new.score:.6f}"),
    ):
        if before != after:
            yield PackDifference(kind, old.card_id, before, after)
    if old.excerpt != new.excerpt:
        yield PackDifference(DifferenceKind.EXCERPT, old.card_id, _span(old), _span(new))
    if old.artifact_refs != new.artifact_refs:
        yield PackDifference(
            DifferenceKind.ARTIFACTS, old.card_id, " ".join(old.artifact_refs), " ".join(new.artifact_refs)
        )


def _word(value: bool) -> str:
    return "true" if value else "false"


def _span(ref: Ref) -> str | None:
    return None if ref.excerpt is None else f"{ref.excerpt.start}-{ref.excerpt.end}"
