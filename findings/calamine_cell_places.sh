#!/usr/bin/env bash
# python-calamine numbers the cells of one sheet in three ways. `to_python()` begins at the first row and the first
# column that hold a value; `iter_rows()` begins at the first row of the sheet but still at the first column that holds a
# value; only `to_python(skip_empty_area=False)` begins at A1. Rows read one by one are right, and their columns wrong.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: \
  python-calamine==0.9.1 XlsxWriter==3.3.1
"$folder/venv/bin/pip" freeze
"$folder/venv/bin/python" - <<'PYTHON'
import io

import xlsxwriter
from python_calamine import CalamineWorkbook

file = io.BytesIO()
with xlsxwriter.Workbook(file, {"in_memory": True}) as workbook:
    sheet = workbook.add_worksheet("Boats")
    sheet.write("C3", "Keel")
    sheet.write("C4", 1200)
file.seek(0)
sheet = CalamineWorkbook.from_filelike(file).get_sheet_by_name("Boats")


def place(rows):
    """Row and column of "Keel", counted from 1."""
    return next((r, row.index("Keel") + 1) for r, row in enumerate(rows, 1) if "Keel" in row)


seen = {
    "to_python()": place(sheet.to_python()),
    "to_python(skip_empty_area=False)": place(sheet.to_python(skip_empty_area=False)),
    "iter_rows()": place(sheet.iter_rows()),
}
print("written to C3: row 3, column 3")
print("guessed: iter_rows() is to_python() row by row")
for way, at in seen.items():
    print(f"seen: {way:34} {at}")
assert seen == {
    "to_python()": (1, 1),
    "to_python(skip_empty_area=False)": (3, 3),
    "iter_rows()": (3, 1),
}, "this has changed"
PYTHON
