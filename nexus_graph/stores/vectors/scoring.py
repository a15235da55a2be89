"""Exact cosine search over rows of unit length: which groups (cards) hold the rows nearest to a query.

`score` is the only function that makes a score anybody sees. `nominate` leaves out, fast, what can't be among the
best; `best` scores what is left and puts it in order. So every index backend gives the same scores in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from nexus_graph.scope.errors import Invalid, Unavailable

DECIMALS: Final = 6
"""Scores are rounded to this many decimals."""

_BLOCK: Final = 2048  # rows widened to float64 at a time, which bounds the memory
_UNIT_ROUNDOFF: Final = 2.0**-24  # of float32


class Sortable(Protocol):
    """Anything with an order, such as a string or a tuple of strings and integers."""

    def __lt__(self, other: Any, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class Hit:
    """A row of the matrix and its score, -1 to 1, rounded to six decimals."""

    row: int
    score: float


def score(rows: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosine of every row (n, d) with the query (d,), both of unit length: (n,), rounded to six decimals, no -0.0.

    A float64 product of two float32 numbers is exact, and each row is summed by itself in one order that depends on d
    alone: the score of a row is the same bits whatever rows stand beside it. Raises Invalid when the shapes do not
    fit and Unavailable when a number is not finite.
    """
    _check(rows, query)
    wide = query.astype(np.float64)
    scores = np.empty(len(rows), dtype=np.float64)
    for begin in range(0, len(rows), _BLOCK):
        block = np.ascontiguousarray(rows[begin : begin + _BLOCK], dtype=np.float64)
        scores[begin : begin + len(block)] = (block * wide).sum(axis=1)
    _check_finite(scores)
    return np.round(scores, DECIMALS) + 0.0  # -0.0 + 0.0 is 0.0


def nominate(
    matrix: NDArray[np.float32],
    query: NDArray[np.float32],
    groups: NDArray[np.integer],
    k: int,
    rows: NDArray[np.integer] | None = None,
    without: NDArray[np.integer] | None = None,
) -> NDArray[np.intp]:
    """Row numbers, ascending, among which are all rows that score at least as high as the k-th best group.

    `matrix` (n, d) and `query` (d,) are of unit length; `groups` (n,) numbers the group of each row densely from 0;
    `rows` restricts the search to these distinct row numbers; `without` leaves row numbers out, where `rows` is None. A
    group scores what its best row scores.

    Why nothing is missed: whatever the order of summation, a float32 dot product is off by at most g * |x| * |q| with
    g = d*u / (1 - d*u) and u = 2^-24 (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1). Together
    with the rounding of a score, an approximate and an exact score differ by at most `margin`. Let t be the k-th best
    approximate group score. At least k groups score t - margin or more, so the exact k-th best does too; a row that
    reaches it has an approximate score of at least t - 2 * margin.
    """
    _check(matrix, query)
    if k < 1:
        raise Invalid(f"The number of results must be at least 1, not {k}.")
    if groups.shape != (len(matrix),):
        raise Invalid(f"There are {len(matrix)} rows, but group numbers of shape {groups.shape}.")
    with np.errstate(invalid="ignore", over="ignore"):  # not finite numbers are refused below
        approximate = (matrix if rows is None else matrix[rows]) @ query
    _check_finite(approximate)
    if not len(approximate):
        return np.empty(0, dtype=np.intp)
    if without is not None:
        approximate[without] = -np.inf
    group = groups if rows is None else groups[rows]
    best_of_group = np.full(int(group.max()) + 1, -np.inf, dtype=np.float32)
    np.maximum.at(best_of_group, group, approximate)
    if k < len(best_of_group):
        threshold = float(np.partition(best_of_group, -k)[-k]) - 2 * margin(len(query))
        near = np.flatnonzero(approximate.astype(np.float64) >= threshold)
    else:
        near = np.arange(len(approximate))
    if without is not None:
        near = near[approximate[near] > -np.inf]
    return near if rows is None else np.sort(np.asarray(rows, dtype=np.intp)[near])


def best(
    matrix: NDArray[np.float32],
    query: NDArray[np.float32],
    groups: NDArray[np.integer],
    keys: Sequence[Sortable],
    k: int,
    rows: NDArray[np.integer] | None = None,
    without: NDArray[np.integer] | None = None,
) -> list[Hit]:
    """The best row of each of the k best groups, exactly: highest score first, equal scores by `keys[row]`.

    `keys` names every row of the matrix by something stable with an order, such as (card id, ordinal): then the
    answer does not depend on the order of the rows. There may be more of them. The other parameters are those of
    `nominate`.
    """
    nominees = nominate(matrix, query, groups, k, rows, without)
    if len(keys) < len(matrix):
        raise Invalid(f"There are {len(matrix)} rows, but {len(keys)} keys.")
    hits = [
        Hit(row, value) for row, value in zip(nominees.tolist(), score(matrix[nominees], query).tolist(), strict=True)
    ]
    hits.sort(key=lambda hit: keys[hit.row])
    hits.sort(key=lambda hit: -hit.score)  # a stable sort: equal scores stay in the order of their keys
    first_of_group: dict[int, Hit] = {}
    for hit in hits:
        first_of_group.setdefault(int(groups[hit.row]), hit)
        if len(first_of_group) == k:
            break
    return list(first_of_group.values())


def margin(dimensions: int) -> float:
    """The most by which an approximate score can differ from `score`; rows may be 0.01 % longer than the unit."""
    product = dimensions * _UNIT_ROUNDOFF
    return 1.0002 * product / (1 - product) + 10.0**-DECIMALS


def _check(rows: NDArray[np.float32], query: NDArray[np.float32]) -> None:
    if rows.dtype != np.float32 or query.dtype != np.float32:
        raise Invalid(f"Vectors are float32, not {rows.dtype} and {query.dtype}.")
    if rows.ndim != 2 or query.ndim != 1 or rows.shape[1] != len(query):
        raise Invalid(f"Rows of shape {rows.shape} can't be compared with a query of shape {query.shape}.")


def _check_finite(scores: NDArray[np.floating]) -> None:
    if not np.isfinite(scores).all():
        raise Unavailable("A stored vector or the query holds a number that is not finite.", hint="Reindex the cards.")
