"""The follower of the atoms: every sealed asset comes to an outcome, and its run to an end."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from engines import behind

from nexus_graph import atoms
from nexus_graph.assets import Asset
from nexus_graph.atoms import Limits, Sandbox
from nexus_graph.scope.errors import Unavailable
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.work import Stores

Keep = Callable[..., Awaitable[Asset]]
Rows = Callable[..., Awaitable[list[dict[str, Any]]]]
MakeScope = Callable[..., Scope]

NOTES = b"# Plan\n\nSales rose.\n\n## Risks\n\nWrite to zoe@example.com today.\n"

KEPT = [(1, "asset.reserved"), (2, "asset.sealed")]
"""What the run of a file that was at hand tells first."""


async def run_of(rows: Rows, scope: Scope, asset: Asset) -> tuple[str, list[tuple[int, str]], list[dict[str, Any]]]:
    """The status of the run that sealed an asset, its numbered actions, and their events."""
    events = await rows(scope)
    run_id = next(e["run_id"] for e in events if e["action"] == "asset.sealed" and e["subject_id"] == asset.asset_id)
    (run,) = [run for run in await rows(scope, "journal_runs", "run_id") if run["run_id"] == run_id]
    own = [event for event in events if event["run_id"] == run_id]
    return run["status"], [(event["number"], event["action"]) for event in own], own


async def follow(stores: Stores, sandbox: Sandbox) -> None:
    """A follower as after a start, until nothing is new."""
    follower = atoms.follower(sandbox)
    while await follower.catch_up(stores):
        pass


async def test_a_sealed_asset_gets_its_atoms_and_its_run_ends(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows
) -> None:
    """The run that sealed it is RUNNING until its atoms are there, and SUCCEEDED from then on."""
    asset = await keep(admin, NOTES, "notes.md")
    assert (await run_of(rows, admin, asset))[:2] == ("RUNNING", KEPT)
    await follow(stores, reader)
    assert (await run_of(rows, admin, asset))[:2] == ("SUCCEEDED", [*KEPT, (3, "atoms.derived")])
    assert len(await rows(admin, "atoms", "atom_id")) == 2


async def test_every_scope_gets_its_own(
    stores: Stores, reader: Sandbox, scope_of: MakeScope, keep: Keep, rows: Rows
) -> None:
    """The same file in two tenants and two envs becomes atoms in each, of the asset there."""
    scopes = [scope_of("t_acme"), scope_of("t_globex"), scope_of("t_acme", env=Env.PROD)]
    kept = [(scope, await keep(scope, NOTES, "notes.md")) for scope in scopes]
    await follow(stores, reader)
    for scope, asset in kept:
        assert {row["asset_id"] for row in await rows(scope, "atoms", "atom_id")} == {asset.asset_id}


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("bad.json", b'{"password": "correct horse battery"', "could not be read as JSON"),
        ("bad.pdf", b"%PDF-1.7 correct horse battery", "could not be read as PDF"),
        ("bad.docx", b"PK\x03\x04 correct horse battery", "could not be read as docx"),
        ("bad.txt", b"correct horse\0battery", "NUL"),
        ("long.csv", b"correct\n" + b"horse\n" * 400, "more than 300 atoms"),
    ],
)
async def test_a_hostile_file_fails_its_run_and_nothing_else(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows, name: str, data: bytes, words: str
) -> None:
    """It keeps no atom, its run says why without quoting it, and its neighbours are derived."""
    asset = await keep(admin, data, name)
    neighbour = await keep(admin, NOTES, "notes.md")
    await follow(stores, reader)
    status, actions, events = await run_of(rows, admin, asset)
    assert (status, actions) == ("FAILED", [*KEPT, (3, "atoms.refused")])
    assert words in json.loads(events[-1]["payload"])["output"]["message"]
    assert events[-1]["severity"] == "ERROR"
    assert not any(word in event["payload"] for event in events for word in ("correct", "horse", "battery"))
    assert {row["asset_id"] for row in await rows(admin, "atoms", "atom_id")} == {neighbour.asset_id}


async def test_lost_bytes_fail_the_run(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows, tmp_path: Path
) -> None:
    """An object that is gone is told, and holds nobody up."""
    asset = await keep(admin, NOTES, "notes.md")
    (path,) = tmp_path.glob("objects/**/notes.md")
    path.unlink()
    await follow(stores, reader)
    status, _, events = await run_of(rows, admin, asset)
    assert status == "FAILED"
    assert json.loads(events[-1]["payload"])["output"]["code"] == "CONFLICT"


async def test_a_type_that_no_recipe_reads_is_skipped(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows
) -> None:
    """A picture is kept as it is: no atoms, and no failure."""
    asset = await keep(admin, b"\x89PNG\r\n\x1a\n", "picture.png")
    await follow(stores, reader)
    assert (await run_of(rows, admin, asset))[:2] == ("SUCCEEDED", [*KEPT, (3, "atoms.skipped")])


async def test_an_asset_that_is_gone_is_skipped(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows
) -> None:
    """Purged before its turn came: its run ends all the same."""
    asset = await keep(admin, NOTES, "notes.md")
    async with behind(stores) as connection:
        await connection.rows("update assets set state = 'PURGED'", {})
    await follow(stores, reader)
    assert (await run_of(rows, admin, asset))[:2] == ("SUCCEEDED", [*KEPT, (3, "atoms.skipped")])
    assert await rows(admin, "atoms", "atom_id") == []


async def test_entries_that_come_a_second_time_change_nothing(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows
) -> None:
    """After a crash before the checkpoint moved: no atom, no event, no run is added, whatever the outcome was."""
    for name, data in (("notes.md", NOTES), ("bad.json", b"{"), ("picture.png", b"\x89PNG\r\n\x1a\n")):
        await keep(admin, data, name)
    await follow(stores, reader)
    before = [await rows(admin), await rows(admin, "journal_runs", "run_id"), await rows(admin, "atoms", "atom_id")]
    async with behind(stores) as connection:
        await connection.rows("delete from follower_checkpoints", {})
    await follow(stores, reader)
    after = [await rows(admin), await rows(admin, "journal_runs", "run_id"), await rows(admin, "atoms", "atom_id")]
    assert after == before


async def test_an_outcome_after_the_end_of_the_run_has_a_run_of_its_own(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows
) -> None:
    """Somebody ended the run before the atoms came: they come, and are told elsewhere."""
    asset = await keep(admin, NOTES, "notes.md")
    _, _, events = await run_of(rows, admin, asset)
    async with stores.work(admin, RunKind.INGEST, run_id=events[0]["run_id"]) as work:
        work.record(Event("run.closed", "run", events[0]["run_id"], redact({}), asset.handling))
    await follow(stores, reader)
    assert (await run_of(rows, admin, asset))[1] == [*KEPT, (3, "run.closed")]
    last = (await rows(admin))[-1]
    assert (last["action"], last["number"], last["ends"]) == ("atoms.derived", 1, "SUCCEEDED")


async def test_without_a_reader_nothing_is_lost(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows
) -> None:
    """While no file can be read, the run stays open; as soon as one can, it comes to its end."""
    asset = await keep(admin, NOTES, "notes.md")
    closed = Sandbox(1, Limits())
    await closed.close()
    with pytest.raises(Unavailable):
        await follow(stores, closed)
    assert (await run_of(rows, admin, asset))[:2] == ("RUNNING", KEPT)
    await follow(stores, reader)
    assert (await run_of(rows, admin, asset))[0] == "SUCCEEDED"
