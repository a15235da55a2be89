"""A scope full of lineage (assets, atoms, cards, packs), made by the rooms' own verbs, and a small model of consent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from engines import behind
from shipped import MANIFESTS

from nexus_graph import assets, cards
from nexus_graph.assets import AssetRules, PartOf, Reservation
from nexus_graph.assets.consenting import ASSETS
from nexus_graph.atoms import RECIPES, Limits, deriving
from nexus_graph.atoms.consenting import ATOMS
from nexus_graph.atoms.model import collect
from nexus_graph.cards.consenting import CARDS
from nexus_graph.packs import consenting, table
from nexus_graph.packs.consenting import PACKS
from nexus_graph.safeguards.consent import changing, following
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Role, Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.work import Stores

STEPS = (ASSETS, ATOMS, CARDS, PACKS)
RULES = AssetRules(largest=2**20, reservation_seconds=3600, address_seconds=300)
LABELS = {
    "assets": "select asset_id as id, train_ok from assets where state <> 'PURGED'",
    "atoms": "select atom_id as id, train_ok from atoms where true",
    "cards": "select card_id || ':' || version as id, train_ok from card_versions where true",
    "packs": "select pack_id as id, train_ok from packs where true",
}


async def derive(
    stores: Stores, scope: Scope, asset: assets.Asset, data: bytes, op: str = "text.paragraphs"
) -> list[str]:
    """Derive in this process, which needs no sandbox; the ids of all atoms of the asset."""
    recipe = RECIPES[op]
    params = recipe.complete({})
    opened = await deriving.open_asset(stores, scope, asset)
    derived = deriving._derived(opened, recipe, params, collect(recipe, data, params, Limits()), stores.clock())
    await deriving.keep(stores, scope, derived)
    return [str(row["atom_id"]) for row in derived.rows]


async def labels(stores: Stores, scope: Scope) -> dict[str, dict[str, bool]]:
    """The effective consent of everything that is kept in a scope, by kind and id, as the rows tell it."""
    found: dict[str, dict[str, bool]] = {}
    own: dict[str, Any] = {"tenant_id": scope.tenant_id, "env": scope.env.value}
    async with behind(stores) as connection:
        for kind, sql in LABELS.items():
            rows = await connection.rows(f"{sql} and tenant_id = :tenant_id and env = :env", own)
            found[kind] = {row["id"]: bool(row["train_ok"]) for row in rows}
    return found


@dataclass(slots=True)
class Record:
    """What the model knows of one record: its author, what was declared, and the records that it came of."""

    author: str
    declared: bool
    ancestors: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class House:
    """One scope with several authors, and the model beside it."""

    stores: Stores
    scope_of: Callable[..., Scope]
    records: dict[str, dict[str, Record]] = field(default_factory=lambda: {kind: {} for kind in LABELS})
    withheld: set[str] = field(default_factory=set)
    contents: dict[str, bytes] = field(default_factory=dict)

    def scope(self, who: str) -> Scope:
        """An owner of t_acme of that name."""
        return self.scope_of("t_acme", Role.OWNER, who=who)

    def expected(self) -> dict[str, dict[str, bool]]:
        """What the model says of every record."""

        def allowed(kind: str, name: str) -> bool:
            record = self.records[kind][name]
            own = record.declared and not self.withheld & {"INSTALLATION", "TENANT", record.author}
            return own and all(allowed(*ancestor) for ancestor in record.ancestors)

        return {kind: {name: allowed(kind, name) for name in names} for kind, names in self.records.items()}

    async def add_asset(self, who: str, data: bytes, train_ok: bool) -> None:
        """Bring a file in, or once more, and derive its atoms."""
        reservation = Reservation.of(data, filename="a.txt", content_type="text/plain", train_ok=train_ok)
        asset, new = await assets.keep(self.stores, RULES, self.scope(who), reservation, data)
        if new:
            self.records["assets"][asset.asset_id] = Record(who, train_ok)
            self.contents[asset.asset_id] = data
        else:
            self.records["assets"][asset.asset_id].declared &= train_ok
        for atom in await derive(self.stores, self.scope(who), asset, data):
            self.records["atoms"][atom] = Record(who, True, (("assets", asset.asset_id),))
            self.records["atoms"][atom].author = self.records["assets"][asset.asset_id].author

    async def add_part(self, parent_id: str, data: bytes) -> None:
        """Let the engine find a file in an asset, and derive its atoms; what follows elsewhere needs `settle`."""
        scope = Scope.system("t_acme", self.scope("anna").env, "follower:atoms")
        parent = (await assets.fetch(self.stores, scope, [parent_id]))[parent_id]
        position = (await assets.count_parts(self.stores, scope, [parent_id])).get(parent_id, 0)
        reservation = Reservation.of(data, filename="p.txt", content_type="text/plain", train_ok=True)
        part = PartOf(parent, position, f"attachment {position}")
        asset, new = await assets.keep(self.stores, RULES, scope, reservation, data, part=part)
        known = self.records["assets"]
        if new:
            known[asset.asset_id] = Record(known[parent_id].author, True)
            self.contents[asset.asset_id] = data
        known[asset.asset_id].ancestors += (("assets", parent_id),)
        for atom in await derive(self.stores, scope, asset, data):
            self.records["atoms"][atom] = Record(known[asset.asset_id].author, True, (("assets", asset.asset_id),))

    def within(self, asset_id: str) -> set[str]:
        """An asset and all that it was found in."""
        return {asset_id}.union(*(self.within(above) for _, above in self.records["assets"][asset_id].ancestors))

    async def add_card(self, who: str, key: str, body: str, cited: list[tuple[str, str]], train_ok: bool) -> None:
        """Publish a card that cites, or a revision of it."""
        scope = self.scope(who)
        card_id = cards.card_id_of(scope, key)
        known = [name for name in self.records["cards"] if name.startswith(card_id)]
        text = f"---\ncard_type: note\nkey: {key}\nartifact_refs: [{', '.join(ref for _, ref in cited)}]\n---\n{body}"
        published = await cards.publish(
            self.stores, MANIFESTS, scope, text, train_ok=train_ok, expected_version=len(known)
        )
        if published.changed:
            name = f"{card_id}:{published.card.version}"
            self.records["cards"][name] = Record(who, train_ok, tuple(dict.fromkeys(cited)))

    async def add_pack(self, who: str, name: str, quoted: list[str]) -> None:
        """Keep a pack that quotes these card versions, as `packs.request` does once it has found them."""
        async with self.stores.work(self.scope(who), RunKind.PACK) as work:
            await work.write(table.KEEP, pack_id=name, content="{}", pii_flags="[]", train_ok=True, now=0, by=who)
            pairs = [card.split(":") for card in quoted]
            sets: list[Any] = [{"pack_id": name, "card_id": card, "version": int(at)} for card, at in pairs]
            await work.write_many(table.QUOTE, sets)
            await consenting.follow(work, name)
            work.record(Event("pack.served", "pack", name, redact({}), Handling((), train_ok=False)))
        self.records["packs"][name] = Record(who, True, tuple(("cards", card) for card in quoted))

    async def flip(self, layer: str, who: str, opted_out: bool) -> changing.Changed:
        """Flip the installation, the tenant or an author."""
        name = who if layer == "USER" else layer
        self.withheld = self.withheld | {name} if opted_out else self.withheld - {name}
        if layer == "INSTALLATION":
            self.stores = replace(self.stores, limits=replace(self.stores.limits, train_ok=not opted_out))
            await changing.settle(self.stores, STEPS)
            return {}
        if layer == "TENANT":
            return await changing.set_tenant_opt_out(self.stores, STEPS, self.scope(who), opted_out)
        return await changing.set_own_opt_out(self.stores, STEPS, self.scope(who), opted_out)

    async def declare(self, kind: str, name: str, train_ok: bool) -> changing.Changed:
        """Give or take back consent for one asset, or for all versions of a card."""
        record_id = name.partition(":")[0]
        for other, record in self.records[kind].items():
            if other.partition(":")[0] == record_id:
                record.declared = train_ok
        return await changing.set_train_ok(self.stores, STEPS, self.scope("anna"), record_id, train_ok)

    async def settle(self) -> None:
        """Let the follower of consent catch up."""
        follower = following.follower(STEPS)
        while await follower.catch_up(self.stores):
            pass
