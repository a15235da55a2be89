"""Files for the tests of the atoms, built by hand."""

from __future__ import annotations

import io
import zipfile

import docx

PDF_PASSWORD = "<< /Filter /Standard /V 1 /R 2 /P -4 /O <" + "41" * 32 + "> /U <" + "42" * 32 + "> >>"


def pdf(*pages: list[str], encrypted: bool = False) -> bytes:
    """A PDF with these lines on its pages; encrypted, with a password that nobody knows."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, lines in enumerate(pages):
        resources = "/MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >>"
        objects.append(f"<< /Type /Page /Parent 2 0 R {resources} /Contents {5 + 2 * number} 0 R >>")
        shown = " ".join(f"({line}) Tj T*" for line in lines)
        stream = f"BT /F1 12 Tf 14 TL 72 720 Td {shown} ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    if encrypted:
        objects.append(PDF_PASSWORD)
    written, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(written))
        written += f"{number} 0 obj\n{content}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    lock = f" /Encrypt {len(objects)} 0 R /ID [<{'43' * 16}> <{'43' * 16}>]" if encrypted else ""
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R{lock} >>\nstartxref\n{len(written)}\n%%EOF\n"
    return written + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode()


def word() -> bytes:
    """A docx with a heading, paragraphs, a blank one, and a table."""
    document = docx.Document()
    document.add_heading("Temperature floors", 1)
    document.add_paragraph("Never below 18 °C.")
    document.add_paragraph("   ")
    table = document.add_table(rows=2, cols=2)
    for row, column, text in ((0, 0, "room"), (0, 1, "floor"), (1, 0, "store"), (1, 1, "12 °C")):
        table.cell(row, column).text = text
    document.add_paragraph("Tab\there\nnext line")
    return saved(document)


def saved(document: docx.document.Document) -> bytes:
    """The bytes of a docx."""
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def with_part(package: bytes, name: str, content: bytes) -> bytes:
    """The same zip with one entry replaced or added."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as source, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.namelist():
            if entry != name:
                target.writestr(entry, source.read(entry))
        target.writestr(name, content)
    return stream.getvalue()
