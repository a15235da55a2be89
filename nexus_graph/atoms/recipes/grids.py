"""Sheets of a workbook as grids of texts: what a reader of xlsx, xls or ods files makes of each, whatever the format.

Rows and columns are counted from 1. What is blank is not there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from nexus_graph.atoms.model import LeftOut

MOST_ROWS = 2**20
MOST_COLUMNS = 2**14
"""As many as Excel and LibreOffice have."""


@dataclass(slots=True)
class Row:
    """The cells of a row that hold something, by column."""

    number: int
    cells: dict[int, str]
    wordy: bool
    """Whether one of them is a text, rather than a number, date or truth value."""


@dataclass(frozen=True, slots=True)
class Merge:
    """Cells that are one; what it says stands in the first."""

    first_row: int
    first_column: int
    last_row: int
    last_column: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A text that is no cell: a comment, a text box, what stands at the top or bottom of each page."""

    kind: str
    text: str
    row: int | None = None
    column: int | None = None
    part: str | None = None


@dataclass(slots=True)
class Sheet:
    """A sheet. `rows` come in order; hidden rows and columns are told as ranges, first and last."""

    name: str
    rows: list[Row] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    hidden_rows: list[tuple[int, int]] = field(default_factory=list)
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def place(self) -> str:
        """The sheet, as a reader would say it."""
        return sheet_place(self.name)

    def leave_out(self, what: str, row: int | None = None, column: int | None = None) -> None:
        """Note that something was met and not read, at a cell where it has one."""
        at = f", cell {cell_name(row, column)}" if row is not None and column is not None else ""
        self.left_out.append(LeftOut(what, f"{self.place}{at}"))

    def filled_rows(self) -> Iterator[Row]:
        """The rows, with what a merge that began further up says in each of its rows, under its first column.

        A row that holds nothing else stays away, so that a merge of a million rows costs nothing.
        """
        merges = sorted(
            (merge for merge in self.merges if merge.last_row > merge.first_row), key=lambda merge: merge.first_row
        )
        reaching: dict[int, tuple[int, str]] = {}
        begun = 0
        for row in self.rows:
            reaching = {column: said for column, said in reaching.items() if said[0] >= row.number}
            above = {column: text for column, (_, text) in reaching.items() if column not in row.cells}
            while begun < len(merges) and merges[begun].first_row <= row.number:
                merge = merges[begun]
                if merge.first_row == row.number and merge.first_column in row.cells:
                    reaching[merge.first_column] = (merge.last_row, row.cells[merge.first_column])
                begun += 1
            yield Row(row.number, row.cells | above, row.wordy) if above else row


class Ranges:
    """Whole numbers in ranges, which may overlap."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        ordered = sorted(ranges)
        self._firsts = [first for first, _ in ordered]
        self._lasts = [*accumulate((last for _, last in ordered), max)]

    def __contains__(self, number: int | None) -> bool:
        before = 0 if number is None else bisect_right(self._firsts, number)
        return number is not None and before > 0 and self._lasts[before - 1] >= number


def runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of neighbours."""
    first = last = None
    for number in sorted(numbers):
        if last is not None and number == last + 1:
            last = number
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = number
    if first is not None and last is not None:
        yield first, last


def column_letters(column: int) -> str:
    """The name of a column: 1 is A, 27 is AA."""
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def column_number(letters: str) -> int:
    """The column of a name."""
    number = 0
    for letter in letters.upper():
        number = 26 * number + ord(letter) - ord("A") + 1
    return number


def cell_name(row: int, column: int) -> str:
    """The name of a cell: "B2"."""
    return f"{column_letters(column)}{row}"


def sheet_place(name: str) -> str:
    """A sheet, as a reader would say it."""
    return f"sheet '{name}'"
