"""Views in memory share their rows, and none of them notices."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nexus_graph.stores.vectors import local
from nexus_graph.stores.vectors.base import Change, Space
from nexus_graph.stores.vectors.local import LocalVectors, LocalView, changed
from nexus_graph.stores.vectors.scoring import score

Groups = dict[str, NDArray[np.float32]]
DIMENSIONS = 8


def unit_rows(random_state: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Random rows of unit length."""
    rows = random_state.standard_normal((count, DIMENSIONS))
    made: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return made


def a_change(generation: int, groups: Groups) -> Change:
    """Groups and all of their rows."""
    keys = [(group, ordinal) for group, rows in groups.items() for ordinal in range(len(rows))]
    matrix = np.concatenate([np.empty((0, DIMENSIONS), np.float32), *groups.values()])
    return Change(generation, [*groups], keys, matrix)


def best_of(groups: Groups, query: NDArray[np.float32], k: int) -> list[str]:
    """By definition: the groups with the best rows, equal ones by name."""
    scores = {group: score(rows, query).max() for group, rows in groups.items() if len(rows)}
    return sorted(scores, key=lambda group: (-scores[group], group))[:k]


async def named(
    view: LocalView, groups: Groups, query: NDArray[np.float32], k: int, **restricted: list[str]
) -> list[str]:
    """The best of what a view names, by the rows that it was given."""
    nomination = await view.nominate(query, k, **restricted)
    assert nomination.exact
    assert sorted(nomination.highest, reverse=True) == [*nomination.highest]
    found = {key: float(score(groups[key[0]], query)[key[1]]) for key in nomination.keys}
    assert all(found[key] <= most for key, most in zip(nomination.keys, nomination.highest, strict=True))
    return [*dict.fromkeys(group for group, _ in sorted(found, key=lambda key: (-found[key], key)))][:k]


async def test_every_view_of_many_changes_stays_what_it_was() -> None:
    """Groups come, change and go; all views are held, and asked at the end, also where two came after the same one."""
    random_state = np.random.default_rng(5)
    view, groups = LocalView.empty(DIMENSIONS), Groups()
    held: list[tuple[LocalView, Groups]] = []
    for generation in range(1, 250):
        if held and generation % 10 == 0:  # another change of that one was applied before
            view, groups = held[random_state.integers(len(held))]
        names = [f"card_{number}" for number in random_state.integers(60, size=random_state.choice((1, 1, 1, 2, 30)))]
        step = {name: unit_rows(random_state, random_state.choice((0, 1, 1, 2, 3))) for name in names}
        view, groups = changed(view, a_change(generation, step)), groups | step
        held.append((view, groups))
    query = unit_rows(random_state, 1)[0]
    for view, groups in held:
        for k in (1, 5, 100):
            assert await named(view, groups, query, k) == best_of(groups, query, k)
        some = best_of(groups, query, 100)[::3]
        rest = {group: rows for group, rows in groups.items() if group not in some}
        assert await named(view, groups, query, 5, only=some) == some[:5]
        assert await named(view, groups, query, 5, without=some) == best_of(rest, query, 5)


def test_a_change_costs_what_it_changes() -> None:
    """No row is copied for one that is added or replaced, but now and then; what nobody holds any more is let go of."""
    random_state = np.random.default_rng(6)
    groups = {f"card_{number}": unit_rows(random_state, 1) for number in range(1000)}
    view = changed(LocalView.empty(DIMENSIONS), a_change(1, groups))
    copied = 0
    for generation in range(2, 3002):
        name = f"card_{generation % 1000}"
        after = changed(view, a_change(generation, {name: unit_rows(random_state, 1)}))
        copied += after.rows is not view.rows
        view = after
        assert view.rows.room <= 1500
    assert 0 < copied < 40
    assert len(view.own()) - len(view.gone) == 1000
    for number in range(900):
        view = changed(view, a_change(4000 + number, {f"card_{number}": unit_rows(random_state, 0)}))
    assert len(view.own()) - len(view.gone) == 100
    assert view.rows.room < 150


async def test_rows_lie_in_blocks_and_nobody_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes that end amid a block, fill one or several, and views that end in each of them."""
    monkeypatch.setattr(local, "_BLOCK", 16)
    random_state = np.random.default_rng(8)
    view, groups = LocalView.empty(DIMENSIONS), Groups()
    held: list[tuple[LocalView, Groups]] = []
    for generation, size in enumerate((3, 5, 8, 1, 15, 16, 17, 40, 1, 1, 30, 2), start=1):
        step = {
            f"card_{random_state.integers(40)}": unit_rows(random_state, size // 2),
            f"new_{generation}": unit_rows(random_state, size),
        }
        view, groups = changed(view, a_change(generation, step)), groups | step
        held.append((view, groups))
    query = unit_rows(random_state, 1)[0]
    for view, groups in held:
        assert len(view.rows.blocks) == -(-view.rows.count // 16)
        assert await named(view, groups, query, 100) == best_of(groups, query, 100)
        assert await named(view, groups, query, 3) == best_of(groups, query, 3)
        some = best_of(groups, query, 100)[1::2]
        assert await named(view, groups, query, 5, only=some) == some[:5]


def test_a_row_takes_little_more_than_a_byte_a_number() -> None:
    """With its name, its scale and all else."""
    random_state = np.random.default_rng(9)
    view = LocalView.empty(384)
    for start in range(0, 20_000, 1000):
        keys = [(f"card_{number:026}", 0) for number in range(start, start + 1000)]
        matrix = random_state.standard_normal((1000, 384)).astype(np.float32)
        view = changed(view, Change(1, (), keys, matrix))
    assert view.size <= 1.3 * 20_000 * 384


async def test_what_is_still_being_read_is_not_given_to_others() -> None:
    """Pieces without a generation are for who reads them; the last one makes all of them known."""
    vectors, space = LocalVectors(), Space("t_acme", "dev", "hashing", DIMENSIONS)
    rows = unit_rows(np.random.default_rng(10), 3)
    view = await vectors.view(space)
    for place in range(3):
        assert (await vectors.view(space)).count == 0
        key = (f"card_{place}", 0)
        view = await vectors.apply(space, view, Change(4 if place == 2 else 0, (), [key], rows[place : place + 1]))
    assert (await vectors.view(space)) is view
    assert (view.generation, view.count) == (4, 3)
