"""Atoms: what was derived from an asset, with exact coordinates and lineage."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import strawberry
from strawberry.scalars import JSON

from nexus_graph import assets, atoms
from nexus_graph.api.context import Info
from nexus_graph.api.fields import change, link, read
from nexus_graph.api.idempotency import RepeatableInput, once
from nexus_graph.api.nodes.assets import Asset
from nexus_graph.api.paging import After, Before, Connection, First, Last
from nexus_graph.api.scalars import Node
from nexus_graph.api.user_errors import UserError
from nexus_graph.scope.errors import Invalid, NotFound
from nexus_graph.scope.permission import Permission

if TYPE_CHECKING:
    from nexus_graph.api.nodes.cards import Card


@strawberry.type(description="Where an atom stands in its asset.")
class Span:
    """Coordinates."""

    start: int = strawberry.field(description="First code point of the canonical text, from 0.")
    end: int = strawberry.field(description="One past the last code point.")
    page: int | None = strawberry.field(description="Page, from 1, where the file has pages.")
    line: int | None = strawberry.field(description="First line, from 1.")
    end_line: int | None = strawberry.field(description="Last line, from 1.")
    row: int | None = strawberry.field(description="Row of a table, from 1.")
    pointer: str | None = strawberry.field(description="JSON Pointer (RFC 6901).")
    start_ms: int | None = strawberry.field(description="Start in milliseconds, in sound and video.")
    end_ms: int | None = strawberry.field(description="End in milliseconds.")
    sheet: str | None = strawberry.field(description="Name of the sheet, in a workbook.")
    cell: str | None = strawberry.field(description="Cells of the sheet, such as A5:D5.")
    slide: int | None = strawberry.field(description="Slide, from 1, in a presentation.")
    part: str | None = strawberry.field(description="Part of the file by its own name: a chapter, a note, a header.")
    path: str | None = strawberry.field(description="Path of the element, in XML: /catalog[1]/item[3].")


@strawberry.type(description="A piece of a raw asset, derived by a versioned recipe and named by its content.")
class Atom(Node):
    """An atom."""

    id: strawberry.ID = strawberry.field(description="Digest of asset, recipe, parameters and place.")
    op: str = strawberry.field(description="The recipe, such as markdown.sections.")
    op_version: str = strawberry.field(description="The recipe's version.")
    params: JSON = strawberry.field(description="The recipe's parameters.")
    ordinal: int = strawberry.field(description="Its place among its siblings, from 0.")
    kind: str = strawberry.field(description="What it is in its file: paragraph, heading, code, row, page, ...")
    span: Span = strawberry.field(description="Where it stands.")
    text: str = strawberry.field(description="Its text.")
    digest: str = strawberry.field(description="SHA-256 of its text.")
    pii_flags: list[str] = strawberry.field(description="Kinds of personal data found in it.")
    train_ok: bool = strawberry.field(description="Whether training on it is allowed.")
    derived_at: datetime = strawberry.field(description="When it was derived first.")
    stale: bool = strawberry.field(description="Whether a newer version of its recipe has replaced it.")
    asset_id: strawberry.Private[str]

    @classmethod
    def of(cls, atom: atoms.Atom) -> Atom:
        """From the room's value."""
        return cls(
            id=strawberry.ID(atom.id),
            op=atom.op,
            op_version=atom.op_version,
            params=JSON(dict(atom.params)),
            ordinal=atom.ordinal,
            kind=atom.kind,
            span=Span(**asdict(atom.span)),
            text=atom.text,
            digest=atom.digest,
            pii_flags=list(atom.handling.pii_flags),
            train_ok=atom.handling.train_ok,
            derived_at=atom.derived_at,
            stale=atom.stale,
            asset_id=atom.asset_id,
        )

    @link(
        Permission.ASSETS_READ,
        "The raw asset that it was derived from.",
        lambda loaders: loaders.assets,
        lambda own: own.asset_id,
    )
    def asset(self, found: assets.Asset | None) -> Asset:
        """Lineage forwards."""
        if found is None:
            raise NotFound("asset")
        return Asset.of(found)

    @read(Permission.CARDS_READ, "The current cards that cite it, newest first.")
    async def cited_by(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Annotated[Card, strawberry.lazy("nexus_graph.api.nodes.cards")]]:
        """Lineage backwards."""
        from nexus_graph.api.nodes.cards import citing

        return await citing(info, str(self.id), first, after, last, before)


@strawberry.type(description="A versioned way of deriving atoms.")
class Recipe:
    """A recipe."""

    op: str = strawberry.field(description="Its name.")
    version: str = strawberry.field(description="Its version.")
    description: str = strawberry.field(description="What it makes.")
    content_types: list[str] = strawberry.field(description="The media types that it reads.")
    params: JSON = strawberry.field(description="Its parameters, with defaults and bounds.")


@strawberry.type(description="The outcome of deriving an atom again from the raw bytes.")
class AtomVerification:
    """A verification."""

    matches: bool = strawberry.field(description="Whether the same atom came out.")
    expected: str = strawberry.field(description="The digest that is kept.")
    found: str | None = strawberry.field(description="The digest that came out; null when no such atom did.")


@strawberry.input(description="What to derive, and how.")
class DeriveAtomsInput(RepeatableInput):
    """Input of deriveAtoms."""

    asset_id: strawberry.ID = strawberry.field(description="A sealed asset.")
    op: str | None = strawberry.field(
        default=None, description="The recipe; the usual one of the media type when null."
    )
    params: JSON | None = strawberry.field(default=None, description="Its parameters, an object.")


@strawberry.type(description="What was derived.")
class DeriveAtomsPayload:
    """Payload of deriveAtoms."""

    asset: Asset | None = strawberry.field(default=None, description="The asset; null when refused.")
    op: str | None = strawberry.field(default=None, description="The recipe that was used.")
    op_version: str | None = strawberry.field(default=None, description="Its version.")
    atoms: int | None = strawberry.field(default=None, description="How many atoms the asset has under this recipe.")
    made: int | None = strawberry.field(default=None, description="How many of them are new.")
    staled: int | None = strawberry.field(default=None, description="How many older ones went stale.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to mend; empty on success.")


async def page_of_asset(
    info: Info,
    asset_id: str,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
    *,
    stale: bool,
) -> Connection[Atom]:
    """A page of an asset's atoms."""
    context = info.context
    cursors = context.house.cursors.list_of(context.scope, "atoms", [asset_id, stale])
    window = cursors.window(first, after, last, before)
    page = await atoms.of_asset(context.house.stores, context.scope, asset_id, window, stale=stale)
    return cursors.connection(page, Atom.of)


@strawberry.type
class AtomQuery:
    """Queries of the room."""

    @read(Permission.ATOMS_READ, "An atom by its id; null when there is none here.")
    async def atom(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> Atom | None:
        """One atom."""
        found = await info.context.loaders.atoms.load(str(id))
        return Atom.of(found) if found else None

    @read(Permission.ATOMS_READ, "Every recipe of this server, by name.")
    async def recipes(self, info: Info) -> list[Recipe]:
        """The registry."""
        return [
            Recipe(
                op=recipe.op,
                version=recipe.version,
                description=recipe.purpose,
                content_types=sorted(recipe.content_types),
                params=JSON({name: parameter.describe() for name, parameter in recipe.parameters.items()}),
            )
            for _, recipe in sorted(atoms.RECIPES.items())
        ]

    @read(Permission.ATOMS_READ, "Derive an atom again from the raw bytes and compare.", points=50)
    async def verify_atom(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> AtomVerification:
        """Verify."""
        house = info.context.house
        outcome = await atoms.verify(house.stores, house.sandbox, info.context.scope, str(id))
        return AtomVerification(matches=outcome.matches, expected=outcome.expected, found=outcome.found)


@strawberry.type
class AtomMutation:
    """Mutations of the room."""

    @change(
        Permission.ATOMS_DERIVE,
        "Derive atoms from a sealed asset. Doing it twice changes nothing.",
        locked=None,
        points=50,
    )
    async def derive_atoms(
        self, info: Info, input: Annotated[DeriveAtomsInput, strawberry.argument(description="What and how.")]
    ) -> DeriveAtomsPayload:
        """Derive."""
        house, scope = info.context.house, info.context.scope
        params: Any = {} if input.params is None else input.params
        if not isinstance(params, dict):
            hint = "For example {} or leave it out; `recipes` tells the parameters of each."
            raise Invalid("The parameters of a recipe are an object.", hint=hint, path=("input", "params"))
        outcome = await atoms.derive(
            house.stores,
            house.sandbox,
            scope,
            str(input.asset_id),
            input.op,
            params,
            once=once("deriveAtoms", input),
        )
        asset = await info.context.loaders.assets.load(outcome.asset_id)
        return DeriveAtomsPayload(
            asset=Asset.of(asset) if asset else None,
            op=outcome.op,
            op_version=outcome.op_version,
            atoms=outcome.atoms,
            made=outcome.made,
            staled=outcome.staled,
        )
