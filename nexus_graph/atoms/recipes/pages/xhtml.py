"""XHTML, read by the rules of XML, as browsers do: a page that breaks them is refused."""

from __future__ import annotations

from typing import Final

from nexus_graph.atoms.decoding import Lines
from nexus_graph.atoms.model import LeftOut
from nexus_graph.atoms.recipes.pages.blocks import Block, Page
from nexus_graph.atoms.recipes.pages.outline import Outline, needed
from nexus_graph.atoms.recipes.pages.visitor import Visitor
from nexus_graph.atoms.recipes.xml_source import TAG, XmlSource

_PREFIXES: Final = {
    "http://www.w3.org/1999/xhtml": "",
    "http://www.w3.org/2000/svg": "svg:",
    "http://www.w3.org/1998/Math/MathML": "math:",
}


def read(source: str, lines: Lines) -> list[Block | LeftOut]:
    """The blocks of a page in its order, and what it leaves out. Raises Invalid with line and column."""
    outline = Outline()
    if needed(source):
        _tell(source, outline)
    page = Page(source, lines, outline)
    _tell(source, page)
    return page.finish()


def _tell(source: str, visitor: Visitor) -> None:
    """Tell a visitor all that a page holds."""
    xml = XmlSource(source, "XHTML", namespaces=True, html_entities=True)

    def enter(name: str, attributes: dict[str, str]) -> None:
        start = xml.here()
        tag = TAG.match(source, start)
        visitor.enter(_named(name), attributes, start, tag.end() if tag else xml.end_of("<", start))

    def text(said: str) -> None:
        start = xml.here()
        visitor.text(said, start, xml.end_of(said, start))

    xml.parser.StartElementHandler = enter
    xml.parser.EndElementHandler = lambda name: visitor.leave(_named(name))
    xml.parser.CharacterDataHandler = text
    xml.parser.CommentHandler = lambda said: visitor.aside("comment", xml.here())
    xml.parser.ProcessingInstructionHandler = lambda target, said: visitor.aside("comment", xml.here())
    xml.parse()


def _named(name: str) -> str:
    """A name as visitors know it; names without a namespace are taken for HTML's."""
    namespace, parted, local = name.rpartition(" ")
    return local if not parted else _PREFIXES.get(namespace, "?:") + local
