"""Cosine scores of rows of unit length.

`score` is the only function that makes a score anybody sees: so every index gives the same scores in the same order.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexus_graph.scope.errors import Invalid, Unavailable

DECIMALS: Final = 6
"""Scores are rounded to this many decimals."""

_BLOCK: Final = 2048  # rows widened to float64 at a time, which bounds the memory
_UNIT_ROUNDOFF: Final = 2.0**-24  # of float32


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
    check_finite(scores)
    return np.round(scores, DECIMALS) + 0.0  # -0.0 + 0.0 is 0.0


def margin(dimensions: int) -> float:
    """The most by which a score summed up in float32 can differ from `score`; rows may be 0.01 % longer than the unit.

    Whatever the order of summation, such a product is off by at most g * |x| * |q| with g = d*u / (1 - d*u) and
    u = 2^-24 (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1). A score is rounded besides.
    """
    product = dimensions * _UNIT_ROUNDOFF
    return 1.0002 * product / (1 - product) + 10.0**-DECIMALS


def check_query(query: NDArray[np.float32], dimensions: int) -> None:
    """Raises Invalid for a query of another shape or type, and Unavailable for one that is not finite."""
    _check(np.empty((0, dimensions), dtype=np.float32), query)
    check_finite(query)


def _check(rows: NDArray[np.float32], query: NDArray[np.float32]) -> None:
    if rows.dtype != np.float32 or query.dtype != np.float32:
        raise Invalid(f"Vectors are float32, not {rows.dtype} and {query.dtype}.")
    if rows.ndim != 2 or query.ndim != 1 or rows.shape[1] != len(query):
        raise Invalid(f"Rows of shape {rows.shape} can't be compared with a query of shape {query.shape}.")


def check_finite(scores: NDArray[np.floating]) -> None:
    """Raises Unavailable unless all are finite."""
    if not np.isfinite(scores).all():
        raise Unavailable("A stored vector or the query holds a number that is not finite.", hint="Reindex the cards.")
