"""Reserve, upload, seal: the way of a raw file into the house."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from engines import behind

from nexus_graph import assets
from nexus_graph.assets import AssetRules, AssetState, Reservation, Reserved
from nexus_graph.scope.errors import Conflict, Forbidden, Invalid, NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.blobs.base import ScopedBlobs
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Stores

Declare = Callable[..., Reservation]
Send = Callable[[Reserved, bytes], Awaitable[bool]]
Journal = Callable[[Scope], Awaitable[list[dict[str, Any]]]]
MakeScope = Callable[..., Scope]

DATA = b"Net sales rose."


@pytest.fixture
def scope(scope_of: MakeScope) -> Scope:
    """An admin of t_acme."""
    return scope_of("t_acme", Role.ADMIN)


async def test_a_file_is_reserved_uploaded_and_sealed(
    stores: Stores, rules: AssetRules, scope: Scope, declare: Declare, send: Send, journal: Journal
) -> None:
    """The whole way: the row, the object under its key, and one event a step, without the file's name in it."""
    reserved = await assets.reserve(stores, rules, scope, declare(source_ref="mail of zoe@example.com"))
    assert reserved.asset.state is AssetState.RESERVED
    assert reserved.duplicate is False
    assert reserved.upload is not None
    assert reserved.upload.expires_at == reserved.asset.expires_at
    assert await send(reserved, DATA)
    sealed = await assets.seal(stores, scope, reserved.asset.asset_id)
    assert sealed.state is AssetState.SEALED
    assert sealed.handling == Handling(("email",), train_ok=True)
    assert sealed.object_key == f"raw/{sealed.asset_id}/report.txt"
    assert await stores.blobs.read(f"tenants/t_acme/dev/{sealed.object_key}") == DATA
    assert await assets.fetch(stores, scope, [sealed.asset_id]) == {sealed.asset_id: sealed}
    first, second = await journal(scope)
    assert (first["action"], first["ends"]) == ("asset.reserved", "SUCCEEDED")
    assert (second["action"], second["ends"]) == ("asset.sealed", None)
    assert json.loads(second["payload"])["output"] == {
        "content_type": "text/plain",
        "sha256": sealed.sha256,
        "size": len(DATA),
    }
    assert "report" not in first["payload"] + second["payload"]


async def test_sealing_twice_changes_nothing(
    stores: Stores, rules: AssetRules, scope: Scope, declare: Declare, send: Send, journal: Journal
) -> None:
    """A client that lost the answer asks again and gets it; the journal tells of one sealing."""
    reserved = await assets.reserve(stores, rules, scope, declare())
    await send(reserved, DATA)
    once = Once("key-1", {"seal": reserved.asset.asset_id})
    sealed = await assets.seal(stores, scope, reserved.asset.asset_id, once=once)
    assert await assets.seal(stores, scope, reserved.asset.asset_id, once=once) == sealed
    assert await assets.seal(stores, scope, reserved.asset.asset_id) == sealed
    with pytest.raises(Conflict, match="idempotency key"):
        await assets.seal(stores, scope, reserved.asset.asset_id, once=Once("key-1", {"seal": "another"}))
    assert len(await journal(scope)) == 2


async def test_nothing_is_sealed_without_an_upload(
    stores: Stores, rules: AssetRules, scope: Scope, declare: Declare, send: Send
) -> None:
    """Sealing too early is a conflict; after the upload it goes through."""
    reserved = await assets.reserve(stores, rules, scope, declare())
    with pytest.raises(Conflict, match="Nothing was uploaded"):
        await assets.seal(stores, scope, reserved.asset.asset_id)
    await send(reserved, DATA)
    assert (await assets.seal(stores, scope, reserved.asset.asset_id)).state is AssetState.SEALED


@pytest.mark.parametrize(("stored", "what"), [(b"Net sales fell!", "checksum"), (b"Net", "size")])
async def test_the_store_has_the_last_word(
    stores: Stores, rules: AssetRules, scope: Scope, declare: Declare, journal: Journal, stored: bytes, what: str
) -> None:
    """When the store holds something else, whoever put it there, nothing is sealed and nothing recorded."""
    reserved = await assets.reserve(stores, rules, scope, declare())
    await ScopedBlobs(stores.blobs, scope).put(reserved.asset.object_key, stored)
    with pytest.raises(Conflict, match=f"The {what} of the uploaded object"):
        await assets.seal(stores, scope, reserved.asset.asset_id)
    assert (await assets.fetch(stores, scope, [reserved.asset.asset_id])).popitem()[1].state is AssetState.RESERVED
    assert len(await journal(scope)) == 1


async def test_a_reservation_ends_at_its_expiry(
    stores: Stores, rules: AssetRules, scope: Scope, declare: Declare, send: Send, advance: Callable[..., None]
) -> None:
    """An upload that was not sealed in time is not sealed any more, swept or not."""
    once = Once("key-1", {})
    reserved = await assets.reserve(stores, rules, scope, declare(), once=once)
    await send(reserved, DATA)
    advance(seconds=3600)
    with pytest.raises(Conflict, match="expired"):
        await assets.seal(stores, scope, reserved.asset.asset_id)
    with pytest.raises(Conflict, match="expired"):
        await assets.reserve(stores, rules, scope, declare(), once=once)
    await assets.sweep(stores)
    with pytest.raises(NotFound):
        await assets.seal(stores, scope, reserved.asset.asset_id)
    with pytest.raises(Conflict, match="expired"):
        await assets.reserve(stores, rules, scope, declare(), once=once)


async def test_an_idempotency_key_gives_the_same_reservation(
    stores: Stores, rules: AssetRules, scope: Scope, declare: Declare, send: Send, journal: Journal
) -> None:
    """The same key gives the same asset and the same address, and once sealed the asset without an address."""
    once = Once("key-1", {"sha256": "x"})
    first = await assets.reserve(stores, rules, scope, declare(), once=once)
    assert await assets.reserve(stores, rules, scope, declare(), once=once) == first
    assert (await assets.reserve(stores, rules, scope, declare())).asset.asset_id != first.asset.asset_id
    await send(first, DATA)
    sealed = await assets.seal(stores, scope, first.asset.asset_id)
    assert await assets.reserve(stores, rules, scope, declare(), once=once) == Reserved(sealed, None, duplicate=False)
    assert [row["action"] for row in await journal(scope)] == ["asset.reserved", "asset.reserved", "asset.sealed"]


async def test_bytes_that_are_here_are_not_taken_again(
    stores: Stores, rules: AssetRules, scope: Scope, declare: Declare, journal: Journal
) -> None:
    """A reservation of sealed bytes answers with their asset, without an upload and without an event."""
    kept, new = await assets.keep(stores, rules, scope, declare(), DATA)
    assert new is True
    again = await assets.reserve(stores, rules, scope, declare(filename="copy.md", content_type="text/markdown"))
    assert again == Reserved(kept, None, duplicate=True)
    assert await assets.keep(stores, rules, scope, declare(), DATA) == (kept, False)
    assert len(await journal(scope)) == 2


async def test_a_duplicate_makes_labels_stricter_never_looser(
    stores: Stores, rules: AssetRules, scope: Scope, declare: Declare, journal: Journal
) -> None:
    """Consent withheld with a copy counts for the bytes; consent given with a copy does not."""
    kept, _ = await assets.keep(stores, rules, scope, declare(), DATA)
    again = await assets.reserve(stores, rules, scope, declare(filename="to zoe@example.com", train_ok=False))
    assert again.asset == replace(kept, handling=Handling(("email",), train_ok=False), declared_train_ok=False)
    assert (await journal(scope))[-1]["action"] == "asset.reserved"
    loose = await assets.reserve(stores, rules, scope, declare())
    assert loose.asset == again.asset
    assert len(await journal(scope)) == 3


async def test_of_two_equal_uploads_the_first_seal_wins(
    stores: Stores, rules: AssetRules, scope: Scope, declare: Declare, send: Send, journal: Journal
) -> None:
    """The second seal answers with the first asset, whenever it is asked; its own reservation and object are gone."""
    one = await assets.reserve(stores, rules, scope, declare())
    two = await assets.reserve(stores, rules, scope, declare(train_ok=False), once=Once("key-2", {}))
    await send(one, DATA)
    await send(two, DATA)
    first = await assets.seal(stores, scope, one.asset.asset_id)
    second = await assets.seal(stores, scope, two.asset.asset_id)
    assert second == replace(first, handling=Handling((), train_ok=False), declared_train_ok=False)
    assert await assets.seal(stores, scope, two.asset.asset_id) == second
    assert await assets.reserve(stores, rules, scope, declare(), once=Once("key-2", {})) == Reserved(
        second, None, duplicate=False
    )
    assert await assets.fetch(stores, scope, [two.asset.asset_id]) == {}
    assert [key async for key in stores.blobs.keys("")] == [f"tenants/t_acme/dev/{first.object_key}"]
    last = (await journal(scope))[-1]
    assert (last["action"], last["subject_id"], last["ends"]) == ("asset.purged", two.asset.asset_id, "SUCCEEDED")


async def test_seals_that_race_keep_one_asset(
    stores: Stores, rules: AssetRules, scope: Scope, declare: Declare, send: Send
) -> None:
    """However many equal uploads are sealed at once, all get the same asset, and one object is left."""
    reserved = [await assets.reserve(stores, rules, scope, declare()) for _ in range(6)]
    for one in reserved:
        await send(one, DATA)
    sealed = await asyncio.gather(*(assets.seal(stores, scope, one.asset.asset_id) for one in reserved))
    assert len({asset.asset_id for asset in sealed}) == 1
    assert len([key async for key in stores.blobs.keys("")]) == 1


async def test_the_database_itself_refuses_a_second_seal(
    stores: Stores, rules: AssetRules, scope: Scope, declare: Declare
) -> None:
    """The unique index holds even when a program forgets to look."""
    one = await assets.reserve(stores, rules, scope, declare())
    two = await assets.reserve(stores, rules, scope, declare())
    sql = "update assets set state = 'SEALED' where asset_id = :asset_id"
    async with behind(stores) as connection:
        await connection.rows(sql, {"asset_id": one.asset.asset_id})
    with pytest.raises(Exception, match=r"(?i)unique|faster"):
        async with behind(stores) as connection:
            await connection.rows(sql, {"asset_id": two.asset.asset_id})


async def test_other_scopes_do_not_share_bytes(
    stores: Stores, rules: AssetRules, scope: Scope, scope_of: MakeScope, declare: Declare
) -> None:
    """The same bytes in another tenant or env are new there: nothing tells that somebody else has them."""
    kept, _ = await assets.keep(stores, rules, scope, declare(), DATA)
    for other in (scope_of("t_globex", Role.ADMIN), scope_of("t_acme", Role.ADMIN, Env.PROD)):
        asset, new = await assets.keep(stores, rules, other, declare(), DATA)
        assert new
        assert asset.asset_id != kept.asset_id
        assert await assets.fetch(stores, other, [kept.asset_id]) == {}
        unknown, foreign = [
            await _refusal(assets.seal(stores, other, asset_id)) for asset_id in ("asset_unknown", kept.asset_id)
        ]
        assert unknown == foreign


async def test_empty_files_and_broken_rules_leave_no_row(
    stores: Stores, rules: AssetRules, scope: Scope, declare: Declare, journal: Journal
) -> None:
    """A refused reservation writes nothing."""
    broken = {
        "is empty": declare(b""),
        "U\\+0007": declare(filename="\x07"),
        "content type": declare(content_type="no"),
    }
    for message, reservation in broken.items():
        with pytest.raises(Invalid, match=message):
            await assets.reserve(stores, rules, scope, reservation)
    assert await journal(scope) == []


@pytest.mark.parametrize("role", [Role.MEMBER, Role.AGENT])
async def test_only_owners_and_admins_write(
    stores: Stores, rules: AssetRules, scope_of: MakeScope, declare: Declare, role: Role
) -> None:
    """Reserving, sealing and keeping are refused to members and agents."""
    scope = scope_of("t_acme", role)
    with pytest.raises(Forbidden):
        await assets.reserve(stores, rules, scope, declare())
    with pytest.raises(Forbidden):
        await assets.seal(stores, scope, "asset_1")
    with pytest.raises(Forbidden):
        await assets.keep(stores, rules, scope, declare(), DATA)


async def test_labels_grow_inside_the_work_of_another_room(
    stores: Stores,
    rules: AssetRules,
    scope: Scope,
    scope_of: MakeScope,
    declare: Declare,
    advance: Callable[..., None],
) -> None:
    """What is found later is added; kinds never go, consent never comes back; foreign assets are unknown."""
    kept, _ = await assets.keep(stores, rules, scope, declare(source_ref="203.0.113.7", train_ok=False), DATA)
    async with stores.work(scope, RunKind.DERIVE) as work:
        labelled = await assets.label(work, kept.asset_id, Handling(("email",), train_ok=True))
        assert await assets.label(work, kept.asset_id, Handling(("email",), train_ok=True)) == labelled
        work.record(_event(kept.asset_id))
    assert labelled.handling == Handling(("email", "ip_address"), train_ok=False)
    assert (await assets.fetch(stores, scope, [kept.asset_id]))[kept.asset_id] == labelled
    purged = (await assets.reserve(stores, rules, scope, declare(b"late"))).asset
    advance(hours=2)
    await assets.sweep(stores)
    for other, asset_id in ((scope_of("t_globex"), kept.asset_id), (scope, purged.asset_id), (scope, "asset_unknown")):
        with pytest.raises(NotFound):
            async with stores.work(other, RunKind.DERIVE) as work:
                await assets.label(work, asset_id, Handling(("email",), train_ok=True))


def _event(asset_id: str) -> Any:
    return Event("atoms.derived", "asset", asset_id, redact({}), Handling((), train_ok=False))


async def _refusal(deed: Awaitable[object]) -> tuple[str, str | None]:
    with pytest.raises(NotFound) as refusal:
        await deed
    return refusal.value.message, refusal.value.hint
