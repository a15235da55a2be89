"""EPUB 2 and 3: the blocks of each chapter, in the order of the spine.

The canonical text is the text of all blocks with a line feed between them; a chapter is read as a page of its own, and
`part` is its path inside the book, beside the lines that the block has there. The table of contents counts where it is
a chapter itself.

A chapter that breaks the rules of XML is told, and read as browsers read HTML. Told as left out: chapters that are
missing, encrypted or no pages (pictures, drawings), and pages that the spine does not name.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from nexus_graph.atoms.decoding import unreadable
from nexus_graph.atoms.model import Draft, LeftOut, Omission, Params, Recipe, Span
from nexus_graph.atoms.recipes import html_blocks, xhtml_blocks
from nexus_graph.atoms.recipes.packages import Package
from nexus_graph.scope.errors import Invalid

_READS = "EPUB"
_HINT = "Open it in a reader of books, and save it again."
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = frozenset({"application/xhtml+xml", "text/html", "application/x-dtbook+xml"})


@dataclass(frozen=True, slots=True)
class _Item:
    """A file of the book."""

    path: str
    media_type: str
    navigation: bool


def _local(element: Any) -> str:
    """The name of an element without its namespace; "" of a comment."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _named(tree: Any, name: str) -> list[Any]:
    return [element for element in tree.iter() if _local(element) == name]


def _package_path(book: Package) -> str:
    if _CONTAINER not in book:
        raise unreadable(_READS, f"it has no {_CONTAINER}", hint=_HINT)
    for root in _named(book.tree(_CONTAINER), "rootfile"):
        path = root.get("full-path")
        if path and path in book:
            return str(path)
    raise unreadable(_READS, "its package document is missing", hint=_HINT)


def _encrypted(book: Package) -> frozenset[str]:
    if _ENCRYPTION not in book:
        return frozenset()
    references = _named(book.tree(_ENCRYPTION), "CipherReference")
    return frozenset(unquote(reference.get("URI", "")).lstrip("/") for reference in references)


def _items(package: Any, folder: str) -> dict[str, _Item]:
    """The manifest, by id."""
    found: dict[str, _Item] = {}
    for item in _named(package, "item"):
        path = posixpath.normpath(posixpath.join(folder, unquote(item.get("href", ""))))
        media_type, properties = item.get("media-type", ""), item.get("properties", "").split()
        found[item.get("id", "")] = _Item(path, media_type.strip().lower(), "nav" in properties)
    return found


def _chapters(book: Package) -> Iterator[_Item | LeftOut]:
    """The pages in the order of the spine, each once; what the spine can't show, and pages that it does not name."""
    path = _package_path(book)
    package = book.tree(path)
    items = _items(package, posixpath.dirname(path))
    encrypted, told = _encrypted(book), set[str]()
    for reference in _named(package, "itemref"):
        item = items.get(reference.get("idref", ""))
        if item is None or item.path not in book:
            yield LeftOut("missing chapter", item.path if item else str(reference.get("idref", "")))
        elif item.path in told:
            continue
        elif item.path in encrypted:
            yield LeftOut("encrypted chapter", item.path)
        elif item.media_type not in _PAGES:
            yield LeftOut("picture", item.path)
        else:
            yield item
        told.add(item.path if item else "")
    for item in items.values():
        if item.media_type in _PAGES and item.path not in told:
            yield LeftOut("table of contents" if item.navigation else "other page", item.path)


def chapters(data: bytes, params: Params) -> Iterator[Draft | LeftOut]:
    """The blocks of all chapters."""
    book = Package(data, _READS, hint=_HINT)
    start = ordinal = 0
    for chapter in _chapters(book):
        if isinstance(chapter, LeftOut):
            yield chapter
            continue
        for found in _blocks(book, chapter):
            if isinstance(found, LeftOut):
                yield replace(found, place=f"{chapter.path}, {found.place}" if found.place else chapter.path)
                continue
            end = start + len(found.text)
            span = Span(start, end, line=found.span.line, end_line=found.span.end_line, part=chapter.path)
            yield Draft(ordinal, span, found.text, found.kind)
            start, ordinal = end + 1, ordinal + 1


def _blocks(book: Package, chapter: _Item) -> Iterator[Draft | LeftOut]:
    data = book.read(chapter.path)
    if chapter.media_type != "text/html":
        try:
            yield from [*xhtml_blocks.blocks(data, {"charset": None})]
            return
        except Invalid:
            yield LeftOut("malformed chapter")
    try:
        yield from html_blocks.blocks(data, {"charset": None})
    except Invalid as error:
        raise unreadable(_READS, f"its chapter {chapter.path[:100]!r} is broken: {error}", hint=_HINT) from None


CHAPTERS = Recipe(
    op="epub.chapters",
    version="1",
    reads=_READS,
    purpose="One atom for each heading, paragraph, list item, table row and other block of each chapter.",
    content_types=frozenset({"application/epub+zip"}),
    extensions={"epub": "application/epub+zip"},
    derive=chapters,
    leaves_out={
        **html_blocks.BLOCKS.leaves_out,
        "encrypted chapter": Omission("the chapter {place} is encrypted"),
        "malformed chapter": Omission("the chapter {place} breaks the rules of XML, and was read as HTML"),
        "missing chapter": Omission("the chapter {place} is missing"),
        "picture": Omission("{place} is no page of text"),
        "other page": Omission("the page {place} is not in the book's order of reading"),
        "table of contents": Omission("the table of contents ({place})", intended=True),
    },
)
