"""Reads sheets from xls (Excel 97 to 2003, and older), as xlrd gives them.

What xlrd passes over is found by a walk over the records ([MS-XLS] 2.1.4): sheets that are charts or macros, text
boxes, pictures, and formulas that wait for a program to compute them. This file loads xlrd (read in version 2.0.2), so
only a worker imports it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import xlrd
from xlrd.compdoc import CompDoc, CompDocError

from nexus_graph.atoms.decoding import unreadable
from nexus_graph.atoms.model import LeftOut
from nexus_graph.atoms.recipes.grids import Merge, Piece, Row, Sheet, sheet_place
from nexus_graph.atoms.recipes.number_formats import number_format

READS = "xls"

_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BOFS = frozenset({0x0009, 0x0209, 0x0409, 0x0809})
_EOF, _BOUND_SHEET, _FORMULA, _OBJECT, _TEXT, _CONTINUE = 0x000A, 0x0085, 0x0006, 0x005D, 0x01B6, 0x003C
_CHART, _TEXT_BOX, _PICTURE = 0x05, 0x06, 0x08
# Groups, lines, arrows of filters and comments, which hold nothing or are read elsewhere.
_PASSED_OVER = frozenset({0x00, 0x01, 0x04, 0x14, 0x19})
_SHAPES = frozenset({0x02, 0x03, _TEXT_BOX, 0x09, 0x1E})
_OTHER_SHEETS = {1: "macro", 2: "chart", 6: "macro"}


class _Nowhere:
    """Where xlrd prints to."""

    def write(self, text: str) -> int:
        """Forget it."""
        return len(text)


@dataclass(slots=True)
class _Part:
    """What the records tell of a sheet."""

    name: str
    kind: int
    hidden: bool
    boxes: list[str] = field(default_factory=list)
    met: list[str] = field(default_factory=list)
    uncomputed: set[tuple[int, int]] = field(default_factory=set)


def read(data: bytes, *, hidden: bool) -> Iterator[Sheet | LeftOut]:
    """The sheets, in order; a hidden one is only told, unless `hidden` ones are asked for. Raises Invalid."""
    try:
        options = {"logfile": _Nowhere(), "formatting_info": True, "on_demand": True, "ragged_rows": True}
        book = xlrd.open_workbook(file_contents=data, **options)
        numbers = iter(range(book.nsheets))
        parts = _parts(data) or [_Part(name, 0, hidden=False) for name in book.sheet_names()]
        for part in parts:
            number = None if part.kind in _OTHER_SHEETS else next(numbers)
            if part.hidden and not hidden:
                yield LeftOut("hidden", sheet_place(part.name))
            elif number is None:
                yield LeftOut(_OTHER_SHEETS[part.kind], sheet_place(part.name))
            else:
                yield _sheet(book, book.sheet_by_index(number), part)
                book.unload_sheet(number)
    except (xlrd.XLRDError, CompDocError, struct.error, AssertionError, StopIteration) as error:
        encrypted = "encrypted" in str(error).lower()
        reason = "it is encrypted" if encrypted else "its records do not make a workbook"
        hint = "Open it in a spreadsheet program, and save it without a password as xlsx."
        raise unreadable(READS, reason, hint=hint) from error


def _sheet(book: Any, source: Any, part: _Part) -> Sheet:
    sheet = Sheet(source.name)
    sheet.hidden_rows = [(row + 1, row + 1) for row, about in sorted(source.rowinfo_map.items()) if about.hidden]
    sheet.hidden_columns = [(column + 1, column + 1) for column, about in source.colinfo_map.items() if about.hidden]
    sheet.merges = [Merge(top + 1, left + 1, bottom, right) for top, bottom, left, right in source.merged_cells]
    for row in range(source.nrows):
        cells: dict[int, str] = {}
        wordy = False
        for column in range(source.row_len(row)):
            if (row, column) in part.uncomputed:
                sheet.leave_out("formula", row + 1, column + 1)
                continue
            text = _told(book, source.cell(row, column))
            if text.strip():
                cells[column + 1] = text
                wordy = wordy or source.cell_type(row, column) == xlrd.XL_CELL_TEXT
        if cells:
            sheet.rows.append(Row(row + 1, cells, wordy))
    for (row, column), note in sorted(source.cell_note_map.items()):
        sheet.pieces.append(Piece("comment", _lines(note.text), row + 1, column + 1))
    sheet.pieces += (Piece("text_box", _lines(text)) for text in part.boxes)
    for what in part.met:
        sheet.leave_out(what)
    return sheet


def _told(book: Any, cell: Any) -> str:
    if cell.ctype == xlrd.XL_CELL_TEXT:
        return _lines(cell.value)
    if cell.ctype in (xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE):
        code = book.format_map[book.xf_list[cell.xf_index].format_key].format_str
        return number_format(code).show(cell.value, since_1904=book.datemode == 1)
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return "TRUE" if cell.value else "FALSE"
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return str(xlrd.error_text_from_code.get(cell.value, "#ERROR"))
    return ""


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _parts(data: bytes) -> list[_Part]:
    """The sheets as the records tell them; none in files from before Excel 5, which hold one sheet."""
    stream = data
    if data.startswith(_COMPOUND):
        compound = CompDoc(data, logfile=_Nowhere())
        stream = compound.get_named_stream("Workbook") or compound.get_named_stream("Book") or b""
    parts: list[_Part] = []
    for code, at, _ in _records(stream, 0):
        if code == _BOUND_SHEET:
            place, state, kind, length, flags = struct.unpack_from("<IBBBB", stream, at)
            wide = bool(flags & 1)
            start = at + 8
            name = stream[start : start + length * (2 if wide else 1)].decode(
                "utf-16-le" if wide else "latin-1", "replace"
            )
            part = _Part(name, kind, hidden=bool(state & 3))
            _look(part, stream, place)
            parts.append(part)
    return parts


def _records(stream: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Code, place and size of each record from `at` to the end of what begins there."""
    depth = 0
    while at + 4 <= len(stream):
        code, size = struct.unpack_from("<HH", stream, at)
        yield code, at + 4, size
        depth += (code in _BOFS) - (code == _EOF)
        at += 4 + size
        if depth <= 0:
            return


def _look(part: _Part, stream: bytes, place: int) -> None:
    """Look for objects, and for formulas whose value is yet to be computed, among the records of a sheet."""
    kind: int | None = None
    text_left = 0
    for code, at, size in _records(stream, place):
        if code == _OBJECT and size >= 6:
            (kind,) = struct.unpack_from("<H", stream, at + 4)
            if kind not in _PASSED_OVER | _SHAPES:
                part.met.append({_CHART: "chart", _PICTURE: "picture"}.get(kind, "object"))
        elif code == _TEXT and size >= 12:
            (text_left,) = struct.unpack_from("<H", stream, at + 10)
            text_left = text_left if kind in _SHAPES else 0
            if text_left:
                part.boxes.append("")
        elif code == _CONTINUE and text_left > 0 and size:
            wide = bool(stream[at] & 1)
            said = stream[at + 1 : at + size].decode("utf-16-le" if wide else "latin-1", "replace")[:text_left]
            part.boxes[-1] += said
            text_left -= len(said)
        elif code == _FORMULA and size >= 16:
            row, column, _, value, flags = struct.unpack_from("<HHHdH", stream, at)
            if flags & 2 and value == 0:
                part.uncomputed.add((row, column))
