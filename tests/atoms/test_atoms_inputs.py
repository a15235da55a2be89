"""Every file of `inputs/` and every recipe: what went in is in the atoms, or in the list of what was left out.

`inputs/EXPECTED.*.json` tells for each file its recipe, what a reader of the file sees, and what is left out.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nexus_graph.atoms.model import Limits, Reading, collect
from nexus_graph.atoms.recipes import RECIPES, content_type_of, kind_of, recipe_for

INPUTS = Path(__file__).parent / "inputs"
DEMO = Path(__file__).parents[2] / "core" / "demo"
EXPECTED: dict[str, dict[str, Any]] = {
    name: told for page in sorted(INPUTS.glob("EXPECTED.*.json")) for name, told in json.loads(page.read_text()).items()
}
NOTES = ("EXPECTED.", "MADE.", "NOTES.", "README")
REFUSED = {"pdf-user-password.pdf"}  # nobody can read it; the tests of PDF see it refused
FILES = {path.name for path in INPUTS.iterdir() if path.is_file() and not path.name.startswith(NOTES)} - REFUSED


def read(path: Path) -> tuple[str, Reading]:
    """The recipe that a file takes by its bytes and name alone, and what it makes of it."""
    data = path.read_bytes()
    recipe = recipe_for(kind_of(data, path.name, content_type_of(path.name)))
    assert recipe is not None, path.name
    return recipe.op, collect(recipe, data, recipe.complete({}), Limits())


def plain(text: str) -> str:
    """A text without the layout that a recipe may choose."""
    return re.sub(r"\s+", " ", text)


def test_every_input_is_told() -> None:
    """No file lies here without a word of what is in it, and no word is of a file that is gone."""
    assert set(EXPECTED) == FILES


@pytest.mark.parametrize("name", EXPECTED)
def test_what_went_in_is_in_the_atoms_or_left_out_with_a_word(name: str) -> None:
    """All that a reader sees is in some atom; what is not read is named; each atom has a place of its own."""
    told = EXPECTED[name]
    op, reading = read(INPUTS / name)
    assert op == told["op"]
    whole = plain("\n".join(draft.text for draft in reading.drafts))
    assert [text for text in told["texts"] if plain(text) not in whole] == []
    assert sorted(omitted.what for omitted in reading.left_out) == sorted(told["left_out"])
    assert all(draft.text.strip() for draft in reading.drafts)
    assert [draft.ordinal for draft in reading.drafts] == list(range(len(reading.drafts)))
    assert len({draft.span for draft in reading.drafts}) == len(reading.drafts)


def test_every_recipe_has_an_input() -> None:
    """A recipe that no file here takes is tried with the demo's, or is another way to read what one of them takes."""
    tried = {told["op"] for told in EXPECTED.values()}
    tried |= {read(path)[0] for path in sorted(DEMO.glob("*/raw/*"))}
    kinds = {kind for op in tried for kind in RECIPES[op].content_types}
    assert [op for op, recipe in RECIPES.items() if op not in tried and not recipe.content_types & kinds] == []
