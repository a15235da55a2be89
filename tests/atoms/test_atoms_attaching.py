"""Attachments: files inside files become assets of their own, parts of those that they were found in."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest
from engines import behind

from nexus_graph import assets, atoms
from nexus_graph.assets import Asset, AssetPart, AssetRules, Reservation
from nexus_graph.atoms import RECIPES, Sandbox, attaching
from nexus_graph.atoms.model import Attachment
from nexus_graph.safeguards.switches import OBJECTS, Known, Target
from nexus_graph.safeguards.switches.engaging import engage
from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.errors import Halted, NotFound
from nexus_graph.scope.limits import Limits
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.paging import Window
from nexus_graph.stores.work import Stores

Keep = Callable[..., Awaitable[Asset]]
Rows = Callable[..., Awaitable[list[dict[str, Any]]]]
MakeScope = Callable[..., Scope]

TABLE = b"item,price\ntent,120\n"
NOTES = b"# Plan\n\nSales rose.\n"
ATTACHMENT = Attachment("prices.csv", "text/csv", "attachment 'prices.csv'", TABLE)
RULES = AssetRules(largest=2**20, reservation_seconds=3600, address_seconds=300)


def mail(*files: tuple[str, str, bytes], subject: str = "Offer", inside: bytes | None = None) -> bytes:
    """A message with these attachments: name, media type, bytes; and a forwarded message."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "anna@example.org", "bert@example.org", subject
    message.set_content(f"Dear Bert,\n\nsee the attachment of {subject}.\n")
    for name, kind, data in files:
        maintype, _, subtype = kind.partition("/")
        message.add_attachment(data, maintype=maintype, subtype=subtype, filename=name)
    if inside is not None:
        message.add_attachment(inside, maintype="application", subtype="octet-stream", filename="inner.eml")
    return message.as_bytes()


BOTH = mail(("prices.csv", "text/csv", TABLE), ("plan.md", "text/markdown", NOTES))


async def follow(stores: Stores, sandbox: Sandbox) -> None:
    """A follower as after a start, until nothing is new."""
    follower = atoms.follower(sandbox)
    while await follower.catch_up(stores):
        pass


async def parts_of(stores: Stores, scope: Scope, asset: Asset) -> Sequence[AssetPart]:
    """What was found in an asset."""
    return (await assets.parts(stores, scope, asset.asset_id, Window(100))).items


async def found(stores: Stores, scope: Scope, parts: Sequence[AssetPart]) -> list[Asset]:
    """The assets of parts."""
    known = await assets.fetch(stores, scope, [part.asset_id for part in parts])
    return [known[part.asset_id] for part in parts]


async def everything(rows: Rows, scope: Scope) -> list[Any]:
    """All that a scope holds of assets, parts, atoms and journal."""
    keys = {"assets": "asset_id", "asset_parts": "parent_id, position", "atoms": "atom_id", "journal_events": "seq"}
    return [await rows(scope, table, order) for table, order in keys.items()]


async def test_attachments_become_assets_that_are_derived_themselves(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows
) -> None:
    """Two files, exactly their bytes, with the author of the mail; each with atoms; the lineage leads back."""
    asset = await keep(admin, BOTH, "offer.eml")
    await follow(stores, reader)
    parts = await parts_of(stores, admin, asset)
    assert [(part.position, part.place, part.filename) for part in parts] == [
        (0, "attachment 'prices.csv'", "prices.csv"),
        (1, "attachment 'plan.md'", "plan.md"),
    ]
    kept = await found(stores, admin, parts)
    assert [one.sha256 for one in kept] == [sha256(TABLE), sha256(NOTES)]
    assert [one.media_type for one in kept] == ["text/csv", "text/markdown"]
    assert {(one.created_by, one.state.value) for one in kept} == {(admin.principal.id, "SEALED")}
    assert kept[0].source_ref == "offer.eml: attachment 'prices.csv'"
    outcomes = await atoms.outcomes(stores, admin, [one.asset_id for one in (asset, *kept)])
    assert {outcome.state.value for outcome in outcomes.values()} == {"DONE"}
    assert {row["asset_id"] for row in await rows(admin, "atoms", "atom_id")} == {
        asset.asset_id,
        *(k.asset_id for k in kept),
    }
    above = (await assets.part_of(stores, admin, kept[1].asset_id, Window(9))).items
    assert [(part.parent_id, part.place) for part in above] == [(asset.asset_id, "attachment 'plan.md'")]
    assert await assets.count_parts(stores, admin, [asset.asset_id, kept[0].asset_id]) == {asset.asset_id: 2}


async def test_the_journal_tells_of_attachments_without_their_names(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows
) -> None:
    """Who acts is the engine; the events name the mail and the position; no event quotes a file's name."""
    asset = await keep(admin, mail(("zoe@example.com.csv", "text/csv", TABLE)), "offer.eml")
    await follow(stores, reader)
    [part] = await parts_of(stores, admin, asset)
    own = [event for event in await rows(admin) if event["subject_id"] == part.asset_id]
    assert [event["action"] for event in own] == ["asset.reserved", "asset.sealed", "atoms.derived"]
    assert {event["actor_id"] for event in own} == {"follower:atoms"}
    for event in own[:2]:
        told = json.loads(event["payload"])["input"]
        assert (told["parent"], told["part"]) == (asset.asset_id, 0)
    assert json.loads(own[1]["pii_flags"]) == ["email"]
    assert not any("zoe@" in event["payload"] for event in await rows(admin))
    [derived] = [e for e in await rows(admin) if e["action"] == "atoms.derived" and e["subject_id"] == asset.asset_id]
    assert json.loads(derived["payload"])["output"]["attached"] == 1


async def test_deriving_again_changes_nothing(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows
) -> None:
    """By the follower and by hand: the same assets, the same parts, no new reservation."""
    asset = await keep(admin, BOTH, "offer.eml")
    await follow(stores, reader)
    before = await everything(rows, admin)
    async with behind(stores) as connection:
        await connection.rows("delete from follower_checkpoints", {})
    await follow(stores, reader)
    assert await everything(rows, admin) == before
    again = await atoms.derive(stores, reader, admin, asset.asset_id, None, {})
    assert (again.made, again.attached) == (0, 2)
    after = await everything(rows, admin)
    assert after[:3] == before[:3]
    assert [event["action"] for event in after[3][len(before[3]) :]] == ["atoms.derived"]


async def test_verifying_and_checking_keep_no_attachment(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows
) -> None:
    """What derives to compare leaves what it finds: parts that were taken away do not come back by it."""
    asset = await keep(admin, BOTH, "offer.eml")
    await follow(stores, reader)
    async with behind(stores) as connection:
        await connection.rows("delete from asset_parts", {})
    [atom, *_] = (await atoms.of_asset(stores, admin, asset.asset_id, Window(9))).items
    assert (await atoms.verify(stores, reader, admin, atom.id)).matches
    system = Scope.system("t_acme", admin.env, "check")
    assert await atoms.check(stores, reader, system, repair=True) == []
    assert await parts_of(stores, admin, asset) == ()


async def test_the_same_bytes_hang_on_several_mails(stores: Stores, reader: Sandbox, admin: Scope, keep: Keep) -> None:
    """Once kept, they are a part of each mail, also where somebody had uploaded them before."""
    uploaded = await keep(admin, TABLE, "mine.csv")
    first = await keep(admin, mail(("a.csv", "text/csv", TABLE), subject="One"), "one.eml")
    second = await keep(admin, mail(("b.csv", "text/csv", TABLE), ("b2.csv", "text/csv", TABLE)), "two.eml")
    await follow(stores, reader)
    for asset, names in ((first, ["a.csv"]), (second, ["b.csv", "b2.csv"])):
        parts = await parts_of(stores, admin, asset)
        assert [(part.asset_id, part.filename) for part in parts] == [(uploaded.asset_id, name) for name in names]
    above = (await assets.part_of(stores, admin, uploaded.asset_id, Window(9))).items
    assert {part.parent_id for part in above} == {first.asset_id, second.asset_id}
    assert len(above) == 3
    assert (await found(stores, admin, above[:1]))[0].filename == "mine.csv"


async def test_no_scope_sees_the_parts_of_another(
    stores: Stores, reader: Sandbox, scope_of: MakeScope, keep: Keep
) -> None:
    """The same mail in two tenants: each has its own assets, and the other's ids lead nowhere."""
    acme, globex = scope_of("t_acme"), scope_of("t_globex")
    ours, theirs = await keep(acme, BOTH, "offer.eml"), await keep(globex, BOTH, "offer.eml")
    await follow(stores, reader)
    own, other = await parts_of(stores, acme, ours), await parts_of(stores, globex, theirs)
    assert (len(own), len(other)) == (2, 2)
    assert {part.asset_id for part in own}.isdisjoint(part.asset_id for part in other)
    assert await parts_of(stores, globex, ours) == ()
    assert (await assets.part_of(stores, globex, own[0].asset_id, Window(9))).items == ()
    assert await assets.count_parts(stores, globex, [ours.asset_id]) == {}


async def test_what_finds_no_room_is_told_and_the_rest_is_kept(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep
) -> None:
    """The quota of assets takes the mail and one attachment; the mail says which one is missing, and why."""
    stores = replace(stores, limits=replace(Limits(), assets=2))
    reservation = Reservation.of(BOTH, filename="offer.eml", content_type="message/rfc822", train_ok=True)
    asset, _ = await assets.keep(stores, RULES, admin, reservation, BOTH)
    await follow(stores, reader)
    assert [part.filename for part in await parts_of(stores, admin, asset)] == ["prices.csv"]
    outcome = (await atoms.outcomes(stores, admin, [asset.asset_id]))[asset.asset_id]
    assert outcome.state.value == "PARTLY_READ"
    assert outcome.reason is not None
    assert "attachment 'plan.md' could not be kept: No room for 1 more" in outcome.reason
    stores = replace(stores, limits=Limits())
    assert (await atoms.derive(stores, reader, admin, asset.asset_id, None, {})).attached == 2
    assert (await atoms.outcomes(stores, admin, [asset.asset_id]))[asset.asset_id].state.value == "DONE"
    assert len(await parts_of(stores, admin, asset)) == 2


async def test_a_halted_action_is_told_and_a_halted_store_is_waited_for(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep
) -> None:
    """With reservations halted the mail is read and says so; with the store halted nothing is read until later."""
    known = Known(frozenset({"reserveAsset"}), frozenset({OBJECTS}))
    asset = await keep(admin, BOTH, "offer.eml")
    await engage(stores, admin, known, Target.ACTION, "reserveAsset", "A drill")
    await follow(stores, reader)
    outcome = (await atoms.outcomes(stores, admin, [asset.asset_id]))[asset.asset_id]
    assert outcome.state.value == "PARTLY_READ"
    assert "could not be kept: The action reserveAsset is halted" in (outcome.reason or "")
    await engage(stores, admin, known, Target.PROVIDER, OBJECTS, "A drill")
    with pytest.raises(Halted):
        await attaching.attach(stores, admin, asset, RECIPES["mail.parts"], [ATTACHMENT])


async def test_an_attachment_that_breaks_a_rule_of_assets_is_told(stores: Stores, admin: Scope, keep: Keep) -> None:
    """Whatever a recipe names a file, what an upload would be refused for is refused here too."""
    asset = await keep(admin, BOTH, "offer.eml")
    wrong = replace(ATTACHMENT, filename="a/b.csv", place="attachment 'a/b.csv'")
    kept, unkept = await attaching.attach(stores, admin, asset, RECIPES["mail.parts"], [wrong, ATTACHMENT])
    assert kept == 1
    [told] = unkept
    assert told.places == ("attachment 'a/b.csv' could not be kept: filename: The filename holds a slash",)


async def test_who_may_derive_but_not_keep_files_is_told_so(stores: Stores, admin: Scope, keep: Keep) -> None:
    """The right to keep files is asked for each attachment."""
    asset = await keep(admin, BOTH, "offer.eml")
    scope = replace(admin, rights=admin.rights - {Permission.ASSETS_WRITE})
    kept, [told] = await attaching.attach(stores, scope, asset, RECIPES["mail.parts"], [ATTACHMENT])
    assert kept == 0
    assert "lacks the right assets:write" in told.places[0]


async def test_a_rehearsal_keeps_no_attachment(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows
) -> None:
    """A dry run leaves nothing: no row and no object."""
    asset = await keep(admin, BOTH, "offer.eml")
    before = await everything(rows, admin)
    await atoms.derive(stores, reader, replace(admin, rehearsal=True), asset.asset_id, None, {})
    assert await everything(rows, admin) == before


async def test_a_halted_derivation_keeps_no_attachment(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows
) -> None:
    """What is refused has not begun."""
    asset = await keep(admin, BOTH, "offer.eml")
    await engage(stores, admin, Known(frozenset({"deriveAtoms"}), frozenset()), Target.ACTION, "deriveAtoms", "A drill")
    with pytest.raises(Halted):
        await atoms.derive(stores, reader, admin, asset.asset_id, None, {})
    assert len(await rows(admin, "assets", "asset_id")) == 1


async def test_mails_in_mails_are_followed_down_to_a_bound(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows
) -> None:
    """Twenty messages, each inside the next: sixteen generations become assets, and the last of them tells the rest."""
    data = mail(("prices.csv", "text/csv", TABLE))
    for number in range(20):
        data = mail(subject=f"Number {number}", inside=data)
    asset = await keep(admin, data, "outer.eml")
    await follow(stores, reader)
    depths = []
    while parts := await parts_of(stores, admin, asset):
        [asset] = await found(stores, admin, parts)
        depths.append(asset.filename)
    assert depths == ["inner.eml"] * 16
    outcome = (await atoms.outcomes(stores, admin, [asset.asset_id]))[asset.asset_id]
    assert outcome.state.value == "PARTLY_READ"
    assert "could not be kept: It lies more than 16 files deep" in (outcome.reason or "")
    assert len(await rows(admin, "assets", "asset_id")) == 17


@pytest.mark.parametrize("step", ["put", "write"])
async def test_a_crash_between_two_steps_is_completed_the_next_time(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Nothing is a part that is not sealed; a second run links both, and at most an object is left for the sweep."""
    asset = await keep(admin, BOTH, "offer.eml")

    class Power(BaseException):
        """It is out."""

    async def fail(*_: Any, **__: Any) -> Any:
        raise Power

    with monkeypatch.context() as patch:
        patch.setattr(type(stores.blobs if step == "put" else stores.database), step, fail)
        with pytest.raises(Power):
            await attaching.attach(stores, admin, asset, RECIPES["mail.parts"], [ATTACHMENT])
    assert await rows(admin, "asset_parts", "parent_id") == []
    await follow(stores, reader)
    assert len(await parts_of(stores, admin, asset)) == 2
    states = [row["state"] for row in await rows(admin, "assets", "asset_id")]
    assert states == ["SEALED"] * 3
    assert len([key async for key in stores.blobs.keys("")]) == (3 if step == "put" else 4)
    assert await assets.check(stores, admin) == []


async def test_a_part_that_lost_its_asset_is_a_fault(stores: Stores, reader: Sandbox, admin: Scope, keep: Keep) -> None:
    """The check names the asset and the position."""
    asset = await keep(admin, BOTH, "offer.eml")
    await follow(stores, reader)
    [first, second] = await parts_of(stores, admin, asset)
    async with behind(stores) as connection:
        await connection.rows("update assets set state = 'PURGED' where asset_id = :one", {"one": second.asset_id})
    assert await assets.check(stores, admin) == [f"asset {asset.asset_id}, part 1: its asset is gone"]
    assert await parts_of(stores, admin, asset) == (first,)


async def test_nothing_is_attached_to_what_is_gone(stores: Stores, admin: Scope, keep: Keep, rows: Rows) -> None:
    """A mail that went away meanwhile gets no parts, and its attachment no asset."""
    asset = await keep(admin, BOTH, "offer.eml")
    async with behind(stores) as connection:
        await connection.rows("update assets set state = 'PURGED'", {})
    with pytest.raises(NotFound):
        await attaching.attach(stores, admin, asset, RECIPES["mail.parts"], [ATTACHMENT])
    assert len(await rows(admin, "assets", "asset_id")) == 1
