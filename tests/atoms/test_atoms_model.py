"""Spans, ids, parameters and limits."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import pytest

from nexus_graph.atoms.model import Limits, Parameter, Span, atom_id, collect
from nexus_graph.atoms.recipes import RECIPES, content_type_of, recipe_for, recipe_named
from nexus_graph.scope.canonical import canonical
from nexus_graph.scope.errors import Invalid


def test_a_span_tells_only_what_it_knows() -> None:
    """Unknown coordinates are left out of the JSON, and the JSON gives the span back."""
    span = Span(0, 5, line=1, pointer="")
    assert span.as_json() == {"start": 0, "end": 5, "line": 1, "pointer": ""}
    assert Span(**span.as_json()) == span  # type: ignore[arg-type]


def test_an_atom_id_comes_from_content_alone() -> None:
    """The id is the digest of the canonical JSON of five parts, and each of them changes it."""
    span = Span(3, 9, page=2)
    known = atom_id("a" * 64, "pdf.pages", "1", {"depth": 2}, span)
    written = f'["{"a" * 64}","pdf.pages","1",{{"depth":2}},{{"end":9,"page":2,"start":3}}]'
    assert known == "atom_" + hashlib.sha256(written.encode()).hexdigest()
    others = {
        atom_id("b" * 64, "pdf.pages", "1", {"depth": 2}, span),
        atom_id("a" * 64, "pdf.words", "1", {"depth": 2}, span),
        atom_id("a" * 64, "pdf.pages", "2", {"depth": 2}, span),
        atom_id("a" * 64, "pdf.pages", "1", {"depth": 3}, span),
        atom_id("a" * 64, "pdf.pages", "1", {"depth": 2}, replace(span, page=3)),
    }
    assert len(others | {known}) == 6


def test_parameters_are_completed_and_checked() -> None:
    """Defaults are filled in; an unknown name, a wrong type and a value out of range are refused by name."""
    recipe = RECIPES["json.pointers"]
    assert recipe.complete({}) == recipe.complete({"depth": 2}) == {"charset": None, "depth": 2}
    wrong = ({"deep": 1}, {"depth": "2"}, {"depth": True}, {"depth": 33}, {"depth": -1}, {"charset": 8})
    for params in wrong:
        with pytest.raises(Invalid, match=next(iter(params))) as refused:
            recipe.complete(params)
        assert refused.value.path[0] == "params"
    with pytest.raises(Invalid, match="'auto', 'comma'"):
        RECIPES["csv.rows"].complete({"delimiter": "#"})
    Parameter(1, "No bounds.").check("n", -5)


def test_recipes_describe_themselves() -> None:
    """Every description is canonical JSON that names the recipe under its own key."""
    for op, recipe in RECIPES.items():
        assert canonical(recipe.describe())
        assert recipe.op == op
        assert recipe.complete({}).keys() == recipe.parameters.keys()


def test_limits_leave_nothing_half_made() -> None:
    """One atom, or one byte of text, too many is an error, and just enough is not."""
    data = "äa\n\nb".encode()
    recipe = RECIPES["text.paragraphs"]
    assert len(collect(recipe, data, {}, Limits(atoms=2, text_bytes=4))) == 2
    with pytest.raises(Invalid, match="more than 1 atoms"):
        collect(recipe, data, {}, Limits(atoms=1))
    with pytest.raises(Invalid, match="more than 3 bytes of text"):
        collect(recipe, data, {}, Limits(text_bytes=3))


@pytest.mark.parametrize(
    ("content_type", "filename", "op"),
    [
        ("text/markdown", "x", "markdown.sections"),
        ("Text/HTML; charset=utf-8", "x.csv", "html.blocks"),
        ("application/octet-stream", "A.B.JSON", "json.pointers"),
        ("text/plain", "notes.md", "markdown.sections"),
        ("text/plain", "README", "text.paragraphs"),
        ("", "x.docx", "docx.paragraphs"),
        ("text/tab-separated-values", "x", "csv.rows"),
        ("application/pdf", "", "pdf.pages"),
        ("application/octet-stream", "x.bin", None),
        ("application/octet-stream", ".md", None),
        ("image/png", "x.md", None),
    ],
)
def test_a_file_finds_its_recipe(content_type: str, filename: str, op: str | None) -> None:
    """The content type decides; only a vague one lets the extension speak."""
    recipe = recipe_for(content_type, filename)
    assert (recipe and recipe.op) == op


def test_every_extension_leads_back_to_its_recipe() -> None:
    """A file named by any extension of a recipe is read by a recipe of the same kind."""
    for recipe in RECIPES.values():
        for extension in recipe.extensions:
            found = recipe_for(content_type_of(f"x.{extension}"), f"x.{extension}")
            assert found is not None
            assert found.reads == recipe.reads
    assert content_type_of("x.unknown") == content_type_of("x") == "application/octet-stream"


def test_an_unknown_recipe_is_refused_with_the_known_ones() -> None:
    """The hint lists what there is."""
    with pytest.raises(Invalid) as refused:
        recipe_named("text.words")
    assert "text.paragraphs" in str(refused.value.hint)


def test_the_registry_loads_no_parser_of_hostile_files() -> None:
    """Importing the recipes, as the server does, brings in neither PDFium nor lxml."""
    script = (
        "import sys, nexus_graph.atoms.recipes; print([m for m in ('pypdfium2', 'lxml', 'docx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
