"""Attachments: files inside files become assets of their own, parts of those that they were found in."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from nexus_graph import assets, atoms
from nexus_graph.assets import Asset, AssetPart, AssetRules, Reservation
from nexus_graph.atoms import Sandbox, attaching
from nexus_graph.safeguards import switches
from nexus_graph.safeguards.switches import OBJECTS, Target
from nexus_graph.safeguards.switches.engaging import engage
from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.errors import Halted, Invalid, QuotaExceeded
from nexus_graph.scope.limits import Limits
from nexus_graph.scope.scope import Role, Scope
from nexus_graph.stores.paging import Window
from nexus_graph.stores.work import Stores

Keep = Callable[..., Awaitable[Asset]]
Rows = Callable[..., Awaitable[list[dict[str, Any]]]]
MakeScope = Callable[..., Scope]

TABLE = b"item,price\ntent,120\n"
NOTES = b"# Plan\n\nSales rose.\n"
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
    """Two files, exactly their bytes, with the author and the place of the mail; each with atoms; the lineage leads back."""
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
    async with stores.database.writing() as connection:
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
    async with stores.database.writing() as connection:
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
