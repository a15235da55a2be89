"""Styles: what they say about headings, numbering, hidden text and fonts, each with the styles that it is based on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from nexus_graph.atoms.recipes.word import symbols
from nexus_graph.atoms.recipes.word.names import VALUE, W, is_on, number, value

_DEEPEST = 100  # styles that one is based on
_HEADING = "heading "
_BODY_LEVEL = 9  # the outline level of what is no heading

_RUN_PROPERTIES: Final = f"{W}rPr"
OUTLINE: Final = f"{W}outlineLvl"
_STYLE, _VANISH, _FONTS = f"{W}rStyle", f"{W}vanish", f"{W}rFonts"
_ASCII, _OTHER = f"{W}ascii", f"{W}hAnsi"
_ASCII_THEME, _OTHER_THEME = f"{W}asciiTheme", f"{W}hAnsiTheme"


@dataclass(frozen=True, slots=True)
class Look:
    """How characters appear, as far as it changes what they say.

    They may be hidden, and the fonts of ASCII and of other letters may draw symbols: "" where they do not.
    """

    hidden: bool = False
    ascii_font: str = ""
    other_font: str = ""


@dataclass(frozen=True, slots=True)
class Numbered:
    """A list and a level in it, counted from 0; None where it is the level that belongs to one of `styles`."""

    list_id: str
    level: int | None
    styles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParagraphStyle:
    """What a paragraph style says."""

    style_id: str | None
    heading: bool
    numbered: Numbered | None
    hidden: bool
    look: Look


_Fonts = tuple[str | None, str | None]
"""The fonts of ASCII and of other letters; None where none is named, "" for one of the theme: no symbol font."""
_NO_FONTS: Final[_Fonts] = (None, None)


class Styles:
    """The styles of a document."""

    def __init__(self, root: Any) -> None:
        """`root` is the styles part, or None where there is none."""
        found = [] if root is None else root.findall(f"{W}style")
        self._styles = {item.get(f"{W}styleId", ""): item for item in found}
        self._usual = next(
            (
                item.get(f"{W}styleId")
                for item in found
                if item.get(f"{W}type") == "paragraph" and item.get(f"{W}default") in ("1", "true", "on")
            ),
            None,
        )
        base = None if root is None else root.find(f"{W}docDefaults/{W}rPrDefault/{_RUN_PROPERTIES}")
        self._hidden = base is not None and is_on(base.find(_VANISH))
        self._fonts = _nearest_fonts([] if base is None else [base])
        self.language = (value(base, "lang") if base is not None else None) or "en"
        self._paragraphs: dict[str | None, ParagraphStyle] = {}
        self._characters: dict[str, tuple[bool | None, _Fonts]] = {}
        self._looks: dict[tuple[str | None, str | None, bool | None, _Fonts], Look] = {}

    def paragraph(self, style_id: str | None) -> ParagraphStyle:
        """A paragraph style; the usual one for None, or for one that there is not."""
        if style_id not in self._styles:
            style_id = self._usual
        if style_id not in self._paragraphs:
            self._paragraphs[style_id] = self._paragraph(style_id)
        return self._paragraphs[style_id]

    def run(self, properties: Any, paragraph: ParagraphStyle) -> Look:
        """The look of a run with these properties (`w:rPr`) in a paragraph of this style."""
        style = hidden = None
        fonts = _NO_FONTS
        for item in properties:
            if item.tag == _STYLE:
                style = item.get(VALUE)
            elif item.tag == _VANISH:
                hidden = is_on(item)
            elif item.tag == _FONTS:
                fonts = _fonts(item)
        if style is None and hidden is None and fonts == _NO_FONTS:
            return paragraph.look
        key = paragraph.style_id, style, hidden, fonts
        if key not in self._looks:
            self._looks[key] = self._look(paragraph, style, hidden, fonts)
        return self._looks[key]

    def numbering_of(self, style_id: str) -> str | None:
        """The list that a numbering style defines, by its id."""
        found = self._styles.get(style_id)
        return None if found is None else value(found, "pPr", "numPr", "numId")

    def _look(self, paragraph: ParagraphStyle, style: str | None, hidden: bool | None, own: _Fonts) -> Look:
        by_style, fonts = self._character(style)
        if hidden is None:  # two styles that hide cancel each other (ISO 29500-1, 17.7.3)
            hidden = self._hidden or paragraph.hidden != bool(by_style)
        usual = paragraph.look.ascii_font, paragraph.look.other_font
        return Look(hidden, *(_symbol_font(*names) for names in zip(own, fonts, usual, strict=True)))

    def _paragraph(self, style_id: str | None) -> ParagraphStyle:
        chain = [*self._chain(style_id)]
        names = [(value(item, "name") or "").lower() for item in chain]
        outline = _outline(chain)
        heading = any(name == "title" or name.startswith(_HEADING) for name in names)
        runs = [found for item in chain if (found := item.find(_RUN_PROPERTIES)) is not None]
        hidden = bool(_vanish(runs))
        fonts = zip(_nearest_fonts(runs), self._fonts, strict=True)
        return ParagraphStyle(
            style_id=style_id,
            heading=heading if outline is None else outline < _BODY_LEVEL,
            numbered=_numbered(chain),
            hidden=hidden,
            look=Look(self._hidden or hidden, *(_symbol_font(*names) for names in fonts)),
        )

    def _character(self, style_id: str | None) -> tuple[bool | None, _Fonts]:
        if style_id is None:
            return None, _NO_FONTS
        if style_id not in self._characters:
            chain = self._chain(style_id)
            runs = [found for item in chain if (found := item.find(_RUN_PROPERTIES)) is not None]
            self._characters[style_id] = _vanish(runs), _nearest_fonts(runs)
        return self._characters[style_id]

    def _chain(self, style_id: str | None) -> Iterator[Any]:
        """A style and those that it is based on, nearest first. Styles that are based on each other end the chain."""
        seen: set[str] = set()
        while style_id is not None and style_id not in seen and style_id in self._styles and len(seen) < _DEEPEST:
            seen.add(style_id)
            yield self._styles[style_id]
            style_id = value(self._styles[style_id], "basedOn")


def outline_level(element: Any) -> int | None:
    """The outline level that `w:outlineLvl` states, from 0 to 9, or None."""
    return None if element is None else number(element.get(VALUE))


def is_heading(level: int | None, style: ParagraphStyle) -> bool:
    """Whether a paragraph of this style is a heading; `level` is the outline level that it states itself, or None."""
    return style.heading if level is None else level < _BODY_LEVEL


def _outline(chain: list[Any]) -> int | None:
    levels = (outline_level(item.find(f"{W}pPr/{OUTLINE}")) for item in chain)
    return next((level for level in levels if level is not None), None)


def _numbered(chain: list[Any]) -> Numbered | None:
    """The list that a style belongs to; a list "0" ends the belonging."""
    list_id = level = None
    for item in chain:
        found = item.find(f"{W}pPr/{W}numPr")
        if found is not None:
            list_id = value(found, "numId") if list_id is None else list_id
            level = number(value(found, "ilvl")) if level is None else level
        if list_id is not None and level is not None:
            break
    if list_id is None or list_id == "0":
        return None
    return Numbered(list_id, level, tuple(item.get(f"{W}styleId", "") for item in chain))


def _vanish(runs: list[Any]) -> bool | None:
    found = next((item for run in runs if (item := run.find(_VANISH)) is not None), None)
    return None if found is None else is_on(found)


def _fonts(element: Any) -> _Fonts:
    first = "" if _ASCII_THEME in element.attrib else element.get(_ASCII)
    return first, "" if _OTHER_THEME in element.attrib else element.get(_OTHER)


def _nearest_fonts(runs: list[Any]) -> _Fonts:
    found = [_fonts(item) for run in runs if (item := run.find(_FONTS)) is not None]
    first, second = (next((fonts[place] for fonts in found if fonts[place] is not None), None) for place in (0, 1))
    return first, second


def _symbol_font(*names: str | None) -> str:
    """The first font that is named, if it draws symbols; else ""."""
    name = next((name for name in names if name is not None), "")
    return name if symbols.table(name) is not None else ""
