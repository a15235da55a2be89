"""Tables as grids: each value under its column, whatever the cells above and before it span (HTML standard, 4.9.12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nexus_graph.atoms.recipes.pages.signs import collapsed, integer

_WIDEST: Final = 1000
_TALLEST: Final = 65_534
_LAST: Final = 16_384
"""The last column, as in workbooks; what stands beyond it follows without places of its own."""
_REPEATED: Final = 1000
"""Characters of header rows that each row of a table repeats; longer ones stand once."""


@dataclass(frozen=True, slots=True)
class _Cell:
    text: str
    width: int
    height: int
    names: bool
    """Whether it is a header cell."""


class Table:
    """The rows of one table, in order. A value stands in the first of the columns that its cell spans."""

    def __init__(self) -> None:
        self.nested = 0
        """How many tables are open inside of this one."""
        self._reaching: list[tuple[int, int, int]] = []
        """First column, column after the last, and rows still to come: of cells that reach into the next row."""
        self._names: list[str] = []
        self._in_head = False
        self._beyond_head = False
        self._row: list[_Cell] | None = None
        self._cell: tuple[list[str], Mapping[str, str], bool] | None = None

    @property
    def in_row(self) -> bool:
        """Whether a row is open."""
        return self._row is not None

    @property
    def in_cell(self) -> bool:
        """Whether a cell is open."""
        return self._cell is not None

    def group(self, name: str) -> None:
        """A group of rows begins or ends: no cell reaches across."""
        self._reaching = []
        self._in_head = name == "thead"

    def begin_row(self) -> None:
        """A row begins."""
        self._row = []

    def begin_cell(self, attributes: Mapping[str, str], *, names: bool) -> list[str]:
        """A cell begins, `names` if it is a header cell; where the pieces of its text are to be put."""
        self.end_cell()
        self._row = self._row or []
        self._cell = ([], attributes, names)
        return self._cell[0]

    def end_cell(self) -> None:
        """The cell that is open, if any, ends. Its spans are kept within the bounds that browsers keep."""
        if self._cell is None or self._row is None:
            return
        pieces, attributes, names = self._cell
        width = min(integer(attributes.get("colspan"), 1), _WIDEST)
        height = min(integer(attributes.get("rowspan"), 1), _TALLEST)
        text = " ".join(collapsed(pieces).split())
        self._row.append(_Cell(text, width if width > 0 else 1, height if height >= 0 else 1, names))
        self._cell = None

    def end_row(self) -> str:
        """The row that is open, as one line, cells parted by tabs, after the header rows where they are repeated.

        "" where there is none, and for a blank one.
        """
        self.end_cell()
        row, self._row = self._row, None
        line = "" if row is None else self._line(row).rstrip()
        if not line or row is None:
            return ""
        if self._in_head or (not self._beyond_head and all(cell.names for cell in row)):
            self._names.append(line)
            return line
        self._beyond_head = True
        names = "\n".join(self._names)
        return f"{names}\n{line}" if names and len(names) <= _REPEATED else line

    def _line(self, row: list[_Cell]) -> str:
        above = iter(self._reaching)
        over = next(above, None)
        reaching: list[tuple[int, int, int]] = []
        column, written, line = 0, 0, list[str]()
        for cell in row:
            while over is not None and over[0] <= column:
                column = max(column, over[1])
                reaching.append(over)
                over = next(above, None)
            column = min(column, _LAST)
            line += ("\t" * max(column - written, min(len(line), 1)), cell.text)
            written = column
            if cell.height != 1:
                reaching.append((column, column + cell.width, cell.height or _TALLEST))
            column += cell.width
        while over is not None:
            reaching.append(over)
            over = next(above, None)
        self._reaching = [(first, last, left - 1) for first, last, left in sorted(reaching) if left > 1]
        return "".join(line)
