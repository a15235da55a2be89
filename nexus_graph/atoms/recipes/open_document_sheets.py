"""Reads sheets from ods (OpenDocument 1.3, part 3, 9), row by row.

A number has all its digits, and around them what the file shows around the shown ones: signs, units, leading zeros. This
file loads lxml, so only a worker imports it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from nexus_graph.atoms.decoding import unreadable
from nexus_graph.atoms.model import LeftOut
from nexus_graph.atoms.recipes.grids import MOST_COLUMNS, MOST_ROWS, Merge, Piece, Row, Sheet, sheet_place
from nexus_graph.atoms.recipes.number_formats import digits
from nexus_graph.atoms.recipes.packages import Package

READS = "ods"
_HINT = "Open it in a spreadsheet program, and save it anew, without a password."

_PREFIX = "{urn:oasis:names:tc:opendocument:xmlns:"
_TABLE, _TEXT, _OFFICE = f"{_PREFIX}table:1.0}}", f"{_PREFIX}text:1.0}}", f"{_PREFIX}office:1.0}}"
_DRAW, _STYLE = f"{_PREFIX}drawing:1.0}}", f"{_PREFIX}style:1.0}}"
_CELLS = frozenset({f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"})
_TAGS = [f"{_TABLE}table", f"{_TABLE}table-row", f"{_TABLE}table-column", f"{_STYLE}style", f"{_TABLE}shapes"]
_NUMBER = re.compile(r"[0-9](?:[0-9.,'’\u00a0\u202f ]*[0-9])?")
_DURATION = re.compile(r"-?P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:[.,](\d+))?S)?")
_WRITTEN = {f"{_TEXT}tab": "\t", f"{_TEXT}line-break": "\n"}


def read(data: bytes, *, hidden: bool) -> Iterator[Sheet | LeftOut]:
    """The sheets, in order; a hidden one is only told, unless `hidden` ones are asked for. Raises Invalid."""
    package = Package(data, READS, hint=_HINT)
    if "META-INF/manifest.xml" in package and b"encryption-data" in package.read("META-INF/manifest.xml"):
        raise unreadable(READS, "it is encrypted", hint=_HINT)
    content = package.read("content.xml")
    if b"<!DOCTYPE" in content.replace(b"\0", b""):  # whatever the width of a character
        raise unreadable(READS, "its part 'content.xml' holds a document type declaration")
    try:
        yield from _read(content, _charts(package), hidden=hidden)
    except etree.XMLSyntaxError as error:
        raise unreadable(READS, "its part 'content.xml' is no sound XML", line=error.lineno) from None


def _charts(package: Package) -> frozenset[str]:
    """The folders of the package that hold charts."""
    if "META-INF/manifest.xml" not in package:
        return frozenset()
    entries = [
        {key.rpartition("}")[2]: value for key, value in entry.items()}
        for entry in package.tree("META-INF/manifest.xml")
    ]
    return frozenset(
        entry.get("full-path", "").strip("/")
        for entry in entries
        if entry.get("media-type", "").endswith("opendocument.chart")
    )


def _read(content: bytes, charts: frozenset[str], *, hidden: bool) -> Iterator[Sheet | LeftOut]:
    options = {"resolve_entities": False, "load_dtd": False, "no_network": True, "huge_tree": False}
    events = etree.iterparse(
        io.BytesIO(content), events=("start", "end"), tag=_TAGS, remove_comments=True, remove_pis=True, **options
    )
    unseen: set[str] = set()
    reader: _SheetReader | None = None
    depth = 0
    for event, element in events:
        if element.tag == f"{_TABLE}table":
            depth += 1 if event == "start" else -1
            if event == "start" and depth == 1:
                reader = _SheetReader(Sheet(element.get(f"{_TABLE}name", "")), charts)
            elif event == "end" and depth == 0 and reader is not None:
                if element.get(f"{_TABLE}style-name") in unseen and not hidden:
                    yield LeftOut("hidden", reader.sheet.place)
                else:
                    yield reader.sheet
                reader = None
                element.clear()
        elif event == "end" and element.tag == f"{_STYLE}style":
            if any(child.get(f"{_TABLE}display") == "false" for child in element):
                unseen.add(element.get(f"{_STYLE}name", ""))
        elif event == "end" and depth == 1 and reader is not None:
            reader.take(element)
            element.clear()


@dataclass(slots=True)
class _SheetReader:
    """Takes the columns, rows and shapes of a sheet, one by one."""

    sheet: Sheet
    charts: frozenset[str]
    _row: int = 0
    _column: int = 0

    def take(self, element: Any) -> None:
        """Take a column, a row, or the shapes that belong to no cell."""
        unseen = element.get(f"{_TABLE}visibility") in ("collapse", "filter")
        if element.tag == f"{_TABLE}table-column":
            first, self._column = self._column + 1, self._column + _count(element, "number-columns-repeated")
            if unseen:
                self.sheet.hidden_columns.append((first, self._column))
        elif element.tag == f"{_TABLE}table-row":
            first, self._row = self._row + 1, self._row + _count(element, "number-rows-repeated")
            if unseen:
                self.sheet.hidden_rows.append((first, self._row))
            self._take_row(element, first)
        elif element.tag == f"{_TABLE}shapes":
            self._take_shapes(element, None, None)

    def _take_row(self, element: Any, first: int) -> None:
        cells: dict[int, str] = {}
        column, wordy = 0, False
        for cell in element:
            if cell.tag not in _CELLS:
                continue
            here, column = column + 1, column + _count(cell, "number-columns-repeated")
            text = _told(cell)
            self._take_shapes(cell, first, here)
            rows, columns = _count(cell, "number-rows-spanned"), _count(cell, "number-columns-spanned")
            if rows > 1 or columns > 1:
                self.sheet.merges.append(Merge(first, here, first + rows - 1, here + columns - 1))
            if text.strip() and cell.tag.endswith("covered-table-cell"):
                self.sheet.leave_out("hidden", first, here)
            elif text.strip():
                self._check(self._row, column)
                cells |= dict.fromkeys(range(here, column + 1), text)
                wordy = wordy or cell.get(f"{_OFFICE}value-type", "string") == "string"
            elif cell.get(f"{_TABLE}formula") and cell.get(f"{_OFFICE}value-type") is None:
                self.sheet.leave_out("formula", first, here)
        if cells:
            self.sheet.rows += (Row(number, cells, wordy) for number in range(first, self._row + 1))

    def _check(self, row: int, column: int) -> None:
        if row > MOST_ROWS or column > MOST_COLUMNS:
            most = f"{MOST_ROWS:,} rows and {MOST_COLUMNS:,} columns are the most"
            raise unreadable(READS, f"{self.sheet.place} reaches to row {row:,} and column {column:,}, and {most}")

    def _take_shapes(self, parent: Any, row: int | None, column: int | None) -> None:
        """Comments and drawings. Recursion is bounded: libxml2 refuses documents deeper than 256."""
        for shape in parent:
            name = str(shape.tag)
            if name == f"{_OFFICE}annotation":
                self.sheet.pieces.append(Piece("comment", _paragraphs(shape), row, column))
            elif name == f"{_DRAW}g":
                self._take_shapes(shape, row, column)
            elif name == f"{_DRAW}control":
                self.sheet.leave_out("object", row, column)
            elif name == f"{_DRAW}frame":
                self._take_frame(shape, row, column)
            elif name.startswith(_DRAW):
                self.sheet.pieces.append(Piece("text_box", _paragraphs(shape), row, column))

    def _take_frame(self, frame: Any, row: int | None, column: int | None) -> None:
        kinds = {str(child.tag).rpartition("}")[2]: child for child in frame}
        if "text-box" in kinds:
            self.sheet.pieces.append(Piece("text_box", _paragraphs(kinds["text-box"]), row, column))
        elif "object" in kinds:
            folder = next((value for key, value in kinds["object"].items() if key.endswith("}href")), "")
            self.sheet.leave_out(
                "chart" if folder.removeprefix("./").strip("/") in self.charts else "object", row, column
            )
        else:
            self.sheet.leave_out("picture" if "image" in kinds else "object", row, column)


def _count(element: Any, name: str) -> int:
    return max(1, int(element.get(f"{_TABLE}{name}", "1")))


def _told(cell: Any) -> str:
    """What a cell says."""
    kind = cell.get(f"{_OFFICE}value-type", "string")
    shown = _paragraphs(cell)
    if kind in ("float", "currency", "percentage"):
        return _number(digits(cell.get(f"{_OFFICE}value", "")), shown, percent=kind == "percentage")
    if kind == "date":
        moment = str(cell.get(f"{_OFFICE}date-value", ""))
        return re.sub(r"(\.\d*?)0+$", r"\1", moment).removesuffix(".").removesuffix("T00:00:00")
    if kind == "time":
        return _clock(cell.get(f"{_OFFICE}time-value", ""))
    if kind == "boolean":
        return "TRUE" if cell.get(f"{_OFFICE}boolean-value") == "true" else "FALSE"
    return shown or str(cell.get(f"{_OFFICE}string-value", ""))


def _number(value: str, shown: str, *, percent: bool) -> str:
    """All digits of a number, with what is shown around it; plain where it is shown in several runs of digits."""
    negative, whole = value.startswith("-"), value.lstrip("-")
    runs = [*_NUMBER.finditer(shown)]
    if len(runs) > 1 and not negative and re.sub(r"[^0-9]", "", shown).lstrip("0") == whole:
        return shown.strip()  # such as 078-05-1120
    if percent and re.fullmatch(r"[0-9.]+", whole):
        whole = format(Decimal(whole).scaleb(2).normalize(), "f")
    if len(runs) != 1:
        return ("-" if negative else "") + whole + ("%" if percent else "")
    first, last = runs[0].span()
    before, after = shown[:first], shown[last:]
    if re.match(r"0[0-9]", runs[0][0]):
        point = whole.find(".")
        whole = whole.zfill(len(re.match(r"[0-9]*", runs[0][0])[0]) + (len(whole) - point if point >= 0 else 0))
    signed = negative and not re.search(r"[-−(]", before + after)
    return ("-" if signed else "") + (before + whole + after).strip()


def _clock(duration: str) -> str:
    """An ISO duration in hours, minutes and seconds."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        return duration
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[:4])
    part = (match[5] or "").rstrip("0")[:3]
    sign = "-" if duration.startswith("-") else ""
    return f"{sign}{24 * days + hours:02}:{minutes:02}:{seconds:02}{'.' + part if part else ''}"


def _paragraphs(element: Any) -> str:
    """The paragraphs in an element, a line each; what is anchored in a cell is not in its text."""
    lines: list[str] = []
    for child in element:
        if child.tag in (f"{_TEXT}p", f"{_TEXT}h"):
            lines.append("".join(_pieces(child)))
        elif child.tag != f"{_OFFICE}annotation" and not str(child.tag).startswith(_DRAW):
            lines.append(_paragraphs(child))
    return "\n".join(line for line in lines if line)


def _pieces(element: Any) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if child.tag == f"{_TEXT}s":
            yield " " * min(_spaces(child), 1000)
        elif child.tag in _WRITTEN:
            yield _WRITTEN[child.tag]
        elif child.tag != f"{_OFFICE}annotation" and not str(child.tag).startswith(_DRAW):
            yield from _pieces(child)
        yield child.tail or ""


def _spaces(element: Any) -> int:
    return int(element.get(f"{_TEXT}c", "1"))
