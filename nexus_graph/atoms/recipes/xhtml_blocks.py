"""XHTML: the text of each block as a reader of the page sees it, with the place of its source.

As `html_blocks` in all but the rules of the source, which are those of XML: elements close themselves, CDATA is text,
names are written small, and the first error is told with line and column instead of being mended. The named entities
of HTML mean what they mean there, whatever the document type.
"""

from __future__ import annotations

from collections.abc import Iterator

from nexus_graph.atoms.decoding import Lines
from nexus_graph.atoms.model import Draft, LeftOut, Params, Recipe
from nexus_graph.atoms.recipes.html_blocks import drafts
from nexus_graph.atoms.recipes.pages import xhtml
from nexus_graph.atoms.recipes.pages.omissions import LEAVES_OUT
from nexus_graph.atoms.recipes.text import CHARSET
from nexus_graph.atoms.recipes.xml_source import decode_xml
from nexus_graph.scope.errors import Invalid

_HINT = "Mend it there, or name html.blocks as the recipe, which reads it as browsers read HTML."


def blocks(data: bytes, params: Params) -> Iterator[Draft | LeftOut]:
    """The blocks of the page, in the order of the source."""
    source = decode_xml(data, params).text
    lines = Lines(source)
    try:
        found = xhtml.read(source, lines)
    except Invalid as error:
        raise Invalid(error.message, hint=_HINT, line=error.line, column=error.column) from None
    yield from drafts(lines, found)


BLOCKS = Recipe(
    op="xhtml.blocks",
    version="1",
    reads="XHTML",
    purpose="One atom for the text of each heading, paragraph, list item, table row and other block that is seen.",
    content_types=frozenset({"application/xhtml+xml"}),
    extensions=dict.fromkeys(("xhtml", "xht"), "application/xhtml+xml"),
    derive=blocks,
    decode=decode_xml,
    parameters=CHARSET,
    leaves_out=LEAVES_OUT,
)
