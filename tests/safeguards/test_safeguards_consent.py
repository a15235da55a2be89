"""Consent: the most restrictive layer wins, everything follows a flip at once, and nothing leaves without it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from lineage_house import RULES, STEPS, House, labels
from shipped import MANIFESTS

from nexus_graph import assets, cards, index, packs, safeguards
from nexus_graph.assets import Reservation
from nexus_graph.safeguards import Deed
from nexus_graph.safeguards.consent import changing
from nexus_graph.safeguards.consent.gate import Consent
from nexus_graph.safeguards.consent.releasing import Exportable, Layer, release
from nexus_graph.scope.errors import Conflict, Forbidden, NotFound, Withheld
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.journal import RunKind
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.vectors.local import LocalVectors
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]
NONE = {"assets": 0, "atoms": 0, "cards": 0, "packs": 0}
EVENTS = Statement(
    "select subject_kind, subject_id, payload from journal_events "
    "where tenant_id = :tenant_id and env = :env and action = 'consent.changed' order by seq"
)
EXPORT = Deed("startExport", Permission.EXPORTS_WRITE)


@pytest.fixture
def house(stores: Stores, scope_of: MakeScope) -> House:
    """An empty scope with a model beside it."""
    return House(stores, scope_of)


async def furnish(house: House) -> tuple[str, str]:
    """One asset of Anna's with two atoms, a card of Bert's that cites one of them, a pack that quotes it."""
    await house.add_asset("anna", b"One.\n\nTwo.\n", train_ok=True)
    [asset], atoms = house.records["assets"], sorted(house.records["atoms"])
    await house.add_card("bert", "plan", "Body.\n", [("atoms", atoms[0])], train_ok=True)
    [card] = house.records["cards"]
    await house.add_pack("carl", "pack_1", [card])
    return asset, card.partition(":")[0]


@pytest.mark.parametrize("seed", range(4))
async def test_random_lineage_and_flips_agree_with_a_model(house: House, seed: int) -> None:
    """After every step each effective value is what the model says, and a flip reports exactly what it changed."""
    chance = random.Random(seed)  # noqa: S311
    people = ["anna", "bert", "carl"]
    for step in range(70):
        who, yes = chance.choice(people), chance.random() < 0.5
        artifacts = [(kind, name) for kind in ("assets", "atoms") for name in house.records[kind]]
        versions = sorted(house.records["cards"])
        before, counts = house.expected(), None
        deeds = ["asset", "card", "card", "pack", "twin", "part", "part", "flip", "flip", "declare", "install"]
        match chance.choice(deeds):
            case "asset":
                await house.add_asset(who, f"{seed} {step}.\n\nMore.\n".encode(), chance.random() < 0.8)
            case "twin" if house.contents:
                await house.add_asset(who, chance.choice([*house.contents.values()]), yes)
                await house.settle()
            case "part" if house.contents:
                parent = chance.choice(sorted(house.contents))
                others = [house.contents[name] for name in sorted(house.contents.keys() - house.within(parent))]
                await house.add_part(parent, chance.choice([*others[:3], f"{seed} part {step}.\n".encode()]))
                await house.settle()
            case "card":
                cited = chance.sample(artifacts, min(len(artifacts), chance.randrange(3)))
                await house.add_card(who, f"key{chance.randrange(4)}", f"{step}\n", cited, chance.random() < 0.8)
            case "pack":
                quoted = chance.sample(versions, min(len(versions), chance.randrange(1, 4)))
                await house.add_pack(who, f"pack_{step}", quoted)
            case "flip":
                counts = await house.flip(chance.choice(["TENANT", "USER"]), who, yes)
            case "install":
                await house.flip("INSTALLATION", who, chance.random() < 0.3)
            case "declare" if artifacts or versions:
                kind = chance.choice([kind for kind in ("assets", "cards") if house.records[kind]])
                counts = await house.declare(kind, chance.choice(sorted(house.records[kind])), yes)
        now = house.expected()
        assert await labels(house.stores, house.scope("anna")) == now
        if counts is not None:
            assert counts == {kind: sum(now[kind][name] != before[kind][name] for name in now[kind]) for kind in now}
    assert all(len(records) > 1 for records in house.records.values())


async def test_a_flip_reaches_every_descendant_and_comes_back(house: House) -> None:
    """Anna opts out: her asset, its atoms, Bert's card and Carl's pack follow; in again, all return."""
    await furnish(house)
    await house.add_asset("bert", b"Another.\n", train_ok=True)
    assert await house.flip("USER", "anna", opted_out=True) == {"assets": 1, "atoms": 2, "cards": 1, "packs": 1}
    assert await house.flip("USER", "anna", opted_out=True) == NONE
    assert await labels(house.stores, house.scope("anna")) == house.expected()
    assert sorted(house.expected()["assets"].values()) == [False, True]
    assert await house.flip("USER", "anna", opted_out=False) == {"assets": 1, "atoms": 2, "cards": 1, "packs": 1}
    async with house.stores.read(house.scope("anna")) as read:
        rows = await read.rows(EVENTS)
    assert [(row["subject_kind"], row["subject_id"]) for row in rows] == [("user", "anna")] * 2
    assert '"atoms":2' in rows[0]["payload"]
    assert '"optedOut":true' in rows[0]["payload"]


async def test_what_is_kept_under_an_opt_out_is_kept_with_it(house: House) -> None:
    """A declaration is kept beside the effective value, so that it counts when the opt-out is taken back."""
    await house.flip("TENANT", "anna", opted_out=True)
    await furnish(house)
    await house.add_card("bert", "own", "Body.\n", [], train_ok=False)
    assert not any(
        value for kept in (await labels(house.stores, house.scope("anna"))).values() for value in kept.values()
    )
    assert await house.flip("TENANT", "anna", opted_out=False) == {"assets": 1, "atoms": 2, "cards": 1, "packs": 1}
    assert await labels(house.stores, house.scope("anna")) == house.expected()


async def test_an_opt_out_is_of_its_tenant_and_env_alone(house: House, stores: Stores, scope_of: MakeScope) -> None:
    """The same name in another tenant, and the same tenant's other env, feel nothing."""
    globex, prod = scope_of("t_globex", who="anna"), scope_of("t_acme", env=Env.PROD, who="anna")
    for scope in (globex, prod):
        await assets.keep(stores, RULES, scope, _reservation(), b"Theirs.")
    await furnish(house)
    await house.flip("USER", "anna", opted_out=True)
    await house.flip("TENANT", "anna", opted_out=True)
    for scope in (globex, prod):
        assert set((await labels(stores, scope))["assets"].values()) == {True}
        assert await changing.current(stores, scope) == Consent(True, True, True)
    assert await changing.current(stores, house.scope("anna")) == Consent(True, False, False)
    assert not (await changing.current(stores, house.scope("bert"))).effective


async def test_a_record_can_be_withheld_and_given(house: House) -> None:
    """`setTrainOk` moves one record and what came of it; a foreign, unknown or other id is not found."""
    asset, card = await furnish(house)
    assert await house.declare("assets", asset, train_ok=False) == {"assets": 1, "atoms": 2, "cards": 1, "packs": 1}
    assert await house.declare("cards", card, train_ok=False) == NONE  # withheld by what it cites already
    assert await house.declare("assets", asset, train_ok=True) == {"assets": 1, "atoms": 2, "cards": 0, "packs": 0}
    assert await house.declare("cards", card, train_ok=True) == {"assets": 0, "atoms": 0, "cards": 1, "packs": 1}
    other = house.scope_of("t_globex")
    words = set()
    for name in (asset, card, "asset_unknown", "card_unknown", *house.records["atoms"], "pack_1"):
        with pytest.raises(NotFound) as error:
            await changing.set_train_ok(house.stores, STEPS, other, name, False)
        words.add(str(error.value))
    assert words == {"No such asset or card here."}


async def test_consent_is_never_given_against_the_text(house: House) -> None:
    """A card whose header says train_ok: false stays withheld, and an older version of that kind does too."""
    scope = house.scope("anna")
    text = "---\ncard_type: note\nkey: plan\ntrain_ok: false\n---\nBody.\n"
    first = await cards.publish(house.stores, MANIFESTS, scope, text, train_ok=True)
    with pytest.raises(Conflict, match="own text withholds"):
        await changing.set_train_ok(house.stores, STEPS, scope, first.card.card_id, True)
    plain = text.replace("train_ok: false\n", "")
    await cards.publish(house.stores, MANIFESTS, scope, plain, train_ok=False, expected_version=1)
    assert (await changing.set_train_ok(house.stores, STEPS, scope, first.card.card_id, True))["cards"] == 1
    assert sorted((await labels(house.stores, scope))["cards"].values()) == [False, True]


async def test_publishing_the_same_text_takes_consent_back_under_an_opt_out(house: House) -> None:
    """A declaration counts although the effective value was false already."""
    scope = house.scope("anna")
    await house.flip("USER", "anna", opted_out=True)
    text = "---\ncard_type: note\nkey: plan\n---\nBody.\n"
    await cards.publish(house.stores, MANIFESTS, scope, text, train_ok=True)
    again = await cards.publish(house.stores, MANIFESTS, scope, text, train_ok=False, expected_version=1)
    assert again.changed
    await house.flip("USER", "anna", opted_out=False)
    assert (await labels(house.stores, scope))["cards"] == {
        f"{again.card.card_id}:1": True,
        f"{again.card.card_id}:2": False,
    }


async def test_the_installation_withholds_for_everybody(house: House, stores: Stores) -> None:
    """A setting that changed between two starts reaches what is kept before anything is served, once."""
    await furnish(house)
    scope = house.scope("anna")
    await house.flip("INSTALLATION", "", opted_out=True)
    assert await labels(stores, scope) == house.expected()
    async with house.stores.work(scope, RunKind.ADMIN) as work:
        assert await safeguards.consent.effective(work, Handling((), train_ok=True)) == Handling((), train_ok=False)
        with pytest.raises(Withheld, match="installation"):
            await safeguards.enforce(work, EXPORT)
    seqs = await stores.heads()
    await changing.settle(house.stores, STEPS)
    assert await stores.heads() == seqs
    await house.flip("INSTALLATION", "", opted_out=False)
    assert await labels(stores, scope) == house.expected()
    assert house.expected()["packs"] == {"pack_1": True}


async def test_only_an_export_is_refused(house: House) -> None:
    """The tenant's opt-out blocks an export and labels everything else; a user's own blocks nothing."""
    scope = house.scope("anna")
    async with house.stores.read(scope) as read:
        assert (await safeguards.decide(read, EXPORT)).allowed
    await house.flip("USER", "anna", opted_out=True)
    async with house.stores.read(scope) as read:
        assert (await safeguards.decide(read, EXPORT)).allowed
    await house.flip("TENANT", "anna", opted_out=True)
    async with house.stores.read(scope) as read:
        [blocker] = (await safeguards.decide(read, EXPORT)).blockers
        assert (blocker.gate, blocker.code) == ("CONSENT", "WITHHELD")
        assert (await safeguards.decide(read, Deed("publishCard", Permission.CARDS_PUBLISH))).allowed


async def test_rights_and_repetition(house: House) -> None:
    """Members and agents decide for themselves alone; a key answers the same twice; a dry run changes nothing."""
    await furnish(house)
    for role in (Role.MEMBER, Role.AGENT):
        small = house.scope_of("t_acme", role)
        with pytest.raises(Forbidden):
            await changing.set_tenant_opt_out(house.stores, STEPS, small, True)
        with pytest.raises(Forbidden):
            await changing.set_train_ok(house.stores, STEPS, small, next(iter(house.records["assets"])), False)
        assert await changing.set_own_opt_out(house.stores, STEPS, small, True) == NONE
    anna = house.scope("anna")
    rehearsed = await changing.set_own_opt_out(house.stores, STEPS, replace(anna, rehearsal=True), True)
    assert rehearsed == {"assets": 1, "atoms": 2, "cards": 1, "packs": 1}
    assert await labels(house.stores, anna) == house.expected()
    once = Once("key", ["out"])
    assert await changing.set_own_opt_out(house.stores, STEPS, anna, True, once=once) == rehearsed
    assert await changing.set_own_opt_out(house.stores, STEPS, anna, True, once=once) == rehearsed


async def test_a_pack_follows_whoever_asked_first(house: House) -> None:
    """A pack asked for under an opt-out is kept with it, and follows when that is taken back."""
    used = index.Index(index.load_embedder("hashing"), MANIFESTS, LocalVectors())
    await house.add_card("bert", "plan", "The winch runs.\n", [], train_ok=True)
    follower = index.follower(used)
    while await follower.catch_up(house.stores):
        pass
    await house.flip("USER", "carl", opted_out=True)
    served = await packs.request(house.stores, used, house.scope("carl"), packs.Ask("Does the winch run?"))
    assert [ref.version for ref in served.pack.contents.refs] == [1]
    assert not served.pack.handling.train_ok
    assert (await house.flip("USER", "carl", opted_out=False))["packs"] == 1
    assert (await house.flip("USER", "bert", opted_out=True)) == NONE | {"cards": 1, "packs": 1}


async def test_personal_data_is_flagged_where_it_is(house: House) -> None:
    """Flags come from the words around a file, from its text, from a card's own text; only consent is inherited."""
    scope = house.scope("anna")
    reservation = replace(_reservation(b"Mail zoe@example.com."), source_ref="call +49 30 901820")
    asset, _ = await assets.keep(house.stores, RULES, scope, reservation, b"Mail zoe@example.com.")
    assert asset.handling.pii_flags == ("phone",)
    text = f"---\ncard_type: note\nkey: plan\nartifact_refs: [{asset.asset_id}]\n---\nFrom 192.0.2.17.\n"
    published = await cards.publish(house.stores, MANIFESTS, scope, text, train_ok=True)
    assert published.card.handling.pii_flags == ("ip_address",)


def test_only_release_makes_an_exportable() -> None:
    """It refuses what a layer withholds, redacts what may leave, and nobody else can make one."""
    with pytest.raises(TypeError, match="release"):
        Exportable({}, redact({}), (), object())
    for layer in Layer:
        with pytest.raises(Withheld, match=layer.lower()):
            release(layer, {}, {}, ())
    made = release(None, {"id": "atom_1"}, {"text": "Mail zoe@example.com."}, ("phone",))
    assert made.content.value == {"text": "Mail [email]."}
    assert made.pii_flags == ("email", "phone")


def _reservation(data: bytes = b"Theirs.") -> Reservation:
    return Reservation.of(data, filename="a.txt", content_type="text/plain", train_ok=True)


async def test_what_was_found_in_an_asset_follows_it(house: House) -> None:
    """Withheld for a mail, consent is gone for what came with it, and with that; given back, it returns."""
    await house.add_asset("anna", b"A mail.\n", train_ok=True)
    [mail] = house.records["assets"]
    await house.add_part(mail, b"A mail in a mail.\n")
    [inner] = house.records["assets"].keys() - {mail}
    await house.add_part(inner, b"A file.\n")
    assert await house.declare("assets", mail, train_ok=False) == {"assets": 3, "atoms": 3, "cards": 0, "packs": 0}
    assert await labels(house.stores, house.scope("anna")) == house.expected()
    assert await house.declare("assets", mail, train_ok=True) == {"assets": 3, "atoms": 3, "cards": 0, "packs": 0}
    assert await house.declare("assets", inner, train_ok=False) == {"assets": 2, "atoms": 2, "cards": 0, "packs": 0}
    assert await labels(house.stores, house.scope("anna")) == house.expected()


async def test_a_part_of_two_assets_has_the_consent_that_both_have(house: House) -> None:
    """Bert's mail withholds it: Anna's file, found in it too, is withheld at once, and what cites the file follows."""
    await house.add_asset("anna", b"A file.\n", train_ok=True)
    [file] = house.records["assets"]
    await house.add_card("anna", "plan", "Body.\n", [("assets", file)], train_ok=True)
    await house.add_asset("bert", b"A mail.\n", train_ok=False)
    [mail] = house.records["assets"].keys() - {file}
    await house.add_part(mail, b"A file.\n")
    assert not (await labels(house.stores, house.scope("anna")))["assets"][file]
    await house.settle()
    assert await labels(house.stores, house.scope("anna")) == house.expected()
    assert not any(house.expected()["cards"].values())


async def test_a_stricter_twin_of_a_mail_reaches_what_came_with_it_at_once(house: House) -> None:
    """The same mail, brought in again without consent: no moment passes in which its attachment has more."""
    await house.add_asset("anna", b"A mail.\n", train_ok=True)
    [mail] = house.records["assets"]
    await house.add_part(mail, b"A file.\n")
    await house.add_asset("bert", b"A mail.\n", train_ok=False)
    assert set((await labels(house.stores, house.scope("anna")))["assets"].values()) == {False}
