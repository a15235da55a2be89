"""Views in memory share their rows, and none of them notices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nexus_graph.stores.vectors.base import Change
from nexus_graph.stores.vectors.local import LocalView, changed
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


async def named(view: LocalView, query: NDArray[np.float32], k: int, **restricted: list[str]) -> list[str]:
    """The groups that a view names, in its order."""
    return [group for group, _ in (await view.nominate(query, k, **restricted)).keys]


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
            assert await named(view, query, k) == best_of(groups, query, k)
        some = best_of(groups, query, 100)[::3]
        rest = {group: rows for group, rows in groups.items() if group not in some}
        assert await named(view, query, 5, only=some) == some[:5]
        assert await named(view, query, 5, without=some) == best_of(rest, query, 5)


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
        assert len(view.rows.matrix) <= 1500
    assert 0 < copied < 40
    assert len(view.own()) - len(view.gone) == 1000
    for number in range(900):
        view = changed(view, a_change(4000 + number, {f"card_{number}": unit_rows(random_state, 0)}))
    assert len(view.own()) - len(view.gone) == 100
    assert len(view.rows.matrix) < 150
