"""altChunk: a file of another kind that Word reads into the document when it opens it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from nexus_graph.atoms.model import Attachment, Draft, LeftOut, Omitted, Recipe
from nexus_graph.atoms.recipes import kinds
from nexus_graph.atoms.recipes.word.names import R
from nexus_graph.atoms.recipes.word.omissions import CHUNK, MISSING, UNUSED
from nexus_graph.atoms.recipes.word.text import Block, Found, Story
from nexus_graph.scope.errors import Invalid

if TYPE_CHECKING:
    from nexus_graph.atoms.recipes.word.reader import Reader

_READ: Final = frozenset({"text/html", "application/xhtml+xml", kinds.PLAIN, kinds.WORD})


def read(reader: Reader, element: Any, story: Story) -> Iterator[Found]:
    """What the recipe for its kind reads in an altChunk, as blocks of a part of their own; or word of it.

    One in a document that is an altChunk itself is told, and not read.
    """
    relation = reader.parts.relations(story.source).get(element.get(f"{R}id", ""))
    if relation is None or relation.outside or relation.target not in reader.parts:
        yield LeftOut(MISSING, f"with an altChunk in {story.place}")
        return
    name = relation.target
    found = _found(reader, name) if reader.whole else None
    yield from [LeftOut(CHUNK, name)] if found is None else found


def _found(reader: Reader, name: str) -> list[Found] | None:
    """What is read in a part; None where nothing can be."""
    from nexus_graph.atoms.recipes import kind_of, recipe_for  # here: they know this recipe

    data, declared = reader.parts.read(name), reader.parts.content_type(name)
    kind = kind_of(data, name.rpartition("/")[2], declared)
    recipe = recipe_for(kind) if kind.media_type in _READ else None
    unsure = kind.media_type == kinds.PLAIN and not declared.startswith(kinds.PLAIN) and not name.endswith(".txt")
    if recipe is None or unsure:  # a text of another kind (RTF, MHT) is no plain text
        return None
    try:
        if kind.media_type == kinds.WORD:
            inner = type(reader)(data, whole=False)
            return [_inner(found, name) for found in inner.document()]
        read = recipe.derive(data, recipe.complete({}))
        return [_told(recipe, found, name) for found in read if not isinstance(found, Attachment)]
    except Invalid:
        return None


def _inner(found: Block | LeftOut, name: str) -> Found:
    if isinstance(found, LeftOut):
        return LeftOut(found.what, f"{found.place} of {name}" if found.place else "")
    return Block(found.kind, found.text, name)


def _told(recipe: Recipe, found: Draft | LeftOut, name: str) -> Found:
    """What another recipe found, in the words of this one."""
    if isinstance(found, Draft):
        return Block(found.kind, found.text, name)
    words = recipe.tell([Omitted(found.what, (found.place,), 1)])
    intended = recipe.leaves_out[found.what].intended
    return LeftOut(UNUSED if intended else CHUNK, f"{name}: {words}")
