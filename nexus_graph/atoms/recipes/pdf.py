"""PDF: the text of each page, as a reader sees it, and the notes on it.

PDFium reads the text. A page counts as it stands upright for most of its text, whatever its rotation; lines are put in
reading order (see `pdf_order`), and the values of form fields, ticks and free text stand at their places among them: a
ticked box is a `☑`, another one a `☐`. A hyphen that ends a line is kept, and so is the line end: nothing tells
`cou-pling` from `self-locking`. Invisible text counts: it is what text recognition lays under a scan. The canonical
text is the text of all pages in order with a form feed between them; the notes of a page (comments, contents of sticky
notes and highlights) follow its text, each on a line of its own.

Text outside of a page's box, hidden fields and hidden notes are left out, as a reader does not see them. Text
recognition is not attempted: pages without text are told, and so are those that are little but a picture, and whose
fonts do not tell their letters. Text of layers that are switched off is read as well: PDFium does not tell it apart.
Links, bookmarks and properties of the file are no text of its pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from nexus_graph.atoms.decoding import unreadable
from nexus_graph.atoms.model import Draft, LeftOut, Omission, Params, Recipe, Span
from nexus_graph.atoms.recipes.pdf_lines import GAP, PageText
from nexus_graph.atoms.recipes.pdf_marks import Note, marks
from nexus_graph.atoms.recipes.pdf_order import Line, in_reading_order, with_overlays

_UNKEEPABLE = re.compile("[\0-\x08\x0b\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_REASONS = {
    "Incorrect password": ("it is encrypted", "Remove its password, and upload it again."),
    "Data format": ("it is broken or no PDF at all", "Open it in a reader, and save it again."),
}
_FEW_LETTERS = 200  # a page with fewer may be a picture with a stamp or a page number
_MOST_PICTURES = 1000


def pages(data: bytes, params: Params) -> Iterator[Draft | LeftOut]:
    """The pages that hold text, their notes, and word of what is not read."""
    import pypdfium2  # here, so that only a worker ever loads a parser of hostile files

    try:
        with pypdfium2.PdfDocument(data) as document:
            yield from _left_out(document)
            yield from _drafts(document)
    except pypdfium2.PdfiumError as error:
        known = next((known for name, known in _REASONS.items() if name in str(error)), None)
        reason, hint = known or ("PDFium refused it", "Open it in a reader, and save it again.")
        raise unreadable("PDF", reason, hint=hint) from None


def _left_out(document: Any) -> Iterator[LeftOut]:
    """What belongs to the whole document and is not read. Forms are prepared."""
    import pypdfium2.raw as raw

    document.init_forms()
    if document.get_formtype() in (raw.FORMTYPE_XFA_FULL, raw.FORMTYPE_XFA_FOREGROUND):
        yield LeftOut("XFA form")
    for number in range(document.count_attachments()):
        yield LeftOut("attachment", _tidy(document.get_attachment(number).get_name()))


def _drafts(document: Any) -> Iterator[Draft | LeftOut]:
    start = ordinal = 0
    glued = False
    for number in range(1, len(document) + 1):
        with closing(document[number - 1]) as page, closing(PageText(page, glued=glued)) as content:
            found = list(_page(page, content, f"page {number}"))
            glued = content.glued
        for piece in found:
            if isinstance(piece, LeftOut):
                yield piece
                continue
            kind, text = piece
            end = start + len(text)
            if text.strip():
                yield Draft(ordinal, Span(start, end, page=number), text, kind)
                ordinal += 1
            start = end + 1


def _page(page: Any, content: PageText, place: str) -> Iterator[tuple[str, str] | LeftOut]:
    """Kind and text of the page and of its notes."""
    found = list(marks(page, content, place))
    lines = content.lines()
    ordered = in_reading_order(lines, content.runs(), content.cut)
    overlays = [mark for mark in found if isinstance(mark, Line)]
    yield "page", _tidy("\n".join(with_overlays(ordered, overlays, content.cut)))
    yield from _missed(page, content, place, sum(len(line.text) for line in lines))
    for mark in found:
        if isinstance(mark, LeftOut):
            yield LeftOut(mark.what, _tidy(mark.place))
        elif isinstance(mark, Note):
            yield "note", _tidy(mark.text)


def _missed(page: Any, content: PageText, place: str, letters: int) -> Iterator[LeftOut]:
    """What a page of so many letters holds beside its text."""
    import pypdfium2.raw as raw

    if content.outside:
        yield LeftOut("outside", place)
    if content.garbled:
        yield LeftOut("unknown letters", place)
    if not letters:
        yield LeftOut("textless page" if raw.FPDFPage_CountObjects(page) else "blank page", place)
    elif letters < _FEW_LETTERS and not content.invisible and _is_picture(raw, page, content.size):
        yield LeftOut("picture", place)


def _is_picture(raw: Any, page: Any, size: Sequence[float]) -> bool:
    """Whether one picture covers half of the page."""
    for number, item in enumerate(page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=3)):
        left, bottom, right, top = item.get_bounds()
        if (right - left) * (top - bottom) * 2 > size[0] * size[1]:
            return True
        if number > _MOST_PICTURES:
            break
    return False


def _tidy(text: str) -> str:
    """Line feeds only, whole characters, and nothing that UTF-8 or a database can't keep."""
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    text = text.replace(GAP, " ").replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n")
    return _UNKEEPABLE.sub("\ufffd", text)


PAGES = Recipe(
    op="pdf.pages",
    version="2",
    reads="PDF",
    purpose="One atom for the text of each page, with the values of its form fields, and one for each note on it.",
    content_types=frozenset({"application/pdf", "application/x-pdf"}),
    extensions={"pdf": "application/pdf"},
    derive=pages,
    leaves_out={
        "textless page": Omission("{place} has no text layer"),
        "blank page": Omission("{place} is blank", intended=True),
        "picture": Omission("{place} is a picture with few words beside it"),
        "unknown letters": Omission("{place} has letters that its fonts do not tell"),
        "outside": Omission("what lies outside of {place}", intended=True),
        "hidden mark": Omission("hidden fields or notes on {place}", intended=True),
        "stamp": Omission("the stamp on {place}"),
        "signature": Omission("the look of a signature on {place}"),
        "button": Omission("the caption of a button on {place}"),
        "recording": Omission("a recording on {place}"),
        "attachment": Omission("the attached file {place}"),
        "XFA form": Omission("its XFA form"),
    },
)
