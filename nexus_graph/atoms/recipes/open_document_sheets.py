"""Reads sheets from ods (OpenDocument 1.3, part 3, 9), row by row.

This file loads lxml, so only a worker imports it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from nexus_graph.atoms.decoding import unreadable
from nexus_graph.atoms.model import LeftOut
from nexus_graph.atoms.recipes.grids import MOST_COLUMNS, MOST_ROWS, Merge, Piece, Row, Sheet
from nexus_graph.atoms.recipes.open_document_cells import DRAW, OFFICE, PREFIX, paragraphs, told
from nexus_graph.atoms.recipes.packages import Package

READS = "ods"
_HINT = "Open it in a spreadsheet program, and save it anew, without a password."

_TABLE, _STYLE = f"{PREFIX}table:1.0}}", f"{PREFIX}style:1.0}}"
_CELLS = frozenset({f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"})
_TAGS = [f"{_TABLE}table", f"{_TABLE}table-row", f"{_TABLE}table-column", f"{_STYLE}style", f"{_TABLE}shapes"]


def read(package: Package, *, hidden: bool) -> Iterator[Sheet | LeftOut]:
    """The sheets, in order; a hidden one is only told, unless `hidden` ones are asked for. Raises Invalid."""
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
            text = told(cell)
            self._take_shapes(cell, first, here)
            rows, columns = _count(cell, "number-rows-spanned"), _count(cell, "number-columns-spanned")
            if rows > 1 or columns > 1:
                self.sheet.merges.append(Merge(first, here, first + rows - 1, here + columns - 1))
            if text.strip() and cell.tag.endswith("covered-table-cell"):
                self.sheet.leave_out("hidden", first, here)
            elif text.strip():
                self._check(self._row, column)
                cells |= dict.fromkeys(range(here, column + 1), text)
                wordy = wordy or cell.get(f"{OFFICE}value-type", "string") == "string"
            elif cell.get(f"{_TABLE}formula") and cell.get(f"{OFFICE}value-type") is None:
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
            if name == f"{OFFICE}annotation":
                self.sheet.pieces.append(Piece("comment", paragraphs(shape), row, column))
            elif name == f"{DRAW}g":
                self._take_shapes(shape, row, column)
            elif name == f"{DRAW}control":
                self.sheet.leave_out("object", row, column)
            elif name == f"{DRAW}frame":
                self._take_frame(shape, row, column)
            elif name.startswith(DRAW):
                self.sheet.pieces.append(Piece("text_box", paragraphs(shape), row, column))

    def _take_frame(self, frame: Any, row: int | None, column: int | None) -> None:
        kinds = {str(child.tag).rpartition("}")[2]: child for child in frame}
        if "text-box" in kinds:
            self.sheet.pieces.append(Piece("text_box", paragraphs(kinds["text-box"]), row, column))
        elif "object" in kinds:
            folder = next((value for key, value in kinds["object"].items() if key.endswith("}href")), "")
            self.sheet.leave_out(
                "chart" if folder.removeprefix("./").strip("/") in self.charts else "object", row, column
            )
        else:
            self.sheet.leave_out("picture" if "image" in kinds else "object", row, column)


def _count(element: Any, name: str) -> int:
    return max(1, int(element.get(f"{_TABLE}{name}", "1")))
