"""Influence packs: one query gives a sealed bundle of references with scores, excerpts and full provenance."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from nexus_graph import cards, packs
from nexus_graph.api.context import Info
from nexus_graph.api.fields import link, read
from nexus_graph.api.nodes.card_filters import CardFilterInput, card_filter
from nexus_graph.api.nodes.cards import CardVersion
from nexus_graph.api.nodes.stale_artifacts import stale_of
from nexus_graph.api.paging import After, Before, Connection, First, Last
from nexus_graph.api.scalars import Node, described
from nexus_graph.packs import Ask, DifferenceKind, ExcerptChoice, ExcerptRule
from nexus_graph.scope.permission import Permission

described(
    ExcerptRule,
    "Which part of a card stands in a pack.",
    {
        "FIRST_CHARACTERS": "The beginning of its body; needs `characters`.",
        "HEADER_FIELD": "A field of its header; needs `headerField`.",
        "BEST_CHUNK": "The chunk that was found.",
    },
)
described(
    DifferenceKind,
    "What a replay found different.",
    {
        "STATE": "The index held other cards or versions.",
        "EMBEDDER": "Other vectors.",
        "POLICY": "Another access policy.",
        "COMPLETENESS": "Whether every published card was in the index.",
        "EXACTNESS": "Whether the search was exact.",
        "ENTERED": "A card that was not in the pack.",
        "LEFT": "A card that is not found any more.",
        "MOVED": "Another rank.",
        "SCORE": "Another score.",
        "VERSION": "Another version.",
        "EXCERPT": "Another excerpt.",
        "ARTIFACTS": "Other artifacts.",
        "ERASED": "An erasure took the question (no card is named), or this card; it can't be asked again.",
    },
)


@strawberry.type(description="A slice of a card's exact text.")
class Excerpt:
    """An excerpt."""

    text: str = strawberry.field(description="What stands there.")
    start: int = strawberry.field(description="Its first code point in the card's text, from 0.")
    end: int = strawberry.field(description="One past its last code point.")


@strawberry.type(description="A card in a pack.")
class PackRef:
    """A reference."""

    rank: int = strawberry.field(description="Its place, from 1.")
    score: float = strawberry.field(description="Cosine of its best chunk, -1 to 1, six decimals.")
    card_id: strawberry.ID = strawberry.field(description="The card.")
    card_version: int = strawberry.field(description="The version that was current.")
    card_digest: str = strawberry.field(description="SHA-256 of that version's text.")
    artifact_refs: list[strawberry.ID] = strawberry.field(description="What that version cites.")
    excerpt: Excerpt | None = strawberry.field(
        description="Null where the card lacks the header field asked for, and once erased."
    )
    erased: bool = strawberry.field(description="Whether an erasure took the card: only the reference is left.")

    @classmethod
    def of(cls, ref: packs.Ref, *, erased: bool) -> PackRef:
        """From the room's value."""
        cut = ref.excerpt
        return cls(
            rank=ref.rank,
            score=ref.score,
            card_id=strawberry.ID(ref.card_id),
            card_version=ref.version,
            card_digest=ref.card_digest,
            artifact_refs=[strawberry.ID(artifact) for artifact in ref.artifact_refs],
            excerpt=None if cut is None else Excerpt(text=cut.text, start=cut.start, end=cut.end),
            erased=erased,
        )

    @link(
        Permission.CARDS_READ,
        "The version itself, and through it atoms and raw assets; null once erased.",
        lambda loaders: loaders.card_versions,
        lambda own: (str(own.card_id), own.card_version),
    )
    def version(self, found: cards.Card | None) -> CardVersion | None:
        """Provenance. One call for all refs of the pack."""
        return CardVersion.of(found) if found else None

    @read(Permission.ATOMS_READ, "The cited atoms that a newer version of their recipe has replaced since.")
    async def stale_artifacts(self, info: Info) -> list[strawberry.ID]:
        """What the pack rests on and is read otherwise now."""
        return await stale_of(info, self.artifact_refs)


@strawberry.type(description="Whether a pack is what was sealed.")
class PackVerification:
    """A verification."""

    holds: bool = strawberry.field(description="Whether every digest, excerpt and reference holds; false once erased.")
    erased: bool = strawberry.field(description="Whether an erasure took words out of it, which is no fault.")
    digest: str = strawberry.field(description="The digest that the stored bytes have now.")
    faults: list[str] = strawberry.field(description="What does not hold; empty when all does.")
    stale_artifacts: list[strawberry.ID] = strawberry.field(
        description="Atoms that its cards cite and a newer recipe has replaced, which is no fault."
    )


@strawberry.type(description="Something that would be different now.")
class PackDifference:
    """A difference."""

    kind: DifferenceKind = strawberry.field(description="What is different.")
    card_id: strawberry.ID | None = strawberry.field(description="The card; null for the pack as a whole.")
    before: str | None = strawberry.field(description="As it was sealed; null where there was nothing.")
    after: str | None = strawberry.field(description="As it would be now; null where there is nothing.")


@strawberry.type(description="A pack's question, asked again now.")
class PackReplay:
    """A replay."""

    same: bool = strawberry.field(description="Whether the same bytes would be sealed.")
    pack_id: strawberry.ID = strawberry.field(description="The pack that would be sealed now; it is not kept.")
    differences: list[PackDifference] = strawberry.field(description="Every difference.")


@strawberry.type(
    description="A sealed bundle of references and excerpts. The same request on the same state is the same."
)
class InfluencePack(Node):
    """A pack."""

    id: strawberry.ID = strawberry.field(description="The pack's id: `pack_` and its digest.")
    digest: str = strawberry.field(description="SHA-256 of the sealed bytes, in hexadecimal.")
    content: str = strawberry.field(description="The sealed bytes: canonical JSON (RFC 8785).")
    request: JSON = strawberry.field(description="What was asked for, as it is sealed.")
    embedder_id: str = strawberry.field(description="Who made the vectors, and how texts were cut.")
    policy_version: str = strawberry.field(description="The access policy in force.")
    index_state: str = strawberry.field(description="What the index held; equal states hold the same versions.")
    complete: bool = strawberry.field(description="Whether every published card was in the index.")
    exact: bool = strawberry.field(description="Whether nothing nearer was left out by approximation.")
    refs: list[PackRef] = strawberry.field(description="The cards, best first.")
    erased: bool = strawberry.field(description="Whether an erasure took its question and what it quoted of some card.")
    pii_flags: list[str] = strawberry.field(description="Kinds of personal data in its cards and its question.")
    train_ok: bool = strawberry.field(description="Whether training on it is allowed: only if on all its cards.")
    first_served_at: datetime = strawberry.field(description="When it was served first.")

    @classmethod
    def of(cls, pack: packs.Pack) -> InfluencePack:
        """From the room's value."""
        contents = pack.contents
        return cls(
            id=strawberry.ID(pack.pack_id),
            digest=pack.digest,
            content=pack.content,
            request=JSON(contents.ask.json()),
            embedder_id=contents.definition_id,
            policy_version=contents.policy_version,
            index_state=contents.index_state,
            complete=contents.complete,
            exact=contents.exact,
            refs=[PackRef.of(ref, erased=ref.card_id in (pack.erased or ())) for ref in contents.refs],
            erased=pack.erased is not None,
            pii_flags=list(pack.handling.pii_flags),
            train_ok=pack.handling.train_ok,
            first_served_at=pack.first_served_at,
        )

    @read(Permission.PACKS_READ, "Recomputes every digest from what is stored.", points=10)
    async def verification(self, info: Info) -> PackVerification:
        """Verify."""
        found = await packs.verify(info.context.house.stores, info.context.scope, str(self.id))
        faults = [fault.reason if fault.rank is None else f"ref {fault.rank}: {fault.reason}" for fault in found.faults]
        return PackVerification(
            holds=found.holds,
            erased=found.erased,
            digest=found.digest,
            faults=faults,
            stale_artifacts=[strawberry.ID(atom) for atom in found.stale],
        )

    @read(Permission.PACKS_REQUEST, "Asks the same question now and names every difference. Keeps nothing.", points=20)
    async def replay(self, info: Info) -> PackReplay:
        """Replay."""
        house = info.context.house
        found = await packs.replay(house.stores, house.index, info.context.scope, str(self.id))
        return PackReplay(
            same=found.same,
            pack_id=strawberry.ID(found.now_id),
            differences=[
                PackDifference(
                    kind=item.kind,
                    card_id=None if item.card_id is None else strawberry.ID(item.card_id),
                    before=item.before,
                    after=item.after,
                )
                for item in found.differences
            ],
        )


@strawberry.input(description="Which part of each card to quote.")
class ExcerptInput:
    """An excerpt rule."""

    rule: ExcerptRule = strawberry.field(default=ExcerptRule.BEST_CHUNK, description="The rule.")
    characters: int | None = strawberry.field(default=None, description="For FIRST_CHARACTERS: how many, 1 to 4,000.")
    header_field: str | None = strawberry.field(default=None, description="For HEADER_FIELD: its name.")


@strawberry.input(description="What a pack shall answer.")
class InfluencePackInput:
    """A request."""

    text: str = strawberry.field(description="The question or topic, 1 to 8,192 characters.")
    k: int = strawberry.field(default=10, description="How many cards, 1 to 50.")
    filter: CardFilterInput | None = strawberry.field(default=None, description="Among which; all when null.")
    excerpt: ExcerptInput | None = strawberry.field(
        default=None, description="What to quote; the best chunk when null."
    )


@strawberry.type
class PackQuery:
    """Queries of the room."""

    @read(Permission.PACKS_REQUEST, "A sealed pack that answers a question now. Serving it is journalled.", points=20)
    async def influence_pack(
        self, info: Info, ask: Annotated[InfluencePackInput, strawberry.argument(description="The question.")]
    ) -> InfluencePack:
        """Request."""
        house, rule = info.context.house, ask.excerpt or ExcerptInput()
        excerpt = ExcerptChoice(rule.rule, rule.characters, rule.header_field)
        asked = Ask(ask.text, card_filter(ask.filter), ask.k, excerpt)
        served = await packs.request(house.stores, house.index, info.context.scope, asked)
        return InfluencePack.of(served.pack)

    @read(Permission.PACKS_LIST, "Everybody's earlier packs, those served first most recently at the front.")
    async def influence_packs(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[InfluencePack]:
        """A page of packs."""
        context = info.context
        cursors = context.house.cursors.list_of(context.scope, "packs")
        window = cursors.window(first, after, last, before)
        return cursors.connection(await packs.list_packs(context.house.stores, context.scope, window), InfluencePack.of)
