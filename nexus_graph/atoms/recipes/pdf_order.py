"""The reading order of a PDF page: lines with their places, put in the order in which a person reads them.

Programs draw their text mostly as it is read: column after column, cell after cell. So the order of the file stands
unless the places contradict it: what stands apart above comes first (running titles that were drawn last, lines drawn
from the bottom up), and prose that was drawn row by row across columns is read column by column. A table is never cut
into columns.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

_MOST_COMPARED = 500  # flows of one band: their places are compared in pairs
_LEAST_ROWS = 4  # fewer tell nothing about columns
_LEAST_LETTERS = 7  # fewer that stand apart may be names of things
_STEP = 4.0  # points


@dataclass(frozen=True, slots=True)
class Line:
    """Text in one line, and its box in points from the left and the top of the upright page."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    first: int = -1
    """Number of its first character on the page; -1 where it comes from elsewhere."""

    @property
    def height(self) -> float:
        """From top to bottom."""
        return self.bottom - self.top

    def beside(self, other: Line) -> bool:
        """Whether the two share a row."""
        shared = min(self.bottom, other.bottom) - max(self.top, other.top)
        return shared > min(self.height, other.height) / 2


@dataclass(slots=True)
class _Flow:
    """Lines that follow each other downwards in the order of the file."""

    lines: list[Line]
    left: float = field(init=False)
    right: float = field(init=False)
    top: float = field(init=False)
    bottom: float = field(init=False)

    def __post_init__(self) -> None:
        self.left = min(line.left for line in self.lines)
        self.right = max(line.right for line in self.lines)
        self.top = min(line.top + line.height / 4 for line in self.lines)
        self.bottom = max(line.bottom - line.height / 4 for line in self.lines)


Cut = Callable[[Line, float], tuple[Line, Line] | None]
"""Cuts a line in two where it leaves room at so many points from the left; None where there is none."""


def in_reading_order(lines: Sequence[Line], runs: Sequence[tuple[float, float]], cut: Cut) -> list[Line]:
    """The lines in reading order. `runs` are the left and right ends of all that was drawn in one go."""
    found = list(lines)
    for gap in _gaps(found, runs):
        found = _by_columns(found, gap, cut)
    flows = list(_flows(found))
    if len(flows) > 1:
        flows = [flow for band in _bands(flows) for flow in _tables(_from_above(band))]
    return [line for flow in flows for line in flow.lines]


def _gaps(lines: Sequence[Line], runs: Sequence[tuple[float, float]]) -> list[float]:
    """Places, from left to right, that many rows pass over and few runs of text cover: columns may meet there."""
    between = [(one.right, other.left) for one, other in pairwise(lines) if _is_row(one, other)]
    if len(runs) - len(lines) + 2 * len(between) < _LEAST_ROWS:  # too few rows have two parts
        return []
    left, right = min(line.left for line in lines), max(line.right for line in lines)
    count = min(500, int((right - left) / _STEP) + 1)

    def covering(ends: Sequence[tuple[float, float]]) -> list[int]:
        changes = [0] * (count + 1)
        for start, end in ends:
            changes[min(count, max(0, int((start - left) / _STEP)))] += 1
            changes[min(count, max(0, int((end - left) / _STEP) + 1))] -= 1
        total = 0
        return [total := total + change for change in changes[:count]]

    passing = [
        a + b for a, b in zip(covering([(line.left, line.right) for line in lines]), covering(between), strict=True)
    ]
    covered = covering(runs)
    free = [at for at in range(count) if passing[at] - covered[at] >= max(_LEAST_ROWS, 0.6 * passing[at])]
    groups: list[list[int]] = []
    for at in free:
        if groups and groups[-1][-1] == at - 1:
            groups[-1].append(at)
        else:
            groups.append([at])
    return [left + _STEP * (group[0] + group[-1] + 1) / 2 for group in groups]


def _is_row(one: Line, other: Line) -> bool:
    return one.right <= other.left and one.beside(other)


def _by_columns(lines: Sequence[Line], gap: float, cut: Cut) -> list[Line]:
    """The same lines; where prose is drawn row by row on both sides of `gap`, the left side comes first."""
    ordered: list[Line] = []
    whole: list[Line] = []
    pieces: list[Line] = []
    for line in lines:
        crosses = line.left < gap < line.right
        parts = cut(line, gap) if crosses else (line,)
        if parts is not None:
            whole.append(line)
            pieces += parts
        if parts is None or line is lines[-1]:
            ordered += _left_first(pieces, gap) if _is_prose(pieces, gap) else whole
            whole, pieces = [], []
        if parts is None:
            ordered.append(line)
    return ordered


def _left_first(pieces: Sequence[Line], gap: float) -> list[Line]:
    return sorted(pieces, key=lambda piece: piece.left >= gap)


def _is_prose(pieces: Sequence[Line], gap: float) -> bool:
    """Whether both sides of the rows are lines of running text: full, of several words, most in mid-sentence."""
    rows = [pair for pair in pairwise(pieces) if pair[0].right <= gap <= pair[1].left and _is_row(*pair)]
    if len(rows) < _LEAST_ROWS:
        return False
    for side in zip(*rows, strict=True):
        width = max(piece.right for piece in side) - min(piece.left for piece in side)
        full = median(piece.right - piece.left for piece in side) >= 0.7 * width
        words = median(len(piece.text.split()) for piece in side) >= 3
        midway = sum(piece.text[:1].islower() for piece in side) >= 0.4 * len(side)
        if not (full and words and midway):
            return False
    return True


def _flows(lines: Sequence[Line]) -> Iterator[_Flow]:
    if not lines:
        return
    far = (max(line.bottom for line in lines) - min(line.top for line in lines)) / 4
    flow: list[Line] = []
    left = right = 0.0
    for line in lines:
        follows = flow and (
            flow[-1].beside(line)
            or (flow[-1].top <= line.top < flow[-1].bottom + far and line.left < right and left < line.right)
        )
        if flow and not follows:
            yield _Flow(flow)
            flow = []
        left, right = (min(left, line.left), max(right, line.right)) if flow else (line.left, line.right)
        flow.append(line)
    yield _Flow(flow)


def _bands(flows: Sequence[_Flow]) -> Iterator[list[_Flow]]:
    """Flows, cut where an empty strip goes through the whole page; each band in the order of the file."""
    numbered = sorted(enumerate(flows), key=lambda item: item[1].top)
    band = [numbered[0]]
    bottom = numbered[0][1].bottom
    for number, flow in numbered[1:]:
        if flow.top > bottom + flow.lines[0].height:
            yield [found for _, found in sorted(band, key=lambda item: item[0])]
            band = []
        band.append((number, flow))
        bottom = max(bottom, flow.bottom)
    yield [found for _, found in sorted(band, key=lambda item: item[0])]


def _from_above(flows: Sequence[_Flow]) -> list[_Flow]:
    """The order of the file, but whatever stands above another flow, and not beside it, comes before it."""
    if not 1 < len(flows) <= _MOST_COMPARED:
        return list(flows)
    below: list[list[int]] = [[] for _ in flows]
    waits = [0] * len(flows)
    for number, flow in enumerate(flows):
        for other, lower in enumerate(flows):
            if flow.bottom <= lower.top and flow.left < lower.right and lower.left < flow.right and number != other:
                below[number].append(other)
                waits[other] += 1
    ready = [number for number, count in enumerate(waits) if not count]
    ordered: list[_Flow] = []
    while ready:
        number = heapq.heappop(ready)
        ordered.append(flows[number])
        for other in below[number]:
            waits[other] -= 1
            if not waits[other]:
                heapq.heappush(ready, other)
    return ordered


def _tables(flows: Sequence[_Flow]) -> Iterator[_Flow]:
    """The same flows; columns of a table that was drawn column by column become one, row by row."""
    table: list[_Flow] = []
    for flow in flows:
        if table and not _continues(table[-1], flow):
            yield _row_by_row(table)
            table = []
        table.append(flow)
    if table:
        yield _row_by_row(table)


def _continues(column: _Flow, other: _Flow) -> bool:
    """Whether two flows are columns of one table: each line has its counterpart, and not both are running text."""
    return (
        len(column.lines) == len(other.lines) >= _LEAST_ROWS - 1
        and all(_is_row(one, counterpart) for one, counterpart in zip(column.lines, other.lines, strict=True))
        and min(median(len(line.text.split()) for line in flow.lines) for flow in (column, other)) <= 3
    )


def _row_by_row(columns: Sequence[_Flow]) -> _Flow:
    if len(columns) == 1:
        return columns[0]
    return _Flow([line for row in zip(*(column.lines for column in columns), strict=True) for line in row])


def with_overlays(lines: Sequence[Line], overlays: Sequence[Line], cut: Cut) -> list[str]:
    """The text of the rows of a page: its lines, in reading order, with what is laid over them at its place."""
    rows = _rows(lines)
    for overlay in sorted(overlays, key=lambda line: (line.top, line.left)):
        middle = (overlay.left + overlay.right) / 2
        near = [
            (_distance(part, middle), number) for number, row in enumerate(rows) for part in row if overlay.beside(part)
        ]
        if not near:
            rows.insert(_after(rows, overlay), [overlay])
            continue
        _, number = min(near)
        row: list[Line] = []
        for part in rows[number]:
            row += (part.left < middle < part.right and cut(part, middle)) or (part,)
        before = sum(part.left + part.right <= 2 * middle for part in row)
        rows[number] = [*row[:before], overlay, *row[before:]]
    return [_text(row) for row in rows]


def closed_up(letters: Sequence[Line]) -> str:
    """The words of letters that are set far apart: between words there is still more room than inside of them."""
    gaps = [other.left - one.right for one, other in pairwise(letters)]
    wide = 1.6 * median(gaps)
    pieces = [" " * (gap > wide) + letter.text for gap, letter in zip(gaps, letters[1:], strict=True)]
    return letters[0].text + "".join(pieces)


def _text(row: Sequence[Line]) -> str:
    if len(row) >= _LEAST_LETTERS and all(len(part.text) == 1 and part.text.isalpha() for part in row):
        return closed_up(row)
    return " ".join(part.text for part in row)


def _rows(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines that follow each other on one base line make one row, and so does what is raised or lowered beside one."""
    rows: list[list[Line]] = []
    for line in lines:
        last = rows[-1][-1] if rows else None
        if last is not None and _is_row(last, line) and _goes_on(last, line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return rows


def _goes_on(last: Line, line: Line) -> bool:
    level = abs(last.bottom - line.bottom) < last.height / 4 and line.height < 2 * last.height
    return level or (line.height < last.height and line.left - last.right < last.height / 2)


def _distance(line: Line, at: float) -> float:
    return max(line.left - at, at - line.right, 0)


def _after(rows: Sequence[Sequence[Line]], overlay: Line) -> int:
    """Where an overlay without a row of its own goes: after the nearest row above it."""
    above = [
        (overlay.top - row[0].bottom + max(row[0].left - overlay.right, overlay.left - row[-1].right, 0), -number)
        for number, row in enumerate(rows)
        if row[0].bottom <= overlay.top + overlay.height / 2
    ]
    return 1 - min(above)[1] if above else 0
