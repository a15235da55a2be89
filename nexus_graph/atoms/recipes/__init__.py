"""The recipes: which there are, and which one a file takes.

In: a content type and a file name. Out: a recipe. Nothing here looks into a file, nor at the machine's own tables of
types: the same name gives the same answer everywhere. A content type that several recipes read takes the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nexus_graph.atoms.model import Recipe
from nexus_graph.atoms.recipes import delimited, html_blocks, json_pointers, markdown, pdf, text, word
from nexus_graph.scope.errors import Invalid

__all__ = ["RECIPES", "content_type_of", "recipe_for", "recipe_named"]

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.op: recipe
        for recipe in (
            text.PARAGRAPHS,
            markdown.SECTIONS,
            markdown.BLOCKS,
            html_blocks.BLOCKS,
            delimited.ROWS,
            json_pointers.POINTERS,
            pdf.PAGES,
            word.PARAGRAPHS,
        )
    }
)

_UNKNOWN = "application/octet-stream"

_CONTENT_TYPES = {
    **dict.fromkeys(text.PARAGRAPHS.extensions, "text/plain"),
    **dict.fromkeys(markdown.SECTIONS.extensions, "text/markdown"),
    **dict.fromkeys(html_blocks.BLOCKS.extensions, "text/html"),
    **dict.fromkeys(json_pointers.POINTERS.extensions, "application/json"),
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    # Kept as they are: no recipe reads these, but whoever downloads them should be told what they are.
    "doc": "application/msword",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "svg": "image/svg+xml",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "mp4": "video/mp4",
    "xml": "application/xml",
    "zip": "application/zip",
}

# Types that say little: what many clients send for any file, so that the name may know better.
_VAGUE = frozenset({_UNKNOWN, "text/plain", ""})


def content_type_of(filename: str) -> str:
    """The content type that the extension of `filename` tells; application/octet-stream where it tells none."""
    return _CONTENT_TYPES.get(_extension(filename), _UNKNOWN)


def recipe_for(content_type: str, filename: str) -> Recipe | None:
    """The default recipe of a content type (its parameters, such as charset, are passed over), or None.

    For text/plain and application/octet-stream the extension of `filename` decides first.
    """
    essence = content_type.partition(";")[0].strip().lower()
    named = content_type_of(filename)
    wanted = named if essence in _VAGUE and named != _UNKNOWN else essence
    return next((recipe for recipe in RECIPES.values() if wanted in recipe.content_types), None)


def recipe_named(op: str) -> Recipe:
    """The recipe of this name. Raises Invalid."""
    if op not in RECIPES:
        hint = f"Recipes: {', '.join(RECIPES)}."
        raise Invalid(f"There is no recipe {op[:60]!r}.", hint=hint, path=("op",))
    return RECIPES[op]


def _extension(filename: str) -> str:
    stem, dot, extension = filename.rpartition(".")
    return extension.lower() if dot and stem else ""
