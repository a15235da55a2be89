"""Raw assets: reserve, upload to the given address, seal; list, fetch, download."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from nexus_graph import assets
from nexus_graph.api.context import Info
from nexus_graph.api.fields import change, link, read
from nexus_graph.api.idempotency import RepeatableInput, once
from nexus_graph.api.nodes.allowed_actions import AllowedAction, allowed
from nexus_graph.api.nodes.asset_parts import AssetPart, page_of_parents, page_of_parts
from nexus_graph.api.nodes.derivations import AssetDerivation
from nexus_graph.api.paging import After, Before, Connection, First, Last
from nexus_graph.api.scalars import BigInt, Node, described
from nexus_graph.api.user_errors import UserError
from nexus_graph.assets import AssetFilter, AssetState, Reservation
from nexus_graph.atoms import NOT_ASKED, Outcome
from nexus_graph.scope.clock import iso
from nexus_graph.scope.errors import Conflict
from nexus_graph.scope.permission import Permission
from nexus_graph.stores.blobs import base

if TYPE_CHECKING:
    from nexus_graph.api.nodes.atoms import Atom
    from nexus_graph.api.nodes.cards import Card

described(
    AssetState,
    "How far an asset is.",
    {
        "RESERVED": "Declared; its bytes may be on their way, until the reservation ends.",
        "UPLOADED": "Its bytes are in the store, not verified yet: seal it.",
        "SEALED": "Its bytes are stored and verified, and never change again.",
        "PURGED": "Its bytes are gone: the reservation ended, or another asset has the same bytes.",
    },
)


@strawberry.type(description="Raw bytes in object storage, as they were given.")
class Asset(Node):
    """A raw asset."""

    id: strawberry.ID = strawberry.field(description="The asset's id.")
    filename: str = strawberry.field(description="The name that the giver used; for display only.")
    content_type: str = strawberry.field(description="The media type that the giver declared.")
    size_bytes: BigInt = strawberry.field(description="How many bytes.")
    sha256: str = strawberry.field(description="SHA-256 of the bytes, in hexadecimal.")
    state: AssetState = strawberry.field(description="How far the asset is.")
    captured_at: datetime | None = strawberry.field(
        description="When the content came to be, as far as the giver knew."
    )
    imported_at: datetime = strawberry.field(description="When it was reserved here.")
    sealed_at: datetime | None = strawberry.field(description="When its bytes were verified.")
    capture_location: str | None = strawberry.field(description="Where the content came to be, in the giver's words.")
    source_ref: str | None = strawberry.field(
        description="What the giver calls the source: an address, a path, a ticket."
    )
    pii_flags: list[str] = strawberry.field(description="Kinds of personal data found in its labels and its atoms.")
    train_ok: bool = strawberry.field(description="Whether its giver allows training on it.")
    created_by: str = strawberry.field(description="Who gave it.")

    @classmethod
    def of(cls, asset: assets.Asset) -> Asset:
        """From the room's value."""
        return cls(
            id=strawberry.ID(asset.asset_id),
            filename=asset.filename,
            content_type=asset.content_type,
            size_bytes=BigInt(asset.size),
            sha256=asset.sha256,
            state=asset.state,
            captured_at=asset.captured_at,
            imported_at=asset.created_at,
            sealed_at=asset.sealed_at,
            capture_location=asset.capture_location,
            source_ref=asset.source_ref,
            pii_flags=list(asset.handling.pii_flags),
            train_ok=asset.handling.train_ok,
            created_by=asset.created_by,
        )

    @read(Permission.VIEWER_READ, "What the viewer may do to it.")
    async def allowed_actions(self, info: Info) -> list[AllowedAction]:
        """Preflight; all assets of the operation at once."""
        found = [allowed(info, action, str(self.id)) for action in ("sealAsset", "deriveAtoms")]
        return list(await asyncio.gather(*found))

    @link(
        Permission.ATOMS_READ,
        "What became of it when it was read last, and what was left out.",
        lambda loaders: loaders.derivations,
        lambda own: str(own.id),
    )
    def derivation(self, found: Outcome | None) -> AssetDerivation:
        """The outcome; those of all assets of the operation at once."""
        return AssetDerivation.of(found or NOT_ASKED)

    @read(Permission.ATOMS_READ, "The atoms derived from it, in the order of the file.")
    async def atoms(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        stale: Annotated[bool, strawberry.argument(description="Also those of outdated recipes.")] = False,
    ) -> Connection[Annotated[Atom, strawberry.lazy("nexus_graph.api.nodes.atoms")]]:
        """A page of atoms."""
        from nexus_graph.api.nodes.atoms import page_of_asset

        return await page_of_asset(info, str(self.id), first, after, last, before, stale=stale)

    @read(Permission.CARDS_READ, "The current cards that cite it directly, newest first.")
    async def cited_by(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Annotated[Card, strawberry.lazy("nexus_graph.api.nodes.cards")]]:
        """Lineage backwards."""
        from nexus_graph.api.nodes.cards import citing

        return await citing(info, str(self.id), first, after, last, before)

    @read(Permission.ASSETS_READ, "What was found inside it, such as the attachments of an e-mail, in its order.")
    async def parts(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[AssetPart]:
        """Lineage forwards."""
        return await page_of_parts(info, str(self.id), first, after, last, before)

    @read(Permission.ASSETS_READ, "Where it was found inside other assets; empty for what was only uploaded by itself.")
    async def part_of(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[AssetPart]:
        """Lineage backwards."""
        return await page_of_parents(info, str(self.id), first, after, last, before)

    @read(Permission.ASSETS_DOWNLOAD, "A short-lived address that answers with the bytes; null unless SEALED.")
    async def download_address(self, info: Info) -> str | None:
        """A presigned download."""
        if self.state is not AssetState.SEALED:
            return None
        house = info.context.house
        try:
            return await assets.download(house.stores, house.asset_rules, info.context.scope, str(self.id))
        except Conflict:  # sealed in a dry run only
            return None


@strawberry.type(description="A name and its value.")
class NameValue:
    """An entry of a map."""

    name: str = strawberry.field(description="The name.")
    value: str = strawberry.field(description="The value.")

    @classmethod
    def all_of(cls, entries: Mapping[str, str]) -> list[NameValue]:
        """The entries of a map, by name."""
        return [cls(name=name, value=entries[name]) for name in sorted(entries)]


@strawberry.type(description="Where and how to send the bytes: exactly those that were declared, before it expires.")
class Upload:
    """A presigned upload."""

    address: str = strawberry.field(description="Where to.")
    method: str = strawberry.field(description="PUT with the bare bytes, or POST as a form with the file last.")
    headers: list[NameValue] = strawberry.field(description="Headers to send along.")
    fields: list[NameValue] = strawberry.field(description="Form fields to send before the file; empty for PUT.")
    expires_at: datetime = strawberry.field(description="Until when.")

    @classmethod
    def of(cls, upload: base.Upload) -> Upload:
        """From the store's value."""
        return cls(
            address=upload.address,
            method=upload.method,
            headers=NameValue.all_of(upload.headers),
            fields=NameValue.all_of(upload.fields),
            expires_at=upload.expires_at,
        )


@strawberry.input(description="What is going to be uploaded.")
class ReserveAssetInput(RepeatableInput):
    """Input of reserveAsset."""

    filename: str = strawberry.field(description="The file's name, for display; 1 to 255 characters.")
    content_type: str = strawberry.field(description="Its media type, such as text/markdown.")
    size_bytes: BigInt = strawberry.field(description="Exactly how many bytes.")
    sha256: str = strawberry.field(description="SHA-256 of the bytes: 64 lower-case hexadecimal digits.")
    train_ok: bool = strawberry.field(description="Whether training on it is allowed.")
    captured_at: datetime | None = strawberry.field(default=None, description="When the content came to be.")
    capture_location: str | None = strawberry.field(default=None, description="Where the content came to be.")
    source_ref: str | None = strawberry.field(default=None, description="What you call the source.")


@strawberry.type(description="The reservation, and where to upload.")
class ReserveAssetPayload:
    """Payload of reserveAsset."""

    asset: Asset | None = strawberry.field(default=None, description="The asset; null when refused.")
    upload: Upload | None = strawberry.field(
        default=None, description="Where to send the bytes; null for a duplicate and in a dry run."
    )
    duplicate: bool = strawberry.field(
        default=False, description="Whether these bytes are here already: nothing to do."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to mend; empty on success.")


@strawberry.input(description="Which upload is finished.")
class SealAssetInput(RepeatableInput):
    """Input of sealAsset."""

    asset_id: strawberry.ID = strawberry.field(description="The reserved asset.")


@strawberry.type(description="The sealed asset.")
class SealAssetPayload:
    """Payload of sealAsset."""

    asset: Asset | None = strawberry.field(default=None, description="The asset; null when refused.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to mend; empty on success.")


@strawberry.input(description="Which assets: all conditions together.")
class AssetFilterInput:
    """A filter over assets."""

    states: list[AssetState] | None = strawberry.field(default=None, description="In any of these states.")
    content_types: list[str] | None = strawberry.field(default=None, description="Of any of these media types.")
    imported_from: datetime | None = strawberry.field(default=None, description="Imported at or after.")
    imported_to: datetime | None = strawberry.field(default=None, description="Imported before.")


@strawberry.type
class AssetQuery:
    """Queries of the room."""

    @read(Permission.ASSETS_READ, "A raw asset by its id; null when there is none here.")
    async def asset(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> Asset | None:
        """One asset."""
        found = await info.context.loaders.assets.load(str(id))
        return Asset.of(found) if found else None

    @read(Permission.ASSETS_READ, "Raw assets, newest first.")
    async def assets(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: Annotated[
            AssetFilterInput | None, strawberry.argument(description="Which ones; all when null.")
        ] = None,
    ) -> Connection[Asset]:
        """A page of assets."""
        context = info.context
        chosen = filter or AssetFilterInput()
        conditions = AssetFilter(
            states=tuple(dict.fromkeys(chosen.states or ())),
            content_types=tuple(chosen.content_types or ()),
            created_from=chosen.imported_from,
            created_to=chosen.imported_to,
        )
        bound = [
            [state.value for state in conditions.states],
            list(conditions.content_types),
            iso(chosen.imported_from) if chosen.imported_from else None,
            iso(chosen.imported_to) if chosen.imported_to else None,
        ]
        cursors = context.house.cursors.list_of(context.scope, "assets", bound)
        window = cursors.window(first, after, last, before)
        page = await assets.list_assets(context.house.stores, context.scope, conditions, window)
        return cursors.connection(page, Asset.of)


@strawberry.type
class AssetMutation:
    """Mutations of the room."""

    @change(Permission.ASSETS_WRITE, "Declare bytes to come and get an address that takes exactly those.", locked=None)
    async def reserve_asset(
        self, info: Info, input: Annotated[ReserveAssetInput, strawberry.argument(description="What is coming.")]
    ) -> ReserveAssetPayload:
        """Reserve."""
        house = info.context.house
        reservation = Reservation(
            filename=input.filename,
            content_type=input.content_type,
            size=int(input.size_bytes),
            sha256=input.sha256,
            train_ok=input.train_ok,
            captured_at=input.captured_at,
            capture_location=input.capture_location,
            source_ref=input.source_ref,
        )
        reserved = await assets.reserve(
            house.stores, house.asset_rules, info.context.scope, reservation, once=once("reserveAsset", input)
        )
        return ReserveAssetPayload(
            asset=Asset.of(reserved.asset),
            upload=Upload.of(reserved.upload) if reserved.upload else None,
            duplicate=reserved.duplicate,
        )

    @change(
        Permission.ASSETS_WRITE,
        "Verify the uploaded bytes against the declaration and make them immutable.",
        locked=None,
        points=20,
    )
    async def seal_asset(
        self, info: Info, input: Annotated[SealAssetInput, strawberry.argument(description="Which.")]
    ) -> SealAssetPayload:
        """Seal."""
        stores, scope = info.context.house.stores, info.context.scope
        sealed = await assets.seal(stores, scope, str(input.asset_id), once=once("sealAsset", input))
        return SealAssetPayload(asset=Asset.of(sealed))
