"""What every vector index promises, run over each adapter. One joins by adding a function to `ADAPTERS`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from servers.weaviate import WeaviateServer

from nexus_graph.scope.errors import Invalid, Unavailable
from nexus_graph.stores.vectors.base import NOTHING, Change, Key, Space, Vectors, View
from nexus_graph.stores.vectors.local import LocalVectors
from nexus_graph.stores.vectors.scoring import score

SPACE = Space("t_acme", "dev", "hashing@v1:8:chunk-1", 8)
Open = Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Vectors]]


def _local(budget: int) -> Open:
    @asynccontextmanager
    async def opened(_: pytest.FixtureRequest) -> AsyncIterator[Vectors]:
        yield LocalVectors(budget)

    return opened


@asynccontextmanager
async def _weaviate(request: pytest.FixtureRequest) -> AsyncIterator[Vectors]:
    server: WeaviateServer = request.getfixturevalue("weaviate")
    yield server.vectors()


ADAPTERS: dict[str, Open] = {"local": _local(1 << 20), "local-without-room": _local(1), "weaviate": _weaviate}


@pytest.fixture(params=ADAPTERS)
async def vectors(request: pytest.FixtureRequest) -> AsyncIterator[Vectors]:
    """An empty index of each kind, open."""
    async with ADAPTERS[request.param](request) as made:
        await made.open()
        await made.ready()
        yield made
        await made.close()


def unit_rows(seed: int, count: int, dimensions: int = 8) -> NDArray[np.float32]:
    """Random rows of unit length."""
    rows = np.random.default_rng(seed).standard_normal((count, dimensions))
    unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def change(generation: int, groups: dict[str, NDArray[np.float32]]) -> Change:
    """A change after which each group holds these rows."""
    keys: list[Key] = [(group, ordinal) for group, rows in groups.items() for ordinal in range(len(rows))]
    return Change(generation, [*groups], keys, np.concatenate([np.empty((0, 8), np.float32), *groups.values()]))


def nearest(groups: dict[str, NDArray[np.float32]], query: NDArray[np.float32], k: int) -> list[str]:
    """The definition: the k groups with the best rows, equal ones by name."""
    best = {group: -score(rows, query).max() for group, rows in groups.items() if len(rows)}
    return sorted(best, key=lambda group: (best[group], group))[:k]


async def chosen(
    view: View, query: NDArray[np.float32], k: int, only: list[str] | None = None, without: tuple[str, ...] = ()
) -> set[str]:
    """The groups nominated, of an exact nomination."""
    nomination = await view.nominate(query, k, only=only, without=without)
    assert nomination.exact
    assert len(set(nomination.keys)) == len(nomination.keys)
    return {group for group, _ in nomination.keys}


async def test_the_best_groups_are_among_the_nominees(vectors: Vectors) -> None:
    """With each group's best row, for any k, also under `only` and `without`, few or many."""
    groups = {f"card_{n:03d}": unit_rows(n, 1 + n % 4) for n in range(150)}
    view = await vectors.apply(SPACE, await vectors.view(SPACE), change(1, groups))
    for seed in range(5):
        query = unit_rows(1000 + seed, 1)[0]
        for k in (1, 7, 150, 200):
            assert await chosen(view, query, k) >= set(nearest(groups, query, k))
            best = nearest(groups, query, 150)
            for without in (best[:3], best[:100]):
                rest = {group: rows for group, rows in groups.items() if group not in without}
                assert await chosen(view, query, k, without=tuple(without)) >= set(nearest(rest, query, k))
                assert not await chosen(view, query, k, without=tuple(without)) & set(without)
            only = [*best[40:60], "card_unknown"]
            some = {group: groups[group] for group in best[40:60]}
            assert await chosen(view, query, k, only=only) >= set(nearest(some, query, k))
            assert await chosen(view, query, k, only=only) <= set(some)
        (top,) = nearest(groups, query, 1)
        best_row = int(np.argmax(score(groups[top], query)))
        assert (top, best_row) in (await view.nominate(query, 1)).keys
    assert await chosen(view, query, 5, only=[]) == set()


async def test_changes_replace_and_remove_whole_groups(vectors: Vectors) -> None:
    """Step by step against a plain dictionary; a view that is held does not change, where nobody else has the copy."""
    groups = {f"card_{n}": unit_rows(n, 2) for n in range(6)}
    first = view = await vectors.apply(SPACE, await vectors.view(SPACE), change(3, groups))
    query = unit_rows(99, 1)[0]
    before = await first.nominate(query, 3)
    steps = [
        {"card_1": unit_rows(50, 3), "card_9": unit_rows(51, 1)},
        {"card_2": unit_rows(0, 0), "card_unknown": unit_rows(0, 0)},
        {},
        {name: unit_rows(0, 0) for name in [*groups, "card_9"]},
    ]
    for generation, step in enumerate(steps, start=4):
        view = await vectors.apply(SPACE, view, change(generation, step))
        groups = {group: rows for group, rows in {**groups, **step}.items() if len(rows)}
        assert view.generation == generation
        assert await chosen(view, query, 10) == set(groups)
        assert await chosen(view, query, 2) >= set(nearest(groups, query, 2))
    if isinstance(vectors, LocalVectors):
        assert await first.nominate(query, 3) == before


async def test_a_space_begins_with_nothing_and_is_kept_for_the_next(vectors: Vectors) -> None:
    """An unknown space is empty at generation nothing; after a change the next view is of that generation."""
    empty = await vectors.view(SPACE)
    assert empty.generation == NOTHING
    assert await chosen(empty, unit_rows(1, 1)[0], 3) == set()
    newer = await vectors.apply(SPACE, empty, change(5, {"card_new": unit_rows(2, 1)}))
    assert (await vectors.view(SPACE)).generation == 5
    assert await chosen(await vectors.view(SPACE), unit_rows(1, 1)[0], 3) == {"card_new"}
    assert newer.generation == 5
    older = await vectors.apply(SPACE, newer, change(4, {"card_old": unit_rows(3, 1)}))
    assert older.generation in (4, 5)
    assert (await vectors.view(SPACE)).generation == 5


async def test_spaces_never_meet(vectors: Vectors) -> None:
    """Another tenant, env or definition has nothing of this one's."""
    await vectors.apply(SPACE, await vectors.view(SPACE), change(1, {"card_secret": unit_rows(1, 1)}))
    others = [
        Space("t_globex", "dev", SPACE.definition_id, 8),
        Space("t_acme", "prod", SPACE.definition_id, 8),
        Space("t_acme", "dev", "other", 8),
    ]
    for other in others:
        view = await vectors.view(other)
        assert view.generation == NOTHING
        view = await vectors.apply(other, view, change(1, {"card_own": unit_rows(2, 1)}))
        assert await chosen(view, unit_rows(1, 1)[0], 10) == {"card_own"}


async def test_ties_and_near_twins_are_named_all_or_bounded(vectors: Vectors) -> None:
    """More equal rows than results: all that could be among the best are named, and a bound tells of the others."""
    query = unit_rows(7, 1)[0]
    groups = {f"twin_{n:03d}": query.reshape(1, 8).copy() for n in range(90)}
    groups |= {f"far_{n:03d}": -unit_rows(n, 1) for n in range(40)}
    view = await vectors.apply(SPACE, await vectors.view(SPACE), change(1, groups))
    for k in (1, 10, 60):
        nomination = await view.nominate(query, k)
        assert nomination.exact
        named = {group for group, _ in nomination.keys}
        assert named >= set(nearest(groups, query, k))
        if nomination.bound is not None:
            assert (
                max(score(rows, query).max() for name, rows in groups.items() if name not in named) < nomination.bound
            )


async def test_a_row_of_zeros_and_a_question_of_zeros(vectors: Vectors) -> None:
    """What says nothing is near to nothing, and found all the same; a question that says nothing is not guessed at."""
    groups = {"card_zero": np.zeros((1, 8), np.float32), "card_one": unit_rows(1, 1)}
    view = await vectors.apply(SPACE, await vectors.view(SPACE), change(1, groups))
    assert await chosen(view, unit_rows(1, 1)[0], 2) == set(groups)
    nomination = await view.nominate(np.zeros(8, np.float32), 2)
    assert {group for group, _ in nomination.keys} == set(groups) or not nomination.exact


async def test_names_are_taken_as_they_are(vectors: Vectors) -> None:
    """Groups that differ in case, blanks or separators are different groups, in filters too."""
    names = ["card", "Card", " card", "card ", "card:1", "card:", "c", "karte\u0308", "../card", "a b", "a  b"]
    groups = {name: unit_rows(place, 1) for place, name in enumerate(names)}
    view = await vectors.apply(SPACE, await vectors.view(SPACE), change(1, groups))
    query = unit_rows(99, 1)[0]
    for name in names:
        assert await chosen(view, query, 20, only=[name]) == {name}
        assert await chosen(view, query, 20, without=(name,)) == set(names) - {name}
        many = (name, *(f"unknown {number}" for number in range(100)))
        assert await chosen(view, query, 20, without=many) == set(names) - {name}
    assert await chosen(view, query, 20, only=names[:3], without=tuple(names[:2])) == {names[2]}


async def test_filters_of_every_selectivity(vectors: Vectors) -> None:
    """From one group in five hundred to all of them, also those that are farthest away."""
    groups = {f"card_{n:03d}": unit_rows(n, 1) for n in range(500)}
    view = await vectors.apply(SPACE, await vectors.view(SPACE), change(1, groups))
    query = unit_rows(1234, 1)[0]
    order = nearest(groups, query, 500)
    for some in (order[-1:], order[250:260], order[-100:], order[1::2], order[3:], order):
        held = {name: groups[name] for name in some}
        assert await chosen(view, query, 10, only=some) >= set(nearest(held, query, 10))
        rest = tuple(name for name in order if name not in held)
        assert await chosen(view, query, 10, without=rest) >= set(nearest(held, query, 10))


async def test_all_that_is_held_can_be_looked_at(vectors: Vectors) -> None:
    """Once, and of a copy that others share bit for bit as it was given."""
    groups = {f"card_{n:04d}": unit_rows(n, 1 + n % 2) for n in range(500)}
    view = await vectors.apply(SPACE, await vectors.view(SPACE), change(1, groups))
    await vectors.apply(SPACE, view, change(2, {"card_0000": unit_rows(0, 0), "card_0001": unit_rows(9999, 1)}))
    groups |= {"card_0001": unit_rows(9999, 1)}
    del groups["card_0000"]
    found: dict[Key, NDArray[np.float32]] = {}
    count = 0
    async for keys, matrix in vectors.held(SPACE):
        count += len(keys)
        found |= zip(keys, matrix, strict=True)
    given = {(name, place): row for name, rows in groups.items() for place, row in enumerate(rows)}
    assert found.keys() == given.keys()
    off = 0.01 if isinstance(vectors, LocalVectors) else 0.0
    assert all(np.abs(found[key] - row).max() <= off for key, row in given.items())
    assert count == len(found)
    assert [keys async for keys, _ in vectors.held(replace(SPACE, tenant_id="t_globex"))] == []


async def test_what_is_erased_is_gone_and_stays_gone(vectors: Vectors) -> None:
    """Of one tenant and env, in every definition or all but one; a writer that comes late brings nothing back."""
    others = [replace(SPACE, tenant_id="t_globex"), replace(SPACE, env="prod")]
    second = replace(SPACE, definition_id="other@v1:8:chunk-1")
    for space in (SPACE, second, *others):
        await vectors.apply(space, await vectors.view(space), change(1, {"card_1": unit_rows(1, 1)}))
    late = await vectors.view(second)
    await vectors.erase(SPACE.tenant_id, SPACE.env, but=SPACE.definition_id)
    assert (await vectors.view(second)).generation == NOTHING
    with suppress(Unavailable):
        await vectors.apply(second, late, change(2, {"card_late": unit_rows(2, 1)}))
    assert (await vectors.view(second)).generation == NOTHING
    if not (isinstance(vectors, LocalVectors) and vectors.budget == 1):
        assert await chosen(await vectors.view(SPACE), unit_rows(1, 1)[0], 3) == {"card_1"}
    await vectors.erase(SPACE.tenant_id, SPACE.env)
    await vectors.erase(SPACE.tenant_id, SPACE.env)
    for space in (SPACE, second):
        assert [keys async for keys, _ in vectors.held(space)] == []
        view = await vectors.view(space)
        assert view.generation == NOTHING
        assert await chosen(view, unit_rows(1, 1)[0], 3) == set()
    for space in others:
        view = await vectors.view(space)
        assert view.generation == NOTHING or await chosen(view, unit_rows(1, 1)[0], 3) == {"card_1"}
    view = await vectors.apply(SPACE, await vectors.view(SPACE), change(7, {"card_new": unit_rows(3, 1)}))
    assert await chosen(view, unit_rows(1, 1)[0], 3) == {"card_new"}


async def test_shapes_that_do_not_fit_are_refused(vectors: Vectors) -> None:
    """A query or a change of other dimensions never becomes an answer."""
    view = await vectors.apply(SPACE, await vectors.view(SPACE), change(1, {"card_1": unit_rows(1, 1)}))
    with pytest.raises(Invalid):
        await view.nominate(unit_rows(1, 1, 9)[0], 1)
    with pytest.raises(Invalid):
        await vectors.apply(SPACE, view, Change(2, ["card_2"], [("card_2", 0)], unit_rows(1, 1, 9)))
    with pytest.raises(Invalid):
        await vectors.apply(SPACE, view, Change(2, ["card_2"], [("card_2", 0)], unit_rows(1, 2)))
    with pytest.raises(Invalid):
        await view.nominate(unit_rows(1, 1)[0], 0)
    assert await chosen(await vectors.view(SPACE), unit_rows(1, 1)[0], 9) == {"card_1"}
    assert (await vectors.view(SPACE)).generation == 1


async def test_the_least_recently_used_space_makes_room() -> None:
    """The local index forgets the space that was looked at longest ago, and never the one in use."""
    spaces = [Space(f"t_{n}", "dev", "d", 8) for n in range(3)]
    vectors = LocalVectors(budget=2 * 600)
    for space in spaces[:2]:
        await vectors.apply(space, await vectors.view(space), change(1, {"card_1": unit_rows(1, 5)}))
    await vectors.view(spaces[0])
    await vectors.apply(spaces[2], await vectors.view(spaces[2]), change(1, {"card_1": unit_rows(1, 5)}))
    assert [(await vectors.view(space)).generation for space in spaces] == [1, NOTHING, 1]
