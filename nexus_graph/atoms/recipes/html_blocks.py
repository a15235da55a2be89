"""HTML: the text of each block, with the place of its source.

The canonical text is the decoded source, tags and all. A span runs from the first to the last piece of text of its
block in that source, with whatever tags stand between; the text is what a reader sees: character references resolved,
white space collapsed (kept in `pre`), the cells of a row joined by tabs. `script`, `style` and `template` are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import cast

from nexus_graph.atoms.decoding import Decoded, Lines, decode
from nexus_graph.atoms.model import Draft, Params, Recipe, Span
from nexus_graph.atoms.recipes.text import CHARSET

_KINDS = {"title": "title", "pre": "code", "li": "item", "tr": "row", "blockquote": "quote", "caption": "caption"}
_KINDS |= {f"h{level}": "heading" for level in range(1, 7)}
_PARAGRAPHS = (
    "address article aside body center dd details dialog div dl dt fieldset figcaption figure footer form head header "
    "hr html legend main menu nav ol option p section select summary table tbody textarea tfoot thead ul"
)
_KINDS |= dict.fromkeys(_PARAGRAPHS.split(), "paragraph")
_DROPPED = frozenset({"script", "style", "template"})
_CELLS = frozenset({"td", "th"})

_DECLARED = re.compile(rb"""<meta\s[^>]{0,200}?charset\s*=\s*["']?([\w:.-]{1,40})""", re.IGNORECASE)


def decode_html(data: bytes, params: Params) -> Decoded:
    """The source; a charset declared in the first 1,024 bytes counts when the parameters tell none."""
    declared = cast("str | None", params.get("charset"))
    if declared is None and (found := _DECLARED.search(data[:1024])):
        declared = found[1].decode("ascii", "replace")
    return decode(data, declared)


class _Blocks(HTMLParser):
    """Collects one draft a block: any start or end of a block-level element ends the block before it."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.drafts: list[Draft] = []
        self._source = source
        self._lines = Lines(source)
        self._dropping = 0
        self._in_row = False
        self._begin("paragraph")
        self.feed(source)
        self.close()
        self._settle(len(source))
        self._flush()

    def _begin(self, kind: str) -> None:
        self._kind = kind
        self._cells: list[list[str]] = [[]]
        self._start = self._end = -1
        self._open = False

    def _here(self) -> int:
        line, column = self.getpos()
        return self._lines.starts[line - 1] + column

    def _settle(self, here: int) -> None:
        """The piece of text that was read last ends here: its length in the source is not its length as text."""
        if self._open:
            self._end, self._open = here, False

    def _flush(self, kind: str = "paragraph") -> None:
        """Keep the block that was collected, and begin one of `kind`."""
        cells = [
            "".join(cell) for cell in self._cells[self._kind == "row" :]
        ]  # what stands before a first cell is layout
        if self._kind == "code":
            text = "\t".join(cells).strip("\n").rstrip()
        else:
            text = "\t".join(" ".join(cell.split()) for cell in cells)
        if text.strip():
            raw = self._source[self._start : self._end]
            start, end = self._start + len(raw) - len(raw.lstrip()), self._start + len(raw.rstrip())
            line, end_line = self._lines.number(start), self._lines.number(end - 1)
            span = Span(start, end, line=line, end_line=end_line)
            self.drafts.append(Draft(len(self.drafts), span, text, self._kind))
        self._begin(kind)

    def handle_data(self, data: str) -> None:
        here = self._here()
        self._settle(here)
        if self._dropping:
            return
        self._cells[-1].append(data)
        if data.strip():
            self._start = here if self._start < 0 else self._start
            self._open = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._settle(self._here())
        if tag in _DROPPED:
            self._dropping += 1
        elif tag == "br":
            self._cells[-1].append("\n")
        elif tag in _CELLS and self._in_row:
            self._cells.append([])
        elif tag in _KINDS:
            self._boundary(tag, opens=True)

    def handle_endtag(self, tag: str) -> None:
        self._settle(self._here())
        if tag in _DROPPED:
            self._dropping = max(0, self._dropping - 1)
        elif tag in _KINDS:
            self._boundary(tag, opens=False)

    def _boundary(self, tag: str, *, opens: bool) -> None:
        if self._in_row and tag not in ("tr", "table"):
            self._cells[-1].append("\n")  # a paragraph in a cell is a part of its row
            return
        self._in_row = tag == "tr" and opens
        self._flush(_KINDS[tag] if opens else "paragraph")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)  # in HTML the slash of `<p/>` and `<script/>` says nothing

    def handle_comment(self, data: str) -> None:
        self._settle(self._here())

    def handle_decl(self, decl: str) -> None:
        self._settle(self._here())

    def handle_pi(self, data: str) -> None:
        self._settle(self._here())

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        """Read `<![...>` as browsers do, as a comment; the inherited method fails on unknown words."""
        return self.parse_bogus_comment(i, bool(report))


def blocks(data: bytes, params: Params) -> Iterator[Draft]:
    """The blocks of the page, in the order of the source."""
    yield from _Blocks(decode_html(data, params).text).drafts


BLOCKS = Recipe(
    op="html.blocks",
    version="1",
    reads="HTML",
    purpose="One atom for the text of each heading, paragraph, list item, table row and other block.",
    content_types=frozenset({"text/html", "application/xhtml+xml"}),
    extensions={"html": "text/html", "htm": "text/html", "xhtml": "application/xhtml+xml"},
    derive=blocks,
    decode=decode_html,
    parameters=CHARSET,
)
