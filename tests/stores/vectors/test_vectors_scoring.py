"""Scores are exact and belong to a row alone."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from nexus_graph.scope.errors import Invalid, Unavailable
from nexus_graph.stores.vectors import scoring
from nexus_graph.stores.vectors.scoring import check_query, score

Vectors = NDArray[np.float32]


def unit(values: NDArray[np.floating]) -> Vectors:
    length = np.sqrt((values.astype(np.float64) ** 2).sum(axis=-1, keepdims=True))
    result: Vectors = (values / length).astype(np.float32)
    return result


def random_rows(seed: int, count: int, dimensions: int) -> Vectors:
    return unit(np.random.default_rng(seed).standard_normal((count, dimensions)))


def test_a_score_is_the_exact_cosine_rounded() -> None:
    """Against rational arithmetic, which knows no rounding, no score is off by more than its last decimal's half."""
    rows, query = random_rows(1, 50, 384), random_rows(2, 1, 384)[0]
    for row, value in zip(rows, score(rows, query).tolist(), strict=True):
        exact = sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(row, query, strict=True))
        assert abs(Fraction(value) - exact) <= Fraction(500_001, 10**12)
        assert value == round(value, 6)


@pytest.mark.parametrize("dimensions", [1, 3, 7, 8, 9, 127, 128, 129, 384, 1000, 1536])
def test_the_score_of_a_row_does_not_depend_on_its_neighbours(dimensions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any subset in any order, strided, reversed or alone, gives the same bits for the same row, even unrounded."""
    monkeypatch.setattr(scoring, "DECIMALS", 18)
    rows, query = random_rows(3, 5000, dimensions), random_rows(4, 1, dimensions)[0]
    whole = score(rows, query)
    random = np.random.default_rng(5)
    for size in (1, 2, 3, 17, 2047, 2048, 2049, 5000):
        chosen = random.permutation(len(rows))[:size]
        assert score(rows[chosen], query).tobytes() == whole[chosen].tobytes()
    assert score(rows[::-3], query).tobytes() == whole[::-3].tobytes()
    assert score(np.asfortranarray(rows), query).tobytes() == whole.tobytes()


def test_there_is_no_negative_zero_and_no_nan() -> None:
    """Zero is one value, whatever side it was rounded from; a broken vector is an error, never a rank."""
    rows = np.array([[-1e-9, 1.0], [0.0, 1.0], [1e-9, 1.0]], dtype=np.float32)
    query = np.array([1.0, 0.0], dtype=np.float32)
    assert score(rows, query).tobytes() == np.zeros(3).tobytes()
    for broken in (np.nan, np.inf):
        bad = rows.copy()
        bad[1, 0] = broken
        with pytest.raises(Unavailable, match="not finite"):
            score(bad, query)


def test_what_does_not_fit_is_refused() -> None:
    """Wrong shapes and types are named instead of being broadcast or cast."""
    matrix, query = random_rows(12, 4, 8), random_rows(13, 1, 8)[0]
    with pytest.raises(Invalid, match="can't be compared"):
        score(matrix, query[:4])
    with pytest.raises(Invalid, match="can't be compared"):
        score(matrix, query[:1])
    with pytest.raises(Invalid, match="not float32 and float64"):
        score(matrix, query.astype(np.float64))
    with pytest.raises(Invalid, match="can't be compared"):
        check_query(query[:4], 8)
    with pytest.raises(Unavailable, match="not finite"):
        check_query(query * np.float32(np.nan), 8)
