"""How a delimited text is cut into records and cells, and how that is found out."""

from __future__ import annotations

import csv
import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Any

from nexus_graph.atoms.decoding import Lines, unreadable
from nexus_graph.atoms.model import Span
from nexus_graph.scope.errors import Invalid

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}

FIELD_LIMIT = 2**20
"""Characters in one cell; more is most likely a quote that was never closed."""

TRIED = 1000
"""So many records are looked at to find out how a text is laid out."""

_NO_DELIMITER = "\0"  # no canonical text holds it
_SEP_LINE = re.compile(r'(?P<quote>"?)sep=(?P<sign>\\t|[^\n"])(?P=quote)[;,]*\n', re.IGNORECASE)
_ALL_IN_SINGLE_QUOTES = re.compile(r"'[^'\"]*'(?:[,;\t|] *'[^'\"]*')*")
_ESCAPED = re.compile(r'\\([\\"])')
_NO_FIT = (0.0, 0.0, 0)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How records are cut into cells."""

    delimiter: str
    quote: str = '"'
    padded: bool = False
    """Whether blanks before a cell are passed over."""
    escaped: bool = False
    """Whether a backslash escapes a quote or a backslash."""


class Table:
    """A delimited text. A first line `sep=;`, as Excel knows it, is no part of the table: `told` is its delimiter."""

    def __init__(self, text: str) -> None:
        sep = _SEP_LINE.match(text)
        self.text = text
        self.told = None if sep is None else sep["sign"].replace("\\t", "\t")
        self._first = 0 if sep is None else 1
        self._bounds = [*Lines(text).starts, len(text) + 1]

    def first_line(self) -> str:
        """The first line that is not blank, without white space around it."""
        found = re.compile(r"\S").search(self.text, self._bounds[self._first])
        if found is None:
            return ""
        return self.text[found.start() :].partition("\n")[0].strip()

    def records(self, dialect: Dialect) -> Iterator[tuple[list[str], Span]]:
        """The records that are not blank, and where each stands, without its last line feed. Rows count blank ones too.

        Raises Invalid for bad quoting, and for a cell of more than `FIELD_LIMIT` characters.
        """
        rows = self._reader(dialect, strict=True)
        for row in count(1):
            first = self._first + rows.line_num
            try:
                cells = next(rows, None)
            except csv.Error as error:
                hint = "Is a quote left open, or not doubled inside a quoted cell?"
                raise unreadable("CSV", str(error), hint=hint, line=first + 1, column=1) from None
            if cells is None:
                return
            if "".join(cells).strip():
                last = self._first + rows.line_num
                span = Span(self._bounds[first], self._bounds[last] - 1, line=first + 1, end_line=last, row=row)
                yield [cell.replace("\\\\", "\\") for cell in cells] if dialect.escaped else cells, span

    def check(self, dialect: Dialect) -> None:
        """Raise Invalid, as `records` does, unless all can be read."""
        try:
            deque(self._reader(dialect, strict=True), maxlen=0)
        except csv.Error:
            deque(self.records(dialect), maxlen=0)  # knows the place

    def widths(self, dialect: Dialect) -> list[int] | None:
        """How many cells the first records have that are not blank; None where one of them can't be read."""
        rows = (cells for cells in self._reader(dialect, strict=False) if "".join(cells).strip())
        try:
            return [len(cells) for cells in islice(rows, TRIED)]
        except csv.Error:
            return None

    def _reader(self, dialect: Dialect, *, strict: bool) -> Any:
        csv.field_size_limit(FIELD_LIMIT)  # a setting of the whole process, so it is always set to the same
        return csv.reader(
            self._lines(dialect),
            delimiter=dialect.delimiter,
            quotechar=dialect.quote,
            skipinitialspace=dialect.padded,
            strict=strict,
        )

    def _lines(self, dialect: Dialect) -> Iterator[str]:
        for number in range(self._first, len(self._bounds) - 1):
            line = self.text[self._bounds[number] : self._bounds[number + 1]]
            if line:
                yield _ESCAPED.sub(_doubled, line) if dialect.escaped else line


def _doubled(match: re.Match[str]) -> str:
    """An escaped quote as a doubled one, which is as long: places stay what they are."""
    return '""' if match[1] == '"' else match[0]


def find(table: Table, delimiter: str | None) -> Dialect:
    """The first dialect that the whole table can be read in, with this delimiter or the one that fits best.

    Raises Invalid, for the plainest dialect, where there is none.
    """
    plain = Dialect("", "'" if _ALL_IN_SINGLE_QUOTES.fullmatch(table.first_line()) else '"')
    tried = [plain, replace(plain, escaped=True)] if '\\"' in table.text else [plain]
    if delimiter != " " and re.search(r"[,;\t|] +" + plain.quote, table.text) is not None:
        tried = [one for dialect in tried for one in (replace(dialect, padded=True), dialect)]
    faults: list[Invalid] = []
    for dialect in tried:
        found = replace(dialect, delimiter=delimiter or _delimiter(table, dialect))
        try:
            table.check(found)
        except Invalid as error:
            faults.append(error)
        else:
            return found
    raise faults[0]


def _delimiter(table: Table, dialect: Dialect) -> str:
    fits = {sign: _fit(table, replace(dialect, delimiter=sign)) for sign in DELIMITERS.values() if sign in table.text}
    best = max(fits, key=fits.__getitem__, default=_NO_DELIMITER)
    return best if fits.get(best, _NO_FIT) > _NO_FIT else _NO_DELIMITER


def _fit(table: Table, dialect: Dialect) -> tuple[float, float, int]:
    """How well a delimiter fits: the share of records that it splits, how equally, and into how many cells."""
    widths = table.widths(dialect) or []
    split = Counter(width for width in widths if width > 1)
    if not split:
        return _NO_FIT
    usual = max(split, key=lambda width: (split[width], width))
    below = widths[widths.index(usual) :]
    if 2 * split.total() < len(widths) and (len(below) < 2 or 10 * split[usual] < 9 * len(below)):
        return _NO_FIT
    return split.total() / len(widths), split[usual] / len(widths), usual
