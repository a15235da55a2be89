"""PDF files for the tests of the atoms, written by hand: one page, Helvetica as /F1."""

from __future__ import annotations

from collections.abc import Iterable


def sheet(
    content: str, *objects: str, page: str = "", catalog: str = "", resources: str = "", media: str = "0 0 400 600"
) -> bytes:
    """A page that shows `content`. `objects` have the numbers from 6 on; the rest goes into the dictionaries."""
    fonts = f"/Font << /F1 3 0 R >> {resources}"
    numbered = [
        f"<< /Type /Catalog /Pages 2 0 R {catalog} >>",
        "<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [{media}] /Resources << {fonts} >> /Contents 5 0 R {page} >>",
        stream(content),
        *objects,
    ]
    written, offsets = b"%PDF-1.7\n", []
    for number, item in enumerate(numbered, 1):
        offsets.append(len(written))
        written += f"{number} 0 obj\n{item}\nendobj\n".encode("latin-1")
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    trailer = f"trailer\n<< /Size {len(numbered) + 1} /Root 1 0 R >>\nstartxref\n{len(written)}\n%%EOF\n"
    return written + f"xref\n0 {len(numbered) + 1}\n0000000000 65535 f \n{table}{trailer}".encode()


def stream(content: str, entries: str = "") -> str:
    """A stream object."""
    return f"<< /Length {len(content)} {entries} >>\nstream\n{content}\nendstream"


def shown(*pieces: tuple[float, float, str]) -> str:
    """Pieces of text, each at a place in points from the left and the bottom of the page, in this order."""
    return "\n".join(f"BT /F1 12 Tf {left} {bottom} Td ({text}) Tj ET" for left, bottom, text in pieces)


def column(left: float, top: float, lines: Iterable[str]) -> list[tuple[float, float, str]]:
    """Lines below each other."""
    return [(left, top - 14 * number, line) for number, line in enumerate(lines)]


def annotated(*annotations: str) -> bytes:
    """A page with the words "Body words" and these annotations."""
    numbers = " ".join(f"{6 + number} 0 R" for number in range(len(annotations)))
    return sheet(shown((50, 500, "Body words")), *annotations, page=f"/Annots [{numbers}]")
