"""What became of an asset: told beside it, in the journal, and renewed after an upgrade."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engines import behind, migrated

from nexus_graph import atoms
from nexus_graph.assets import Asset
from nexus_graph.atoms import DerivationState, Outcome, Sandbox, deriving
from nexus_graph.atoms.model import Draft, LeftOut, Limits, Omission, Omitted, Params, Reading, Span, collect
from nexus_graph.atoms.outcome import of_reading
from nexus_graph.atoms.recipes import RECIPES, Kind
from nexus_graph.scope.clock import system_clock
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.scope import Role, Scope
from nexus_graph.stores.paging import Window
from nexus_graph.stores.work import Stores

Keep = Callable[..., Awaitable[Asset]]
Rows = Callable[..., Awaitable[list[dict[str, Any]]]]
MakeScope = Callable[..., Scope]

SCAN = Path(__file__).parent / "inputs" / "70-scan.pdf"
PNG = b"\x89PNG\r\n\x1a\n\0"
FILES = {
    "notes.md": (b"# Plan\n\nSales rose.\n", DerivationState.DONE, None),
    "half.jsonl": (b'{"a":1}\n{"b":', DerivationState.PARTLY_READ, "left out: line 2 is cut off"),
    "scan.pdf": (SCAN.read_bytes(), DerivationState.NO_TEXT, "no text read: page 1 has no text layer"),
    "blank.txt": (b"  \n", DerivationState.NO_TEXT, "no text read: it holds none"),
    "picture.png": (PNG, DerivationState.NO_RECIPE, "no text read: no recipe reads image/png"),
    "bad.json": (b"{", DerivationState.REFUSED, "The file could not be read as JSON: "),
}


async def follow(stores: Stores, sandbox: Sandbox) -> None:
    """A follower as after a start, until nothing is new."""
    follower = atoms.follower(sandbox)
    while await follower.catch_up(stores):
        pass


async def outcome_of(stores: Stores, scope: Scope, asset: Asset) -> Outcome:
    """What became of an asset."""
    return (await atoms.outcomes(stores, scope, [asset.asset_id]))[asset.asset_id]


@pytest.mark.parametrize("name", FILES)
async def test_no_file_is_kept_without_a_word(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows, name: str
) -> None:
    """State and reason stand beside the asset and in the journal, once somebody has read it."""
    data, state, reason = FILES[name]
    asset = await keep(admin, data, name)
    assert await atoms.outcomes(stores, admin, [asset.asset_id]) == {}
    await follow(stores, reader)
    outcome = await outcome_of(stores, admin, asset)
    assert outcome.state is state
    assert (outcome.reason or "").startswith(reason or "")
    assert bool(outcome.reason) == bool(reason)
    assert outcome.kind is not None
    assert not outcome.outdated
    told = json.loads((await rows(admin))[-1]["payload"])["output"]
    assert (told["state"], told["reason"]) == (state.value, outcome.reason)
    assert told["mediaType"] == outcome.kind.media_type


async def test_outcomes_stay_inside_their_scope(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, scope_of: MakeScope
) -> None:
    """Another tenant asks for the same id and finds nothing."""
    asset = await keep(admin, b"x", "notes.txt")
    await follow(stores, reader)
    assert await atoms.outcomes(stores, scope_of("t_globex", Role.OWNER), [asset.asset_id]) == {}
    assert await atoms.outdated(stores, scope_of("t_globex", Role.OWNER), every=True) == []
    assert await atoms.outdated(stores, admin, every=True) == [asset.asset_id]


async def test_what_is_read_by_hand_is_told_as_well(stores: Stores, reader: Sandbox, admin: Scope, keep: Keep) -> None:
    """The last derivation counts, whoever asked for it; one that is refused to its caller changes nothing."""
    asset = await keep(admin, b"# Plan\n", "notes.md")
    await atoms.derive(stores, reader, admin, asset.asset_id, "markdown.blocks", {})
    assert (await outcome_of(stores, admin, asset)).op == "markdown.blocks"
    with pytest.raises(Invalid):
        await atoms.derive(stores, reader, admin, asset.asset_id, "json.pointers", {})
    assert (await outcome_of(stores, admin, asset)).op == "markdown.blocks"


async def test_personal_data_in_a_reason_is_flagged(stores: Stores, reader: Sandbox, admin: Scope, keep: Keep) -> None:
    """What a file names its parts is a word of its author: the asset is labelled, and the journal redacts it."""

    def derive(data: bytes, params: Params) -> Iterator[Draft | LeftOut]:
        yield Draft(0, Span(0, 1, sheet="zoe@example.com"), "x", "row")
        yield LeftOut("hidden sheet", "sheet 'ann@example.com'")

    recipe = replace(RECIPES["text.paragraphs"], derive=derive, leaves_out={"hidden sheet": Omission("{place}")})
    reading = collect(recipe, b"", {}, Limits())
    asset = await keep(admin, b"x", "notes.txt")
    opened = await deriving.open_asset(stores, admin, asset)
    derived = deriving._derived(opened, recipe, recipe.complete({}), reading, stores.clock())
    assert derived.pii_flags == ("email",)
    assert json.loads(str(derived.rows[0]["pii_flags"])) == ["email"]


def test_what_is_left_out_on_purpose_leaves_a_file_whole() -> None:
    """Hidden text is told, and the file still counts as read; with nothing else in it, the reason names it."""
    leaves_out = {"hidden": Omission("hidden text ({place})", intended=True), "lost": Omission("{place} is lost")}
    recipe = replace(RECIPES["text.paragraphs"], leaves_out=leaves_out)
    hidden, lost = Omitted("hidden", ("line 1",), 1), Omitted("lost", ("page 2",), 1)
    draft, kind = Draft(0, Span(0, 1), "x", "paragraph"), Kind("text/plain", "")

    def told(drafts: list[Draft], *left_out: Omitted) -> tuple[DerivationState, str | None]:
        outcome = of_reading(Reading(drafts, [*left_out], [() for _ in drafts]), recipe, kind, system_clock())
        return outcome.state, outcome.reason

    assert told([draft], hidden) == (DerivationState.DONE, None)
    assert told([draft], hidden, lost) == (DerivationState.PARTLY_READ, "left out: page 2 is lost")
    assert told([], hidden) == (DerivationState.NO_TEXT, "no text read: hidden text (line 1)")
    assert told([], hidden, lost) == (DerivationState.NO_TEXT, "no text read: page 2 is lost")


async def test_what_an_older_recipe_read_is_renewed(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, upgraded: Callable[[str, str], None]
) -> None:
    """Outdated until it is derived again; then the older atoms are stale, and there is nothing more to renew."""
    kept = {name: await keep(admin, data, name) for name, (data, _, _) in FILES.items()}
    await follow(stores, reader)
    assert await atoms.outdated(stores, admin) == []
    upgraded("markdown.sections", "9")
    upgraded("json.pointers", "9")
    wanted = await atoms.outdated(stores, admin)
    assert set(wanted) == {kept["notes.md"].asset_id, kept["bad.json"].asset_id}
    assert {asset_id async for asset_id in atoms.renew(stores, reader, admin, wanted)} == set(wanted)
    assert await atoms.outdated(stores, admin) == []
    page = await atoms.of_asset(stores, admin, kept["notes.md"].asset_id, Window(10), stale=True)
    before = RECIPES["markdown.sections"].version
    assert {(atom.op_version, atom.stale) for atom in page.items} == {(before, True), ("9", False)}


async def test_a_file_that_is_refused_now_keeps_no_fresh_atoms_of_before(
    stores: Stores,
    reader: Sandbox,
    admin: Scope,
    keep: Keep,
    upgraded: Callable[[str, str], None],
) -> None:
    """What an older version read of it goes stale, and the outcome says why nothing took its place."""
    asset = await keep(admin, b'{"a": 1}', "a.json")
    await follow(stores, reader)
    upgraded("json.pointers", "9")
    small = Sandbox(1, Limits(input_bytes=2))
    try:
        _ = [asset_id async for asset_id in atoms.renew(stores, small, admin, [asset.asset_id])]
    finally:
        await small.close()
    assert (await outcome_of(stores, admin, asset)).state is DerivationState.REFUSED
    assert (await atoms.of_asset(stores, admin, asset.asset_id, Window(10))).items == ()
    assert len((await atoms.of_asset(stores, admin, asset.asset_id, Window(10), stale=True)).items) == 1


async def test_assets_from_before_tell_what_the_journal_knows(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep
) -> None:
    """A database of 0.2.0 gets an outcome for each asset that was read, and all of them are outdated."""
    kept = {name: await keep(admin, data, name) for name, (data, _, _) in FILES.items()}
    await follow(stores, reader)
    waiting = await keep(admin, b"later", "later.txt")
    async with behind(stores) as connection:
        for table in ("rulesets", "index_copies", "follower_turns", "asset_parts", "asset_derivations"):
            await connection.rows(f"drop table {table}", {})
        await connection.rows("alter table erasures drop column ledger_entry", {})
        await connection.rows("update alembic_version set version_num = '0014'", {})
    await migrated(stores)
    outcomes = await atoms.outcomes(stores, admin, [*(asset.asset_id for asset in kept.values()), waiting.asset_id])
    states = {name: outcomes[asset.asset_id].state for name, asset in kept.items()}
    assert states == {name: state for name, (_, state, _) in FILES.items()} | {"half.jsonl": DerivationState.DONE}
    assert waiting.asset_id not in outcomes
    assert all(outcome.outdated for outcome in outcomes.values())
    assert all(outcome.reason for outcome in outcomes.values() if outcome.state is not DerivationState.DONE)
    wanted = await atoms.outdated(stores, admin)
    assert len(wanted) == len(FILES)
    _ = [asset_id async for asset_id in atoms.renew(stores, reader, admin, wanted)]
    assert (await outcome_of(stores, admin, kept["half.jsonl"])).state is DerivationState.PARTLY_READ
