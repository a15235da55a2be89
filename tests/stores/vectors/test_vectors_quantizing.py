"""A byte a number leaves nobody out who is among the best, and hardly lets anybody else in."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from nexus_graph.scope.errors import Invalid, Unavailable
from nexus_graph.stores.vectors import quantizing
from nexus_graph.stores.vectors.quantizing import Codes, Nominees, Part, approximated, nominate, quantized
from nexus_graph.stores.vectors.scoring import score

Vectors = NDArray[np.float32]
BLOCK = 1000


def unit(values: NDArray[np.floating]) -> Vectors:
    length = np.sqrt((values.astype(np.float64) ** 2).sum(axis=-1, keepdims=True))
    result: Vectors = (values / length).astype(np.float32)
    return result


def random_rows(seed: int, count: int, dimensions: int) -> Vectors:
    return unit(np.random.default_rng(seed).standard_normal((count, dimensions)))


def peculiar(random: np.random.Generator, dimensions: int) -> Vectors:
    """Twins, near twins, rows with one huge number, with tiny ones, with none, longer and shorter than the unit."""
    base = random_rows(int(random.integers(1 << 30)), 40, dimensions)
    single = np.eye(dimensions, dtype=np.float32)[random.integers(dimensions, size=10)]
    spiked = base[:10] * np.float32(1e-3) + single
    return np.concatenate(
        [
            base,
            base[:20],
            unit(base[random.integers(40, size=60)] + random.normal(0, 1e-7, (60, dimensions))),
            unit(base[random.integers(40, size=60)] + random.normal(0, 1e-4, (60, dimensions))),
            single,
            -single,
            unit(spiked),
            np.zeros((3, dimensions), dtype=np.float32),
            base[:5] * np.float32(1e-42),
            base[5:10] * np.float32(1e-20),
            base[10:15] * np.float32(3),
            base[15:20] * np.float32(1.0002),
            np.sign(base[:5]) * np.float32(1 / np.sqrt(dimensions)),
        ]
    )


def parts_of(codes: Codes, groups: NDArray[np.integer], asked: NDArray[np.intp] | None = None) -> Iterator[Part]:
    """Blocks, of which some rows are asked for, or all."""
    for start in range(0, len(codes), BLOCK):
        here = slice(start, start + BLOCK)
        if asked is None:
            yield Part(codes[here], groups[here])
        elif len(rows := asked[(asked >= start) & (asked < start + BLOCK)] - start):
            yield Part(codes[here], groups[here], rows)


def named(found: Nominees, asked: NDArray[np.intp] | None = None) -> dict[int, float]:
    """Row numbers, and the highest score that each may have."""
    starts = [start for start in range(0, 10**6, BLOCK) if asked is None or ((asked // BLOCK) == start // BLOCK).any()]
    rows = np.array(starts)[found.parts] + found.rows
    assert len(set(rows.tolist())) == len(rows)
    return dict(zip(rows.tolist(), found.highest.tolist(), strict=True))


def best(scores: NDArray[np.float64], groups: NDArray[np.integer], rows: list[int], k: int) -> list[int]:
    """By definition: all in order, equal ones by their numbers; of each group the first."""
    first: dict[int, int] = {}
    for row in sorted(rows, key=lambda row: (-scores[row], groups[row], row)):
        first.setdefault(int(groups[row]), row)
    return [*first.values()][:k]


@pytest.mark.parametrize("dimensions", [1, 2, 7, 64, 384])
def test_what_is_left_out_is_bounded(dimensions: int) -> None:
    """Against rational arithmetic: no row is further from its codes than it says, and a unit row says little more."""
    rows = peculiar(np.random.default_rng(dimensions), dimensions)
    codes = quantized(rows)
    for row, numbers, scale, error in zip(rows, codes.numbers, codes.scales, codes.errors, strict=True):
        rest = [
            Fraction(float(x)) - Fraction(float(scale)) * int(c)
            for x, c in zip(row.tolist(), numbers.tolist(), strict=True)
        ]
        squares = sum(each * each for each in rest)
        assert squares <= Fraction(float(error)) ** 2
        assert float(error) >= np.linalg.norm(row.astype(np.float64)) - quantizing.LONGEST
        assert np.abs(numbers.astype(int)).max() <= 127
        if 0.99 < np.linalg.norm(row) < 1.00005:
            assert float(error) <= 1.01 * float(squares) ** 0.5 + 1e-4
    assert np.abs(approximated(codes) - rows)[:160].max() < 0.005


@pytest.mark.parametrize("seed", range(12))
def test_nobody_among_the_best_is_left_out(seed: int) -> None:
    """A thousand questions about peculiar and random rows, in small and large groups, all of them or some."""
    random = np.random.default_rng(seed)
    dimensions = int(random.choice([1, 2, 8, 64, 384, 1536]))
    rows = np.concatenate([peculiar(random, dimensions), random_rows(seed, int(random.choice([0, 3000])), dimensions)])
    rows = rows[random.permutation(len(rows))]
    codes = quantized(rows)
    for number in range(10):
        query = unit(rows[number] + random.normal(0, float(random.choice([1e-8, 0.01, 1.0])), dimensions))
        scores = score(rows, query)
        groups = random.integers(int(random.choice([3, 80, 10_000])), size=len(rows))
        some = np.sort(random.permutation(len(rows))[: int(random.integers(1, len(rows)))])
        for asked in (None, some, some[::9]):
            meant = [*range(len(rows))] if asked is None else asked.tolist()
            for k in (1, 10, 100):
                found = named(nominate(parts_of(codes, groups, asked), query, k), asked)
                assert found.keys() <= set(meant)
                assert found.keys() >= set(best(scores, groups, meant, k))
                assert all(scores[row] <= highest for row, highest in found.items())
                assert [*found.values()] == sorted(found.values(), reverse=True)


@pytest.mark.parametrize("each", [1, 3, 40])
def test_the_last_of_the_best_is_named_however_far_behind(each: int) -> None:
    """Groups of one row and of many; nobody stands between the k-th and the one before, nor anybody after."""
    angles = np.repeat(np.arange(50) * 0.03, each)
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    shuffled = np.random.default_rng(18).permutation(len(rows))
    for order in (np.arange(len(rows)), shuffled):
        for k in range(1, 50):
            found = nominate(parts_of(quantized(rows[order]), order // each), np.array([1, 0], np.float32), k)
            assert {int(order[row]) // each for row in named(found)} >= {*range(k)}


def test_rows_that_differ_by_less_than_the_codes_tell_are_all_named() -> None:
    """The last decimal decides, and only the rows themselves know it."""
    rows = unit(np.repeat(random_rows(7, 1, 384), 400, axis=0) + np.random.default_rng(8).normal(0, 2e-7, (400, 384)))
    assert len(named(nominate(parts_of(quantized(rows), np.arange(400)), rows[0], 3))) == 400


@pytest.mark.parametrize("kind", ["random", "clusters", "near"])
def test_few_others_are_named(kind: str) -> None:
    """The margin is narrow: some dozens of 20,000, also amid a cluster."""
    random = np.random.default_rng(9)
    rows, query = random_rows(10, 20_000, 384), random_rows(11, 1, 384)[0]
    if kind != "random":
        rows = unit(random_rows(12, 100, 384)[random.integers(100, size=20_000)] + 0.5 * rows)
    if kind == "near":
        query = unit(rows[5] + 0.3 * query)
    assert 10 <= len(named(nominate(parts_of(quantized(rows), np.arange(20_000)), query, 10))) <= 150


def test_of_a_group_only_those_rows_are_named_that_may_be_its_best() -> None:
    """A card of a thousand chunks among few cards is not named a thousand times."""
    rows, query = random_rows(13, 5000, 384), random_rows(14, 1, 384)[0]
    assert len(named(nominate(parts_of(quantized(rows), np.arange(5000) % 5), query, 10))) <= 100


def test_numpy_names_the_same() -> None:
    """Where the quick product is not to be trusted, another takes its place, and nothing else changes."""
    assert quantizing.product() is quantizing.quick
    random = np.random.default_rng(15)
    for dimensions in (1, 31, 384, 1000):
        rows = random.integers(-127, 128, (3000, dimensions), dtype=np.int8)
        for query in (rows[0], np.full(dimensions, 127, np.int8), np.full(dimensions, -127, np.int8)):
            assert np.array_equal(quantizing.quick(rows, query), quantizing.plain(rows, query))
    assert len(quantizing.quick(rows[:0], rows[0])) == len(quantizing.plain(rows[:0], rows[0])) == 0


def test_a_product_that_is_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one whose sums stop at what sixteen bits hold."""

    def saturating(rows: NDArray[np.int8], query: NDArray[np.int8]) -> NDArray[np.float32]:
        sums: NDArray[np.float32] = np.clip(quantizing.plain(rows, query), -(2**15), 2**15 - 1)
        return sums

    monkeypatch.setattr(quantizing, "quick", saturating)
    quantizing.product.cache_clear()
    assert quantizing.product() is quantizing.plain
    quantizing.product.cache_clear()


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_an_error(broken: float) -> None:
    """In a row or in the question, never a rank."""
    rows, groups = random_rows(16, 3, 8), np.arange(3)
    bad = rows.copy()
    bad[1, 3] = broken
    with pytest.raises(Unavailable, match="not finite"):
        nominate(parts_of(quantized(bad), groups), rows[0], 1)
    with pytest.raises(Unavailable, match="not finite"):
        nominate(parts_of(quantized(rows), groups), bad[1], 1)


def test_what_does_not_fit_is_refused() -> None:
    """Other dimensions, another type, no number of results; nothing to look at is no error."""
    rows = random_rows(17, 4, 8)
    with pytest.raises(Invalid, match="can't be compared"):
        nominate(parts_of(quantized(rows), np.arange(4)), rows[0, :4], 1)
    with pytest.raises(Invalid, match="not float32 and float64"):
        nominate(parts_of(quantized(rows), np.arange(4)), rows[0].astype(np.float64), 1)
    with pytest.raises(Invalid, match="at least 1, not 0"):
        nominate(parts_of(quantized(rows), np.arange(4)), rows[0], 0)
    assert named(nominate(iter(()), rows[0], 1)) == {}
