"""The check finds atoms that are not what was derived, and the repair derives them again."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engines import behind

from nexus_graph import atoms
from nexus_graph.assets import Asset
from nexus_graph.atoms import Sandbox, Span, recipes
from nexus_graph.atoms.model import atom_id
from nexus_graph.scope.errors import Forbidden
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.work import Stores

Keep = Callable[..., Awaitable[Asset]]
Rows = Callable[..., Awaitable[list[dict[str, Any]]]]
MakeScope = Callable[..., Scope]

ENGINE = Scope.system("t_acme", Env.DEV, "check")
NOTES = b"# Plan\n\nSales rose.\n\n## Risks\n\nReturns rise.\n"
TABLE = "name;margin\nlamp;12,5\nchäir;7\n".encode("cp1252")
FIRST = "(select min(atom_id) from atoms)"


@pytest.fixture
async def derived(stores: Stores, reader: Sandbox, admin: Scope, keep: Keep) -> tuple[Asset, Asset]:
    """Notes with the atoms of two recipes, and a table with those of one, whose charset its type declares."""
    notes, table = await keep(admin, NOTES, "notes.md"), await keep(admin, TABLE, "t.csv", "text/csv; charset=cp1252")
    for op in ("markdown.sections", "markdown.blocks"):
        await atoms.derive(stores, reader, admin, notes.asset_id, op, {})
    await atoms.derive(stores, reader, admin, table.asset_id, None, {})
    return notes, table


async def tamper(stores: Stores, sql: str, **values: Any) -> None:
    """Change the file behind the engine's back, foreign keys or not."""
    async with behind(stores) as connection:
        await connection.rows(sql.replace("FIRST", FIRST), values)


def timeless(kept: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without the time of their derivation: what was lost was derived later."""
    return [{name: value for name, value in row.items() if name != "derived_at"} for row in kept]


@pytest.mark.parametrize(
    ("sql", "faults"),
    [
        ("update atoms set text = 'Another.' where atom_id = FIRST", ["its text does not have its digest"]),
        ("update atoms set text = x'00' where atom_id = FIRST", ["its text does not have its digest"]),
        ("update atoms set digest = 'another' where atom_id = FIRST", ["its text does not have its digest"]),
        ('update atoms set span = \'{"start":0,"end":1}\' where atom_id = FIRST', ["its id does not follow"]),
        ("update atoms set span = 'broken' where atom_id = FIRST", ["its id does not follow"]),
        ("update atoms set span = '[]' where atom_id = FIRST", ["its id does not follow"]),
        ("update atoms set atom_id = 'atom_unknown' where atom_id = FIRST", ["its id does not follow"]),
        ("update atoms set op_version = '0' where atom_id = FIRST", ["its id does not follow", "atoms of"]),
        ("update atoms set params = '{}' where atom_id = FIRST", ["its id does not follow", "atoms of"]),
        ("update atoms set atom_id = 'x', op = 'other' where atom_id = FIRST", ["its id does not follow", "atoms of"]),
        ("delete from atoms where atom_id = FIRST", ["atoms of"]),
        ("delete from atoms", ["0 of 2 atoms of", "0 of 4 atoms of", "0 of 2 atoms of csv.rows"]),
        ("update atoms set text = 'Another.'", ["its text does not have its digest"] * 8),
        (
            "update atoms set asset_id = (select asset_id from assets where filename = 't.csv') "
            "where atom_id = (select min(atom_id) from atoms where op = 'markdown.blocks')",
            ["its id does not follow", "atoms of markdown.blocks"],
        ),
    ],
)
async def test_damaged_and_missing_atoms_come_out_of_the_bytes_again(
    stores: Stores,
    reader: Sandbox,
    admin: Scope,
    derived: tuple[Asset, Asset],
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
    sql: str,
    faults: list[str],
) -> None:
    """Each fault is named; after the repair all rows are what they were, and the journal tells of it."""
    monkeypatch.setattr("nexus_graph.atoms.checking._TEXTS", 2)
    monkeypatch.setattr("nexus_graph.atoms.checking._AT_ONCE", 2)
    before = await rows(admin, "atoms", "atom_id")
    assert len(before) == 8
    assert await atoms.check(stores, reader, ENGINE, repair=True) == []
    await tamper(stores, sql)
    found = await atoms.check(stores, reader, ENGINE)
    assert len(found) == len(faults)
    assert all(any(part in fault for fault in found) for part in faults), found
    assert await atoms.check(stores, reader, ENGINE, repair=True) == found
    after = await rows(admin, "atoms", "atom_id")
    assert timeless(after) == timeless(before)
    assert await atoms.check(stores, reader, ENGINE) == []
    assert (await rows(admin))[-1]["action"] == "atoms.repaired"


async def test_what_is_sound_keeps_its_time(
    stores: Stores, reader: Sandbox, admin: Scope, derived: tuple[Asset, Asset], rows: Rows
) -> None:
    """A damaged text is written over: no row is of a later time, and none that was sound is touched."""
    before = await rows(admin, "atoms", "atom_id")
    await tamper(stores, "update atoms set text = 'Another.', stale = true where atom_id = FIRST")
    await atoms.check(stores, reader, ENGINE, repair=True)
    assert await rows(admin, "atoms", "atom_id") == before
    events = [json.loads(row["payload"]) for row in await rows(admin) if row["action"] == "atoms.repaired"]
    assert sum(event["output"]["written"] for event in events) == 1


async def test_an_atom_that_was_never_derived_is_forgotten(
    stores: Stores, reader: Sandbox, admin: Scope, derived: tuple[Asset, Asset], rows: Rows
) -> None:
    """One too many in a derivation, with an id that follows from its place, is no atom of the file."""
    before = await rows(admin, "atoms", "atom_id")
    forged = dict(before[0]) | {"span": '{"end":1,"start":0}'}
    asset = next(asset for asset in derived if asset.asset_id == forged["asset_id"])
    params = json.loads(forged["params"])
    forged["atom_id"] = atom_id(asset.sha256, forged["op"], forged["op_version"], params, Span(0, 1))
    names = ", ".join(forged)
    await tamper(stores, f"insert into atoms ({names}) values ({', '.join(':' + name for name in forged)})", **forged)  # noqa: S608
    (fault,) = await atoms.check(stores, reader, ENGINE, repair=True)
    assert fault.startswith(f"asset {forged['asset_id']}: ")
    assert await rows(admin, "atoms", "atom_id") == before


async def test_nothing_is_lost_where_it_can_not_be_derived_again(
    stores: Stores,
    reader: Sandbox,
    admin: Scope,
    derived: tuple[Asset, Asset],
    rows: Rows,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the bytes lost, or the recipe moved on, damaged atoms are named and left as they are."""
    notes, table = derived
    stored = tmp_path / "objects/tenants/t_acme/dev" / notes.object_key
    stored.unlink()
    newer = replace(recipes.RECIPES["csv.rows"], version="3")
    monkeypatch.setattr("nexus_graph.atoms.checking.RECIPES", {**recipes.RECIPES, "csv.rows": newer})
    await tamper(stores, "update atoms set atom_id = atom_id || 'x'")
    before = await rows(admin, "atoms", "atom_id")
    for _ in range(2):
        assert len(await atoms.check(stores, reader, ENGINE, repair=True)) == 8
        assert await rows(admin, "atoms", "atom_id") == before
    assert table.asset_id in {row["asset_id"] for row in before}


async def test_an_asset_is_cleared_only_when_all_of_it_was_derived_again(
    stores: Stores, reader: Sandbox, admin: Scope, derived: tuple[Asset, Asset], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged atom may be of the derivation that can't be made again: it stays while there is one."""
    newer = replace(recipes.RECIPES["markdown.sections"], version="later")
    await tamper(stores, "update atoms set atom_id = 'x', op = 'other' where op = 'markdown.sections' and ordinal = 0")
    with monkeypatch.context() as patched:
        patched.setattr("nexus_graph.atoms.checking.RECIPES", {**recipes.RECIPES, "markdown.sections": newer})
        await atoms.check(stores, reader, ENGINE, repair=True)
        assert len(await atoms.check(stores, reader, ENGINE)) == 2
    await atoms.check(stores, reader, ENGINE, repair=True)
    assert await atoms.check(stores, reader, ENGINE) == []


async def test_atoms_without_a_sealed_asset_are_named(
    stores: Stores, reader: Sandbox, admin: Scope, derived: tuple[Asset, Asset], rows: Rows
) -> None:
    """Their asset is gone: nothing gives them back, and nothing takes them away."""
    await tamper(stores, "update assets set state = 'PURGED' where asset_id = :id", id=derived[1].asset_id)
    for _ in range(2):
        found = await atoms.check(stores, reader, ENGINE, repair=True)
        assert len(found) == 2
        assert all(fault.endswith(": its asset is gone") for fault in found)


async def test_other_scopes_are_neither_looked_at_nor_mended(
    stores: Stores, reader: Sandbox, scope_of: MakeScope, keep: Keep, rows: Rows
) -> None:
    """Damage in another tenant and in another env is theirs."""
    others = (scope_of("t_globex"), scope_of(env=Env.PROD))
    for scope in (scope_of(), *others):
        asset = await keep(scope, NOTES, "notes.md")
        await atoms.derive(stores, reader, scope, asset.asset_id, None, {})
    await tamper(stores, "update atoms set text = 'Another.' where tenant_id = 't_globex' or env = 'prod'")
    assert await atoms.check(stores, reader, ENGINE, repair=True) == []
    for scope in others:
        assert {row["text"] for row in await rows(scope, "atoms", "atom_id")} == {"Another."}


async def test_who_waits_is_told_and_only_the_engine_checks(
    stores: Stores,
    reader: Sandbox,
    scope_of: MakeScope,
    derived: tuple[Asset, Asset],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every atom is counted once, page by page; an owner can't start it."""
    monkeypatch.setattr("nexus_graph.atoms.checking._TEXTS", 3)
    told: list[int] = []
    await atoms.check(stores, reader, ENGINE, looked=told.append)
    assert told == [3, 3, 2]
    with pytest.raises(Forbidden):
        await atoms.check(stores, reader, scope_of())
