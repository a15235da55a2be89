"""Deriving: all atoms of a file or none, the same ones whoever derives them."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from engines import behind
from side_process import SIDE, place_of

from nexus_graph import assets, atoms
from nexus_graph.assets import Asset, AssetRules, Reservation
from nexus_graph.atoms import Sandbox, deriving, recipes
from nexus_graph.scope.errors import Conflict, Forbidden, Invalid, NexusError, NotFound
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.paging import Window
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Stores, Work

Keep = Callable[..., Awaitable[Asset]]
Rows = Callable[..., Awaitable[list[dict[str, Any]]]]
MakeScope = Callable[..., Scope]

NOTES = b"# Plan\n\nSales rose.\n\n## Risks\n\nWrite to zoe@example.com today.\n\n## Next\n\nReturns fall.\n"
BYTES = {"picture.png": b"\x89PNG\r\n\x1a\n", "broken.pdf": b"%PDF-1.7\n\xff"}
ALL = Window(100)
NOW = recipes.RECIPES["markdown.sections"].version


async def test_atoms_carry_place_lineage_and_labels(stores: Stores, reader: Sandbox, admin: Scope, keep: Keep) -> None:
    """Each atom is the text at its span, and knows its asset, recipe, digest and what personal data it holds."""
    asset = await keep(admin, NOTES, "notes.md", train_ok=False)
    derivation = await atoms.derive(stores, reader, admin, asset.asset_id, None, {})
    page = await atoms.of_asset(stores, admin, asset.asset_id, ALL)
    assert derivation == atoms.Derivation(asset.asset_id, "markdown.sections", NOW, atoms=3, made=3, staled=0)
    assert [atom.ordinal for atom in page.items] == [0, 1, 2]
    assert [NOTES.decode()[atom.span.start : atom.span.end] for atom in page.items] == [a.text for a in page.items]
    assert {atom.asset_id for atom in page.items} == {asset.asset_id}
    assert [atom.handling.pii_flags for atom in page.items] == [(), ("email",), ()]
    assert not any(atom.handling.train_ok or atom.stale for atom in page.items)
    assert dict(page.items[0].params) == {"charset": None, "depth": 6}


async def test_the_journal_tells_of_a_derivation_without_content(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows
) -> None:
    """One event with recipe and counts, labelled with what was found; the asset's labels grew with its atoms'."""
    asset = await keep(admin, NOTES, "notes.md")
    await atoms.derive(stores, reader, admin, asset.asset_id, None, {})
    event = (await rows(admin))[-1]
    assert (event["action"], event["subject_id"], event["ends"]) == ("atoms.derived", asset.asset_id, "SUCCEEDED")
    payload = json.loads(event["payload"])
    assert payload["input"] == {
        "op": "markdown.sections",
        "opVersion": NOW,
        "params": {"charset": None, "depth": 6},
    }
    assert payload["output"] == {
        "atoms": 3,
        "made": 3,
        "staled": 0,
        "state": "DONE",
        "reason": None,
        "mediaType": "text/markdown",
        "mediaTypeReason": "the declared type says text/markdown",
        "leftOut": {},
        "encoding": "utf-8",
        "encodingGuessed": False,
    }
    assert event["pii_flags"] == '["email"]'
    assert (await assets.fetch(stores, admin, [asset.asset_id]))[asset.asset_id].handling.pii_flags == ("email",)


async def test_deriving_twice_changes_nothing(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows
) -> None:
    """The second derivation makes no atom, and no row of either table differs afterwards."""
    asset = await keep(admin, NOTES, "notes.md")
    await atoms.derive(stores, reader, admin, asset.asset_id, None, {})
    before = await rows(admin, "atoms", "atom_id"), await rows(admin, "assets", "asset_id")
    again = await atoms.derive(stores, reader, admin, asset.asset_id, "markdown.sections", {"depth": 6})
    assert (again.atoms, again.made, again.staled) == (3, 0, 0)
    assert (await rows(admin, "atoms", "atom_id"), await rows(admin, "assets", "asset_id")) == before


async def test_parallel_derivations_agree(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows
) -> None:
    """Of eight at the same time one makes the atoms, and the others find them."""
    asset = await keep(admin, NOTES, "notes.md")
    several = await asyncio.gather(
        *(atoms.derive(stores, reader, admin, asset.asset_id, None, {}) for _ in range(8)),
    )
    assert sorted(derivation.made for derivation in several) == [0] * 7 + [3]
    assert {derivation.atoms for derivation in several} == {3}
    assert len(await rows(admin, "atoms", "atom_id")) == 3


OTHER_PROCESS = """
import asyncio, os, signal, sys
from pathlib import Path
from nexus_graph import atoms
from nexus_graph.atoms import deriving
from nexus_graph.scope.clock import system_clock
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.blobs.files import FileBlobs
from side_process import at
from nexus_graph.stores.signals.local import LocalSignals
from nexus_graph.stores.work import Stores, Work

write_many = Work.write_many

async def write_and_die(work, statement, sets):
    await write_many(work, statement, sets)
    os.kill(os.getpid(), signal.SIGKILL)

async def main(place, folder, asset_id):
    database = at(place)
    await database.open()
    blobs = FileBlobs(folder / "objects", secret="-" * 40, address="http://127.0.0.1:1", clock=system_clock)
    sandbox = atoms.Sandbox(1, atoms.Limits())
    scope = Scope.system("t_acme", Env.DEV, "another process")
    derivation = await atoms.derive(Stores(database, blobs, LocalSignals()), sandbox, scope, asset_id, None, {})
    sys.stdout.write(f"{derivation.atoms} {derivation.made}")
    await sandbox.close()
    await database.close()

if sys.argv[4] == "die":
    deriving._AT_ONCE, Work.write_many = 2, write_and_die
asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
"""


async def start(stores: Stores, folder: Path, asset: Asset, fate: str) -> asyncio.subprocess.Process:
    """Another process that derives an asset of t_acme; its fate is to `live`, or to `die` in the middle of writing."""
    command = (sys.executable, "-c", OTHER_PROCESS, place_of(stores.database), str(folder), asset.asset_id, fate)
    return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=SIDE)


async def test_two_processes_agree(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows, tmp_path: Path
) -> None:
    """Another process, started at the same time, ends with the same atoms; together they made each once."""
    asset = await keep(admin, NOTES, "notes.md")
    other = await start(stores, tmp_path, asset, "live")
    own = await atoms.derive(stores, reader, admin, asset.asset_id, None, {})
    async with asyncio.timeout(60):
        told, _ = await other.communicate()
    assert [int(number) for number in told.split()] == [3, 3 - own.made]
    assert len(await rows(admin, "atoms", "atom_id")) == 3


async def test_a_killed_process_leaves_nothing_half_kept(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows, tmp_path: Path
) -> None:
    """Killed with some of the atoms written: no row and no event of it remains, and the next attempt makes all."""
    asset = await keep(admin, NOTES, "notes.md")
    before = await rows(admin), await rows(admin, "assets", "asset_id")
    other = await start(stores, tmp_path, asset, "die")
    async with asyncio.timeout(60):
        assert await other.wait() == -signal.SIGKILL
    assert await rows(admin, "atoms", "atom_id") == []
    assert (await rows(admin), await rows(admin, "assets", "asset_id")) == before
    assert (await atoms.derive(stores, reader, admin, asset.asset_id, None, {})).made == 3


async def test_the_same_file_elsewhere_gives_the_same_ids_in_rows_of_its_own(
    stores: Stores, reader: Sandbox, scope_of: MakeScope, keep: Keep, rows: Rows
) -> None:
    """Two tenants and two envs name the same atoms alike, and each keeps its own."""
    scopes = [scope_of("t_acme"), scope_of("t_globex"), scope_of("t_acme", env=Env.PROD)]
    for scope in scopes:
        asset = await keep(scope, NOTES, "notes.md")
        assert (await atoms.derive(stores, reader, scope, asset.asset_id, None, {})).made == 3
    kept = [await rows(scope, "atoms", "atom_id") for scope in scopes]
    assert [row["atom_id"] for row in kept[0]] == [row["atom_id"] for row in kept[1]] == [r["atom_id"] for r in kept[2]]
    assert len({row["asset_id"] for own in kept for row in own}) == 3


async def test_foreign_and_unknown_assets_answer_alike(
    stores: Stores, reader: Sandbox, scope_of: MakeScope, keep: Keep, rows: Rows
) -> None:
    """Neither another tenant nor another env can derive, and both hear what an unknown id hears."""
    asset = await keep(scope_of("t_acme"), NOTES, "notes.md")
    said: set[tuple[str, str | None]] = set()
    for scope, asset_id in (
        (scope_of("t_globex"), asset.asset_id),
        (scope_of("t_acme", env=Env.PROD), asset.asset_id),
        (scope_of("t_acme"), "asset_unknown"),
    ):
        with pytest.raises(NotFound) as caught:
            await atoms.derive(stores, reader, scope, asset_id, None, {})
        said.add((caught.value.message, caught.value.hint))
        assert await rows(scope, "atoms", "atom_id") == []
    assert len(said) == 1


async def test_an_upgraded_recipe_leaves_older_atoms_stale(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, upgraded: Callable[[str, str], None]
) -> None:
    """New version: new atoms, the old ones stale but readable; other recipes' atoms and other assets are untouched."""
    asset, other = await keep(admin, NOTES, "notes.md"), await keep(admin, b"# Other\n\nText.\n", "other.md")
    for asset_id in (asset.asset_id, other.asset_id):
        await atoms.derive(stores, reader, admin, asset_id, "markdown.sections", {})
    await atoms.derive(stores, reader, admin, asset.asset_id, "markdown.sections", {"depth": 1})
    await atoms.derive(stores, reader, admin, asset.asset_id, "text.paragraphs", {})
    old = await atoms.of_asset(stores, admin, asset.asset_id, ALL)
    upgraded("markdown.sections", "later")
    derivation = await atoms.derive(stores, reader, admin, asset.asset_id, "markdown.sections", {})
    assert (derivation.op_version, derivation.atoms, derivation.made, derivation.staled) == ("later", 3, 3, 4)
    fresh = await atoms.of_asset(stores, admin, asset.asset_id, ALL)
    every = await atoms.of_asset(stores, admin, asset.asset_id, ALL, stale=True)
    assert {(atom.op, atom.op_version) for atom in fresh.items} == {
        ("markdown.sections", "later"),
        ("text.paragraphs", recipes.RECIPES["text.paragraphs"].version),
    }
    assert {atom.id for atom in every.items} == {atom.id for atom in (*old.items, *fresh.items)}
    assert {atom.op_version for atom in every.items if atom.stale} == {NOW}
    assert len((await atoms.of_asset(stores, admin, other.asset_id, ALL)).items) == 1


async def test_a_recipe_that_comes_back_is_current_again(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, upgraded: Callable[[str, str], None]
) -> None:
    """After a rollback the old version's atoms are current and the newer ones stale; nothing is made twice."""
    asset = await keep(admin, NOTES, "notes.md")
    await atoms.derive(stores, reader, admin, asset.asset_id, None, {})
    upgraded("markdown.sections", "later")
    await atoms.derive(stores, reader, admin, asset.asset_id, None, {})
    upgraded("markdown.sections", NOW)
    back = await atoms.derive(stores, reader, admin, asset.asset_id, None, {})
    assert (back.made, back.staled) == (0, 3)
    fresh = await atoms.of_asset(stores, admin, asset.asset_id, ALL)
    assert {atom.op_version for atom in fresh.items} == {NOW}


async def test_an_idempotency_key_is_answered_once(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows
) -> None:
    """The same key and request get the first answer and leave no trace; another request is a Conflict."""
    asset = await keep(admin, NOTES, "notes.md")
    once = Once("k1", {"asset": asset.asset_id})
    first = await atoms.derive(stores, reader, admin, asset.asset_id, None, {}, once=once)
    count = len(await rows(admin))
    assert await atoms.derive(stores, reader, admin, asset.asset_id, None, {}, once=once) == first
    assert len(await rows(admin)) == count
    with pytest.raises(Conflict):
        await atoms.derive(stores, reader, admin, asset.asset_id, None, {}, once=Once("k1", {"asset": "other"}))


async def test_a_member_may_not_derive(stores: Stores, reader: Sandbox, scope_of: MakeScope, keep: Keep) -> None:
    """The right is asked for before anything is read."""
    asset = await keep(scope_of(role=Role.ADMIN), NOTES, "notes.md")
    with pytest.raises(Forbidden):
        await atoms.derive(stores, reader, scope_of(role=Role.MEMBER), asset.asset_id, None, {})


@pytest.mark.parametrize(
    ("name", "op", "params", "words"),
    [
        ("notes.md", "markdown.nothing", {}, "no recipe"),
        ("notes.md", None, {"deepness": 1}, "no parameter 'deepness'"),
        ("notes.md", None, {"depth": 7}, "from 1 to 6"),
        ("picture.png", None, {}, "no recipe reads image/png"),
        ("notes.json", None, {}, "could not be read as JSON"),
        ("broken.pdf", None, {}, "could not be read as PDF"),
    ],
)
async def test_what_can_not_be_derived_is_refused_whole(
    stores: Stores,
    reader: Sandbox,
    admin: Scope,
    keep: Keep,
    rows: Rows,
    name: str,
    op: str | None,
    params: dict[str, Any],
    words: str,
) -> None:
    """Each mistake is named, and nothing is kept: no atom, no label, no event."""
    asset = await keep(admin, BYTES.get(name, NOTES), name)
    before = len(await rows(admin))
    with pytest.raises(Invalid, match=words):
        await atoms.derive(stores, reader, admin, asset.asset_id, op, params)
    assert await rows(admin, "atoms", "atom_id") == []
    assert len(await rows(admin)) == before


async def test_a_file_with_too_many_atoms_keeps_none(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows
) -> None:
    """A limit that is met after many good rows leaves none of them."""
    asset = await keep(admin, b"a\n" + b"1\n" * 400, "rows.csv")
    with pytest.raises(Invalid, match="more than 300 atoms"):
        await atoms.derive(stores, reader, admin, asset.asset_id, None, {})
    assert await rows(admin, "atoms", "atom_id") == []


async def test_an_unsealed_asset_is_a_conflict(stores: Stores, reader: Sandbox, admin: Scope) -> None:
    """A reservation has no bytes to derive from yet."""
    reservation = Reservation.of(NOTES, filename="notes.md", content_type="text/markdown", train_ok=True)
    reserved = await assets.reserve(stores, AssetRules(2**20, 60, 60), admin, reservation)
    with pytest.raises(Conflict, match="not sealed"):
        await atoms.derive(stores, reader, admin, reserved.asset.asset_id, None, {})


@pytest.mark.parametrize("instead", [None, b"# Other words of any length\n"])
async def test_lost_or_altered_bytes_are_a_conflict(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows, tmp_path: Path, instead: bytes | None
) -> None:
    """Atoms are named after the bytes that were sealed, so they are made of no others."""
    asset = await keep(admin, NOTES, "notes.md")
    (path,) = tmp_path.glob("objects/**/notes.md")
    path.unlink()
    if instead is not None:
        path.write_bytes(instead)
    with pytest.raises(Conflict, match="no longer holds"):
        await atoms.derive(stores, reader, admin, asset.asset_id, None, {})
    assert await rows(admin, "atoms", "atom_id") == []


@pytest.mark.parametrize(
    ("content_type", "word", "encoding", "guessed"),
    [
        ("text/plain; charset=iso-8859-2", "zażółć", "iso8859-2", False),
        ('text/plain; Charset="ISO-8859-2"', "zażółć", "iso8859-2", False),
        ("text/plain", "Umsätze", "cp1252", True),
    ],
)
async def test_the_content_type_declares_the_charset(
    stores: Stores,
    reader: Sandbox,
    admin: Scope,
    keep: Keep,
    rows: Rows,
    content_type: str,
    word: str,
    encoding: str,
    guessed: bool,
) -> None:
    """A declared charset counts; a guessed one is told."""
    asset = await keep(admin, word.encode(encoding), "words.txt", content_type)
    await atoms.derive(stores, reader, admin, asset.asset_id, None, {})
    (atom,) = (await atoms.of_asset(stores, admin, asset.asset_id, ALL)).items
    assert atom.text == word
    event = next(row for row in await rows(admin) if row["action"] == "atoms.derived")
    output = json.loads(event["payload"])["output"]
    assert (output["encoding"], output["encodingGuessed"]) == (encoding, guessed)


async def test_consent_taken_back_from_the_asset_is_taken_back_from_its_atoms(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep
) -> None:
    """An atom never allows more than its asset does now."""
    asset = await keep(admin, NOTES, "notes.md", train_ok=True)
    await atoms.derive(stores, reader, admin, asset.asset_id, None, {})
    assert all(a.handling.train_ok for a in (await atoms.of_asset(stores, admin, asset.asset_id, ALL)).items)
    await keep(admin, NOTES, "again.md", train_ok=False)
    assert not any(a.handling.train_ok for a in (await atoms.of_asset(stores, admin, asset.asset_id, ALL)).items)


async def test_a_write_that_breaks_off_keeps_nothing(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the second batch fails, the first is gone too, and so are labels and event; a new attempt makes all."""
    asset = await keep(admin, NOTES, "notes.md")
    before = await rows(admin), await rows(admin, "assets", "asset_id")
    whole = Work.write_many
    calls: list[int] = []

    async def breaks(work: Work, statement: Statement, sets: Any) -> None:
        calls.append(len(sets))
        if len(calls) == 2:
            raise OSError("the power went")
        await whole(work, statement, sets)

    monkeypatch.setattr(deriving, "_AT_ONCE", 2)
    monkeypatch.setattr(Work, "write_many", breaks)
    with pytest.raises(OSError, match="the power went"):
        await atoms.derive(stores, reader, admin, asset.asset_id, None, {})
    assert calls == [2, 1]
    assert await rows(admin, "atoms", "atom_id") == []
    assert (await rows(admin), await rows(admin, "assets", "asset_id")) == before
    assert (await atoms.derive(stores, reader, admin, asset.asset_id, None, {})).made == 3


async def test_an_asset_that_goes_away_meanwhile_gets_no_atoms(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Purged between reading and keeping: nothing is kept for it."""
    asset = await keep(admin, NOTES, "notes.md")
    unhurried = deriving.read

    async def read(*arguments: Any) -> Any:
        derived = await unhurried(*arguments)
        async with behind(stores) as connection:
            await connection.rows("update assets set state = 'PURGED'", {})
        return derived

    monkeypatch.setattr(deriving, "read", read)
    with pytest.raises(NexusError, match="No such asset here"):
        await atoms.derive(stores, reader, admin, asset.asset_id, None, {})
    assert await rows(admin, "atoms", "atom_id") == []


async def test_a_kind_suggests_parameters(stores: Stores, reader: Sandbox, admin: Scope, keep: Keep) -> None:
    """They are part of the derivation like any others; whoever names others is believed."""
    asset = await keep(admin, b"a,1\tb\n2\t3\n", "table.tsv")
    await atoms.derive(stores, reader, admin, asset.asset_id, None, {})
    (atom,) = (await atoms.of_asset(stores, admin, asset.asset_id, ALL)).items
    assert (atom.text, atom.params["delimiter"]) == ('{"a,1":"2","b":"3"}', "tab")
    await atoms.derive(stores, reader, admin, asset.asset_id, None, {"delimiter": "comma", "header": False})
    told = [atom.params["delimiter"] for atom in (await atoms.of_asset(stores, admin, asset.asset_id, ALL)).items]
    assert sorted(str(name) for name in told) == ["comma", "comma", "tab"]
