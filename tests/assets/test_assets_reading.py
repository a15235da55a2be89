"""Looking at assets: by id, in lists, and through download addresses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from nexus_graph import assets
from nexus_graph.assets import Asset, AssetFilter, AssetRules, AssetState, Reservation
from nexus_graph.safeguards.switches import OBJECTS, Known, Target
from nexus_graph.safeguards.switches.engaging import engage
from nexus_graph.scope.errors import Conflict, Forbidden, Halted, NotFound
from nexus_graph.scope.scope import Role, Scope
from nexus_graph.stores.blobs.files import FileBlobs
from nexus_graph.stores.paging import Window
from nexus_graph.stores.work import Stores

Declare = Callable[..., Reservation]
Journal = Callable[[Scope], Awaitable[list[dict[str, Any]]]]
MakeScope = Callable[..., Scope]


@pytest.fixture
def scope(scope_of: MakeScope) -> Scope:
    """An admin of t_acme."""
    return scope_of("t_acme", Role.ADMIN)


@pytest.fixture
async def kept(stores: Stores, rules: AssetRules, scope: Scope, declare: Declare) -> list[Asset]:
    """Six sealed assets, three plain and three Markdown, newest last."""
    return [
        (
            await assets.keep(
                stores,
                rules,
                scope,
                declare(
                    data := f"file {number}".encode(),
                    content_type="text/plain; charset=utf-8" if number % 2 else "text/markdown",
                ),
                data,
            )
        )[0]
        for number in range(6)
    ]


async def test_assets_are_listed_newest_first_and_paged_both_ways(
    stores: Stores, scope: Scope, kept: list[Asset]
) -> None:
    """Windows of any size, forward and backward, give the same list without gap or repetition."""
    newest_first = [asset.asset_id for asset in reversed(kept)]
    for forward in (True, False):
        seen: list[str] = []
        window = Window(4, forward=forward)
        while True:
            page = await assets.list_assets(stores, scope, AssetFilter(), window)
            ids = [asset.asset_id for asset in page.items]
            seen = seen + ids if forward else ids + seen
            if not (page.has_next if forward else page.has_previous):
                break
            window = Window(4, after=page.keys[-1]) if forward else Window(4, forward=False, before=page.keys[0])
        assert seen == newest_first


async def test_a_filter_narrows_by_state_type_and_time(
    stores: Stores, rules: AssetRules, scope: Scope, kept: list[Asset], declare: Declare
) -> None:
    """States, content types without their parameters, and a half-open time range, alone and together."""
    reserved = (await assets.reserve(stores, rules, scope, declare(b"new"))).asset

    async def ids(**given: Any) -> set[str]:
        page = await assets.list_assets(stores, scope, AssetFilter(**given), Window(100))
        return {asset.asset_id for asset in page.items}

    assert await ids() == {asset.asset_id for asset in [*kept, reserved]}
    assert await ids(states=(AssetState.RESERVED,)) == {reserved.asset_id}
    assert await ids(states=(AssetState.PURGED, AssetState.UPLOADED)) == set()
    plain = {asset.asset_id for asset in kept[1::2]}
    assert await ids(content_types=("Text/Plain",), states=(AssetState.SEALED,)) == plain
    times = {"created_from": kept[1].created_at, "created_to": kept[3].created_at}
    assert await ids(**times) == {kept[1].asset_id, kept[2].asset_id}
    assert await ids(**times, content_types=("text/plain",)) == {kept[1].asset_id}


async def test_a_list_ends_at_the_wall(stores: Stores, scope_of: MakeScope, kept: list[Asset]) -> None:
    """Another tenant's list is empty, and its ids are unknown there."""
    other = scope_of("t_globex")
    assert (await assets.list_assets(stores, other, AssetFilter(), Window(10))).items == ()
    assert await assets.fetch(stores, other, [asset.asset_id for asset in kept]) == {}


async def test_fetch_takes_any_number_of_ids(stores: Stores, scope: Scope, kept: list[Asset]) -> None:
    """Thousands of ids, most unknown, some twice, are answered with those that exist."""
    ids = [f"asset_{number}" for number in range(5000)] + [asset.asset_id for asset in kept] * 2
    assert await assets.fetch(stores, scope, ids) == {asset.asset_id: asset for asset in kept}


async def test_a_download_address_is_journalled_and_short_lived(
    stores: Stores, rules: AssetRules, scope_of: MakeScope, kept: list[Asset], journal: Journal, clock: Any
) -> None:
    """A member gets an address that gives the bytes for five minutes; one event tells of it."""
    member = scope_of("t_acme", Role.MEMBER)
    address = await assets.download(stores, rules, member, kept[0].asset_id)
    last = (await journal(member))[-1]
    assert (last["action"], last["subject_id"], last["actor_id"]) == (
        "asset.downloaded",
        kept[0].asset_id,
        member.principal.id,
    )
    assert address not in str(last)
    blobs = stores.blobs
    if not isinstance(blobs, FileBlobs):
        pytest.fail("the tests run on the embedded store")
    token = address.rpartition("/")[2]
    download = await blobs.send(token)
    assert b"".join([chunk async for chunk in download.chunks]) == b"file 0"
    download.close()
    clock.now += timedelta(seconds=300)
    with pytest.raises(Forbidden):
        await blobs.send(token)


async def test_a_halted_store_gives_no_address(
    stores: Stores, rules: AssetRules, scope: Scope, kept: list[Asset]
) -> None:
    """An object server that clients ask themselves knows nothing of a halt."""
    await engage(stores, scope, Known(frozenset(), frozenset({OBJECTS})), Target.PROVIDER, OBJECTS, "A drill")
    with pytest.raises(Halted):
        await assets.download(stores, rules, scope, kept[0].asset_id)


async def test_what_can_not_be_downloaded_says_why(
    stores: Stores, rules: AssetRules, scope: Scope, scope_of: MakeScope, kept: list[Asset], declare: Declare
) -> None:
    """Unsealed is a conflict, foreign and unknown are equal, and an agent has no right to raw bytes."""
    reserved = (await assets.reserve(stores, rules, scope, declare(b"new"))).asset
    with pytest.raises(Conflict, match="not sealed"):
        await assets.download(stores, rules, scope, reserved.asset_id)
    for other, asset_id in ((scope, "asset_unknown"), (scope_of("t_globex"), kept[0].asset_id)):
        with pytest.raises(NotFound, match="No such asset"):
            await assets.download(stores, rules, other, asset_id)
    with pytest.raises(Forbidden):
        await assets.download(stores, rules, scope_of("t_acme", Role.AGENT), kept[0].asset_id)


async def test_the_check_finds_objects_that_are_gone_or_altered(
    stores: Stores, scope: Scope, kept: list[Asset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sound scope has no fault; each lost and each altered object is named, however many batches it takes."""
    monkeypatch.setattr("nexus_graph.assets.checking._BATCH", 2)
    assert await assets.check(stores, scope) == []
    folder = tmp_path / "objects/tenants/t_acme/dev"
    (folder / kept[0].object_key).unlink()
    (folder / kept[5].object_key).write_bytes(b"file X")
    assert await assets.check(stores, scope) == [
        f"asset {kept[5].asset_id}: its object is not the bytes that were sealed",
        f"asset {kept[0].asset_id}: its object is missing",
    ]
