"""Rows in a byte a number: they tell which rows may be among the best, and the rows themselves decide.

A row x is kept as whole numbers c from -127 to 127 and a scale s, so that x = s*c + r; of the rest r no more than its
length is kept, or somewhat more, in `errors`. A question q is taken apart alike, q = t*b + p. Then

    x.q = s*t*(c.b) + r.q + s*(c.p)    and, by Cauchy and Schwarz,    |x.q - s*t*(c.b)| <= |r|*|q| + |s*c|*|p|

where c.b is a sum of whole numbers, the same on every processor, and |s*c| <= |x| + |r|. So each row has a lowest and a
highest product for certain. A row that is longer than the unit has the excess added to its `errors`, so that
|x| <= LONGEST may be taken for granted.

Rounding: a sum becomes a float32, and each of the four steps from it to whether the highest product is high enough is
off by 2^-24 of the value at most, which for rows of unit length is less than 4e-7 together; a longer one has more than
that in its `errors`. The sums of `score`, in float64, are off by less than 1e-9. Two scores that are equal when rounded
were less than 1.001e-6 apart before. All of it together, at both rows, is less than `_SLACK`: a row whose highest
product is further than that below the lowest of another row has a lower score for certain.
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
_GLANCE: Final = 1024  # rows that tell about how high the best will be

Product = Callable[[NDArray[np.int8], NDArray[np.int8]], NDArray[np.float32]]


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
    """The codes of rows. One that holds a number that is not finite gets an error that is infinite.

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
            finite = np.isfinite(errors)
            numbers[~finite], scales[~finite], errors[~finite] = 0, 0, np.inf
            errors *= _MORE
        codes[slice(begin, begin + len(rows))] = Codes(numbers.astype(np.int8), scales, errors.astype(np.float32))
    return codes


def _lengths(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    squares: NDArray[np.float32] = np.einsum("ij,ij->i", rows, rows)
    return np.sqrt(squares).astype(np.float64)


def approximated(codes: Codes) -> NDArray[np.float32]:
    """About the rows, (n, dimensions)."""
    return codes.numbers * codes.scales[:, None]


def _length(row: NDArray[np.float64]) -> float:
    """No less than the length, whatever is rounded; never nothing, so that what is infinitely off stays so."""
    return float(np.sqrt(row @ row)) * _MORE + 1e-30


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
    """A query, and how far it may be off. Products of its whole numbers are told in units of its scale."""

    def __init__(self, query: NDArray[np.float32]) -> None:
        self.wide = query.astype(np.float64)
        self.unit = float(np.abs(query).max(initial=0.0)) / _MOST or 1.0
        whole = np.rint(self.wide / self.unit)
        self.numbers = whole.astype(np.int8)
        error = _length(self.wide - self.unit * whole)
        self.length = _length(self.wide)
        self._of_rows, self._own = (self.length + error) / self.unit, LONGEST * error * _MORE

    def products(self, part: Part) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Of each row to look at the highest product but for what the query is off, and the row's share in it."""
        codes, rows = part.codes, part.rows
        if rows is None:
            highest = product()(codes.numbers, self.numbers)
        elif len(rows) * _FEW < len(codes):
            codes = codes[rows]
            highest = product()(codes.numbers, self.numbers)
        else:
            highest = product()(codes.numbers, self.numbers)[rows]
            codes = Codes(codes.numbers, codes.scales[rows], codes.errors[rows])
        off = codes.errors * self._of_rows
        highest *= codes.scales
        highest += off
        return highest, off

    def least(self, lowest: float) -> float:
        """What a row's highest product must be at least, when others are no lower than this."""
        return (lowest - _SLACK - self._own) / self.unit

    def lowest(self, highest: NDArray[np.float32], off: NDArray[np.float32]) -> NDArray[np.float64]:
        """The lowest products of rows, as numbers. Raises Unavailable for what is not finite."""
        check_finite(highest)
        return (highest.astype(np.float64) - 2.0 * off) * self.unit - self._own

    def closer(self, codes: Codes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The same from the whole query, which is off by nothing: narrower, and slower."""
        products = np.empty(len(codes), dtype=np.float64)
        for begin in range(0, len(codes), _WIDE):
            rows = codes.numbers[begin : begin + _WIDE].astype(np.float64)
            products[begin : begin + len(rows)] = rows @ self.wide
        products *= codes.scales
        off = codes.errors * self.length
        return products - off, products + off


def nominate(parts: Iterator[Part], query: NDArray[np.float32], k: int) -> Nominees:
    """Rows among which are, for certain, the best rows of the k best groups. A group scores what its best row scores.

    `query` (dimensions,) is of unit length. Raises Invalid for what does not fit, and Unavailable for numbers that are
    not finite.

    Let t be the k-th highest of the groups' lowest products. There are k groups that reach t, so a row that stays below
    it by more than `_SLACK` is in no answer; nor is one that stays so far below another row of its own group.
    """
    if k < 1:
        raise Invalid(f"The number of results must be at least 1, not {k}.")
    check_finite(query)
    question = _Question(query)
    reached = _Reached(k)
    near: list[tuple[Part, NDArray[np.intp], NDArray[np.float32]]] = []
    for part in parts:
        check_query(query, part.codes.numbers.shape[1])
        groups = part.groups if part.rows is None else part.groups[part.rows]
        highest, off = question.products(part)
        if reached.lowest == -np.inf:
            some = slice(0, _GLANCE)  # then most of the others need no second look
            reached.see(question.lowest(highest[some], off[some]), groups[some])
        places = np.flatnonzero(highest >= question.least(reached.lowest))
        reached.see(question.lowest(highest[places], off[places]), groups[places])
        near.append((part, places if part.rows is None else part.rows[places], highest[places]))
    found = [(part, rows[highest >= question.least(reached.lowest)]) for part, rows, highest in near]
    return _closest(question, found, k)


def _closest(question: _Question, found: list[tuple[Part, NDArray[np.intp]]], k: int) -> Nominees:
    """Those of the rows that are near enough when looked at closer."""
    numbers = np.repeat(np.arange(len(found)), [len(rows) for _, rows in found])
    if not len(numbers):
        return Nominees(numbers, numbers, np.empty(0, dtype=np.float64))
    some = [part.codes[rows] for part, rows in found if len(rows)]
    codes = Codes(
        np.concatenate([each.numbers for each in some]),
        np.concatenate([each.scales for each in some]),
        np.concatenate([each.errors for each in some]),
    )
    lowest, highest = question.closer(codes)
    chosen: NDArray[np.intp] = np.concatenate([rows for _, rows in found])
    _, groups = np.unique(np.concatenate([part.groups[rows] for part, rows in found]), return_inverse=True)
    best = np.full(int(groups.max()) + 1, -np.inf)
    np.maximum.at(best, groups, lowest)
    least = np.partition(best, -k)[-k] if k <= len(best) else -np.inf
    near = np.flatnonzero(highest >= np.maximum(best[groups], least) - _SLACK)
    near = near[np.argsort(-highest[near], kind="stable")]
    return Nominees(numbers[near], chosen[near], highest[near] + _SLACK)


class _Reached:
    """What k groups reach for certain, of all rows seen so far: `lowest`, which only rises."""

    def __init__(self, k: int) -> None:
        self.lowest = -np.inf
        self._k = k
        self._values: NDArray[np.float64] = np.empty(0, dtype=np.float64)
        self._groups: NDArray[np.integer] = np.empty(0, dtype=np.int64)

    def see(self, values: NDArray[np.float64], groups: NDArray[np.integer]) -> None:
        """Take the lowest products of some rows into account."""
        rising = np.flatnonzero(values > self.lowest)
        if not len(rising):
            return
        values = np.concatenate([self._values, values[rising]])
        groups = np.concatenate([self._groups, groups[rising]])
        for most in (8 * self._k, len(values)):  # several rows of one group may be among the best
            kept = self._firsts(values, groups, most)
            if len(kept) == self._k:
                self.lowest = float(values[kept[-1]])
                break
        self._values, self._groups = values[kept], groups[kept]

    def _firsts(self, values: NDArray[np.float64], groups: NDArray[np.integer], most: int) -> list[int]:
        """The places of the best rows of the k best groups, in order, among the highest `most` values."""
        top: NDArray[np.integer] = np.arange(len(values))
        if most < len(values):
            top = np.argpartition(values, -most)[-most:]
        first: dict[int, int] = {}
        for place in top[np.argsort(-values[top])].tolist():
            first.setdefault(int(groups[place]), place)
            if len(first) == self._k:
                break
        return [*first.values()]


@cache
def product() -> Product:
    """What multiplies rows (n, d) with one (d,): numkong, where it was seen to be right; else numpy, more slowly."""
    return quick if _is_right(quick) else plain


def plain(rows: NDArray[np.int8], query: NDArray[np.int8]) -> NDArray[np.float32]:
    """The product by numpy. Whole numbers stay whole in float64."""
    wide, products = query.astype(np.float64), np.empty(len(rows), dtype=np.float32)
    for begin in range(0, len(rows), _WIDE):
        some = rows[begin : begin + _WIDE].astype(np.float64)
        products[begin : begin + len(some)] = some @ wide
    return products


def quick(rows: NDArray[np.int8], query: NDArray[np.int8]) -> NDArray[np.float32]:
    """The product by numkong, in the instructions that the processor has."""
    import numkong

    if not len(rows):
        return np.empty(0, dtype=np.float32)
    sums = numkong.cdist(query[None], rows, "dot", out_dtype="float32")  # into an array given as `out` it is slower
    products: NDArray[np.float32] = np.asarray(sums)
    return products.reshape(len(rows))


def _is_right(multiply: Product) -> bool:
    """Whether sums are the right ones, also of the largest numbers and of rows that fill no register."""
    random = np.random.default_rng(1)
    for dimensions in (1, 15, 64, 97, 384, 1536):
        rows = random.integers(-_MOST, _MOST + 1, (37, dimensions), dtype=np.int8)
        rows[:4] = np.array([[_MOST], [-_MOST], [0], [1]], dtype=np.int8)
        for row in (0, 1, 5):
            sums = rows.astype(np.int64) @ rows[row].astype(np.int64)
            if not np.array_equal(multiply(rows, rows[row]), sums.astype(np.float32)):
                return False
    return True
