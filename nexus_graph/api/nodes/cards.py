"""Cards: publish, retire, read, compare."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, TypeAlias

import strawberry
from strawberry.scalars import JSON

from nexus_graph import cards, index
from nexus_graph.api.context import Info
from nexus_graph.api.fields import change, link, read
from nexus_graph.api.idempotency import RepeatableInput, once
from nexus_graph.api.nodes.allowed_actions import AllowedAction, allowed
from nexus_graph.api.nodes.assets import Asset
from nexus_graph.api.nodes.atoms import Atom
from nexus_graph.api.nodes.card_differences import CardDifference
from nexus_graph.api.nodes.card_filters import CardFilterInput, card_filter
from nexus_graph.api.nodes.stale_artifacts import stale_of
from nexus_graph.api.paging import After, Before, Connection, First, Last
from nexus_graph.api.scalars import Node, described
from nexus_graph.api.user_errors import UserError, user_error
from nexus_graph.index import IndexState
from nexus_graph.index.filters import filter_json
from nexus_graph.scope.errors import LockRequired, NotFound
from nexus_graph.scope.permission import Permission

described(
    IndexState,
    "Whether search finds a card's current version.",
    {
        "PENDING": "Not yet: the follower has still to come by.",
        "INDEXED": "Yes.",
        "FAILED": "No: indexing failed; `nexus-graph check --repair` tries again.",
        "RETIRED": "No, and it never will: retired, or an earlier version.",
    },
)

ACTIONS = ("publishCard", "retireCard")
"""What can be done to a card."""

Artifact: TypeAlias = Annotated[
    Asset | Atom, strawberry.union("Artifact", description="What a card rests on: a raw asset or an atom of one.")
]


@strawberry.interface(description="The content of one version of a card.")
class CardContent:
    """What a card and its versions share."""

    card_type: str = strawberry.field(description="Which manifest describes it.")
    version: int = strawberry.field(description="Counts from 1; a version never changes.")
    title: str | None = strawberry.field(description="The header's title.")
    body: str = strawberry.field(description="The natural-language body.")
    text: str = strawberry.field(description="The exact text as it was published: the version's truth.")
    digest: str = strawberry.field(description="SHA-256 of the exact text.")
    labels: list[str] = strawberry.field(description="The header's labels.")
    pii_flags: list[str] = strawberry.field(description="Kinds of personal data found in it.")
    train_ok: bool = strawberry.field(description="Whether training on it is allowed, its sources included.")
    published_at: datetime = strawberry.field(description="When this version was published.")
    published_by: str = strawberry.field(description="Who published this version.")
    card: strawberry.Private[cards.Card]

    @read(
        Permission.CARDS_READ, "The YAML header, parsed, with what the engine owns: card_id, version, created_at, ..."
    )
    async def header(self, info: Info) -> JSON:
        """The author's keys and the engine's."""
        return JSON({**self.card.header, **cards.engine_values(info.context.scope, self.card)})

    @read(
        Permission.CARDS_READ,
        "The text with what the engine owns in its header. Publishing it again changes nothing.",
        points=2,
    )
    async def exported(self, info: Info) -> str:
        """The text as it leaves the house."""
        return await asyncio.to_thread(cards.exported, info.context.scope, self.card)

    @read(Permission.ATOMS_READ, "What this version cites, in the header's order.")
    async def artifacts(self, info: Info) -> list[Artifact]:
        """Lineage forwards. One call for all assets and one for all atoms of the operation."""
        loaders, refs = info.context.loaders, self.card.artifact_refs
        atoms = await loaders.atoms.load_many([ref for ref in refs if ref.startswith("atom_")])
        assets = await loaders.assets.load_many([ref for ref in refs if ref.startswith("asset_")])
        found: dict[str, Asset | Atom] = {atom.id: Atom.of(atom) for atom in atoms if atom}
        found |= {asset.asset_id: Asset.of(asset) for asset in assets if asset}
        return [found[ref] for ref in refs if ref in found]

    @read(Permission.ATOMS_READ, "The atoms among them that a newer version of their recipe has replaced.")
    async def stale_artifacts(self, info: Info) -> list[strawberry.ID]:
        """What to look at after an upgrade."""
        return await stale_of(info, self.card.artifact_refs)


@strawberry.type(description="A card as it stands now: its newest version.")
class Card(CardContent, Node):
    """The newest version of a card."""

    id: strawberry.ID = strawberry.field(description="The card's id, the same for all its versions.")
    key: str = strawberry.field(description="The author's stable name for the card, unique in its tenant and env.")
    retired_at: datetime | None = strawberry.field(description="When it was retired, if it was.")

    @classmethod
    def of(cls, card: cards.Card) -> Card:
        """From the room's value."""
        return cls(
            id=strawberry.ID(card.card_id), key=card.key, retired_at=card.retired_at, card=card, **_content(card)
        )

    @read(Permission.VIEWER_READ, "What the viewer may do to it.")
    async def allowed_actions(self, info: Info) -> list[AllowedAction]:
        """Preflight; all cards of the operation at once."""
        found = [allowed(info, action, str(self.id), self.card_type, self.version) for action in ACTIONS]
        return list(await asyncio.gather(*found))

    @link(
        Permission.CARDS_READ,
        "Whether search finds it.",
        lambda loaders: loaders.index_states,
        lambda own: (own.card.card_id, own.card.version),
    )
    def index_state(self, found: IndexState | None) -> IndexState:
        """The index's own word."""
        return found or IndexState.PENDING

    @read(Permission.CARDS_READ, "All versions, newest first.")
    async def versions(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[CardVersion]:
        """A page of versions."""
        context = info.context
        cursors = context.house.cursors.list_of(context.scope, "versions", self.card.card_id)
        window = cursors.window(first, after, last, before)
        page = await cards.versions(context.house.stores, context.scope, self.card.card_id, window)
        return cursors.connection(page, CardVersion.of)

    @read(Permission.CARDS_READ, "The textual difference between two of its versions.", points=2)
    async def difference(
        self,
        info: Info,
        old: Annotated[int, strawberry.argument(description="The version to start from.")],
        new: Annotated[int, strawberry.argument(description="The version to arrive at.")],
    ) -> CardDifference:
        """A diff."""
        context = info.context
        found = await cards.difference(context.house.stores, context.scope, self.card.card_id, old, new)
        return CardDifference.of(found)


@strawberry.type(description="One immutable version of a card.")
class CardVersion(CardContent, Node):
    """A version."""

    id: strawberry.ID = strawberry.field(description="The card's id, a colon, and the version.")

    @classmethod
    def of(cls, card: cards.Card) -> CardVersion:
        """From the room's value."""
        return cls(id=strawberry.ID(f"{card.card_id}:{card.version}"), card=card, **_content(card))

    @link(
        Permission.CARDS_READ,
        "The card as it stands now.",
        lambda loaders: loaders.cards,
        lambda own: own.card.card_id,
    )
    def current(self, found: cards.Card | None) -> Card:
        """The newest version."""
        if found is None:
            raise NotFound("card")
        return Card.of(found)


@strawberry.type(description="What is known of a card type.")
class Manifest:
    """A manifest of `core/manifests/`."""

    card_type: str = strawberry.field(description="The type.")
    version: int = strawberry.field(description="Raised with every change of the manifest.")
    title: str = strawberry.field(description="What a screen calls the type.")
    description: str = strawberry.field(description="What such a card is for.")
    strategic: bool = strawberry.field(description="Whether writing such a card needs a Strategy Lock.")
    singleton: list[str] | None = strawberry.field(
        description="Header fields of which each combination has one card at the most; null for no such limit."
    )
    filterable: JSON = strawberry.field(description="Header fields that a CardFilter may name, and what they hold.")
    excerpt: str = strawberry.field(description="The header field that stands for the card, or body.")
    schema: JSON = strawberry.field(description="JSON Schema of the header.")


async def citing(
    info: Info, artifact_id: str, first: int | None, after: str | None, last: int | None, before: str | None
) -> Connection[Card]:
    """A page of the cards that cite an asset or atom now."""
    context = info.context
    cursors = context.house.cursors.list_of(context.scope, "citing", artifact_id)
    window = cursors.window(first, after, last, before)
    return cursors.connection(await cards.citing(context.house.stores, context.scope, artifact_id, window), Card.of)


@strawberry.input(description="A card's exact text: YAML header between --- lines, then the body.")
class PublishCardInput(RepeatableInput):
    """Input of publishCard."""

    text: str = strawberry.field(description="The exact text. The header's `key` names the card across versions.")
    train_ok: bool = strawberry.field(description="Whether training on it is allowed.")
    expected_version: int | None = strawberry.field(
        default=None, description="The version that you revise; null or 0 for a new card."
    )
    card_id: strawberry.ID | None = strawberry.field(
        default=None, description="The card to revise, where its text has no key."
    )


@strawberry.type(description="The card as it stands now.")
class PublishCardPayload:
    """Payload of publishCard."""

    card: Card | None = strawberry.field(default=None, description="The card; null when refused.")
    created: bool = strawberry.field(default=False, description="Whether the card is new.")
    changed: bool = strawberry.field(default=False, description="Whether a version was made; false for equal bytes.")
    index_state: IndexState | None = strawberry.field(
        default=None, description="Whether search finds this version already."
    )
    difference: CardDifference | None = strawberry.field(
        default=None, description="Of a dry run: what it would do to the text, also where a lock is missing."
    )
    change_digest: str | None = strawberry.field(
        default=None, description="Of a dry run: what a lock would have to bind; null where none is needed."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to mend; empty on success.")


@strawberry.input(description="Which card to retire.")
class RetireCardInput(RepeatableInput):
    """Input of retireCard."""

    card_id: strawberry.ID = strawberry.field(description="The card.")
    expected_version: int = strawberry.field(description="Its version as you know it.")


@strawberry.type(description="The retired card: kept and readable, found by no search.")
class RetireCardPayload:
    """Payload of retireCard."""

    card: Card | None = strawberry.field(default=None, description="The card; null when refused.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to mend; empty on success.")


@strawberry.type
class CardQuery:
    """Queries of the room."""

    @read(Permission.CARDS_READ, "A card by its id; null when there is none here.")
    async def card(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> Card | None:
        """One card."""
        found = await info.context.loaders.cards.load(str(id))
        return Card.of(found) if found else None

    @read(Permission.CARDS_READ, "Cards, newest first.")
    async def cards(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: Annotated[CardFilterInput | None, strawberry.argument(description="Which ones; all when null.")] = None,
    ) -> Connection[Card]:
        """A page of cards."""
        context = info.context
        chosen = card_filter(filter)
        cursors = context.house.cursors.list_of(context.scope, "cards", filter_json(chosen))
        window = cursors.window(first, after, last, before)
        house = context.house
        page = await cards.list_cards(house.stores, house.manifests, context.scope, chosen, window)
        return cursors.connection(page, Card.of)

    @read(Permission.CARDS_READ, "What is known of each card type, by type.")
    async def manifests(self, info: Info) -> list[Manifest]:
        """The manifests."""
        return [
            Manifest(
                card_type=manifest.card_type,
                version=manifest.version,
                title=manifest.title,
                description=manifest.description,
                strategic=manifest.strategic,
                singleton=None if manifest.singleton is None else list(manifest.singleton),
                filterable=JSON({name: kind.value for name, kind in sorted(manifest.filterable.items())}),
                excerpt=manifest.excerpt,
                schema=JSON(dict(manifest.schema.definition)),
            )
            for _, manifest in sorted(info.context.house.manifests.by_type.items())
        ]


@strawberry.type
class CardMutation:
    """Mutations of the room."""

    @change(
        Permission.CARDS_PUBLISH,
        "Publish a new card or a new version, and wait until search finds it.",
        locked="the card's type is strategic",
        points=20,
    )
    async def publish_card(
        self, info: Info, input: Annotated[PublishCardInput, strawberry.argument(description="Text and conditions.")]
    ) -> PublishCardPayload:
        """Publish."""
        house, scope = info.context.house, info.context.scope
        revised = None if input.card_id is None else str(input.card_id)
        stated = {"train_ok": input.train_ok, "expected_version": input.expected_version, "card_id": revised}
        arguments: dict[str, Any] = {"text": input.text, **stated}
        preview = PublishCardPayload()
        if input.dry_run:
            proposed = await cards.propose(house.stores, house.manifests, scope, **arguments)
            preview.difference = CardDifference.of(proposed.difference)
            preview.change_digest = proposed.change.digest if proposed.strategic else None
        try:
            published = await cards.publish(
                house.stores, house.manifests, scope, **arguments, once=once("publishCard", input)
            )
        except LockRequired as error:
            if not input.dry_run:
                raise
            return replace(preview, user_errors=[user_error(error)])
        state = None
        if not input.dry_run:
            state = await index.settled_state(
                house.stores, house.index, scope, published, house.config.index_wait_seconds, house.config.poll_seconds
            )
        card, created, changed = Card.of(published.card), published.created, published.changed
        return replace(preview, card=card, created=created, changed=changed, index_state=state)

    @change(
        Permission.CARDS_RETIRE,
        "Take a card out of search and settings. Its versions stay readable.",
        locked="the card's type is strategic",
    )
    async def retire_card(
        self, info: Info, input: Annotated[RetireCardInput, strawberry.argument(description="Which.")]
    ) -> RetireCardPayload:
        """Retire."""
        house, scope = info.context.house, info.context.scope
        retired = await cards.retire(
            house.stores,
            house.manifests,
            scope,
            str(input.card_id),
            input.expected_version,
            once=once("retireCard", input),
        )
        return RetireCardPayload(card=Card.of(retired))


def _content(card: cards.Card) -> dict[str, Any]:
    return {
        "card_type": card.card_type,
        "version": card.version,
        "title": card.title,
        "body": card.body,
        "text": card.text,
        "digest": card.digest,
        "labels": list(card.labels),
        "pii_flags": list(card.handling.pii_flags),
        "train_ok": card.handling.train_ok,
        "published_at": card.created_at,
        "published_by": card.created_by,
    }
