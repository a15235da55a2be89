"""Parts of assets at an erasure: what came with a subject's mail goes, what others have as well stays theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from engines import behind
from erasure_house import RULES, SUE, TOM, House, MakeScope, make

from nexus_graph import assets
from nexus_graph.assets import Asset, Reservation
from nexus_graph.atoms import RECIPES, attaching
from nexus_graph.atoms.model import Attachment
from nexus_graph.safeguards import erasure
from nexus_graph.safeguards.erasure import ErasureState
from nexus_graph.scope.errors import Conflict
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.paging import Window
from nexus_graph.stores.work import Stores

LOGO = ("logo.png", b"\x89PNG a logo that everybody has")


@pytest.fixture
async def house(tmp_path: Path, stores: Stores, scope_of: MakeScope) -> House:
    """A house in which nothing was kept yet."""
    return await make(tmp_path, stores, scope_of)


async def keep(house: House, scope: Scope, name: str, data: bytes) -> Asset:
    """Upload a file."""
    reservation = Reservation.of(data, filename=name, content_type="application/octet-stream", train_ok=True)
    return (await assets.keep(house.stores, RULES, scope, reservation, data))[0]


async def mail(house: House, scope: Scope, name: str, *files: tuple[str, bytes]) -> tuple[Asset, list[Asset]]:
    """Upload a mail and let the engine find these files in it."""
    asset = await keep(house, scope, name, b"mail " + name.encode() + b"".join(data for _, data in files))
    return asset, await attach(house, asset, *files)


async def attach(house: House, parent: Asset, *files: tuple[str, bytes]) -> list[Asset]:
    """Let the engine find these files in an asset."""
    found = [Attachment(name, "application/octet-stream", f"attachment '{name}'", data) for name, data in files]
    system = Scope.system("t_acme", house.owner.env, "follower:atoms")
    assert (await attaching.attach(house.stores, system, parent, RECIPES["mail.parts"], found)) == (len(files), [])
    parts = (await assets.parts(house.stores, house.owner, parent.asset_id, Window(100))).items
    known = await assets.fetch(house.stores, house.owner, [part.asset_id for part in parts])
    return [known[part.asset_id] for part in parts]


async def left(house: House, *kept: Asset) -> list[Any]:
    """Whose each asset is now; None where it is gone."""
    found = await assets.fetch(house.stores, house.owner, [asset.asset_id for asset in kept])
    return [found[asset.asset_id].created_by if asset.asset_id in found else None for asset in kept]


async def links(house: House) -> list[tuple[str, str, bool]]:
    """All parts there are: parent, asset, and whether the asset was kept for it."""
    async with behind(house.stores) as connection:
        rows = await connection.rows("select * from asset_parts order by parent_id, position", {})
    return [(row["parent_id"], row["asset_id"], bool(row["brought"])) for row in rows]


async def certified(house: House, **how: Any) -> None:
    """Erase, and find nothing left."""
    done = await house.erased(**how)
    assert list(done.findings) == [], done.findings
    assert done.state is ErasureState.CERTIFIED
    await house.holds()


async def test_what_came_with_a_mail_goes_with_it(house: House) -> None:
    """Attachments, and attachments of an attached mail: rows, objects, parts and bytes."""
    secret = ("plan.txt", b"canary-part-bytes")
    deep = ("deep.txt", b"canary-deep-bytes")
    own, [plan, inner] = await mail(
        house, house.sue, "a.eml", secret, ("inner.eml", b"an inner mail, which is longer than what is in it")
    )
    [below] = await attach(house, inner, deep)
    planned = await house.plan()
    assert planned.counts["assets"] == 4
    await certified(house)
    assert await left(house, own, plan, inner, below) == [None] * 4
    assert await links(house) == []
    assert house.left("canary-part-bytes", "canary-deep-bytes", SUE) == {}


async def test_what_somebody_else_uploaded_by_itself_stays_theirs(house: House) -> None:
    """Tom's file was found in Sue's mail: the mail goes, the file is Tom's as before."""
    mine = await keep(house, house.tom, "logo.png", LOGO[1])
    own, [found] = await mail(house, house.sue, "a.eml", LOGO)
    assert found.asset_id == mine.asset_id
    await certified(house)
    assert await left(house, own, mine) == [None, TOM]
    assert await links(house) == []


async def test_what_came_with_a_mail_that_stays_as_well_is_handed_over(house: House) -> None:
    """Sue's mail brought the file in first, Tom's has it too: it becomes Tom's, and goes when Tom's mail goes."""
    own, [logo] = await mail(house, house.sue, "canary.eml", LOGO)
    other, [same] = await mail(house, house.tom, "tom.eml", LOGO)
    assert (logo.asset_id, logo.created_by) == (same.asset_id, SUE)
    await certified(house)
    assert await left(house, own, other, logo) == [None, TOM, TOM]
    kept = (await assets.fetch(house.stores, house.owner, [logo.asset_id]))[logo.asset_id]
    assert (kept.filename, kept.source_ref) == ("logo.png", "tom.eml: attachment 'logo.png'")
    assert await links(house) == [(other.asset_id, logo.asset_id, True)]
    assert house.left("canary.eml") == {}
    await certified(house, subject=TOM)
    assert await left(house, other, logo) == [None, None]


async def test_what_has_another_name_in_the_mail_that_stays_goes(house: House) -> None:
    """The name that Sue's mail gives it stands in the key of its object, which never changes."""
    _, [logo] = await mail(house, house.sue, "a.eml", ("canary-name.png", LOGO[1]))
    other, _ = await mail(house, house.tom, "tom.eml", LOGO)
    await certified(house)
    assert await left(house, other, logo) == [TOM, None]
    assert house.left("canary-name") == {}


async def test_what_a_subject_uploaded_by_itself_goes_whoever_has_it_too(house: House) -> None:
    """As for any file: it was brought in by who brought it in first."""
    logo = await keep(house, house.sue, "logo.png", LOGO[1])
    other, _ = await mail(house, house.tom, "tom.eml", LOGO)
    await certified(house)
    assert await left(house, other, logo) == [TOM, None]
    [again] = await attach(house, other, LOGO)
    assert again.created_by == TOM


async def test_a_handed_over_mail_takes_its_attachments_along(house: House) -> None:
    """From the outside to the inside: what lies in what is Tom's now is Tom's."""
    inner = ("inner.eml", b"an inner mail, which is longer than what is in it")
    _, [forwarded] = await mail(house, house.sue, "a.eml", inner)
    [logo] = await attach(house, forwarded, LOGO)
    other, _ = await mail(house, house.tom, "tom.eml", inner)
    await certified(house)
    assert await left(house, other, forwarded, logo) == [TOM, TOM, TOM]


async def test_a_name_in_an_attachment_is_a_mention_by_the_mail(house: House) -> None:
    """Tom's mail holds a file that names Sue: the owner is told, and with mentions the mail and all with it goes."""
    other, [about, logo] = await mail(house, house.tom, "tom.eml", (f"about {SUE}.txt", b"about"), LOGO)
    planned = await house.plan()
    assert dict(planned.mentioned)["assets"] == 2
    with pytest.raises(Conflict, match="named in what others wrote"):
        await erasure.confirm(house.stores, house.eraser, house.owner, planned.erasure_id, planned.digest)
    await certified(house, mentions=True)
    assert await left(house, other, about, logo) == [None, None, None]
    assert house.left(SUE) == {}


async def test_a_name_that_only_the_mail_gives_a_file_is_a_mention_too(house: House) -> None:
    """The file itself was kept under another name before, and is not found in the mail any more."""
    mine = await keep(house, house.tom, "mine.txt", b"about")
    other, _ = await mail(house, house.tom, "tom.eml", (f"{SUE}.txt", b"about"))
    assert dict((await house.plan()).mentioned)["assets"] == 1
    await certified(house, mentions=True)
    assert await left(house, other, mine) == [None, TOM]


async def test_a_tenant_and_env_leave_no_parts(house: House) -> None:
    """Everything goes."""
    await mail(house, house.sue, "a.eml", LOGO)
    done = await house.erased(subject=None)
    assert (done.state, list(done.findings)) == (ErasureState.CERTIFIED, [])
    assert await links(house) == []


async def test_what_is_found_in_a_mail_after_the_plan_goes_too(house: House) -> None:
    """A derivation that was under way brings an attachment while the erasure is confirmed already."""
    own = await keep(house, house.sue, "a.eml", b"mail with a plan inside it, and more")
    planned = await house.plan()
    await erasure.confirm(house.stores, house.eraser, house.owner, planned.erasure_id, planned.digest)
    [late] = await attach(house, own, ("plan.txt", b"a plan"))
    await house.erase()
    assert (await house.found(planned.erasure_id)).state is ErasureState.CERTIFIED
    assert await left(house, own, late) == [None, None]
    await house.holds()
