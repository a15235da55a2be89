"""What the detectors agree on: the spans they yield and the characters that may separate digits.

Rules for all patterns, so that any input costs linear time: a match starts only where a run of its characters or a word
(see `texts`) starts, runs are possessive (`++`) or bounded, and no pattern accepts a square bracket (see `findings`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from nexus_graph.scope.redaction.texts import Text

Span = tuple[int, int]
Spans = Iterator[Span]

SPACE = " \u00a0\u2007\u2009\u202f"  # space, no-break, figure, thin, narrow no-break
HYPHEN = r"\-\u2010-\u2013"  # hyphen-minus, hyphen, no-break hyphen, figure dash, en dash


Detector = Callable[[Text], Spans]


def digits_of(text: str) -> str:
    """The ASCII digits of `text`, in order."""
    return "".join(character for character in text if "0" <= character <= "9")


def apart(spans: Iterable[Span]) -> Spans:
    """`spans` in order, without those that overlap an earlier one."""
    last = 0
    for start, end in sorted(spans):
        if start >= last:
            yield start, end
            last = end
