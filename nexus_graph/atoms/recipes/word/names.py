"""The names of Word's XML elements, and how their values are written."""

from __future__ import annotations

from typing import Any, Final

W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
W14: Final = "{http://schemas.microsoft.com/office/word/2010/wordml}"
M: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
A: Final = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
C: Final = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
DGM: Final = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
WP: Final = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}"
R: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
MC: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
V: Final = "{urn:schemas-microsoft-com:vml}"
OFFICE: Final = "{urn:schemas-microsoft-com:office:office}"

PARAGRAPH: Final = f"{W}p"
TABLE: Final = f"{W}tbl"
VALUE: Final = f"{W}val"

_OFF = frozenset({"0", "false", "off"})


def properties(element: Any) -> dict[str, Any]:
    """The children of an element by name, of which each has one at most; of None, none."""
    return {} if element is None else {child.tag: child for child in element}


def value(element: Any, *path: str) -> str | None:
    """The `w:val` of an element, or of the one below it that a path of names leads to; None where there is none."""
    for name in path:
        element = None if element is None else element.find(f"{W}{name}")
    return None if element is None else element.get(VALUE)


def number(text: str | None) -> int | None:
    """A whole number, or None for what is none."""
    try:
        return None if text is None else max(-(2**31), min(int(text), 2**31))
    except ValueError:
        return None


def is_on(element: Any) -> bool:
    """Whether an on/off element is there, and says no no."""
    return element is not None and (element.get(VALUE) or element.get(f"{W14}val") or "1").lower() not in _OFF


def chosen(alternatives: Any) -> Any:
    """Of the ways to say one thing (`mc:AlternateContent`), the first, or None where there is none."""
    found = alternatives.find(f"{MC}Choice")
    return alternatives.find(f"{MC}Fallback") if found is None else found


def has_words(element: Any) -> bool:
    """Whether there is any text in an element, deleted text too."""
    return any((item.text or "").strip() for item in element.iter(f"{W}t", f"{W}delText", f"{M}t"))
