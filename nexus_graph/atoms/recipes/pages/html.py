"""HTML, read by the rules of the HTML standard, errors and all, as browsers do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from nexus_graph.atoms.decoding import Lines
from nexus_graph.atoms.model import LeftOut
from nexus_graph.atoms.recipes.pages.blocks import Block, Page
from nexus_graph.atoms.recipes.pages.outline import Outline, needed
from nexus_graph.atoms.recipes.pages.places import Places
from nexus_graph.atoms.recipes.pages.visitor import Visitor

if TYPE_CHECKING:
    from turbohtml import Document

_FOREIGN: Final = frozenset({"svg", "math"})
_DECLARATION: Final = "?xml "
"""Of XML, which is a comment in HTML."""

_PREFIXES: Final = {"HTML": "", "SVG": "svg:", "MATHML": "math:"}


def read(source: str, lines: Lines) -> list[Block | LeftOut]:
    """The blocks of a page, in the order of its source, after what it leaves out. Every text is a page."""
    import turbohtml  # here, so that only a worker ever loads a parser of hostile files

    document = turbohtml.parse(source, scripting=True, allow_declarative_shadow_roots=False)
    outline = Outline()
    if needed(source):
        _walk(document, None, outline)
    places, page = Places(source, lines), Page(source, lines, outline)
    _walk(document, places, page)
    if (at := places.cut_off()) is not None:
        page.aside("cut off", at)
    found = page.finish()
    blocks = [item for item in found if isinstance(item, Block)]
    return [*(item for item in found if isinstance(item, LeftOut)), *_in_order(blocks)]


def _walk(document: Document, places: Places | None, visitor: Visitor) -> None:
    """Tell a visitor all that a document holds; without places, texts are passed over. Depth costs no recursion."""
    from turbohtml import Doctype, DocumentFragment, Element, Text

    open_: list[Iterator[Any]] = [iter(document.children)]
    names: list[str] = []
    foreign = 0
    while open_:
        for node in open_[-1]:
            kind = type(node)
            if kind is Text:
                if places is not None:
                    said = node.data
                    start, end = (places.at, places.at) if said.isspace() else places.text(said)
                    visitor.text(said, start, end)
            elif kind is Element:
                name = node.tag
                if foreign or name in _FOREIGN:
                    foreign += 1
                    name = _PREFIXES[node.namespace.name] + name
                start, end = (0, 0) if places is None else places.tag(name, node.position)
                visitor.enter(name, node.attrs, start, end)
                names.append(name)
                open_.append(iter(node.children))
                break
            elif kind is DocumentFragment:  # the content of a template
                visitor.enter("", {}, 0, 0)
                names.append("")
                open_.append(iter(node.children))
                foreign += foreign > 0
                break
            elif places is not None and kind is not Doctype:
                at = places.aside()
                if not node.data.startswith(_DECLARATION):
                    visitor.aside("comment", at)
        else:
            open_.pop()
            if names:
                visitor.leave(names.pop())
                foreign -= foreign > 0


def _in_order(blocks: list[Block]) -> Iterator[Block]:
    """The blocks in the order of the source, which is not always that of the page; those of one place are one."""
    last: Block | None = None
    for block in sorted(blocks, key=lambda block: (block.start, block.end)):
        if last is not None and (last.start, last.end) == (block.start, block.end):
            last = Block(last.kind, f"{last.text}\n{block.text}", last.start, last.end)
            continue
        if last is not None:
            yield last
        last = block
    if last is not None:
        yield last
