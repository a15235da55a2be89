"""Textual difference between two versions of a card: line by line, deterministic, and bounded.

Patience diff (Bram Cohen): lines that stand exactly once on both sides are anchors, the longest run of anchors in the
same order is kept, and the parts between anchors are treated alike. It costs about n log n and reads well for prose.
A part without anchors is replaced as a whole, and so is what is left when `_MOST_LINES` lines have been looked at:
the difference is then larger than need be, and still exact.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

_MOST_LINES = 4_000_000

_Match = tuple[int, int, int]  # so many equal lines, from this line of the old text and this line of the new


class Change(StrEnum):
    """What became of a line, written as in a unified diff."""

    KEPT = " "
    REMOVED = "-"
    ADDED = "+"


@dataclass(frozen=True, slots=True)
class Line:
    """A line with its line feed; only the last line of a text may lack one."""

    change: Change
    text: str


@dataclass(frozen=True, slots=True)
class Hunk:
    """Changes with their surroundings. Starts are 1-based; an empty side's is one less, as in `diff -u`."""

    old_start: int
    old_count: int
    new_start: int
    new_count: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """All hunks, in order; none when the texts are equal."""

    hunks: tuple[Hunk, ...]

    @property
    def text(self) -> str:
        """The unified form, as `patch` reads it, without file names."""
        parts: list[str] = []
        for hunk in self.hunks:
            parts.append(f"@@ -{_range(hunk.old_start, hunk.old_count)} +{_range(hunk.new_start, hunk.new_count)} @@\n")
            for line in hunk.lines:
                parts.append(line.change + line.text)
                if not line.text.endswith("\n"):
                    parts.append("\n\\ No newline at end of file\n")
        return "".join(parts)


def unified(old: str, new: str, *, context: int = 3) -> Difference:
    """What turns `old` into `new`, with `context` kept lines around each change. Lines end with LF."""
    before, after = _lines(old), _lines(new)
    groups: list[list[tuple[int, int, int, int]]] = []
    i = j = 0
    for at, there, length in [*_matches(before, after), (len(before), len(after), 0)]:
        if i < at or j < there:
            if groups and i - groups[-1][-1][1] <= 2 * context:
                groups[-1].append((i, at, j, there))
            else:
                groups.append([(i, at, j, there)])
        i, j = at + length, there + length
    return Difference(tuple(_hunk(before, after, changes, context) for changes in groups))


def _hunk(before: list[str], after: list[str], changes: list[tuple[int, int, int, int]], context: int) -> Hunk:
    lead = min(context, changes[0][0])
    start, new_start = changes[0][0] - lead, changes[0][2] - lead
    end = min(changes[-1][1] + context, len(before))
    new_end = changes[-1][3] + end - changes[-1][1]
    lines: list[Line] = []
    i = start
    for old_from, old_to, new_from, new_to in changes:
        lines += [Line(Change.KEPT, line) for line in before[i:old_from]]
        lines += [Line(Change.REMOVED, line) for line in before[old_from:old_to]]
        lines += [Line(Change.ADDED, line) for line in after[new_from:new_to]]
        i = old_to
    lines += [Line(Change.KEPT, line) for line in before[i:end]]
    old_count, new_count = end - start, new_end - new_start
    return Hunk(start + (old_count > 0), old_count, new_start + (new_count > 0), new_count, tuple(lines))


def _lines(text: str) -> list[str]:
    """Lines with their LF. `str.splitlines` would also split at characters that are content here."""
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _range(start: int, count: int) -> str:
    return str(start) if count == 1 else f"{start},{count}"


def _matches(before: list[str], after: list[str]) -> list[_Match]:
    """Stretches of equal lines, in order, by patience."""
    found: list[_Match] = []
    parts = [(0, len(before), 0, len(after))]
    looked_at = 0
    while parts:
        low, high, new_low, new_high = parts.pop()
        looked_at += high - low + new_high - new_low
        start = low
        while low < high and new_low < new_high and before[low] == after[new_low]:
            low, new_low = low + 1, new_low + 1
        if low > start:
            found.append((start, new_low - (low - start), low - start))
        end = high
        while low < high and new_low < new_high and before[high - 1] == after[new_high - 1]:
            high, new_high = high - 1, new_high - 1
        if end > high:
            found.append((high, new_high, end - high))
        if looked_at > _MOST_LINES:
            continue
        i, j = low, new_low
        anchors = _anchors(_unique(before, low, high), _unique(after, new_low, new_high))
        for at, there in anchors:
            found.append((at, there, 1))
            parts.append((i, at, j, there))
            i, j = at + 1, there + 1
        if anchors:
            parts.append((i, high, j, new_high))
    return sorted(found)


def _anchors(olds: dict[str, int], news: dict[str, int]) -> list[tuple[int, int]]:
    """Lines that stand once on both sides, as the longest run that keeps the order of both."""
    pairs = [(at, news[line]) for line, at in olds.items() if line in news]
    return _longest_increasing(pairs)


def _unique(lines: list[str], low: int, high: int) -> dict[str, int]:
    """Where the lines stand that occur only once from `low` to `high`."""
    places: dict[str, int] = {}
    repeated: set[str] = set()
    for at in range(low, high):
        if places.setdefault(lines[at], at) != at:
            repeated.add(lines[at])
    for line in repeated:
        del places[line]
    return places


def _longest_increasing(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of pairs, already sorted by their first number, whose second numbers rise too."""
    tails: list[int] = []
    ends: list[int] = []
    previous: list[int] = []
    for position, (_, there) in enumerate(pairs):
        length = bisect_left(tails, there)
        previous.append(ends[length - 1] if length else -1)
        tails[length : length + 1] = [there]
        ends[length : length + 1] = [position]
    chosen: list[tuple[int, int]] = []
    position = ends[-1] if ends else -1
    while position >= 0:
        chosen.append(pairs[position])
        position = previous[position]
    return chosen[::-1]
