"""The recipes: which there are, and which one a file takes.

In: a file, its name and its declared type. Out: its kind, and a recipe. Where several recipes read a kind, the first is
the usual one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nexus_graph.atoms.model import Recipe
from nexus_graph.atoms.recipes import (
    delimited,
    epub,
    html_blocks,
    json_lines,
    json_pointers,
    kinds,
    mail,
    markdown,
    pdf,
    sheets,
    slides,
    text,
    toml_pointers,
    word,
    xhtml_blocks,
    xml_elements,
    yaml_pointers,
)
from nexus_graph.atoms.recipes.kinds import Kind
from nexus_graph.scope.errors import Invalid

__all__ = ["RECIPES", "Kind", "content_type_of", "kind_of", "recipe_for", "recipe_named"]

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.op: recipe
        for recipe in (
            text.PARAGRAPHS,
            markdown.SECTIONS,
            markdown.BLOCKS,
            html_blocks.BLOCKS,
            xhtml_blocks.BLOCKS,
            xml_elements.ELEMENTS,
            delimited.ROWS,
            json_pointers.POINTERS,
            json_lines.RECORDS,
            yaml_pointers.POINTERS,
            toml_pointers.POINTERS,
            pdf.PAGES,
            slides.SLIDES,
            word.PARAGRAPHS,
            epub.CHAPTERS,
            mail.PARTS,
            sheets.ROWS,
        )
    }
)

_NAMED = {**kinds.KEPT, **{name: kind for recipe in RECIPES.values() for name, kind in recipe.extensions.items()}}
_READERS = {kind: recipe.op for recipe in reversed([*RECIPES.values()]) for kind in recipe.content_types}
_KNOWN = frozenset(_NAMED.values()) | _READERS.keys()


def content_type_of(filename: str) -> str:
    """The content type that the extension of `filename` tells; application/octet-stream where it tells none."""
    return _NAMED.get(kinds.extension(filename), kinds.UNKNOWN)


def kind_of(data: bytes, filename: str, declared: str) -> Kind:
    """What kind of file it is, whatever is declared, and why. Looks at its bytes, and parses nothing."""
    return kinds.decide(data, filename, declared, _NAMED, _KNOWN)


def recipe_for(kind: Kind) -> Recipe | None:
    """The usual recipe of a kind, or None."""
    op = _READERS.get(kind.media_type)
    return None if op is None else RECIPES[op]


def recipe_named(op: str) -> Recipe:
    """The recipe of this name. Raises Invalid."""
    if op not in RECIPES:
        hint = f"Recipes: {', '.join(RECIPES)}."
        raise Invalid(f"There is no recipe {op[:60]!r}.", hint=hint, path=("op",))
    return RECIPES[op]
