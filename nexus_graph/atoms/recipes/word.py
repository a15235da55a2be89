"""Word (docx): the paragraphs and tables of the body, in order.

The canonical text is the text of these blocks with a line feed between them. In a paragraph, tabs and line breaks are
kept; in a table, cells are joined by tabs and rows by line feeds. Insertions under review count as text, deletions do
not. Headers, footers, notes and comments are left out.

A docx is a zip of XML files: it is measured (see `packages`) before python-docx opens it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from nexus_graph.atoms.decoding import unreadable
from nexus_graph.atoms.model import Draft, Params, Recipe, Span
from nexus_graph.atoms.recipes.packages import check_package

_READS = "docx"
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_GONE = frozenset({f"{_W}del", f"{_W}moveFrom", f"{_W}pPr", f"{_W}rPr", _FALLBACK})
_SIGNS = {
    f"{_W}tab": "\t",
    f"{_W}br": "\n",
    f"{_W}cr": "\n",
    f"{_W}noBreakHyphen": "-",
    f"{_W}p": "\n",  # of a text box inside a paragraph
}
_WRAPPERS = frozenset(f"{_W}{name}" for name in ("sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag"))


def paragraphs(data: bytes, params: Params) -> Iterator[Draft]:
    """Headings, paragraphs and tables that hold text."""
    start = ordinal = 0
    for kind, text in _blocks(data):
        end = start + len(text)
        if text.strip():
            yield Draft(ordinal, Span(start, end), text, kind)
            ordinal += 1
        start = end + 1


def _blocks(data: bytes) -> Iterator[tuple[str, str]]:
    """Kind and text of each block of the body."""
    check_package(data, _READS, hint="An encrypted or old .doc file? Open it in a word processor, and save it as docx.")
    import docx  # here, so that only a worker ever loads a parser of hostile files
    from docx.opc.exceptions import OpcError
    from lxml.etree import XMLSyntaxError  # type: ignore[import-untyped]

    try:
        document = docx.Document(io.BytesIO(data))
        styles = {style.style_id: style.name or "" for style in document.styles}
        body = document.element.body
    except (OpcError, XMLSyntaxError, KeyError, ValueError, AttributeError, TypeError) as error:
        hint = "Open it in a word processor, and save it as docx."
        raise unreadable(_READS, "its parts do not make a Word document", hint=hint) from error
    for block in _children(body, f"{_W}p", f"{_W}tbl"):
        if block.tag == f"{_W}tbl":
            yield "table", _table(block)
        else:
            style = block.find(f"{_W}pPr/{_W}pStyle")
            name = styles.get(style.get(f"{_W}val"), "") if style is not None else ""
            yield "heading" if name == "Title" or name.startswith("Heading") else "paragraph", _text(block)


def _children(parent: Any, *names: str) -> Iterator[Any]:
    """The children of these names, also those inside content controls and revisions.

    Recursion is bounded here and below: libxml2 refuses documents deeper than 256.
    """
    for child in parent:
        if child.tag in names:
            yield child
        elif child.tag in _WRAPPERS:
            yield from _children(child, *names)


def _table(table: Any) -> str:
    """Rows by line feeds, cells by tabs; a cell is one line, with whatever is nested in it."""
    return "\n".join(
        "\t".join(" ".join(_text(cell).split()) for cell in _children(row, f"{_W}tc"))
        for row in _children(table, f"{_W}tr")
    )


def _text(element: Any) -> str:
    return "".join(_pieces(element)).replace("\r", "\n").strip("\n")


def _pieces(element: Any) -> Iterator[str]:
    """The text of a paragraph or cell, in order."""
    for child in element:
        if child.tag == f"{_W}t":
            yield child.text or ""
        elif child.tag not in _GONE:
            yield _SIGNS.get(child.tag, "")
            yield from _pieces(child)


PARAGRAPHS = Recipe(
    op="docx.paragraphs",
    version="1",
    reads=_READS,
    purpose="One atom for each heading, paragraph and table of the body.",
    content_types=frozenset({"application/vnd.openxmlformats-officedocument.wordprocessingml.document"}),
    extensions={"docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    derive=paragraphs,
)
