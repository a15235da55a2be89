"""What is left over is swept: expired reservations, objects without an asset, traces of a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from engines import behind

from nexus_graph import assets
from nexus_graph.assets import AssetRules, Reservation, Reserved
from nexus_graph.scope.errors import NotFound, Unavailable
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.blobs.base import ScopedBlobs
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.work import Stores

Declare = Callable[..., Reservation]
Send = Callable[[Reserved, bytes], Awaitable[bool]]
Journal = Callable[[Scope], Awaitable[list[dict[str, Any]]]]
MakeScope = Callable[..., Scope]
Advance = Callable[..., None]

DATA = b"Net sales rose."


@pytest.fixture
def scope(scope_of: MakeScope) -> Scope:
    """An admin of t_acme."""
    return scope_of("t_acme", Role.ADMIN)


async def keys(stores: Stores) -> list[str]:
    """Every object of the store."""
    return [key async for key in stores.blobs.keys("")]


async def test_expired_reservations_of_every_scope_are_purged(
    stores: Stores,
    rules: AssetRules,
    scope: Scope,
    scope_of: MakeScope,
    declare: Declare,
    send: Send,
    journal: Journal,
    advance: Advance,
) -> None:
    """Row, object and what the caller wrote go; the journal tells; sealed and fresh ones stay."""
    sealed, _ = await assets.keep(stores, rules, scope, declare(b"kept"), b"kept")
    scopes = [scope, scope_of("t_acme", Role.ADMIN, Env.PROD), scope_of("t_globex", Role.ADMIN)]
    expired = [await assets.reserve(stores, rules, one, declare(source_ref="shelf 7")) for one in scopes]
    for reserved in expired:
        await send(reserved, DATA)
    advance(seconds=3599)
    assert await assets.sweep(stores) == 0
    fresh = await assets.reserve(stores, rules, scope, declare(b"fresh"))
    advance(seconds=1)
    assert await assets.sweep(stores) == 3
    assert await assets.sweep(stores) == 0
    assert await keys(stores) == [f"tenants/t_acme/dev/{sealed.object_key}"]
    for one, reserved in zip(scopes, expired, strict=True):
        assert await assets.fetch(stores, one, [reserved.asset.asset_id]) == {}
        last = (await journal(one))[-1]
        assert (last["action"], last["subject_id"]) == ("asset.purged", reserved.asset.asset_id)
    assert [*await assets.fetch(stores, scope, [fresh.asset.asset_id])] == [fresh.asset.asset_id]
    async with behind(stores) as connection:
        rows = await connection.rows("select * from assets where state = 'PURGED'", {})
    assert len(rows) == 3
    assert not any("shelf" in str(tuple(row)) or "report" in str(tuple(row)) for row in rows)


async def test_more_expired_reservations_than_fit_one_transaction(
    stores: Stores, rules: AssetRules, scope: Scope, declare: Declare, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backlog is swept in batches, to the end."""
    monkeypatch.setattr("nexus_graph.assets.sweeping._BATCH", 3)
    for number in range(7):
        await assets.reserve(stores, rules, scope, declare(f"file {number}".encode()))
    advance(hours=2)
    assert await assets.sweep(stores) == 7


async def test_a_crash_between_purge_and_object_is_mended(
    stores: Stores,
    rules: AssetRules,
    scope: Scope,
    declare: Declare,
    send: Send,
    advance: Advance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When the row is purged and the process dies before the object goes, the next sweep takes the object."""
    reserved = await assets.reserve(stores, rules, scope, declare())
    await send(reserved, DATA)
    advance(hours=2)

    async def dies(*_: object) -> None:
        raise Unavailable("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(ScopedBlobs, "remove", dies)
        with pytest.raises(Unavailable):
            await assets.sweep(stores)
    assert len(await keys(stores)) == 1
    with pytest.raises(NotFound):
        await assets.seal(stores, scope, reserved.asset.asset_id)
    assert await assets.sweep(stores) == 1
    assert await keys(stores) == []


async def test_a_crash_between_object_and_row_leaves_an_object(
    stores: Stores,
    rules: AssetRules,
    scope: Scope,
    declare: Declare,
    journal: Journal,
    advance: Advance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An object that was stored but never sealed is no asset; it can be kept again, and goes after a day."""

    async def dies(*_: object, **__: object) -> None:
        raise Unavailable("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(type(stores.database), "write", dies)
        with pytest.raises(Unavailable):
            await assets.keep(stores, rules, scope, declare(), DATA)
    assert len(await keys(stores)) == 1
    assert await journal(scope) == []
    kept, new = await assets.keep(stores, rules, scope, declare(), DATA)
    assert new
    advance(hours=25)
    assert await assets.sweep(stores) == 1
    assert await keys(stores) == [f"tenants/t_acme/dev/{kept.object_key}"]


async def test_an_upload_that_arrives_after_the_sweep_is_swept_too(
    stores: Stores, rules: AssetRules, scope: Scope, declare: Declare, advance: Advance
) -> None:
    """An object of a purged asset is nobody's, however young."""
    reserved = await assets.reserve(stores, rules, scope, declare())
    advance(hours=2)
    await assets.sweep(stores)
    await ScopedBlobs(stores.blobs, scope).put(reserved.asset.object_key, DATA)
    assert await assets.sweep(stores) == 1
    assert await keys(stores) == []


async def test_an_object_that_no_asset_knows_gets_a_day(
    stores: Stores, rules: AssetRules, scope: Scope, declare: Declare, advance: Advance
) -> None:
    """Unknown objects below raw/ go after a day; other rooms' objects and sealed ones are never touched."""
    kept, _ = await assets.keep(stores, rules, scope, declare(), DATA)
    blobs = ScopedBlobs(stores.blobs, scope)
    await blobs.put("raw/asset_lost/report.txt", DATA)
    await blobs.put("exports/one.json", b"{}")
    assert await assets.sweep(stores) == 0
    advance(hours=25)
    assert await assets.sweep(stores) == 1
    assert [key async for key in blobs.keys("")] == ["exports/one.json", kept.object_key]


async def test_a_sweep_never_takes_what_is_being_sealed(
    stores: Stores, rules: AssetRules, scope: Scope, declare: Declare, send: Send, advance: Advance
) -> None:
    """Sealing and sweeping at the moment of expiry: either it is sealed with its object, or gone with it."""
    reserved = [await assets.reserve(stores, rules, scope, declare(f"{number}".encode())) for number in range(8)]
    for number, one in enumerate(reserved):
        await send(one, f"{number}".encode())
    advance(seconds=3599.99995)
    deeds = [assets.seal(stores, scope, one.asset.asset_id) for one in reserved]
    await asyncio.gather(*deeds, assets.sweep(stores), assets.sweep(stores), return_exceptions=True)
    advance(hours=1)
    await assets.sweep(stores)
    found = await assets.fetch(stores, scope, [one.asset.asset_id for one in reserved])
    assert await keys(stores) == sorted(f"tenants/t_acme/dev/{asset.object_key}" for asset in found.values())


@pytest.mark.parametrize("trouble", [Unavailable("not now"), RuntimeError("a defect")])
async def test_sweeping_goes_on_after_a_failure(
    stores: Stores,
    rules: AssetRules,
    scope: Scope,
    declare: Declare,
    advance: Advance,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Exception,
) -> None:
    """Neither a store that does not answer for a while nor a defect ends the sweeper."""
    await assets.reserve(stores, rules, scope, declare())
    advance(hours=2)
    rounds = 0
    swept = asyncio.Event()
    sweep_expired = assets.sweep_expired

    async def at_first_unavailable(given: Stores) -> int:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            raise trouble
        count = await sweep_expired(given)
        swept.set()
        return count

    monkeypatch.setattr("nexus_graph.assets.sweeping.sweep_expired", at_first_unavailable)
    task = asyncio.create_task(assets.sweep_forever(stores, 0.01))
    async with asyncio.timeout(5):
        await swept.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    async with behind(stores) as connection:
        rows = await connection.rows("select state from assets", {})
    assert [row["state"] for row in rows] == ["PURGED"]


async def test_orphans_are_swept_as_soon_as_the_store_is_back(
    stores: Stores, scope: Scope, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that was away when its daily turn came gets the next turn, not that of the next day."""
    await ScopedBlobs(stores.blobs, scope).put("raw/asset_lost/report.txt", DATA)
    async with stores.work(scope, RunKind.INGEST) as work:
        work.record(Event("asset.seen", "asset", "a", redact({}), Handling((), train_ok=True)))
    advance(days=2)
    sweep_orphans, asked, swept = assets.sweep_orphans, 0, asyncio.Event()

    async def at_first_unavailable(given: Stores) -> int:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise Unavailable("not now")
        count = await sweep_orphans(given)
        swept.set()
        return count

    monkeypatch.setattr("nexus_graph.assets.sweeping.sweep_orphans", at_first_unavailable)
    task = asyncio.create_task(assets.sweep_forever(stores, 0.01))
    async with asyncio.timeout(5):
        await swept.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert await keys(stores) == []
