"""PDF: the text of each page, as PDFium reads it.

The canonical text is the text of all pages in order, with a form feed between them. Pages that hold no text (scans, for
instance) make no atom but are counted, and told. Text recognition is not attempted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

from nexus_graph.atoms.decoding import unreadable
from nexus_graph.atoms.model import Draft, LeftOut, Omission, Params, Recipe, Span

_LINE_END_HYPHEN = "\x02"  # PDFium's mark for a hyphen that ends a line, in place of hyphen and line end
_UNKEEPABLE = re.compile("[\0\ud800-\udfff\ufffe\uffff]")
_REASONS = {
    "Incorrect password": ("it is encrypted", "Remove its password, and upload it again."),
    "Data format": ("it is broken or no PDF at all", "Open it in a reader, and save it again."),
}


def pages(data: bytes, params: Params) -> Iterator[Draft | LeftOut]:
    """The pages that hold text, and word of those that do not."""
    start = ordinal = 0
    for number, text in enumerate(_texts(data), 1):
        end = start + len(text)
        if text.strip():
            yield Draft(ordinal, Span(start, end, page=number), text, "page")
            ordinal += 1
        else:
            yield LeftOut("textless page", f"page {number}")
        start = end + 1


def _texts(data: bytes) -> Iterator[str]:
    import pypdfium2  # here, so that only a worker ever loads a parser of hostile files

    try:
        with pypdfium2.PdfDocument(data) as document:
            for number in range(len(document)):
                with closing(document[number]) as page, closing(page.get_textpage()) as content:
                    yield _tidy(content.get_text_bounded())
    except pypdfium2.PdfiumError as error:
        known = next((known for name, known in _REASONS.items() if name in str(error)), None)
        reason, hint = known or ("PDFium refused it", "Open it in a reader, and save it again.")
        raise unreadable("PDF", reason, hint=hint) from None


def _tidy(text: str) -> str:
    """Line feeds only, hyphens as hyphens, and nothing that UTF-8 or a database can't keep."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").replace(_LINE_END_HYPHEN, "-")
    return _UNKEEPABLE.sub("\ufffd", text)


PAGES = Recipe(
    op="pdf.pages",
    version="1",
    reads="PDF",
    purpose="One atom for the text of each page.",
    content_types=frozenset({"application/pdf", "application/x-pdf"}),
    extensions={"pdf": "application/pdf"},
    derive=pages,
    leaves_out={"textless page": Omission("{place} has no text layer")},
)
