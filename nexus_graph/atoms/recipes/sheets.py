"""Workbooks (xlsx and its relatives, xls, ods): each row of a sheet as a canonical JSON object, keyed by its header.

The header of a sheet is the first row that fills at least half as many cells as most rows do, and reaches as far, or
stands right above one that does; but only where one of its cells is a text. What stands above it (a title, metadata) is
kept as rows of their own, and so are the names where a column holds nothing else. A nameless or repeated column is
named "column C" by its letters. Blank cells are left out. Several tables on a sheet are not told apart.

A cell says what a reader takes it for: formulas by their stored values, dates as ISO dates, numbers with all digits, as
their formats mean them (see `number_formats`), TRUE and FALSE, errors such as #REF!. What merged
cells say stands in each of their rows, under their first column. Comments and text boxes, and in xlsx the texts at the
top and bottom of printed pages, follow the rows of their sheet.

Sheets, rows and columns that are hidden (by a filter, too) are left out, unless asked for. The canonical text is the
texts of all atoms, with a line feed between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from nexus_graph.atoms.decoding import unreadable
from nexus_graph.atoms.model import Draft, LeftOut, Omission, Parameter, Params, Recipe, Span
from nexus_graph.atoms.recipes.grids import Ranges, Row, Sheet, cell_name, column_letters, runs
from nexus_graph.atoms.recipes.kinds import OLD_WORKBOOK, OPEN_SHEET, WORKBOOK
from nexus_graph.atoms.recipes.packages import Package
from nexus_graph.atoms.recipes.records import Columns, Outline, header_place

READS = "a workbook"

_HINT = "Open it in a spreadsheet program, and save it anew, without a password."


@dataclass(frozen=True, slots=True)
class _Found:
    """A draft without its place in the canonical text."""

    kind: str
    text: str
    row: int | None = None
    cell: str | None = None
    part: str | None = None


def rows(data: bytes, params: Params) -> Iterator[Draft | LeftOut]:
    """The rows of all sheets, and what else is written on them."""
    hidden, header = bool(params["hidden"]), bool(params["header"])
    start = ordinal = 0
    try:
        for sheet in _sheets(data, hidden=hidden):
            if isinstance(sheet, LeftOut):
                yield sheet
                continue
            for found in chain(_grid(sheet, header=header, hidden=hidden), _pieces(sheet, hidden=hidden)):
                if isinstance(found, LeftOut):
                    yield found
                    continue
                end = start + len(found.text)
                span = Span(start, end, row=found.row, sheet=sheet.name, cell=found.cell, part=found.part)
                yield Draft(ordinal, span, found.text, found.kind)
                start, ordinal = end + 1, ordinal + 1
    except (LookupError, ValueError, AttributeError, TypeError, ArithmeticError) as error:
        raise unreadable(READS, "its parts do not make one", hint=_HINT) from error


def _sheets(data: bytes, *, hidden: bool) -> Iterator[Sheet | LeftOut]:
    """The sheets, in order; a hidden one is only told, unless `hidden` ones are asked for."""
    # The readers load parsers of hostile files, so only a worker ever imports them.
    if data.startswith(b"PK"):
        package = Package(data, READS, hint=_HINT)
        if "content.xml" in package:
            from nexus_graph.atoms.recipes.open_document_sheets import read as read_open_document

            return read_open_document(package, hidden=hidden)
        from nexus_graph.atoms.recipes.open_xml_sheets import read as read_open_xml

        return read_open_xml(package, hidden=hidden)
    from nexus_graph.atoms.recipes.old_sheets import read as read_old

    return read_old(data, hidden=hidden)


def _grid(sheet: Sheet, *, header: bool, hidden: bool) -> Iterator[_Found | LeftOut]:
    """The rows of a sheet."""
    shown = [*sheet.filled_rows()]
    if not hidden:
        rows, columns = Ranges(sheet.hidden_rows), Ranges(sheet.hidden_columns)
        for first, last in runs(row.number for row in sheet.rows if row.number in rows):
            yield LeftOut("hidden", f"{sheet.place}, {_some('row', str(first), str(last))}")
        gone = (
            {column for row in sheet.rows for column in row.cells if column in columns} if sheet.hidden_columns else ()
        )
        for first, last in runs(gone):
            yield LeftOut("hidden", f"{sheet.place}, {_some('column', column_letters(first), column_letters(last))}")
        shown = [row for row in shown if row.number not in rows]
        if gone:
            cut = (
                Row(row.number, {c: text for c, text in row.cells.items() if c not in columns}, row.wordy)
                for row in shown
            )
            shown = [row for row in cut if row.cells]
    place = header_place([Outline.of(row.number, row.cells) for row in shown]) if header else None
    if place is not None and not shown[place].wordy:
        place = None
    above = Columns({}, _lettered, READS)
    for row in shown[:place] if place is not None else shown:
        yield _row(row, above)
    if place is None:
        return
    names, below = shown[place], shown[place + 1 :]
    if not names.cells.keys() <= {column for row in below for column in row.cells}:
        yield _row(names, Columns({}, _lettered, READS), "names")
    columns_named = Columns(dict(sorted(names.cells.items())), _lettered, READS)
    for row in below:
        yield _row(row, columns_named)


def _row(row: Row, columns: Columns, kind: str = "row") -> _Found:
    first, last = cell_name(row.number, min(row.cells)), cell_name(row.number, max(row.cells))
    return _Found(kind, columns.record(row.cells), row.number, first if first == last else f"{first}:{last}")


def _pieces(sheet: Sheet, *, hidden: bool) -> Iterator[_Found | LeftOut]:
    """What else is written on a sheet, and what was met there and not read."""
    rows, columns = Ranges(sheet.hidden_rows), Ranges(sheet.hidden_columns)
    for piece in sheet.pieces:
        cell = cell_name(piece.row, piece.column) if piece.row and piece.column else None
        if not hidden and (piece.row in rows or piece.column in columns):
            yield LeftOut("hidden", f"{sheet.place}, cell {cell}")
        elif piece.text.strip():
            yield _Found(piece.kind, piece.text.strip(), piece.row, cell, piece.part)
    yield from sheet.left_out


def _some(noun: str, first: str, last: str) -> str:
    return f"{noun} {first}" if first == last else f"{noun}s {first} to {last}"


def _lettered(column: int) -> str:
    return f"column {column_letters(column)}"


ROWS = Recipe(
    op="sheets.rows",
    version="1",
    reads="workbooks (xlsx, xls, ods)",
    purpose="One atom for each row of a sheet, as a JSON object, and for each comment and text box.",
    content_types=frozenset({WORKBOOK, OLD_WORKBOOK, OPEN_SHEET}),
    extensions={
        **dict.fromkeys(("xlsx", "xlsm", "xltx", "xltm"), WORKBOOK),
        **dict.fromkeys(("xls", "xlt"), OLD_WORKBOOK),
        **dict.fromkeys(("ods", "ots"), OPEN_SHEET),
    },
    derive=rows,
    parameters={
        "header": Parameter(True, "Whether a row of each sheet names its columns."),
        "hidden": Parameter(False, "Whether hidden sheets, rows and columns are read, too."),
    },
    leaves_out={
        "hidden": Omission("{place}: hidden", intended=True),
        "formula": Omission("{place}: a formula without a stored value"),
        "chart": Omission("{place}: a chart"),
        "picture": Omission("{place}: a picture"),
        "object": Omission("{place}: an embedded object, diagram or control"),
        "macro": Omission("{place}: a sheet of macros, or a dialog"),
    },
)
