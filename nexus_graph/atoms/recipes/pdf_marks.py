"""What is laid over a PDF page: the values of form fields, and annotations.

What is shown on the page (the value of a field, a tick, free text) makes lines at its place; what a reader opens (a
note, a comment on a highlight) makes notes. What flags hide is left out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from nexus_graph.atoms.model import LeftOut
from nexus_graph.atoms.recipes.pdf_lines import Box, PageText
from nexus_graph.atoms.recipes.pdf_order import Line

TICKED, UNTICKED = "\u2611", "\u2610"
_PASSWORD = 1 << 13  # a flag of text fields (ISO 32000-1, table 228)
_MOST_OPTIONS = 10_000


@dataclass(frozen=True, slots=True)
class Note:
    """Words of an annotation that a reader opens."""

    text: str


Mark = Line | Note | LeftOut


def marks(page: Any, text: PageText, place: str) -> Iterator[Mark]:
    """All that is laid over a page of pypdfium2, in the order of the file; `place` names the page."""
    import pypdfium2.raw as raw  # here, so that only a worker ever loads a parser of hostile files

    hiding = raw.FPDF_ANNOT_FLAG_HIDDEN | raw.FPDF_ANNOT_FLAG_NOVIEW
    for number in range(raw.FPDFPage_GetAnnotCount(page)):
        handle = raw.FPDFPage_GetAnnot(page, number)
        if not handle:
            continue
        found = list(_read(raw, page, handle, text, place))
        if found and raw.FPDFAnnot_GetFlags(handle) & hiding:
            found = [LeftOut("hidden mark", place)]
        raw.FPDFPage_CloseAnnot(handle)
        yield from found


def _read(raw: Any, page: Any, handle: Any, text: PageText, place: str) -> Iterator[Mark]:
    kind = raw.FPDFAnnot_GetSubtype(handle)
    if kind == raw.FPDF_ANNOT_WIDGET:
        if page.formenv:
            yield from _field(raw, page.formenv, handle, text, place)
    elif kind == raw.FPDF_ANNOT_FILEATTACHMENT:
        attachment = raw.FPDFAnnot_GetFileAttachment(handle)
        name = _words(lambda *out: raw.FPDFAttachment_GetName(attachment, *out)) if attachment else ""
        yield LeftOut("attachment", f"{name or 'a file'} on {place}")
    elif kind not in (raw.FPDF_ANNOT_LINK, raw.FPDF_ANNOT_POPUP):
        words = _words(lambda *out: raw.FPDFAnnot_GetStringValue(handle, b"Contents", *out)).strip()
        if words and kind == raw.FPDF_ANNOT_FREETEXT:
            yield from _lines(words, _box(raw, handle, text))
        elif words:
            yield Note(words)
        elif kind in (raw.FPDF_ANNOT_STAMP, raw.FPDF_ANNOT_WATERMARK, raw.FPDF_ANNOT_FREETEXT):
            if _is_drawn(raw, handle):
                yield LeftOut("stamp", place)
        elif kind in (raw.FPDF_ANNOT_SOUND, raw.FPDF_ANNOT_MOVIE, raw.FPDF_ANNOT_SCREEN, raw.FPDF_ANNOT_RICHMEDIA):
            yield LeftOut("recording", place)


def _field(raw: Any, form: Any, handle: Any, text: PageText, place: str) -> Iterator[Mark]:
    """The value of a form field, as it is shown."""
    kind = raw.FPDFAnnot_GetFormFieldType(form, handle)
    box = _box(raw, handle, text)
    if kind in (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON):
        yield Line(TICKED if raw.FPDFAnnot_IsChecked(form, handle) else UNTICKED, *box)
    elif kind in (raw.FPDF_FORMFIELD_PUSHBUTTON, raw.FPDF_FORMFIELD_SIGNATURE):
        if _is_drawn(raw, handle):
            yield LeftOut("button" if kind == raw.FPDF_FORMFIELD_PUSHBUTTON else "signature", place)
    elif kind == raw.FPDF_FORMFIELD_TEXTFIELD and raw.FPDFAnnot_GetFormFieldFlags(form, handle) & _PASSWORD:
        yield LeftOut("hidden mark", place)
    else:
        yield from _lines("\n".join(_chosen(raw, form, handle)) or _value(raw, form, handle), box)


def _value(raw: Any, form: Any, handle: Any) -> str:
    return _words(lambda *out: raw.FPDFAnnot_GetFormFieldValue(form, handle, *out))


def _chosen(raw: Any, form: Any, handle: Any) -> Iterator[str]:
    """The labels of the options that are chosen; a field without options has none."""
    for number in range(min(raw.FPDFAnnot_GetOptionCount(form, handle), _MOST_OPTIONS)):
        if raw.FPDFAnnot_IsOptionSelected(form, handle, number):
            yield _words(lambda *out, at=number: raw.FPDFAnnot_GetOptionLabel(form, handle, at, *out))


def _lines(words: str, box: Box) -> Iterator[Line]:
    """The lines of some words, spread over their box."""
    left, top, right, bottom = box
    found = words.replace("\r\n", "\n").replace("\r", "\n").strip().split("\n")
    height = (bottom - top) / len(found)
    for number, line in enumerate(found):
        if line.strip():
            yield Line(line.strip(), left, top + number * height, right, top + (number + 1) * height)


def _box(raw: Any, handle: Any, text: PageText) -> Box:
    rectangle = raw.FS_RECTF()
    raw.FPDFAnnot_GetRect(handle, rectangle)
    left, right = sorted((rectangle.left, rectangle.right))
    bottom, top = sorted((rectangle.bottom, rectangle.top))
    return text.placed(left, bottom, right, top)


def _is_drawn(raw: Any, handle: Any) -> bool:
    """Whether it has an appearance of its own."""
    return bool(raw.FPDFAnnot_GetAP(handle, raw.FPDF_ANNOT_APPEARANCEMODE_NORMAL, None, 0) > 2)


def _words(ask: Callable[[Any, int], int]) -> str:
    """What PDFium writes as UTF-16 into a buffer; `ask` takes one, and tells how many bytes it needs."""
    needed = ask(None, 0)
    buffer = (ctypes.c_ushort * (needed // 2 + 1))()
    ask(buffer, needed)
    return bytes(buffer)[: max(needed - 2, 0)].decode("utf-16-le", "replace")
