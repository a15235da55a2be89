"""Reading atoms: in pages and by id, journalled, and never across a wall."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from engines import behind

from nexus_graph import atoms
from nexus_graph.assets import Asset
from nexus_graph.atoms import Atom, Sandbox
from nexus_graph.scope.errors import Forbidden, NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.paging import Window
from nexus_graph.stores.work import Stores

Keep = Callable[..., Awaitable[Asset]]
Rows = Callable[..., Awaitable[list[dict[str, Any]]]]
MakeScope = Callable[..., Scope]
Derive = Callable[..., Awaitable[tuple[Asset, list[str]]]]

TABLE = b"name,mail\n" + b"".join(b"n%d,n%d@example.com\n" % (number, number) for number in range(150))


@pytest.fixture
def derive(stores: Stores, reader: Sandbox, keep: Keep, rows: Rows) -> Derive:
    """Keeps a table of 150 rows and derives its atoms; gives the asset and the ids in the order of the file."""

    async def derived(scope: Scope, data: bytes = TABLE) -> tuple[Asset, list[str]]:
        asset = await keep(scope, data, "table.csv", train_ok=True)
        await atoms.derive(stores, reader, scope, asset.asset_id, None, {})
        kept = await rows(scope, "atoms", "ordinal")
        return asset, [row["atom_id"] for row in kept if row["asset_id"] == asset.asset_id]

    return derived


async def test_pages_lead_through_an_asset_in_the_order_of_the_file(
    stores: Stores, admin: Scope, derive: Derive
) -> None:
    """Forward and backward, each atom once, and the ends are known as such."""
    asset, ids = await derive(admin)
    found: list[str] = []
    window = Window(60)
    for more in (True, True, False):
        page = await atoms.of_asset(stores, admin, asset.asset_id, window)
        assert (page.has_previous, page.has_next) == (bool(found), more)
        found += [atom.id for atom in page.items]
        window = Window(60, after=page.keys[-1])
    assert found == ids
    last = await atoms.of_asset(stores, admin, asset.asset_id, Window(10, forward=False))
    assert [atom.id for atom in last.items] == ids[-10:]
    before = await atoms.of_asset(stores, admin, asset.asset_id, Window(5, forward=False, before=last.keys[0]))
    assert [atom.id for atom in before.items] == ids[-15:-10]


async def test_each_call_is_journalled_once_with_ids_and_labels(
    stores: Stores, admin: Scope, derive: Derive, rows: Rows
) -> None:
    """One event for a page and one for a fetch, of which the first 100 are named; no text among it."""
    asset, ids = await derive(admin)
    count = len(await rows(admin))
    await atoms.of_asset(stores, admin, asset.asset_id, Window(2))
    found = await atoms.fetch(stores, admin, [*ids, *ids])
    assert [*found] == ids
    page, fetched = (await rows(admin))[count:]
    assert {page["action"], fetched["action"]} == {"atoms.read"}
    assert json.loads(page["payload"]) == {"input": {"atoms": ids[:2], "count": 2}}
    assert json.loads(fetched["payload"]) == {"input": {"atoms": ids[:100], "count": 150}}
    assert (page["subject_id"], page["pii_flags"], page["train_ok"]) == (ids[0], '["email"]', 1)
    assert found[ids[0]].handling == Handling(("email",), train_ok=True)


async def test_nothing_found_is_nothing_journalled(stores: Stores, admin: Scope, keep: Keep, rows: Rows) -> None:
    """No content, no event: unknown ids, and an asset that has no atoms yet."""
    asset = await keep(admin, b"text", "notes.txt")
    count = len(await rows(admin))
    assert await atoms.fetch(stores, admin, ["atom_unknown", "", "'"]) == {}
    assert await atoms.fetch(stores, admin, []) == {}
    assert (await atoms.of_asset(stores, admin, asset.asset_id, Window(5))).items == ()
    assert len(await rows(admin)) == count


async def test_a_fetch_costs_the_same_number_of_statements_whatever_its_size(
    stores: Stores, admin: Scope, derive: Derive, statements: list[str]
) -> None:
    """One atom or 150: one statement."""
    _, ids = await derive(admin)
    counts: list[int] = []
    for wanted in (ids[:1], ids):
        statements.clear()
        assert len(await atoms.fetch(stores, admin, wanted)) == len(wanted)
        counts.append(len(statements))
        assert sum("from atoms" in sql for sql in statements) == 1
    assert counts[0] == counts[1]


async def test_other_tenants_and_envs_see_nothing(
    stores: Stores, scope_of: MakeScope, derive: Derive, rows: Rows
) -> None:
    """Foreign ids are not found, in the words for unknown ones, and nothing is journalled on either side."""
    owner = scope_of("t_acme")
    asset, ids = await derive(owner)
    count = len(await rows(owner))
    said: set[tuple[str, str | None]] = set()
    for scope, asset_id in (
        (scope_of("t_globex"), asset.asset_id),
        (scope_of("t_acme", env=Env.STAGING), asset.asset_id),
        (owner, "asset_unknown"),
    ):
        if scope is not owner:
            assert await atoms.fetch(stores, scope, ids) == {}
            assert await rows(scope) == []
        with pytest.raises(NotFound) as caught:
            await atoms.of_asset(stores, scope, asset_id, Window(5))
        said.add((caught.value.message, caught.value.hint))
    assert len(said) == 1
    assert len(await rows(owner)) == count


async def test_the_same_id_in_two_tenants_is_each_tenants_own(
    stores: Stores, scope_of: MakeScope, derive: Derive
) -> None:
    """Equal files give equal ids; each tenant still reads its own atom of its own asset."""
    scopes = [scope_of("t_acme"), scope_of("t_globex")]
    derived = [await derive(scope) for scope in scopes]
    assert derived[0][1] == derived[1][1]
    for scope, (asset, ids) in zip(scopes, derived, strict=True):
        assert (await atoms.fetch(stores, scope, ids[:1]))[ids[0]].asset_id == asset.asset_id


async def test_atoms_of_a_purged_asset_are_gone(stores: Stores, admin: Scope, derive: Derive) -> None:
    """Its atoms answer as if they had never been."""
    asset, ids = await derive(admin)
    async with behind(stores) as connection:
        await connection.rows("update assets set state = 'PURGED'", {})
    assert await atoms.fetch(stores, admin, ids) == {}
    with pytest.raises(NotFound):
        await atoms.of_asset(stores, admin, asset.asset_id, Window(5))


async def test_reading_needs_the_right(stores: Stores, scope_of: MakeScope, derive: Derive) -> None:
    """Agents and members read; a scope without the right does not."""
    asset, ids = await derive(scope_of(role=Role.ADMIN))
    for role in (Role.MEMBER, Role.AGENT):
        assert isinstance((await atoms.fetch(stores, scope_of(role=role), ids[:1]))[ids[0]], Atom)
    bare = scope_of(role=Role.MEMBER)
    object.__setattr__(bare, "rights", bare.rights - {Permission.ATOMS_READ})
    with pytest.raises(Forbidden):
        await atoms.fetch(stores, bare, ids)
    with pytest.raises(Forbidden):
        await atoms.of_asset(stores, bare, asset.asset_id, Window(5))
