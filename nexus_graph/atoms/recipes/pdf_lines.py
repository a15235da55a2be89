"""The lines of a PDF page, as PDFium finds them, with their places.

A page is turned so that most of its text stands upright, whatever its own rotation says: a table that is printed
sideways is read like any other. What lies outside of the page's box is left out.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from nexus_graph.atoms.recipes.pdf_order import Line

_BREAK = re.compile("\r\n|[\r\n\f\ufffe]")
_LINE_END_HYPHEN = "\ufffe"  # PDFium's mark for a hyphen that ends a line, in place of hyphen and line end
_SAMPLES = 100  # characters of a page that are looked at closely
_MOST_RUNS = 5_000
_EDGE = 1.0  # points that a line may reach over the edge of its page

Box = tuple[float, float, float, float]


class PageText:
    """The text of one page, with places on the page as it is turned upright."""

    def __init__(self, page: Any) -> None:
        """`page` is a page of pypdfium2; it is turned."""
        import pypdfium2.raw as raw  # here, so that only a worker ever loads a parser of hostile files

        self._raw = raw
        self._box = page.get_bbox()
        self._rectangle = raw.FS_RECTF()
        page.set_rotation(0)
        self._content = page.get_textpage()
        turn, self.garbled = self._look()
        """Whether a good part of the letters is unknown: their font does not tell."""
        if turn:
            self._content.close()
            page.set_rotation(turn)
            self._content = page.get_textpage()
        self._turn = turn
        self.outside = False
        """Whether text was met outside of the page's box; known when all lines were taken."""

    def close(self) -> None:
        """Let go of what PDFium keeps."""
        self._content.close()

    def placed(self, left: float, bottom: float, right: float, top: float) -> Box:
        """Left, top, right and bottom on the upright page, of a box in the page's own coordinates."""
        x0, y0, x1, y1 = self._box
        match self._turn:
            case 90:
                return bottom - y0, left - x0, top - y0, right - x0
            case 180:
                return x1 - right, bottom - y0, x1 - left, top - y0
            case 270:
                return y1 - top, x1 - right, y1 - bottom, x1 - left
        return left - x0, y1 - top, right - x0, y1 - bottom

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the upright page."""
        _, _, width, height = self.placed(*self._box)
        return width, height

    def lines(self) -> Iterator[Line]:
        """The lines that lie on the page and are not blank, in the order of the file. A hyphen that ends a line stays."""
        text = self._text()
        width, height = self.size
        start = 0
        while start < len(text):
            found = _BREAK.search(text, start)
            end, after = found.span() if found else (len(text), len(text))
            words = text[start:end].strip()
            if words:
                first = start + text[start:end].index(words[0])
                line = self._line(words + "-" * (text[end:after] == _LINE_END_HYPHEN), first, len(words))
                if -_EDGE <= line.left <= line.right <= width + _EDGE and -_EDGE <= line.top <= line.bottom <= height + _EDGE:
                    yield line
                elif (kept := self._on_page(line, width, height)) is not None:
                    yield kept
            start = after

    def runs(self) -> list[tuple[float, float]]:
        """Left and right end of all that was drawn in one go."""
        count = min(self._raw.FPDFText_CountRects(self._content, 0, -1), _MOST_RUNS)
        sides = [ctypes.c_double() for _ in range(4)]
        left, top, right, bottom = sides
        found = []
        for number in range(count):
            self._raw.FPDFText_GetRect(self._content, number, left, top, right, bottom)
            x0, _, x1, _ = self.placed(left.value, bottom.value, right.value, top.value)
            found.append((x0, x1))
        return found

    def cut(self, line: Line, gap: float) -> tuple[Line, Line] | None:
        """The parts of `line` on both sides of a place, or None where a letter stands there."""
        if line.first < 0:
            return None
        before = -math.inf
        for at, letter in enumerate(line.text.removesuffix("-")):
            if letter == " ":
                continue
            left, _, right, _ = self._letter(line.first + at)
            if left + right > 2 * gap:
                if not before <= gap <= left:
                    return None
                ahead = line.text[:at].rstrip()
                return (
                    Line(ahead, line.left, line.top, before, line.bottom, line.first),
                    Line(line.text[at:], left, line.top, line.right, line.bottom, line.first + at),
                )
            before = max(before, right)
        return None

    def _text(self) -> str:
        """All characters, one for each that PDFium counts: those beyond 16 bits are two surrogates."""
        count = self._content.count_chars()
        buffer = (ctypes.c_ushort * (count + 1))()
        length = max(self._raw.FPDFText_GetText(self._content, 0, count, buffer) - 1, 0)
        return "".join(map(chr, buffer[:length]))

    def _look(self) -> tuple[int, bool]:
        """By how many degrees to turn the page so that most of its text is upright, and whether letters are unknown."""
        count = self._content.count_chars()
        directions: Counter[int] = Counter()
        letters = unknown = 0
        for at in range(0, count, max(1, count // _SAMPLES)):
            angle = self._raw.FPDFText_GetCharAngle(self._content, at)
            if angle >= 0:  # it was drawn, and is no space that PDFium put in
                directions[round(math.degrees(angle)) % 360] += 1
                letters += 1
                unknown += self._raw.FPDFText_HasUnicodeMapError(self._content, at) == 1
        usual = directions.most_common(1)[0][0] if directions else 0
        return (360 - usual) % 360 if usual % 90 == 0 else 0, unknown * 4 > letters

    def _letter(self, at: int) -> Box:
        """The box of the character that stands at this place of the text."""
        number = self._raw.FPDFText_GetCharIndexFromTextIndex(self._content, at)
        box = self._rectangle
        self._raw.FPDFText_GetLooseCharBox(self._content, number, box)
        return self.placed(box.left, box.bottom, box.right, box.top)

    def _line(self, words: str, first: int, count: int) -> Line:
        one, other = self._letter(first), self._letter(first + count - 1)
        left, top = min(one[0], other[0]), min(one[1], other[1])
        return Line(words, left, top, max(one[2], other[2]), max(one[3], other[3]), first)

    def _on_page(self, line: Line, width: float, height: float) -> Line | None:
        """What of a line lies on the page."""
        kept = ""
        for at, letter in enumerate(line.text):
            left, top, right, bottom = self._letter(line.first + at)
            if letter == " " or (0 <= left + right <= 2 * width and 0 <= top + bottom <= 2 * height):
                kept += letter
        self.outside = self.outside or len(kept) < len(line.text)
        kept = kept.strip()
        return Line(kept, max(line.left, 0), max(line.top, 0), min(line.right, width), min(line.bottom, height)) if kept else None
