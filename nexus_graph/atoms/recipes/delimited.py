"""CSV and its relatives: each record as a canonical JSON object, keyed by the names of the columns.

A first line `sep=;` tells the delimiter, as in Excel, and is no record. Otherwise, unless told, it is found by trying
comma, semicolon, tab and vertical bar on the first thousand records: the one that splits most of them, then into the
most equal number of cells, then into the most cells. None does where it splits less than half of them, unless what
stands below the first that it splits is a table: then each line is one cell.

The names are the first record that fills at least half as many cells as most records do, and reaches as far, or stands
right above one that does; what stands above them (a title, metadata) is kept as well. A nameless or repeated column is
named "column N" by its 1-based place, and so are cells beyond the names; cells that a short record lacks are left out,
and so are blank cells of nameless columns. Where no record is as long as the names, they are an atom of their own.

Quotes are double, and doubled inside quotes; single, where they enclose all cells of the first line. Blanks before a
quoted cell are passed over, and `\\"` is a quote, each where the whole file can be read so. `="001"` is 001, as in
Excel. All values are strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import cast

from nexus_graph.atoms.model import Draft, Parameter, Params, Recipe, Span
from nexus_graph.atoms.recipes.dialects import DELIMITERS, TRIED, Dialect, Table, find
from nexus_graph.atoms.recipes.records import Columns, Outline, header_place
from nexus_graph.atoms.recipes.text import CHARSET, decode_declared

_TSV = "text/tab-separated-values"
_FORMULA = re.compile(r'="([^"]*)"')

_Record = tuple[dict[int, str], Span]
"""The cells of a record by column, which are counted from 1, and its place."""
_Piece = tuple[Span, str, str]
"""Place, text and kind of a draft."""


def rows(data: bytes, params: Params) -> Iterator[Draft]:
    """The records that are not blank; all are counted, the names as well."""
    table = Table(decode_declared(data, params).text)
    told = cast("str", params["delimiter"])
    dialect = find(table, table.told if told == "auto" else DELIMITERS[told])
    pieces = _named(table, dialect) if params["header"] else _nameless(_records(table, dialect))
    yield from (Draft(ordinal, *piece) for ordinal, piece in enumerate(pieces))


def _named(table: Table, dialect: Dialect) -> Iterator[_Piece]:
    sample = islice(_records(table, dialect), TRIED)
    place = header_place([Outline.of(span.row or 0, _without(cells, set())) for cells, span in sample])
    records = _records(table, dialect)
    if place is None:
        yield from _nameless((_without(cells, set()), span) for cells, span in records)
        return
    yield from _nameless((_without(cells, set()), span) for cells, span in islice(records, place))
    names, span = next(records)
    named = {column for column, name in names.items() if name.strip()}
    if all(max(cells) < max(named) for cells, _ in islice(_records(table, dialect), place + 1, None)):
        yield span, Columns({}, _numbered, "CSV").record(_without(names, set())), "names"
    columns = Columns(names, _numbered, "CSV")
    for cells, span in records:
        yield span, columns.record(_without(cells, named)), "row"


def _nameless(records: Iterator[_Record]) -> Iterator[_Piece]:
    columns = Columns({}, _numbered, "CSV")
    return ((span, columns.record(cells), "row") for cells, span in records)


def _records(table: Table, dialect: Dialect) -> Iterator[_Record]:
    formulas = '="' in table.text
    for cells, span in table.records(dialect):
        yield dict(enumerate(map(_value, cells) if formulas else cells, 1)), span


def _without(cells: dict[int, str], named: set[int]) -> dict[int, str]:
    """The cells but for blank ones outside of `named` columns."""
    return {column: cell for column, cell in cells.items() if column in named or cell.strip()}


def _value(cell: str) -> str:
    formula = _FORMULA.fullmatch(cell) if cell.startswith("=") else None
    return cell if formula is None else formula[1]


def _numbered(column: int) -> str:
    return f"column {column}"


ROWS = Recipe(
    op="csv.rows",
    version="2",
    reads="CSV",
    purpose="One atom for each record, as a JSON object; rows count the record of names as row 1.",
    content_types=frozenset({"text/csv", "application/csv", _TSV}),
    extensions={"csv": "text/csv", "tsv": _TSV, "tab": _TSV},
    derive=rows,
    decode=decode_declared,
    parameters={
        **CHARSET,
        "delimiter": Parameter("auto", "What separates cells.", choices=("auto", *DELIMITERS)),
        "header": Parameter(True, "Whether a record names the columns."),
    },
    hints={_TSV: {"delimiter": "tab"}},
)
