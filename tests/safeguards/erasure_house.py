"""Somebody who left traces in every room, somebody else who did too, and the means to erase and to look for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from engines import files_at, is_embedded
from lineage_house import derive
from shipped import MANIFESTS
from side_process import place_of

from nexus_graph import assets, cards, index, packs, runs, sessions
from nexus_graph.app import ERASURE_STEPS
from nexus_graph.assets import AssetRules, Reservation
from nexus_graph.assets.checking import held as held_assets
from nexus_graph.cards import CardFilter
from nexus_graph.cards.checking import held as held_cards
from nexus_graph.packs import Ask
from nexus_graph.safeguards import erasure, quotas
from nexus_graph.safeguards.erasure import Eraser, Erasure, FileLedger, Pseudonyms, Target, TargetKind
from nexus_graph.scope.scope import Role, Scope
from nexus_graph.sessions import NewEntry
from nexus_graph.stores.vectors.local import LocalVectors
from nexus_graph.stores.work import Stores
from nexus_graph.tenants import keys, membership

SUE, TOM = "sue.canary.7731", "tom.stays.1144"
CANARIES = (SUE, "canary-card-words", "canary-asset-bytes", "canary-file-name", "canary-session-words", "canary-key")
STAYS = ("tom-card-words", "tom-asset-bytes", "tom-session-words")
SECRET = "a signing secret for tests only, 32+"
RULES = AssetRules(largest=2**20, reservation_seconds=3600, address_seconds=300)
MakeScope = Callable[..., Scope]


@dataclass(slots=True)
class House:
    """One tenant's env with Sue, Tom and an owner in it."""

    folder: Path
    stores: Stores
    owner: Scope
    sue: Scope
    tom: Scope
    index: index.Index
    eraser: Eraser
    ids: dict[str, str] = field(default_factory=dict)

    async def settle(self) -> None:
        """Let the index catch up."""
        follower = index.follower(self.index)
        while await follower.catch_up(self.stores):
            pass

    async def erase(self) -> None:
        """Let the erasures that were confirmed be carried out."""
        follower = erasure.follower(self.eraser)
        while await follower.catch_up(self.stores):
            pass

    async def plan(self, *, mentions: bool = False, subject: str | None = SUE) -> Erasure:
        """Plan by the owner."""
        kind = TargetKind.TENANT_ENV if subject is None else TargetKind.SUBJECT
        return await erasure.plan(self.stores, self.eraser, self.owner, Target.of(kind, subject, mentions=mentions))

    async def erased(self, *, mentions: bool = False, subject: str | None = SUE) -> Erasure:
        """Plan, confirm and carry out."""
        planned = await self.plan(mentions=mentions, subject=subject)
        await erasure.confirm(self.stores, self.eraser, self.owner, planned.erasure_id, planned.digest)
        await self.erase()
        return await self.found(planned.erasure_id)

    async def found(self, erasure_id: str) -> Erasure:
        """The erasure as it is now."""
        found = await erasure.find(self.stores, self.owner, erasure_id)
        assert found is not None
        return found

    async def holds(self) -> None:
        """The chain of the journal holds, and every check of the rooms finds nothing."""
        system = Scope.system(self.owner.tenant_id, self.owner.env, "check")
        async with self.stores.read(system) as read:
            _, fault = await read.verify_journal()
        assert fault is None
        assert await cards.check(self.stores, MANIFESTS, system) == []
        assert await assets.check(self.stores, system) == []
        report = await index.check(self.stores, self.index, system, repair=False)
        assert report.agrees
        assert (await runs.rebuild_check(self.stores, system))[1] == ()
        counts = (held_assets, held_cards, sessions.held)
        assert await quotas.recount(self.stores, system, counts) == []

    def left(self, *words: str) -> dict[str, list[str]]:
        """The files of the installation that hold these words, by word."""
        database = (
            [] if is_embedded(self.stores) else files_at(place_of(self.stores.database))
        )  # an embedded one lies in the folder
        files = {path: path.read_bytes() for path in (*self.folder.rglob("*"), *database) if path.is_file()}
        named = [word for word in words if any(word in str(path) for path in files)]
        found = {word: [str(path) for path, data in files.items() if word.encode() in data] for word in words}
        return {word: paths for word, paths in found.items() if paths} | {word: ["a name"] for word in named}


async def make(folder: Path, stores: Stores, scope_of: MakeScope) -> House:
    """A house in which nothing has happened but that three people came in."""
    system = Scope.system("t_acme", scope_of().env, "test")
    for subject, role in ((SUE, "admin"), (TOM, "admin"), ("owner@t_acme", "owner")):
        await membership.set_member(stores, system, subject, role)
    used = index.Index(index.load_embedder("hashing"), MANIFESTS, LocalVectors())
    eraser = Eraser(ERASURE_STEPS, FileLedger(folder / "erasures.jsonl"), Pseudonyms(SECRET), used.forget)
    sue, tom = (scope_of("t_acme", Role.ADMIN, who=who) for who in (SUE, TOM))
    return House(folder, stores, scope_of("t_acme", Role.OWNER), sue, tom, used, eraser)


async def furnish(house: House) -> None:
    """Sue and Tom each keep a file, publish cards, ask for a pack, remember something; Sue makes a key."""
    for scope, word in ((house.sue, "canary"), (house.tom, "tom")):
        data = f"{word}-asset-bytes of a paragraph.\n\nAnd another paragraph.\n".encode()
        named = Reservation.of(data, filename=f"{word}-file-name.txt", content_type="text/plain", train_ok=True)
        asset, _ = await assets.keep(house.stores, RULES, scope, named, data)
        house.ids[f"{word} asset"] = asset.asset_id
        await derive(house.stores, scope, asset, data)
        for number in range(3):
            header = f"---\ncard_type: note\nkey: {word}-key-{number}\nlabels: [{word}-label]\n---\n"
            text = f"{header}{word}-card-words {number}"
            published = await cards.publish(house.stores, MANIFESTS, scope, text, train_ok=True)
            house.ids[f"{word} card {number}"] = published.card.card_id
        await sessions.append(house.stores, scope, "s1", [NewEntry(f"{word}-session-words", False)])
        await keys.create_key(house.stores, scope, f"{word} agent", 30)
    await house.settle()
    for scope, word in ((house.sue, "canary"), (house.tom, "tom")):
        ask = Ask(f"what of {word}-card-words?", CardFilter(), 6)
        served = await packs.request(house.stores, house.index, scope, ask)
        house.ids[f"{word} pack"] = served.pack.pack_id
