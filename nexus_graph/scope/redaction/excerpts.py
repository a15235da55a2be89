"""What a detector need not read: the lines of a text that hold enough digits, and those around them.

Most kinds are numbers, and most lines of prose hold none. Excerpts are put together with a wall between each two: no
pattern accepts a square bracket, or takes the end of a line for anything else than the end of a text.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from nexus_graph.scope.redaction.spans import Detector, Span, Spans
from nexus_graph.scope.redaction.texts import Text

WALL = "\n[\n"
LINES = 2
"""Lines before and after a finding that its pattern may look at: none looks further for its context."""

_SHORT = 2048  # characters up to which excerpts are not worth their making
_WORTH = 0.7  # the part of a text up to which excerpts of it are


def joined(pieces: Sequence[str]) -> tuple[str, list[int]]:
    """The pieces as one text with walls between them, and where each begins in it."""
    starts = [0, *accumulate(len(piece) + len(WALL) for piece in pieces)]
    return WALL.join(pieces), starts[: len(pieces)]


def lines_around(text: Text, spans: Iterable[Span]) -> Iterator[Span]:
    """The lines of some spans, which are in order, with those around them; what touches is one. At least one span."""
    ends = text.line_ends
    start, end = 0, -1
    for first, last in spans:
        above = bisect_left(ends, first) - LINES
        below = bisect_left(ends, last) + LINES
        begin = ends[above - 1] + 1 if above > 0 else 0
        if begin > end + 1:
            if end >= 0:
                yield start, end
            start = begin
        end = ends[min(below, len(ends) - 1)]
    yield start, end


class Views:
    """A text, and what there is to read of it for a detector that wants so many digits in a line."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._regions: dict[int, list[Span]] = {}
        self._excerpts: dict[int, tuple[Text, list[int]]] = {}

    def wall(self, text: Text) -> None:
        """Go on with the text as it is with walls in the place of what was found: as long, and with fewer digits."""
        self._text = text
        self._excerpts.clear()

    def spans(self, detector: Detector, fewest_digits: int) -> Spans:
        """What a detector finds in the text, if all that it finds has at least so many digits in a line."""
        if fewest_digits == 0 or len(self._text) <= _SHORT:
            return detector(self._text)
        if fewest_digits not in self._regions:
            self._regions[fewest_digits] = self._regions_of(fewest_digits)
        regions = self._regions[fewest_digits]
        return detector(self._text) if regions == [(0, len(self._text))] else self._excerpted(detector, fewest_digits)

    def _regions_of(self, fewest_digits: int) -> list[Span]:
        ends = self._text.line_ends
        lines = self._text.digits_of_lines
        rich = [(end, end) for end, digits in zip(ends, lines, strict=True) if len(digits) >= fewest_digits]
        regions = list(lines_around(self._text, rich)) if rich else []
        worth = sum(end - start for start, end in regions) <= _WORTH * len(self._text)
        return regions if worth else [(0, len(self._text))]

    def _excerpted(self, detector: Detector, fewest_digits: int) -> Spans:
        regions = self._regions[fewest_digits]
        if fewest_digits not in self._excerpts:
            text, starts = joined([self._text[start:end] for start, end in regions])
            self._excerpts[fewest_digits] = Text(text), starts
        excerpts, starts = self._excerpts[fewest_digits]
        for start, end in detector(excerpts):
            place = bisect_right(starts, start) - 1
            offset = regions[place][0] - starts[place]
            yield start + offset, end + offset
