"""CSV and its relatives: each record as a canonical JSON object, keyed by the names of the first record.

The delimiter, unless told, is the one of comma, semicolon, tab and vertical bar that stands most often outside quotes
in the first line that is not blank (the earlier in this list on a tie; a comma where there is none). Quotes are double,
and doubled inside quotes. All values are strings. A nameless or repeated column is named "column N" by its 1-based
place, and so are cells beyond the names; cells that a short record lacks are left out.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import cast

from nexus_graph.atoms.decoding import Lines, unreadable
from nexus_graph.atoms.model import Draft, Parameter, Params, Recipe, Span
from nexus_graph.atoms.recipes.text import CHARSET, decode_declared
from nexus_graph.scope.canonical import canonical

_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}

_RENAME = "Give each column a name of its own."

FIELD_LIMIT = 2**20
"""Characters in one cell; more is most likely a quote that was never closed."""


class _Reader:
    """The records of a text, each with the place where it stood: `start` to `end`, without its last line feed."""

    def __init__(self, text: str, delimiter: str) -> None:
        csv.field_size_limit(FIELD_LIMIT)  # a setting of the whole process, so it is always set to the same
        self._text = text
        self._bounds = [*Lines(text).starts, len(text) + 1]
        self._read = 0
        self._records = csv.reader(self._feed(), delimiter=delimiter, strict=True)

    def _feed(self) -> Iterator[str]:
        for start, after in zip(self._bounds, self._bounds[1:], strict=False):
            self._read += 1
            if start < len(self._text):
                yield self._text[start:after]

    def __iter__(self) -> Iterator[tuple[list[str], Span]]:
        row = 0
        while True:
            first = self._read
            try:
                cells = next(self._records, None)
            except csv.Error as error:
                hint = "Is a quote left open, or not doubled inside a quoted cell?"
                raise unreadable("CSV", str(error), hint=hint, line=first + 1, column=1) from None
            if cells is None:
                return
            row += 1
            start, end = self._bounds[first], min(self._bounds[self._read] - 1, len(self._text))
            yield cells, Span(start, end, line=first + 1, end_line=self._read, row=row)


def _delimiter(text: str, told: str) -> str:
    if told != "auto":
        return _DELIMITERS[told]
    line = next((line for line in text.split("\n", 1000) if line.strip()), "")
    outside = "".join(line.split('"')[::2])
    return max(_DELIMITERS.values(), key=outside.count)


def _names(cells: list[str]) -> list[str]:
    """The names of the columns; `column N` where a cell is blank or says what an earlier one said."""
    stripped = [cell.strip() for cell in cells]
    names: list[str] = []
    seen: set[str] = set()
    for number, name in enumerate(stripped, 1):
        unique = name if name and name not in seen else _numbered(number)
        names.append(unique)
        seen.add(unique)
    if len(seen) < len(names):
        raise unreadable("CSV", "its first record repeats a name", hint=_RENAME)
    return names


def _numbered(number: int) -> str:
    return f"column {number}"


def rows(data: bytes, params: Params) -> Iterator[Draft]:
    """The records after the names; blank records are passed over, but counted."""
    text = decode_declared(data, params).text
    names: list[str] | None = None if params["header"] else []
    ordinal = 0
    for cells, span in _Reader(text, _delimiter(text, cast("str", params["delimiter"]))):
        if not any(cell.strip() for cell in cells):
            continue
        if names is None:
            names = _names(cells)
            continue
        beyond = [_numbered(number) for number in range(len(names) + 1, len(cells) + 1)]
        record = dict(zip([*names, *beyond], cells, strict=False))
        if len(record) < len(cells):
            raise unreadable("CSV", "it has a cell whose name is taken", hint=_RENAME, line=span.line, column=1)
        yield Draft(ordinal, span, canonical(record).decode(), "row")
        ordinal += 1


ROWS = Recipe(
    op="csv.rows",
    version="1",
    reads="CSV",
    purpose="One atom for each record, as a JSON object; rows count the record of names as row 1.",
    content_types=frozenset({"text/csv", "application/csv", "text/tab-separated-values"}),
    extensions={"csv": "text/csv", "tsv": "text/tab-separated-values"},
    derive=rows,
    decode=decode_declared,
    parameters={
        **CHARSET,
        "delimiter": Parameter("auto", "What separates cells.", choices=("auto", *_DELIMITERS)),
        "header": Parameter(True, "Whether the first record that is not blank names the columns."),
    },
)
