"""The blocks of a page: headings, paragraphs, items, rows, as a reader sees them.

The text of a block has its white space collapsed (kept in `pre`), line breaks where the page breaks lines, and none of
the signs that only help a browser (soft hyphens, zero-width spaces). What a browser prints by itself is printed: the
numbers of ordered lists, quotation marks of `q`, ticks of check boxes, ruby in parentheses, raised figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nexus_graph.atoms.decoding import Lines
from nexus_graph.atoms.model import LeftOut
from nexus_graph.atoms.recipes.pages import controls
from nexus_graph.atoms.recipes.pages.elements import BLOCKS, EMBEDDED, KEPT, KINDS, UNSEEN
from nexus_graph.atoms.recipes.pages.outline import NUMBERED, Outline
from nexus_graph.atoms.recipes.pages.signs import BREAK, Formula, Numbers, collapsed, kept, raised
from nexus_graph.atoms.recipes.pages.tables import Table


@dataclass(frozen=True, slots=True)
class Block:
    """The text of a block, and where in the source it stands: from its first to its last piece."""

    kind: str
    text: str
    start: int
    end: int


class Page:
    """A visitor that collects the blocks of a page; `take` gives what is ready."""

    def __init__(self, source: str, lines: Lines, outline: Outline) -> None:
        self._source = source
        self._lines = lines
        self._outline = outline
        self._numbers = dict.fromkeys(NUMBERED, 0)
        self._ready: list[Block | LeftOut] = []
        self._unseen = 0
        """How many elements are open since the one that is not shown, with it."""
        self._kinds = ["paragraph"]
        self._kept = 0
        self._raised = 0
        self._pending = ""
        """What is printed before the next text."""
        self._lists: list[Numbers | None] = []
        self._option = 0
        self._formula: Formula | None = None
        self._table: Table | None = None
        self._pieces: list[str] = []
        self._start = self._end = -1

    def take(self) -> list[Block | LeftOut]:
        """What was found since the last time."""
        ready, self._ready = self._ready, []
        return ready

    def finish(self) -> list[Block | LeftOut]:
        """What was found since the last time, now that the page is over."""
        self._flush()
        return self.take()

    def enter(self, name: str, attributes: Mapping[str, str], start: int, end: int) -> None:
        """See `Visitor`."""
        if name in self._numbers:
            self._numbers[name] += 1
        if self._unseen or self._is_unseen(name, attributes, start):
            self._unseen += 1
            return
        if self._formula is not None or name == "math:math":
            self._formula = self._formula or Formula()
            self._pieces.append(self._formula.enter(name.removeprefix("math:")))
        if name in BLOCKS:
            self._enter_block(name, attributes)
        elif name == "br":
            self._pieces.append(BREAK)
        elif name == "option":
            self._pieces.append(" ")
        elif name == "select":
            self._option = 0
        elif name == "input":
            self._enter_control(attributes, start, end)
        elif name == "sup":
            self._raised += 1
        elif name == "q":
            self._pending += "“"
        elif name == "rt":
            self._pending += "("
        elif name in ("img", "svg:image"):
            if "alt" not in attributes:
                self.aside("picture", start)
        elif name in EMBEDDED:
            self.aside("embedded", start)
        elif name == "meta" and controls.describes_page(attributes):
            self.aside("metadata", start)

    def leave(self, name: str) -> None:
        """See `Visitor`."""
        if self._unseen:
            self._unseen -= 1
            return
        if self._formula is not None:
            self._pieces.append(self._formula.leave())
            self._formula = None if self._formula.over else self._formula
        if name in BLOCKS:
            self._leave_block(name)
        elif name == "sup":
            self._raised -= 1
        elif name == "q":
            self._close("“", "”")
        elif name == "rt":
            self._close("(", ")")

    def text(self, said: str, start: int, end: int) -> None:
        """See `Visitor`."""
        if self._unseen:
            return
        if said.isspace():
            if self._formula is None:
                self._pieces.append(said)
            return
        if self._formula is not None:
            said = " ".join(said.split())
        elif self._raised:
            said = raised(said)
        self._say(said, start, end)

    def aside(self, what: str, at: int) -> None:
        """See `Visitor`."""
        self._ready.append(LeftOut(what, f"line {self._lines.number(at)}"))

    def _is_unseen(self, name: str, attributes: Mapping[str, str], at: int) -> bool:
        """Whether an element is not shown; tells that, and texts in the attributes of one that is."""
        what = UNSEEN.get(name)
        if name == "option":
            shown = self._outline.shows(self._numbers["select"], self._option)
            what = what if shown else "option"
            self._option += 1
        if what is None and controls.tells(attributes):
            if controls.is_hidden(attributes):
                what = "hidden"
            elif controls.says_something(attributes):
                self.aside("attribute", at)
        elif name == "iframe" and attributes.get("srcdoc"):
            what = "frame"
        if what:
            self.aside(what, at)
        return what is not None

    def _enter_block(self, name: str, attributes: Mapping[str, str]) -> None:
        table = self._table
        if table is not None and table.in_cell:
            self._pieces.append(BREAK)
            table.nested += name == "table"
        elif table is not None:
            if not table.in_row:
                self._flush()
            if not table.nested:
                self._enter_table_part(table, name, attributes)
        else:
            self._flush()
            if name == "table" and not self._outline.is_layout(self._numbers["table"]):
                self._table = Table()
        self._kinds.append(KINDS.get(name, self._kinds[-1]))
        self._kept += name in KEPT
        if name in ("ol", "ul", "menu"):
            items = self._outline.items(self._numbers["ol"])
            self._lists.append(Numbers(attributes, items) if name == "ol" else None)
        elif name == "li" and self._lists and (numbers := self._lists[-1]) is not None:
            self._pending += numbers.take(attributes.get("value"))

    def _enter_table_part(self, table: Table, name: str, attributes: Mapping[str, str]) -> None:
        if name == "tr":
            table.begin_row()
        elif name in ("td", "th"):
            self._pieces = table.begin_cell(attributes, names=name == "th")
        elif name in ("thead", "tbody", "tfoot"):
            table.group(name)
        elif name == "table":
            table.nested += 1

    def _leave_block(self, name: str) -> None:
        table = self._table
        if name in ("ol", "ul", "menu"):
            self._lists.pop()
        elif name == "li":
            self._pending = ""
        if table is None or (not table.nested and not table.in_row):
            self._flush()
        if table is not None:
            self._leave_table_part(table, name)
        self._kinds.pop()
        self._kept -= name in KEPT

    def _leave_table_part(self, table: Table, name: str) -> None:
        if table.nested:
            table.nested -= name == "table"
            self._pieces.append(BREAK)
        elif name in ("td", "th"):
            table.end_cell()
            self._pieces = []
        elif name == "tr":
            self._end_row(table)
        elif name in ("thead", "tbody", "tfoot"):
            table.group("")
        elif name == "table":
            self._end_row(table)
            self._table = None
        else:
            self._pieces.append(BREAK)

    def _end_row(self, table: Table) -> None:
        line = table.end_row()
        if line and self._start >= 0:
            self._keep("row", line)
        self._begin()

    def _enter_control(self, attributes: Mapping[str, str], start: int, end: int) -> None:
        if controls.holds_password(attributes):
            self.aside("password", start)
        if (value := controls.shown(attributes)).strip():
            self._say(value, start, end)

    def _begin(self) -> None:
        self._pieces = []
        self._start = self._end = -1

    def _say(self, said: str, start: int, end: int) -> None:
        """Add a text that is not blank to the block or cell that is open."""
        if self._table is not None and self._table.in_row and not self._table.in_cell:
            self._pieces = self._table.begin_cell({}, names=False)
        if self._pending:
            self._pieces.append(self._pending)
            self._pending = ""
        self._pieces.append(said)
        if self._start < 0:
            self._start = start
        self._end = max(self._end, end)

    def _close(self, opens: str, closes: str) -> None:
        """Close what `opens` opened, or forget it where nothing was said since."""
        if self._pending.endswith(opens):
            self._pending = self._pending.removesuffix(opens)
        else:
            self._pieces.append(closes)

    def _flush(self) -> None:
        """Keep the block that was collected, and begin another."""
        if self._start >= 0 and (text := kept(self._pieces) if self._kept else collapsed(self._pieces)):
            self._keep(self._kinds[-1], text)
        self._begin()

    def _keep(self, kind: str, text: str) -> None:
        """Keep a block, without white space around its place; what stands nowhere takes one character."""
        raw = self._source[self._start : self._end]
        start, end = self._start + len(raw) - len(raw.lstrip()), self._start + len(raw.rstrip())
        if start >= end:
            end = min(start + 1, len(self._source))
            start = end - 1
        self._ready.append(Block(kind, text, start, end))
