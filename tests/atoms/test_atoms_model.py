"""Spans, ids, parameters and limits."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from nexus_graph.atoms.model import LeftOut, Limits, Omission, Parameter, Params, Recipe, Span, atom_id, collect
from nexus_graph.atoms.recipes import RECIPES, recipe_named
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
    assert len(collect(recipe, data, {}, Limits(atoms=2, text_bytes=4)).drafts) == 2
    with pytest.raises(Invalid, match="more than 1 atoms"):
        collect(recipe, data, {}, Limits(atoms=1))
    with pytest.raises(Invalid, match="more than 3 bytes of text"):
        collect(recipe, data, {}, Limits(text_bytes=3))


def test_what_is_left_out_is_counted_by_kind_and_place() -> None:
    """One place counts once; of many places the first are named; a kind without a word is an error of ours."""

    def derive(data: bytes, params: Params) -> Iterator[LeftOut]:
        yield from (LeftOut("page", f"page {number}") for number in (*range(30), *range(20)))

    leaves_out = {"page": Omission("{place} has no text layer")}
    recipe = Recipe("x.y", "1", "X", "Nothing.", frozenset(), {}, derive, leaves_out=leaves_out)
    [omitted] = collect(recipe, b"", {}, Limits()).left_out
    assert (omitted.places[0], len(omitted.places), omitted.count) == ("page 0", 20, 30)
    told = recipe.tell([omitted])
    assert told.startswith("page 0 has no text layer; page 1 has no text layer; ")
    assert told.endswith("; and 10 more of this kind")
    with pytest.raises(ValueError, match="no word for leaving out 'page'"):
        collect(replace(recipe, leaves_out={}), b"", {}, Limits())


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
