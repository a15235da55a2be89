"""HTML: the text of each block as a reader of the page sees it, with the place of its source.

The canonical text is the decoded source, tags and all. A span runs from the first to the last piece of text of its
block in that source, with whatever tags stand between. The page is parsed by the HTML standard, so that errors in it
mean what they mean to a browser. See `pages.blocks` for what the text of a block is.

A table gives an atom for each row, its cells parted by tabs: a value stands in the first of the columns that its cell
spans, a nested table within its cell. Rows of a table with header cells repeat those. Tables that only lay out a page
are none: see `pages.outline`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import cast

from nexus_graph.atoms.decoding import Decoded, Lines, decode
from nexus_graph.atoms.model import Draft, LeftOut, Params, Recipe, Span
from nexus_graph.atoms.recipes.pages import html
from nexus_graph.atoms.recipes.pages.blocks import Block
from nexus_graph.atoms.recipes.pages.omissions import LEAVES_OUT
from nexus_graph.atoms.recipes.text import CHARSET
from nexus_graph.scope.errors import Invalid

_DECLARED = re.compile(rb"""<meta\s[^>]{0,200}?charset\s*=\s*["']?([\w:.-]{1,40})""", re.IGNORECASE)


def decode_html(data: bytes, params: Params) -> Decoded:
    """The source; a charset declared in the first 1,024 bytes counts when the parameters tell none.

    One that nobody knows is passed over, as browsers do.
    """
    declared = cast("str | None", params.get("charset"))
    if declared is None and (found := _DECLARED.search(data[:1024])):
        try:
            return decode(data, found[1].decode("ascii", "replace"))
        except Invalid:
            return decode(data)
    return decode(data, declared)


def blocks(data: bytes, params: Params) -> Iterator[Draft | LeftOut]:
    """The blocks of the page, in the order of the source."""
    source = decode_html(data, params).text
    lines = Lines(source)
    yield from drafts(lines, html.read(source, lines))


def drafts(lines: Lines, found: Iterable[Block | LeftOut]) -> Iterator[Draft | LeftOut]:
    """The blocks of one source as drafts."""
    ordinal = 0
    for item in found:
        if isinstance(item, LeftOut):
            yield item
            continue
        span = Span(item.start, item.end, line=lines.number(item.start), end_line=lines.number(item.end - 1))
        yield Draft(ordinal, span, item.text, item.kind)
        ordinal += 1


BLOCKS = Recipe(
    op="html.blocks",
    version="2",
    reads="HTML",
    purpose="One atom for the text of each heading, paragraph, list item, table row and other block that is seen.",
    content_types=frozenset({"text/html"}),
    extensions=dict.fromkeys(("html", "htm"), "text/html"),
    derive=blocks,
    decode=decode_html,
    parameters=CHARSET,
    leaves_out=LEAVES_OUT,
)
