"""Rows in a byte a number: they tell which rows may be among the best, and the rows themselves decide.

A row x is kept as whole numbers c from -127 to 127 and a scale s, so that x = s*c + r; of the rest r no more than its
length is kept, or somewhat more, in `errors`. A question q is taken apart alike, q = t*b + p. Then

    x.q = s*t*(c.b) + r.q + s*(c.p)    and, by Cauchy and Schwarz,    |x.q - s*t*(c.b)| <= |r|*|q| + |s*c|*|p|

where c.b is a sum of whole numbers, the same on every processor, and |s*c| <= |x| + |r|. So each row has a lowest and a
highest product for certain. A row that is longer than the unit has the excess added to its `errors`, so that
|x| <= LONGEST may be taken for granted.

Rounding: the sums of `score` and of what is here are in float64, and off by less than 1e-9 for a row of unit length; a
longer one has a thousand times that in its `errors`. Two scores that are equal when rounded were less than 1.001e-6
apart before. Both together are less than `_SLACK`: a row whose highest product is further than that below the lowest of
another row has a lower score for certain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexus_graph.scope.errors import Invalid
from nexus_graph.stores.vectors.scoring import DECIMALS, check_finite, check_query

LONGEST: Final = 1.0001
"""A row of unit length, as float32 has it, is at most so long."""

_MOST: Final = 127
_SLACK: Final = 2 * 10.0**-DECIMALS
_MORE: Final = 1 + 1e-6  # what float32 rounds off a bound, and much more
_WIDE: Final = 2048  # rows that are widened to float64 at a time, which bounds the memory
_FEW: Final = 4  # rows to look at that are fewer than one in so many are copied, rather than multiplied along with all

Product = Callable[[NDArray[np.int8], NDArray[np.int8]], NDArray[np.number]]


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """Rows of whole numbers (n, dimensions), and for each row its scale and what is left out at most, (n,)."""

    numbers: NDArray[np.int8]
    scales: NDArray[np.float32]
    errors: NDArray[np.float32]

    @classmethod
    def empty(cls, room: int, dimensions: int) -> Codes:
        """Room for so many rows, which hold anything."""
        return cls(
            np.empty((room, dimensions), np.int8), np.empty(room, dtype=np.float32), np.empty(room, dtype=np.float32)
        )

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: slice | NDArray[np.integer]) -> Codes:
        return Codes(self.numbers[rows], self.scales[rows], self.errors[rows])

    def __setitem__(self, rows: slice, given: Codes) -> None:
        self.numbers[rows], self.scales[rows], self.errors[rows] = given.numbers, given.scales, given.errors

    @property
    def nbytes(self) -> int:
        """How many bytes it takes."""
        return self.numbers.nbytes + self.scales.nbytes + self.errors.nbytes


def quantized(matrix: NDArray[np.float32]) -> Codes:
    """The codes of rows. One that holds a number that is not finite gets an error that is not finite.

    What is left out is summed up in float32, and made larger by what that may lose: of each number of a row whose
    largest is m, no more than m * 2^-22 when it is taken apart; of a sum of d squares, d * 2^-23 of it at most; and
    1e-22 of numbers so small that their squares are nothing.
    """
    codes = Codes.empty(len(matrix), matrix.shape[1])
    root, lost = float(np.sqrt(matrix.shape[1])), 1 + matrix.shape[1] * 2.0**-23
    for begin in range(0, len(matrix), _WIDE):
        rows = matrix[begin : begin + _WIDE]
        with np.errstate(invalid="ignore", over="ignore", under="ignore", divide="ignore"):
            largest = np.abs(rows).max(axis=1, initial=0.0)
            scales = largest / np.float32(_MOST)
            numbers = rows / np.where(scales > 0, scales, np.float32(1))[:, None]
            np.rint(numbers, out=numbers)
            np.clip(numbers, -_MOST, _MOST, out=numbers)
            rest = rows - scales[:, None] * numbers
            longer = np.maximum(_lengths(rows) * lost - LONGEST, 0.0)
            errors = _lengths(rest) * lost + root * (largest * 2.0**-22 + 1e-22) + longer
            errors = np.where(np.isfinite(rest).all(axis=1), errors, np.nan)
            whole = np.where(np.isfinite(numbers), numbers, 0).astype(np.int8)
            codes[slice(begin, begin + len(rows))] = Codes(whole, scales, (errors * _MORE).astype(np.float32))
    return codes


def _lengths(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    squares: NDArray[np.float32] = np.einsum("ij,ij->i", rows, rows)
    return np.sqrt(squares).astype(np.float64)


def approximated(codes: Codes) -> NDArray[np.float32]:
    """About the rows, (n, dimensions)."""
    return codes.numbers * codes.scales[:, None]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some of the rows to look at: `rows` of the codes, or all, and the number of each row's group in `groups`."""

    codes: Codes
    groups: NDArray[np.integer]
    rows: NDArray[np.intp] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Nominees:
    """Places in parts, best first, with the highest score that each may have."""

    parts: NDArray[np.intp]
    rows: NDArray[np.intp]
    highest: NDArray[np.float64]


class _Question:
    """A query, and how far it may be off."""

    def __init__(self, query: NDArray[np.float32]) -> None:
        codes = quantized(query[None])
        self.wide = query.astype(np.float64)
        self.length = float(np.sqrt(self.wide @ self.wide)) * _MORE
        self.numbers, self.scale = codes.numbers[0], float(codes.scales[0])
        error = float(codes.errors[0])
        self.of_rows, self.own = (self.length + error) * _MORE, LONGEST * error * _MORE

    def bounds(self, part: Part) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The lowest and the highest product of each row to look at, from its whole numbers."""
        codes, rows = part.codes, part.rows
        if rows is None:
            sums = product()(codes.numbers, self.numbers)
        elif len(rows) * _FEW < len(codes):
            codes = codes[rows]
            sums = product()(codes.numbers, self.numbers)
        else:
            sums = product()(codes.numbers, self.numbers)[rows]
            codes = Codes(codes.numbers, codes.scales[rows], codes.errors[rows])
        with np.errstate(invalid="ignore", over="ignore"):
            middle = np.multiply(sums, codes.scales, dtype=np.float64)
            middle *= self.scale
            off = codes.errors * self.of_rows
            off += self.own
            return middle - off, middle + off

    def closer(self, codes: Codes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The same from the whole query, which is off by nothing: narrower, and slower."""
        middle = np.concatenate(
            [
                codes.numbers[begin : begin + _WIDE].astype(np.float64) @ self.wide
                for begin in range(0, len(codes), _WIDE)
            ]
        )
        middle *= codes.scales
        off = codes.errors * self.length
        return middle - off, middle + off


def nominate(parts: Iterator[Part], query: NDArray[np.float32], k: int) -> Nominees:
    """Rows among which are, for certain, the best rows of the k best groups. A group scores what its best row scores.

    `query` (dimensions,) is of unit length. Raises Invalid for what does not fit, and Unavailable for numbers that are
    not finite.

    Let t be the k-th highest of the groups' lowest products. There are k groups that reach t, so a row that stays below
    it by more than `_SLACK` is in no answer; nor is one that stays so far below another row of its own group.
    """
    if k < 1:
        raise Invalid(f"The number of results must be at least 1, not {k}.")
    question = _Question(query)
    reached = _Reached(k)
    near: list[tuple[Part, NDArray[np.intp], NDArray[np.float64]]] = []
    for part in parts:
        check_query(query, part.codes.numbers.shape[1])
        lowest, highest = question.bounds(part)
        check_finite(highest)
        reached.see(lowest, part.groups if part.rows is None else part.groups[part.rows])
        places = np.flatnonzero(highest >= reached.lowest - _SLACK)
        near.append((part, places if part.rows is None else part.rows[places], highest[places]))
    found = [(part, rows[highest >= reached.lowest - _SLACK]) for part, rows, highest in near]
    return _closest(question, found, k)


def _closest(question: _Question, found: list[tuple[Part, NDArray[np.intp]]], k: int) -> Nominees:
    """Those of the rows that are near enough when looked at closer."""
    numbers = np.repeat(np.arange(len(found)), [len(rows) for _, rows in found])
    if not len(numbers):
        return Nominees(numbers, numbers, np.empty(0, dtype=np.float64))
    bounds = [question.closer(part.codes[rows]) for part, rows in found if len(rows)]
    lowest, highest = np.concatenate([low for low, _ in bounds]), np.concatenate([high for _, high in bounds])
    rows = np.concatenate([rows for _, rows in found])
    _, groups = np.unique(np.concatenate([part.groups[rows] for part, rows in found]), return_inverse=True)
    best = np.full(int(groups.max()) + 1, -np.inf)
    np.maximum.at(best, groups, lowest)
    least = np.partition(best, -k)[-k] if k <= len(best) else -np.inf
    near = np.flatnonzero(highest >= np.maximum(best[groups], least) - _SLACK)
    near = near[np.argsort(-highest[near], kind="stable")]
    return Nominees(numbers[near], rows[near], highest[near] + _SLACK)


class _Reached:
    """What k groups reach for certain, of all rows seen so far: `lowest`, which only rises."""

    def __init__(self, k: int) -> None:
        self.lowest = -np.inf
        self._k = k
        self._values, self._groups = np.empty(0, dtype=np.float64), np.empty(0, dtype=np.int64)

    def see(self, values: NDArray[np.float64], groups: NDArray[np.integer]) -> None:
        """Take the lowest products of some rows into account."""
        rising = np.flatnonzero(values > self.lowest)
        if not len(rising):
            return
        values = np.concatenate([self._values, values[rising]])
        groups = np.concatenate([self._groups, groups[rising]])
        for most in (8 * self._k, len(values)):  # several rows of one group may be among the best
            top = np.argpartition(values, -most)[-most:] if most < len(values) else np.arange(len(values))
            top = top[np.argsort(-values[top])]
            _, first = np.unique(groups[top], return_index=True)
            if len(first) >= self._k:
                kept = top[np.sort(first)[: self._k]]
                self.lowest = float(values[kept[-1]])
                break
        else:
            kept = top[np.sort(first)]
        self._values, self._groups = values[kept], groups[kept]


@cache
def product() -> Product:
    """What multiplies rows (n, d) with one (d,): numkong, where it was seen to be right; else numpy, more slowly."""
    return quick if _is_right(quick) else plain


def plain(rows: NDArray[np.int8], query: NDArray[np.int8]) -> NDArray[np.number]:
    """The product by numpy. Whole numbers stay whole in float64."""
    wide = query.astype(np.float64)
    parts = [rows[begin : begin + _WIDE].astype(np.float64) @ wide for begin in range(0, len(rows), _WIDE)]
    return np.concatenate([np.empty(0, dtype=np.float64), *parts])


def quick(rows: NDArray[np.int8], query: NDArray[np.int8]) -> NDArray[np.number]:
    """The product by numkong, in the instructions that the processor has."""
    import numkong

    if not len(rows):
        return np.empty(0, dtype=np.float64)
    sums: NDArray[np.float64] = np.asarray(numkong.cdist(query[None], rows, "dot"))  # `out=` is several times slower
    return sums.reshape(len(rows))


def _is_right(multiply: Product) -> bool:
    """Whether sums are the right ones, also of the largest numbers and of rows that fill no register."""
    random = np.random.default_rng(1)
    for dimensions in (1, 15, 64, 97, 384, 1536):
        rows = random.integers(-_MOST, _MOST + 1, (37, dimensions), dtype=np.int8)
        rows[:4] = np.array([[_MOST], [-_MOST], [0], [1]], dtype=np.int8)
        for row in (0, 1, 5):
            if not np.array_equal(multiply(rows, rows[row]), rows.astype(np.int64) @ rows[row].astype(np.int64)):
                return False
    return True
