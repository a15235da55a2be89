"""Verifying: an atom is derived again from the raw bytes, and whatever was altered shows."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from atom_files import pdf, word
from engines import behind

from nexus_graph import atoms
from nexus_graph.assets import Asset
from nexus_graph.atoms import Sandbox, recipes
from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.errors import Conflict, NotFound
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.work import Stores

Keep = Callable[..., Awaitable[Asset]]
Rows = Callable[..., Awaitable[list[dict[str, Any]]]]
MakeScope = Callable[..., Scope]

NOTES = b"# Plan\n\nSales rose.\n\n## Risks\n\nReturns rise.\n"
FILES = [
    ("notes.md", NOTES),
    ("page.html", b"<h1>Plan</h1><p>Sales rose.</p>"),
    ("table.csv", b"name;margin\nlamp;12,5\n"),
    ("facts.json", b'{"margin": 0.125, "items": ["lamp", "desk"]}'),
    ("words.txt", "Umsätze stiegen.\n\nKosten auch.".encode("cp1252")),
    ("report.pdf", pdf(["Sales rose.", "Costs too."])),
    ("report.docx", word()),
]


@pytest.fixture
async def first(stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows) -> str:
    """The id of the first atom of the notes."""
    asset = await keep(admin, NOTES, "notes.md")
    await atoms.derive(stores, reader, admin, asset.asset_id, None, {})
    return str((await rows(admin, "atoms", "ordinal"))[0]["atom_id"])


@pytest.mark.parametrize(("name", "data"), FILES, ids=[name for name, _ in FILES])
async def test_atoms_of_every_kind_of_file_come_out_again(
    stores: Stores, reader: Sandbox, admin: Scope, keep: Keep, rows: Rows, name: str, data: bytes
) -> None:
    """The last atom of a file, made with the default recipe, has the digest that is kept; no row changes."""
    asset = await keep(admin, data, name)
    await atoms.derive(stores, reader, admin, asset.asset_id, None, {})
    before = await rows(admin, "atoms", "ordinal")
    verification = await atoms.verify(stores, reader, admin, before[-1]["atom_id"])
    digest = sha256(before[-1]["text"].encode())
    assert verification == atoms.AtomVerification(matches=True, expected=digest, found=digest)
    assert await rows(admin, "atoms", "ordinal") == before


async def test_verifying_is_journalled_with_digests_alone(
    stores: Stores, reader: Sandbox, admin: Scope, first: str, rows: Rows
) -> None:
    """Who asked, for which atom, and what came out."""
    verification = await atoms.verify(stores, reader, admin, first)
    event = (await rows(admin))[-1]
    assert (event["action"], event["subject_id"], event["actor_id"]) == ("atoms.verified", first, admin.principal.id)
    output = json.loads(event["payload"])["output"]
    assert output == {"matches": True, "expected": verification.expected, "found": verification.found}


@pytest.mark.parametrize("column", ["text", "digest"])
async def test_an_altered_row_does_not_match(
    stores: Stores, reader: Sandbox, admin: Scope, first: str, rows: Rows, column: str
) -> None:
    """Neither another text nor another digest passes, though the rest of the row is right."""
    async with behind(stores) as connection:
        await connection.rows(f"update atoms set {column} = 'other' where ordinal = 0", {})  # noqa: S608
    verification = await atoms.verify(stores, reader, admin, first)
    assert not verification.matches
    assert verification.found is not None
    assert (await rows(admin))[-1]["severity"] == "ERROR"


@pytest.mark.parametrize("instead", [None, NOTES + b"\nMore.\n", b"\0"])
async def test_lost_or_altered_bytes_give_no_such_atom(
    stores: Stores, reader: Sandbox, admin: Scope, first: str, tmp_path: Path, instead: bytes | None
) -> None:
    """Bytes that were not sealed prove nothing, even where they hold the same text at the same place."""
    (path,) = tmp_path.glob("objects/**/notes.md")
    path.unlink()
    if instead is not None:
        path.write_bytes(instead)
    verification = await atoms.verify(stores, reader, admin, first)
    assert (verification.matches, verification.found) == (False, None)


async def test_an_atom_of_an_older_recipe_can_not_be_verified(
    stores: Stores, reader: Sandbox, admin: Scope, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is no mismatch: the recipe that made it is not here, and the error says so."""
    newer = replace(recipes.RECIPES["markdown.sections"], version="later")
    now = recipes.RECIPES["markdown.sections"].version
    monkeypatch.setattr(recipes, "RECIPES", {newer.op: newer})
    with pytest.raises(Conflict, match=f"at version {now}, which is at version later now"):
        await atoms.verify(stores, reader, admin, first)


async def test_foreign_and_unknown_atoms_answer_alike(
    stores: Stores, reader: Sandbox, scope_of: MakeScope, first: str, rows: Rows
) -> None:
    """Another tenant, another env and a made-up id hear the same words, and nothing is journalled for them."""
    said: set[tuple[str, str | None]] = set()
    for scope, atom_id in (
        (scope_of("t_globex"), first),
        (scope_of("t_acme", env=Env.PROD), first),
        (scope_of("t_acme", Role.AGENT), "atom_unknown"),
    ):
        count = len(await rows(scope))
        with pytest.raises(NotFound) as caught:
            await atoms.verify(stores, reader, scope, atom_id)
        said.add((caught.value.message, caught.value.hint))
        assert len(await rows(scope)) == count
    assert len(said) == 1
