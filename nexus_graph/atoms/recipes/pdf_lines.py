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
from dataclasses import replace
from statistics import median
from typing import Any

from nexus_graph.atoms.recipes.pdf_order import Line, closed_up

_BREAK = re.compile("\r\n|[\r\n\f\ufffe]")
_LINE_END_HYPHEN = "\ufffe"  # PDFium's mark for a hyphen that ends a line, in place of hyphen and line end
_SAMPLES = 50  # characters of a page that are looked at closely
_MOST_RUNS = 5_000
_EDGE = 1.0  # points that a line may reach over the edge of its page
_APART = 0.15  # of the height of a line: letters so far from each other have a space between them
_LINES_PROBED = 5
_STACKED = "\u2e80"  # from here on, letters may well stand on each other

GAP = "\x1f"
"""Stands in lines for a space that is seen and that PDFium did not notice: it is no character of the page."""

_GLUED = re.compile(rf"\w{GAP}\w")  # leaders before a page number say nothing

_SPACED = re.compile(r"(?:(?<!\w)[^\W\d_] ){6}[^\W\d_](?!\w)")

Box = tuple[float, float, float, float]


class PageText:
    """The text of one page, with places on the page as it is turned upright."""

    def __init__(self, page: Any, *, glued: bool = False) -> None:
        """`page` is a page of pypdfium2; it is turned. `glued` says that earlier pages had glued words."""
        import pypdfium2.raw as raw  # here, so that only a worker ever loads a parser of hostile files

        self._raw = raw
        self._box = page.get_bbox()
        self._rectangle = raw.FS_RECTF()
        page.set_rotation(0)
        self._content = page.get_textpage()
        self.garbled = False
        """Whether a good part of the letters is unknown: their font does not tell."""
        self.glued = glued
        """Whether PDFium missed spaces between words; known when all lines were taken."""
        self._drawn_spaces = self._numbered_alike = True
        turn = self._look()
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

    @property
    def invisible(self) -> bool:
        """Whether the text begins invisibly: text recognition laid it under a picture."""
        item = self._raw.FPDFText_GetTextObject(self._content, 0)
        mode = self._raw.FPDFTextObj_GetTextRenderMode(item) if item else None
        return bool(mode == self._raw.FPDF_TEXTRENDERMODE_INVISIBLE)

    def lines(self) -> list[Line]:
        """The lines that lie on the page and are not blank, in the order of the file. Hyphens at their ends stay."""
        found = [self._closed_up(line) if _SPACED.search(line.text) else line for line in self._lines()]
        if not self._drawn_spaces:  # they were guessed
            probed = found[:: max(1, len(found) // _LINES_PROBED)]
            self.glued = self.glued or any(_GLUED.search(self._apart(line)) for line in probed)
            if self.glued:
                return [replace(line, text=self._apart(line)) for line in found]
        return found

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
        gaps = 0
        for at, letter in enumerate(line.text.removesuffix("-")):
            if letter == GAP:
                gaps += 1
            if letter in (" ", GAP):
                continue
            left, _, right, _ = self._letter(line.first + at - gaps)
            if left + right > 2 * gap:
                if not before <= gap <= left:
                    return None
                ahead, behind = line.text[:at].rstrip(), line.text[at:]
                return (
                    Line(ahead, line.left, line.top, before, line.bottom, line.first),
                    Line(behind, left, line.top, line.right, line.bottom, line.first + at - gaps),
                )
            before = max(before, right)
        return None

    def _text(self) -> str:
        """All characters, one for each that PDFium counts: those beyond 16 bits are two surrogates."""
        count = self._content.count_chars()
        buffer = (ctypes.c_ushort * (count + 1))()
        length = max(self._raw.FPDFText_GetText(self._content, 0, count, buffer) - 1, 0)
        self._handle = self._content.raw
        last = self._raw.FPDFText_GetCharIndexFromTextIndex(self._handle, length - 1)
        self._numbered_alike = last == length - 1
        return "".join(map(chr, buffer[:length])).replace(GAP, " ")

    def _lines(self) -> Iterator[Line]:
        text = self._text()
        width, height = self.size
        start = 0
        while start < len(text):
            found = _BREAK.search(text, start)
            end, after = found.span() if found else (len(text), len(text))
            if words := text[start:end].strip():
                first = start + text[start:end].index(words[0])
                hyphen = "-" * (text[end:after] == _LINE_END_HYPHEN)
                for line in self._rows(words, first, hyphen):
                    within = -_EDGE <= line.left <= line.right <= width + _EDGE
                    if within and -_EDGE <= line.top <= line.bottom <= height + _EDGE:
                        yield line
                    elif (kept := self._on_page(line, width, height)) is not None:
                        yield kept
            start = after

    def _closed_up(self, line: Line) -> Line:
        """The words of a line whose letters are set so far apart that PDFium took each for a word."""
        if line.first < 0:
            return line
        number = self._raw.FPDFText_GetCharIndexFromTextIndex(self._handle, line.first + line.text.index(" "))
        if self._raw.FPDFText_IsGenerated(self._handle, number) != 1:
            return line
        letters = []
        for at, letter in enumerate(line.text):
            if letter != " ":
                left, _, right, _ = self._letter(line.first + at)
                letters.append(replace(line, text=letter, left=left, right=right))
        return replace(line, text=closed_up(letters), first=-1)

    def _apart(self, line: Line) -> str:
        """The text of a line, with a mark where letters stand apart without a space. Spaced-out words stay whole."""
        if line.first < 0:
            return line.text
        boxes = [self._letter(line.first + at) for at in range(len(line.text))]
        letters = [letter != " " for letter in line.text]
        between = {
            at: boxes[at][0] - boxes[at - 1][2] for at in range(1, len(boxes)) if letters[at - 1] and letters[at]
        }
        if not between:
            return line.text
        usual = max(median(between.values()), 0)
        wide = _APART * line.height + 2 * usual
        return "".join(GAP * (between.get(at, 0) > wide) + letter for at, letter in enumerate(line.text))

    def _look(self) -> int:
        """By how many degrees to turn the page so that most of its text is upright. Looks at a few characters."""
        count = self._content.count_chars()
        directions: Counter[int] = Counter()
        letters = unknown = 0
        for at in range(0, count, max(1, count // _SAMPLES)):
            if self._raw.FPDFText_IsGenerated(self._content, at) == 1:
                self._drawn_spaces = self._drawn_spaces and self._raw.FPDFText_GetUnicode(self._content, at) != ord(" ")
            elif (angle := self._raw.FPDFText_GetCharAngle(self._content, at)) >= 0:
                directions[round(math.degrees(angle)) % 360] += 1
                letters += 1
                unknown += self._raw.FPDFText_HasUnicodeMapError(self._content, at) == 1
        usual = directions.most_common(1)[0][0] if directions else 0
        self.garbled = unknown * 4 > letters
        return (360 - usual) % 360 if usual % 90 == 0 else 0

    def _letter(self, at: int) -> Box:
        """The box of the character that stands at this place of the text."""
        number = at if self._numbered_alike else self._raw.FPDFText_GetCharIndexFromTextIndex(self._handle, at)
        box = self._rectangle
        self._raw.FPDFText_GetLooseCharBox(self._handle, number, box)
        return self.placed(box.left, box.bottom, box.right, box.top)

    def _rows(self, words: str, first: int, hyphen: str) -> Iterator[Line]:
        """One line; several where PDFium glued short lines that stand below each other, such as numbers in a table."""
        begin, end = self._letter(first), self._letter(first + len(words) - 1)
        if not _is_apart(begin, end) or not self._is_upright(first) or words[0] >= _STACKED:
            yield _spanning(words + hyphen, begin, end, first)
            return
        start, seen, was_upright = 0, begin, True
        for at, letter in enumerate(words):
            box = self._letter(first + at)
            if letter == " ":
                continue
            upright = self._is_upright(first + at)
            if _is_apart(seen, box) and (upright or was_upright):
                yield _spanning(words[start:at].rstrip(), self._letter(first + start), seen, first + start)
                start = at
            seen, was_upright = box, upright
        yield _spanning(words[start:] + hyphen, self._letter(first + start), end, first + start)

    def _is_upright(self, at: int) -> bool:
        angle = math.degrees(self._raw.FPDFText_GetCharAngle(self._handle, at))
        return round(angle + self._turn) % 360 == 0

    def _on_page(self, line: Line, width: float, height: float) -> Line | None:
        """What of a line lies on the page."""
        kept = ""
        for at, letter in enumerate(line.text):
            left, top, right, bottom = self._letter(line.first + at)
            if letter == " " or (0 <= left + right <= 2 * width and 0 <= top + bottom <= 2 * height):
                kept += letter
        self.outside = self.outside or len(kept) < len(line.text)
        kept = kept.strip()
        return (
            Line(kept, max(line.left, 0), max(line.top, 0), min(line.right, width), min(line.bottom, height))
            if kept
            else None
        )


def _is_apart(one: Box, other: Box) -> bool:
    """Whether two letters stand in different rows."""
    return not (one[1] < (other[1] + other[3]) / 2 < one[3] or other[1] < (one[1] + one[3]) / 2 < other[3])


def _spanning(words: str, one: Box, other: Box, first: int) -> Line:
    """The line from one letter to another."""
    left, top = min(one[0], other[0]), min(one[1], other[1])
    return Line(words, left, top, max(one[2], other[2]), max(one[3], other[3]), first)
