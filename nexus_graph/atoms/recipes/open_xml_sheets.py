"""Reads sheets from xlsx and its relatives (ECMA-376, part 1, 18), cell by cell; strict and transitional alike.

This file loads lxml, so only a worker imports it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from nexus_graph.atoms.decoding import unreadable
from nexus_graph.atoms.model import LeftOut
from nexus_graph.atoms.recipes.built_in_formats import BUILT_IN
from nexus_graph.atoms.recipes.grids import (
    MOST_COLUMNS,
    MOST_ROWS,
    Merge,
    Piece,
    Row,
    Sheet,
    column_number,
    sheet_place,
)
from nexus_graph.atoms.recipes.number_formats import NumberFormat, number_format
from nexus_graph.atoms.recipes.open_xml_drawings import comments, drawing
from nexus_graph.atoms.recipes.open_xml_parts import Relation, local, related, rich_text, said
from nexus_graph.atoms.recipes.packages import Package

READS = "xlsx"

_SPACES = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",
)
_MARGINS = tuple(f"{pages}{place}" for pages in ("odd", "even", "first") for place in ("Header", "Footer"))
_TAGS = [f"{{{space}}}{name}" for space in _SPACES for name in ("row", "col", "mergeCell", *_MARGINS)]
_ITEMS = [f"{{{space}}}si" for space in _SPACES]
_REFERENCE = re.compile(r"\$?([A-Za-z]{1,3})\$?([0-9]{1,7})")
_CODE = re.compile(r'&(?:"[^"]*"|\d+|K[0-9A-Fa-f+-]{6}|([A-Za-z&]))')
_OBJECTS = {"oleObject": "object", "package": "object", "control": "object", "ctrlProp": "object", "image": "picture"}
_OTHER_SHEETS = {"chartsheet": "chart", "dialogsheet": "macro", "xlMacrosheet": "macro", "xlIntlMacrosheet": "macro"}


@dataclass(frozen=True, slots=True)
class _Book:
    """What the cells of all sheets refer to."""

    texts: Sequence[str]
    formats: Sequence[NumberFormat]
    since_1904: bool
    computes_on_load: bool
    """The program that wrote it left the computing of formulas to the one that opens it; what it stored is 0."""


def read(package: Package, *, hidden: bool) -> Iterator[Sheet | LeftOut]:
    """The sheets, in order; a hidden one is only told, unless `hidden` ones are asked for. Raises Invalid."""
    roots = related(package, "")
    part = next((relation.part for relation in roots.values() if relation.kind == "officeDocument"), "xl/workbook.xml")
    workbook, relations = package.tree(part), related(package, part)
    book = _book(package, workbook, relations)
    for element in workbook.iter(*(f"{{{space}}}sheet" for space in _SPACES)):
        name = element.get("name", "")
        relation = relations[next(value for key, value in element.attrib.items() if key.endswith("}id"))]
        if not hidden and element.get("state", "visible") != "visible":
            yield LeftOut("hidden", sheet_place(name))
        elif relation.kind in _OTHER_SHEETS:
            yield LeftOut(_OTHER_SHEETS[relation.kind], sheet_place(name))
        else:
            yield _SheetReader(Sheet(name), book).read(package, relation.part)


def _book(package: Package, workbook: Any, relations: Mapping[str, Relation]) -> _Book:
    parts = {relation.kind: relation.part for relation in relations.values()}
    settings = {local(element): element.attrib for element in workbook}
    return _Book(
        texts=_texts(package, parts["sharedStrings"]) if parts.get("sharedStrings", "") in package else [],
        formats=_formats(package.tree(parts["styles"])) if parts.get("styles", "") in package else [],
        since_1904=settings.get("workbookPr", {}).get("date1904") in ("1", "true"),
        computes_on_load=settings.get("calcPr", {}).get("fullCalcOnLoad") in ("1", "true"),
    )


def _texts(package: Package, part: str) -> list[str]:
    texts = []
    for element in _elements(package, part, _ITEMS):
        texts.append(rich_text(element))
        element.clear()
    return texts


def _formats(styles: Any) -> list[NumberFormat]:
    """The formats of numbers, by the index that cells name."""
    codes = dict(BUILT_IN)
    formats: list[NumberFormat] = []
    for group in styles:
        if local(group) == "numFmts":
            codes |= {int(element.get("numFmtId")): element.get("formatCode", "") for element in group}
        elif local(group) == "cellXfs":
            formats = [number_format(codes.get(int(element.get("numFmtId", "0")), "General")) for element in group]
    return formats


def _elements(package: Package, part: str, tags: Sequence[str]) -> Iterator[Any]:
    """The elements of a part that have these tags, each when it has been read."""
    content = package.read(part)
    if b"<!DOCTYPE" in content.replace(b"\0", b""):  # whatever the width of a character
        raise unreadable(READS, f"its part {part[:100]!r} holds a document type declaration")
    options = {"resolve_entities": False, "load_dtd": False, "no_network": True, "huge_tree": False}
    try:
        for _, element in etree.iterparse(
            io.BytesIO(content), events=("end",), tag=tags, remove_comments=True, remove_pis=True, **options
        ):
            yield element
    except etree.XMLSyntaxError as error:
        raise unreadable(READS, f"its part {part[:100]!r} is no sound XML", line=error.lineno) from None


@dataclass(slots=True)
class _SheetReader:
    """Reads the part of a sheet, and the parts that belong to it."""

    sheet: Sheet
    book: _Book
    _row: int = 0

    def read(self, package: Package, part: str) -> Sheet:
        """The sheet, read."""
        for element in _elements(package, part, _TAGS):
            name = local(element)
            if name == "row":
                self._take_row(element)
                element.clear()
            elif name == "col":
                if element.get("hidden") in ("1", "true") or element.get("width") == "0":
                    self.sheet.hidden_columns.append((int(element.get("min")), int(element.get("max"))))
            elif name == "mergeCell":
                first, _, last = element.get("ref").partition(":")
                self.sheet.merges.append(Merge(*_place(first), *_place(last or first)))
            else:
                self._take_margin(name[-6:].lower(), element.text or "")
        self.sheet.rows.sort(key=lambda row: row.number)
        self._take_parts(package, [*related(package, part).values()])
        return self.sheet

    def _take_row(self, element: Any) -> None:
        self._row = int(element.get("r", self._row + 1))
        if not 0 < self._row <= MOST_ROWS:
            raise unreadable(READS, f"{self.sheet.place} has a row {self._row}, and {MOST_ROWS:,} are the most")
        if element.get("hidden") in ("1", "true") or element.get("ht") == "0":
            self.sheet.hidden_rows.append((self._row, self._row))
        cells: dict[int, str] = {}
        column, wordy = 0, False
        space = element.tag[:-3]
        for cell in element.iterchildren(space + "c"):
            reference = cell.get("r")
            column = column + 1 if reference is None else _place(reference)[1]
            if column > MOST_COLUMNS:
                raise unreadable(READS, f"{self.sheet.place} has a column {column}, and {MOST_COLUMNS:,} are the most")
            text = self._value(cell, column, space)
            if text and not text.isspace():
                cells[column] = text
                wordy = wordy or cell.get("t") in ("s", "str", "inlineStr")
        if cells:
            self.sheet.rows.append(Row(self._row, cells, wordy))

    def _value(self, cell: Any, column: int, space: str) -> str | None:
        kind = cell.get("t", "n")
        stored: str | None = None
        computed = False
        for child in cell:
            if child.tag == space + "v":
                stored = child.text or ""
            elif child.tag == space + "f":
                computed = True
            elif child.tag == space + "is":
                return rich_text(child)
        if computed and self._is_missing(stored, kind):
            self.sheet.leave_out("formula", self._row, column)
            return None
        return self._told(stored, kind, int(cell.get("s", "0"))) if stored else None

    def _is_missing(self, stored: str | None, kind: str) -> bool:
        """Whether a formula has no stored value; a text may well be empty."""
        return stored is None or (not stored and kind != "str") or (stored == "0" and self.book.computes_on_load)

    def _told(self, stored: str, kind: str, style: int) -> str:
        if kind == "s":
            return self.book.texts[int(stored)]
        if kind == "n":
            formats = self.book.formats
            shape = formats[style] if style < len(formats) else number_format("General")
            return shape.show(stored, since_1904=self.book.since_1904)
        if kind == "b":
            return "FALSE" if stored in ("0", "false") else "TRUE"
        return said(stored)

    def _take_margin(self, kind: str, text: str) -> None:
        lines = (" ".join(line.split()) for line in _CODE.sub(_uncoded, text).split("\n"))
        piece = Piece(kind, said("\n".join(line for line in lines if any(map(str.isalnum, line)))), part=kind)
        if piece not in self.sheet.pieces:
            self.sheet.pieces.append(piece)

    def _take_parts(self, package: Package, relations: Sequence[Relation]) -> None:
        known = [relation for relation in relations if relation.part in package]
        self.sheet.pieces += comments(package, known)
        for relation in known:
            if relation.kind == "drawing":
                for found in drawing(package, relation.part):
                    if isinstance(found, Piece):
                        self.sheet.pieces.append(found)
                    else:
                        self.sheet.leave_out(*found)
            elif relation.kind in _OBJECTS:
                self.sheet.leave_out(_OBJECTS[relation.kind])


def _uncoded(match: re.Match[str]) -> str:
    """What a code in the text of a margin stands for: one of its three sections, an ampersand, or nothing to read."""
    return {"L": "\n", "C": "\n", "R": "\n", "&": "&"}.get((match[1] or "").upper(), "")


@lru_cache(maxsize=2**15)
def _column(letters: str) -> int:
    return column_number(letters)


def _place(reference: str) -> tuple[int, int]:
    """Row and column of a cell's name."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise unreadable(READS, f"{reference[:20]!r} is no cell")
    return int(match[2]), _column(match[1])
