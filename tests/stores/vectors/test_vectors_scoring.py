"""Scores are exact and belong to a row alone; the fast way finds what the slow way finds."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from nexus_graph.scope.errors import Invalid, Unavailable
from nexus_graph.stores.vectors import scoring
from nexus_graph.stores.vectors.scoring import Hit, best, nominate, score

Vectors = NDArray[np.float32]


def unit(values: NDArray[np.floating]) -> Vectors:
    length = np.sqrt((values.astype(np.float64) ** 2).sum(axis=-1, keepdims=True))
    result: Vectors = (values / length).astype(np.float32)
    return result


def random_rows(seed: int, count: int, dimensions: int) -> Vectors:
    return unit(np.random.default_rng(seed).standard_normal((count, dimensions)))


def slow_best(
    matrix: Vectors, query: Vectors, groups: list[int], keys: list[str], k: int, rows: list[int]
) -> list[Hit]:
    """The definition: score all, sort all, take the first row of each group."""
    order = sorted((-float(score(matrix[[row]], query)[0]), keys[row], row) for row in rows)
    seen: dict[int, Hit] = {}
    for negative, _, row in order:
        seen.setdefault(groups[row], Hit(row, -negative + 0.0))
    return list(seen.values())[:k]


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
        with pytest.raises(Unavailable, match="not finite"):
            nominate(bad, query, np.arange(3), 1)


@pytest.mark.parametrize("seed", range(12))
def test_the_best_are_those_of_the_definition(seed: int) -> None:
    """Random rows, among them near twins that float32 can't tell apart, with and without a filter."""
    random = np.random.default_rng(seed)
    dimensions = int(random.choice([2, 8, 384, 1536]))
    base = random_rows(seed, 60, dimensions)
    twins = unit(base[random.integers(0, 60, 240)] + random.normal(0, 1e-7, (240, dimensions)))
    matrix = np.concatenate([base, twins])
    query = unit(base[0] + random.normal(0, 0.1, dimensions))
    groups = random.integers(0, 80, len(matrix))
    keys = [f"card-{name:03}" for name in random.permutation(len(matrix))]
    some = np.sort(random.permutation(len(matrix))[: int(random.integers(1, len(matrix)))])
    for k in (1, 5, 100):
        expected = slow_best(matrix, query, groups.tolist(), keys, k, list(range(len(matrix))))
        assert best(matrix, query, groups, keys, k) == expected
        expected = slow_best(matrix, query, groups.tolist(), keys, k, some.tolist())
        assert best(matrix, query, groups, keys, k, some) == expected


def test_a_float32_order_that_is_wrong_is_put_right() -> None:
    """The rows that float32 ranks wrongly are nominated with the others, and the exact scores decide."""
    matrix = np.repeat(random_rows(7, 1, 384), 400, axis=0)
    matrix = unit(matrix + np.random.default_rng(8).normal(0, 2e-7, matrix.shape))
    query = matrix[0].copy()
    assert len(nominate(matrix, query, np.arange(400), 3)) == 400
    order = np.random.default_rng(9).permutation(400)
    keys = [f"{number:03}" for number in range(400)]
    hits = best(matrix, query, np.arange(400), keys, 3)
    shuffled = best(matrix[order], query, np.arange(400), [keys[number] for number in order], 3)
    assert [keys[hit.row] for hit in hits] == [keys[order[hit.row]] for hit in shuffled]
    assert [hit.score for hit in hits] == [hit.score for hit in shuffled]


def test_few_rows_are_nominated() -> None:
    """The margin is narrow: among well separated rows hardly more than k are scored."""
    matrix, query = random_rows(10, 20_000, 384), random_rows(11, 1, 384)[0]
    assert 10 <= len(nominate(matrix, query, np.arange(20_000), 10)) <= 12


def test_equal_scores_are_ordered_by_key_and_groups_appear_once() -> None:
    """Three cards with the same vector come in the order of their ids, each with the first of its rows."""
    matrix = np.repeat(np.array([[0.6, 0.8]], dtype=np.float32), 6, axis=0)
    groups = np.array([2, 2, 0, 0, 1, 1])
    keys = [("c", 1), ("c", 0), ("a", 0), ("a", 1), ("b", 1), ("b", 0)]
    hits = best(matrix, np.array([1.0, 0.0], dtype=np.float32), groups, keys, 2)
    assert [keys[hit.row] for hit in hits] == [("a", 0), ("b", 0)]
    assert hits == [Hit(2, 0.6), Hit(5, 0.6)]


def test_nothing_to_search_gives_nothing() -> None:
    """An empty index and an empty filter are answers, not errors."""
    query = np.array([1.0, 0.0], dtype=np.float32)
    empty = np.empty((0, 2), dtype=np.float32)
    assert best(empty, query, np.empty(0, dtype=np.int64), [], 5) == []
    one = np.array([[1.0, 0.0]], dtype=np.float32)
    assert best(one, query, np.zeros(1, dtype=np.int64), ["a"], 5, np.empty(0, dtype=np.int64)) == []


def test_what_does_not_fit_is_refused() -> None:
    """Wrong shapes, types and counts are named instead of being broadcast or cast."""
    matrix, query = random_rows(12, 4, 8), random_rows(13, 1, 8)[0]
    with pytest.raises(Invalid, match="can't be compared"):
        score(matrix, query[:4])
    with pytest.raises(Invalid, match="can't be compared"):
        score(matrix, query[:1])
    with pytest.raises(Invalid, match="not float32 and float64"):
        score(matrix, query.astype(np.float64))
    with pytest.raises(Invalid, match="at least 1, not 0"):
        nominate(matrix, query, np.arange(4), 0)
    with pytest.raises(Invalid, match="4 rows, but group numbers"):
        nominate(matrix, query, np.arange(3), 1)
    with pytest.raises(Invalid, match="4 rows, but 1 keys"):
        best(matrix, query, np.arange(4), ["a"], 1)
