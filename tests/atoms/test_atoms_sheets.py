"""Workbooks: xlsx, xls and ods, written by real programs, and hostile ones."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import openpyxl
import pytest
import python_calamine
import xlsxwriter
from atom_files import with_part
from sheet_files import costs, drawn, saved, sheet_of

from nexus_graph.atoms.model import Draft, Limits, Reading, collect
from nexus_graph.atoms.recipes import RECIPES, kind_of, recipe_for
from nexus_graph.atoms.recipes.kinds import BINARY_WORKBOOK
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Invalid

INPUTS = Path(__file__).parent / "inputs"
ROWS = RECIPES["sheets.rows"]
SHEET = "xl/worksheets/sheet1.xml"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"


def bomb() -> bytes:
    """A workbook with a sheet of 300 MB of zeros, packed to 300 KB."""
    return with_part(costs(), SHEET, bytes(300 * 2**20))


def read(data: bytes, **params: Json) -> Reading:
    """What is made of a workbook."""
    return collect(ROWS, data, params, Limits())


def texts(data: bytes, **params: Json) -> list[str]:
    """The texts of all atoms."""
    return [draft.text for draft in read(data, **params).drafts]


def places(reading: Reading) -> dict[str, tuple[str, ...]]:
    """What was left out, and where."""
    return {omitted.what: omitted.places for omitted in reading.left_out}


def told(drafts: list[Draft]) -> list[tuple[str | None, str | None, str, str]]:
    """Sheet, cells, kind and text of each."""
    return [(draft.span.sheet, draft.span.cell, draft.kind, draft.text) for draft in drafts]


def raw(content: str, *, space: str = MAIN, book: bytes | None = None) -> bytes:
    """A workbook whose only sheet has these rows and whatever follows them."""
    part = f'<worksheet xmlns="{space}"><sheetData>{content}</worksheet>'.replace("<end/>", "</sheetData>")
    return with_part(book or sheet_of(["a"]), SHEET, part.encode())


ROWS_OF_COSTS = [
    ("Costs", "A1", "row", '{"column A":"Quarterly costs"}'),
    (
        "Costs",
        "A4:H4",
        "row",
        '{"Due":"2025-06-30","Open":"TRUE","Paid":"1234.5 EUR","Region":"North","Share":"12.5%","Total":"0.25",'
        '"Zip":"01234"}',
    ),
    (
        "Costs",
        "A5:H5",
        "row",
        '{"Due":"2025-07-01T14:30:00","Open":"FALSE","Paid":"-7 EUR","Region":"North","Share":"50%","Total":"1",'
        '"Zip":"00099"}',
    ),
    (
        "Costs",
        "A6:H6",
        "row",
        '{"Due":"08:15:00","Open":"TRUE","Paid":"3 EUR","Region":"South","Share":"25%","Total":"#REF!","Zip":"12345"}',
    ),
]
MARGINS = [("Costs", None, "header", "Confidential"), ("Costs", None, "footer", "Page of")]
REST_OF_COSTS = [
    ("Costs", "A4", "comment", "Check this"),
    ("Numbers", "A1:B1", "row", '{"column A":"1","column B":"2"}'),
    ("Numbers", "A2:B2", "row", '{"column A":"3","column B":"4"}'),
    ("Only names", "A1:B1", "names", '{"column A":"a","column B":"b"}'),
]
HIDDEN = ("sheet 'Costs', row 7", "sheet 'Costs', column E", "sheet 'Costs', cell E4", "sheet 'Old'", "sheet 'Very'")


@pytest.mark.parametrize("name", ["costs.xlsx", "costs.xls", "costs.ods"])
def test_a_workbook_says_the_same_in_every_format(name: str) -> None:
    """Values as a reader takes them, rows with what is merged into them, and all that is hidden told."""
    data = (INPUTS / name).read_bytes()
    assert recipe_for(kind_of(data, name, "application/octet-stream")) is ROWS
    reading = read(data)
    margins = MARGINS if name == "costs.xlsx" else []
    assert told(reading.drafts) == [*ROWS_OF_COSTS, *margins, *REST_OF_COSTS]
    assert places(reading) == {"hidden": HIDDEN}
    assert ROWS.tell(reading.left_out).startswith("sheet 'Costs', row 7: hidden; sheet 'Costs', column E: hidden")


def test_a_formula_without_a_stored_value_is_told() -> None:
    """openpyxl computes nothing; and a sheet that is a chart is told as well."""
    reading = read(costs())
    assert json.loads(reading.drafts[1].text).get("Total") is None
    assert places(reading) == {
        "hidden": HIDDEN,
        "formula": ("sheet 'Costs', cell H4", "sheet 'Costs', cell H5"),
        "chart": ("sheet 'Chart'",),
    }


@pytest.mark.parametrize("name", ["costs.xlsx", "costs.xls", "costs.ods"])
def test_hidden_things_are_read_when_asked_for(name: str) -> None:
    """Sheets, rows, columns and the comments in them."""
    reading = read((INPUTS / name).read_bytes(), hidden=True)
    found = " ".join(draft.text for draft in reading.drafts)
    assert all(word in found for word in ("secret", "Gone", "hidden note", "nothing"))
    assert reading.left_out == []


def test_offsets_point_into_all_texts_joined() -> None:
    """The canonical text of a workbook is that of its atoms, with a line feed between them."""
    drafts = read(costs()).drafts
    whole = "\n".join(draft.text for draft in drafts)
    assert [whole[draft.span.start : draft.span.end] for draft in drafts] == [draft.text for draft in drafts]
    assert [draft.span.row for draft in drafts[:4]] == [1, 4, 5, 6]


def test_drawings_and_comments() -> None:
    """Text boxes are read, charts told; a formula that waits to be computed is not 0; runs are one text."""
    reading = read(drawn())
    assert told(reading.drafts) == [
        ("S", "A2", "row", '{"a":"5"}'),
        ("S", "A3:B3", "row", '{"a":"x","b":"15"}'),
        ("S", "A4", "row", '{"a":"rich bold text"}'),
        ("S", "A2", "comment", "a note"),
        ("S", "D2", "text_box", "Box text\nline two"),
    ]
    assert places(reading) == {"formula": ("sheet 'S', cell B2",), "chart": ("sheet 'S', cell D10",)}


@pytest.mark.parametrize(("name", "place"), [("drawn.xls", "sheet 'S'"), ("drawn.ods", "sheet 'S', cell D10")])
def test_drawings_in_other_formats(name: str, place: str) -> None:
    """What xlrd passes over is found among the records."""
    reading = read((INPUTS / name).read_bytes())
    assert [(draft.kind, draft.text) for draft in reading.drafts[-2:]] == [
        ("comment", "a note"),
        ("text_box", "Box text\nline two"),
    ]
    assert places(reading) == {"chart": (place,)}


def _cells(data: bytes) -> Iterator[tuple[str, str, object]]:
    """Sheet, row and value of each cell that is not blank, as another reader has them."""
    book = python_calamine.load_workbook(io.BytesIO(data))
    for about in book.sheets_metadata:
        if about.typ == python_calamine.SheetTypeEnum.WorkSheet:
            for row in book.get_sheet_by_name(about.name).to_python():
                yield from ((about.name, str(row), value) for value in row if value != "")


@pytest.mark.parametrize("name", ["costs.xlsx", "costs.xls", "costs.ods", "drawn.xls", "drawn.ods"])
def test_another_reader_finds_nothing_more(name: str) -> None:
    """Every text that python-calamine reads stands in an atom, and so do the digits of every number."""
    data = (INPUTS / name).read_bytes()
    whole = " ".join(texts(data, hidden=True))
    for sheet, row, value in _cells(data):
        if isinstance(value, str):
            assert json.dumps(value, ensure_ascii=False)[1:-1] in whole, (sheet, row)
        elif isinstance(value, float) and value == 1234.5:
            assert "1234.5" in whole


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([["a", "a", None, "d"], [1, 2, 3, 4]], ['{"a":"1","column B":"2","column C":"3","d":"4"}']),
        ([[1, 2], ["x", "y"]], ['{"column A":"1","column B":"2"}', '{"column A":"x","column B":"y"}']),
        ([["Region", 2024, 2025], ["North", 1, 2]], ['{"2024":"1","2025":"2","Region":"North"}']),
        (
            [["Report"], ["By", "Iris"], [], ["a", "b", "c"], [1, 2, 3], [4, 5, 6], [7, 8, 9]],
            [
                '{"column A":"Report"}',
                '{"column A":"By","column B":"Iris"}',
                '{"a":"1","b":"2","c":"3"}',
                '{"a":"4","b":"5","c":"6"}',
                '{"a":"7","b":"8","c":"9"}',
            ],
        ),
        ([["a", "b"], [1]], ['{"column A":"a","column B":"b"}', '{"a":"1"}']),
        ([[" ", "\n"], [None]], []),
    ],
)
def test_headers(rows: list[list[object]], expected: list[str]) -> None:
    """Repeated and missing names, no header, years as names, titles above, names that no row uses, blanks."""
    assert texts(sheet_of(*rows)) == expected


def test_without_a_header() -> None:
    """Columns go by their letters."""
    assert texts(sheet_of(["a"], ["b"]), header=False) == ['{"column A":"a"}', '{"column A":"b"}']


def test_merged_cells() -> None:
    """What they say stands in each of their rows that holds something else, under the first of their columns."""
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["r", "x", "y"], ["North", "both", None], [None, 1, 2], [None, None, None], [None, 3, 4]):
        sheet.append(row)
    sheet.merge_cells("A2:A5")
    sheet.merge_cells("B2:C2")
    data = saved(book)  # which takes a minute to merge a million rows by itself
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        longer = package.read(SHEET).replace(b'"A2:A5"', b'"A2:A1000000"')
    assert b"A1000000" in longer
    assert texts(with_part(data, SHEET, longer)) == [
        '{"r":"North","x":"both"}',
        '{"r":"North","x":"1","y":"2"}',
        '{"r":"North","x":"3","y":"4"}',
    ]


def test_dates_from_1904() -> None:
    """Workbooks from old Macs count their days from another one."""
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"date_1904": True}) as book:
        book.add_worksheet().write_number(0, 0, 43538, book.add_format({"num_format": "yyyy-mm-dd"}))
    assert texts(stream.getvalue()) == ['{"column A":"2023-03-15"}']


@pytest.mark.parametrize("space", [MAIN, STRICT])
def test_cells_of_all_types(space: str) -> None:
    """In transitional and strict files, with and without references, escaped and phonetic."""
    cells = (
        '<row><c t="inlineStr"><is><t>a_x000D_b_x005F_x</t><rPh><t>no</t></rPh></is></c><c t="b"><v>1</v></c>'
        '<c t="e"><v>#N/A</v></c><c t="d"><v>2025-06-30</v></c><c><v>1.5E3</v></c><c t="str"><f>x</f><v>s</v></c>'
        '<c t="str"><f>x</f><v></v></c><c/></row><row r="4"><c r="C4"><v>0.1</v></c></row><end/>'
    )
    reading = read(raw(cells, space=space), header=False)
    assert told(reading.drafts) == [
        (
            "S",
            "A1:F1",
            "row",
            '{"column A":"a\\nb_x","column B":"TRUE","column C":"#N/A","column D":"2025-06-30","column E":"1500",'
            '"column F":"s"}',
        ),
        ("S", "C4", "row", '{"column C":"0.1"}'),
    ]
    assert reading.left_out == []


def test_threads_of_comments() -> None:
    """The entries of a thread are read, and not the comment that repeats them for old programs."""
    book = openpyxl.Workbook()
    book.active["A1"] = "x"
    book.active["A1"].comment = openpyxl.comments.Comment("[Threaded comment] Your version ...", "Iris")
    data = saved(book)
    rels = "xl/worksheets/_rels/sheet1.xml.rels"
    listed = zipfile.ZipFile(io.BytesIO(data)).read(rels).decode()
    kind = "http://schemas.microsoft.com/office/2017/10/relationships/threadedComment"
    listed = listed.replace(
        "</Relationships>",
        f'<Relationship Id="t1" Type="{kind}" Target="../threadedComments/t1.xml"/></Relationships>',
    )
    space = "http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments"
    thread = (
        f'<ThreadedComments xmlns="{space}"><threadedComment ref="A1"><text>Why?</text></threadedComment>'
        '<threadedComment ref="A1"><text>Because.</text></threadedComment></ThreadedComments>'
    )
    data = with_part(with_part(data, rels, listed.encode()), "xl/threadedComments/t1.xml", thread.encode())
    assert [(draft.kind, draft.text) for draft in read(data).drafts[1:]] == [
        ("comment", "Why?"),
        ("comment", "Because."),
    ]


HUGE = (
    '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row><end/>'
    '<mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>'
)


def test_a_huge_range_with_two_cells_costs_nothing() -> None:
    """Only what is written is kept, whatever is merged."""
    assert told(read(raw(HUGE), header=False).drafts) == [
        ("S", "A1", "row", '{"column A":"1"}'),
        ("S", "A1048576:XFD1048576", "row", '{"column A":"1","column XFD":"2"}'),
    ]


def open_document(rows: str, *, more: str = "") -> bytes:
    """An ods with these rows."""
    names = {"office": "office", "table": "table", "text": "text", "draw": "drawing", "style": "style"}
    spaces = " ".join(f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{uri}:1.0"' for name, uri in names.items())
    content = (
        f"<office:document-content {spaces}>{more}<office:body><office:spreadsheet>"
        f'<table:table table:name="S">{rows}</table:table></office:spreadsheet></office:body></office:document-content>'
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as package:
        package.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        package.writestr("content.xml", content)
    return stream.getvalue()


def _cell(kind: str, value: str, shown: str, more: str = "") -> str:
    name = {"date": "date-value", "time": "time-value", "boolean": "boolean-value"}.get(kind, "value")
    return (
        f'<table:table-cell office:value-type="{kind}" office:{name}="{value}" {more}><text:p>{shown}</text:p>'
        "</table:table-cell>"
    )


@pytest.mark.parametrize(
    ("kind", "value", "shown", "expected"),
    [
        ("float", "12.3456", "12.3", "12.3456"),
        ("float", "-1200.5", "-1.200,5 kg", "-1200.5 kg"),
        ("float", "-5", "(5)", "(5)"),
        ("float", "-5", "5", "-5"),
        ("float", "78051120", "078-05-1120", "078-05-1120"),
        ("float", "0.5", "1/2", "0.5"),
        ("float", "1200", "1.2E+03", "1200"),
        ("float", "1", "Yes", "Yes"),
        ("percentage", "0.125", "13%", "12.5%"),
        ("percentage", "1", "100 %", "100 %"),
        ("currency", "1234.5", "€ 1.234,50", "€ 1234.5"),
        ("date", "2025-06-30T00:00:00", "30.06.25", "2025-06-30"),
        ("date", "2025-06-30T14:30:00.500000000", "x", "2025-06-30T14:30:00.5"),
        ("time", "PT14H30M05S", "14:30", "14:30:05"),
        ("time", "PT26H00M00.250S", "26:00", "26:00:00.25"),
        ("boolean", "false", "FALSCH", "FALSE"),
    ],
)
def test_values_of_open_document(kind: str, value: str, shown: str, expected: str) -> None:
    """All digits of a number, with what is shown around them."""
    data = open_document(f"<table:table-row>{_cell(kind, value, shown)}</table:table-row>")
    assert [json.loads(text) for text in texts(data)] == [{"column A": expected}]


def test_repeated_rows_and_columns() -> None:
    """Blank ones are only counted; others are there as often as they are said to be, up to the limits."""
    blank = '<table:table-row table:number-rows-repeated="1048570"><table:table-cell/></table:table-row>'
    twice = f'<table:table-row table:number-rows-repeated="2">{_cell("float", "7", "7")}</table:table-row>'
    last = _cell("float", "8", "8", 'table:number-columns-repeated="3"')
    wide = f'<table:table-row><table:table-cell table:number-columns-repeated="16381"/>{last}</table:table-row>'
    assert told(read(open_document(blank + twice + wide)).drafts) == [
        ("S", "A1048571", "row", '{"column A":"7"}'),
        ("S", "A1048572", "row", '{"column A":"7"}'),
        ("S", "XFB1048573:XFD1048573", "row", '{"column XFB":"8","column XFC":"8","column XFD":"8"}'),
    ]


ENTITIES = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "its parts do not make one"),
        (b"PK\x03\x04", "no sound zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "its records do not make a workbook"),
        ((INPUTS / "costs.xls").read_bytes()[:9000], "its parts do not make one"),
        (costs()[:3000], "no sound zip"),
        (raw('<row r="1048577"><c><v>1</v></c></row><end/>'), "1,048,576 are the most"),
        (raw('<row r="0"/><end/>'), "has a row 0"),
        (raw('<row><c r="XFE1"><v>1</v></c></row><end/>'), "16,384 are the most"),
        (raw('<row><c r="?"><v>1</v></c></row><end/>'), "'\\?' is no cell"),
        (raw('<row><c t="s"><v>99</v></c></row><end/>'), "its parts do not make one"),
        (raw('<row r="x"/><end/>'), "its parts do not make one"),
        (raw("<row><c>"), "no sound XML"),
        (raw("<row>" + "<x>" * 300 + "</x>" * 300 + "</row><end/>"), "no sound XML"),
        (with_part(costs(), "xl/styles.xml", b"<x>"), "no sound XML"),
        (with_part(costs(), "xl/workbook.xml", b"<workbook/>"), ""),
        (
            with_part(
                costs(), SHEET, f'<!DOCTYPE d [<!ENTITY a0 "ha">{ENTITIES}]><worksheet>&a9;</worksheet>'.encode()
            ),
            "document type declaration",
        ),
        (bomb, "unpacks to more than"),
        (
            open_document(
                '<table:table-row table:number-rows-repeated="1048577"><table:table-cell><text:p>x</text:p>'
                "</table:table-cell></table:table-row>"
            ),
            "are the most",
        ),
        (
            open_document(
                '<table:table-row><table:table-cell table:number-columns-repeated="99999999"><text:p>x</text:p>'
                "</table:table-cell></table:table-row>"
            ),
            "are the most",
        ),
        (
            open_document(
                '<table:table-row table:number-rows-repeated="2000"><table:table-cell><text:p>x</text:p>'
                "</table:table-cell></table:table-row>"
            ),
            "more than 1,000 atoms",
        ),
        (with_part(open_document(""), "content.xml", b"<!DOCTYPE x><x/>"), "document type declaration"),
        (with_part(open_document(""), "content.xml", b"<x>"), "no sound XML"),
        (with_part(open_document(""), "META-INF/manifest.xml", b"<m><encryption-data/></m>"), "it is encrypted"),
    ],
)
def test_hostile_and_broken_workbooks_are_refused(data: bytes | Callable[[], bytes], said: str) -> None:
    """In bounded time and memory, with what is wrong."""
    data = data if isinstance(data, bytes) else data()
    if not said:  # a workbook without sheets is an empty one
        assert read(data) == Reading([], [], [])
        return
    with pytest.raises(Invalid, match=said):
        collect(ROWS, data, {}, Limits(atoms=1_000))


def test_an_encrypted_xls_is_told() -> None:
    """Its second record says so: here, one of another kind is given that number."""
    data = (INPUTS / "costs.xls").read_bytes()
    at = data.index(b"\x09\x08\x10\x00\x00\x06\x05\x00") + 20
    with pytest.raises(Invalid, match="it is encrypted"):
        read(data[:at] + b"\x2f\x00" + data[at + 2 :])


def test_a_long_text_that_is_repeated_is_bounded() -> None:
    """A shared text of a megabyte in a hundred cells: refused as too much text, before it is written out."""
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream) as book:
        sheet = book.add_worksheet()
        for row in range(4000):
            sheet.write_row(row, 0, ["x" * 32_000])
    with pytest.raises(Invalid, match="bytes of text"):
        read(stream.getvalue())


@pytest.mark.parametrize("name", ["a.xlsx", "a.xlsm", "a.xltx", "a.xltm", "a.bin"])
def test_names_of_workbooks(name: str) -> None:
    """All that is Open XML goes by its bytes; a binary workbook is no workbook that is read, and has a name."""
    assert recipe_for(kind_of(costs(), name, "application/octet-stream")) is ROWS
    binary = with_part(costs(), "xl/workbook.bin", b"")
    assert kind_of(binary, name, "application/octet-stream").media_type == BINARY_WORKBOOK
    assert recipe_for(kind_of(binary, name, "application/octet-stream")) is None


def test_only_a_worker_loads_the_parsers() -> None:
    """Looking for a recipe imports none of them."""
    code = "import sys, nexus_graph.atoms.recipes; print([m for m in ('lxml', 'xlrd', 'yaml') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
