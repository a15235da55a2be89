"""Workbooks for the tests of the sheets, written by openpyxl and xlsxwriter.

`inputs/costs.ods`, `costs.xls` and `costs.xlsx` are `costs()`, and `inputs/drawn.ods` and `drawn.xls` are `drawn()`,
each opened and saved by LibreOffice 7.4: `soffice --headless --convert-to ods costs.xlsx`, and so on; `costs.xlsx` is
`costs.ods` saved again.
"""

from __future__ import annotations

import datetime
import io

import openpyxl
import xlsxwriter
from openpyxl.comments import Comment


def costs() -> bytes:
    """A title above a table of all kinds of values, with a merge, comments, and hidden things of all kinds."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Costs"
    sheet["A1"] = "Quarterly costs"
    table = [
        ("Region", "Share", "Paid", "Due", "Hidden", "Zip", "Open", "Total"),
        ("North", 0.125, 1234.5, datetime.date(2025, 6, 30), "secret", 1234, True, "=B4*2"),
        (None, 0.5, -7, datetime.datetime.fromisoformat("2025-07-01T14:30"), "x", 99, False, "=1"),
        ("South", 0.25, 3, datetime.time(8, 15), "y", 12345, True, "#REF!"),
        ("Gone", "hid", 1, 2, 3),
    ]
    for row in table:
        sheet.append(row)
    sheet.insert_rows(2)
    sheet.merge_cells("A4:A5")
    sheet.row_dimensions[7].hidden = True
    sheet.column_dimensions["E"].hidden = True
    for row_number in (4, 5, 6):
        for column, code in ((2, "0.0%"), (3, '#,##0.00 "EUR"'), (6, "00000")):
            sheet.cell(row_number, column).number_format = code
    sheet["A4"].comment = Comment("Check this", "Iris")
    sheet["E4"].comment = Comment("hidden note", "Iris")
    sheet.oddHeader.center.text = "Confidential"
    sheet.oddFooter.right.text = "Page &P of &N"
    for name, state in (("Old", "hidden"), ("Very", "veryHidden")):
        other = book.create_sheet(name)
        other.sheet_state = state
        other["A1"] = "nothing"
    numbers = book.create_sheet("Numbers")
    numbers.append([1, 2])
    numbers.append([3, 4])
    book.create_sheet("Only names").append(["a", "b"])
    book.create_chartsheet("Chart")
    return saved(book)


def drawn() -> bytes:
    """A sheet with a text box, a chart, a comment, a text of several runs, and formulas."""
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream) as book:
        sheet = book.add_worksheet("S")
        sheet.write_row(0, 0, ["a", "b"])
        sheet.write(1, 0, 5)
        sheet.write_formula(1, 1, "=A2*2")
        sheet.write_formula(2, 1, "=A2*3", None, 15)
        sheet.write(2, 0, "x")
        sheet.insert_textbox("D2", "Box text\nline two")
        chart = book.add_chart({"type": "line"})
        chart.add_series({"values": "=S!$A$2:$A$3"})
        sheet.insert_chart("D10", chart)
        sheet.write_comment("A2", "a note")
        sheet.write_rich_string("A4", "rich ", book.add_format({"bold": 1}), "bold", " text")
    return stream.getvalue()


def saved(book: openpyxl.Workbook) -> bytes:
    """The bytes of a workbook."""
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def sheet_of(*rows: list[object], name: str = "S") -> bytes:
    """A workbook of one sheet."""
    book = openpyxl.Workbook()
    book.active.title = name
    for row in rows:
        book.active.append(row)
    return saved(book)
