"""The in-process vector index: a matrix for each space in use, searched exactly, the least recently used forgotten.

A view is immutable, so a search never sees half of a change and never waits for one. Views of one space share their
rows: a change adds some and tells which are no longer the view's, so that it costs what it changes.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexus_graph.scope.errors import Unavailable
from nexus_graph.stores.vectors.base import NOTHING, Change, Key, Nomination, Space, View, check_change
from nexus_graph.stores.vectors.scoring import best

_KEY_BYTES: Final = 200  # about what a row's key and number cost beside its vector
_SMALL: Final = 1_000_000  # numbers that are looked at on the spot; more of them go to a thread
_SPARE: Final = 8  # a matrix that is made anew has room for one row in so many more
_GONE: Final = 4  # it is made anew when one row in so many is nobody's
_AT_ONCE: Final = 10_000  # rows that are told in one piece
_FEW: Final = 4  # rows to search that are fewer than one in so many are copied, rather than searched along with all


class _Rows:
    """Rows that the views of a space share: they are added and never changed.

    `matrix` (room, dimensions) holds a row for each of `keys`, and `groups` (room,) the number that `numbers` gives the
    row's group.
    """

    __slots__ = ("groups", "keys", "lock", "matrix", "numbers")

    def __init__(self, matrix: NDArray[np.float32], keys: Sequence[Key]) -> None:
        self.matrix = matrix
        self.groups = np.empty(len(matrix), dtype=np.intp)
        self.keys: list[Key] = []
        self.numbers: dict[str, int] = {}
        self.lock = Lock()
        self._name(keys)

    def add(self, change: Change) -> None:
        """Add rows, for which there is room."""
        self.matrix[len(self.keys) : len(self.keys) + len(change.keys)] = change.matrix
        self._name(change.keys)

    def _name(self, keys: Sequence[Key]) -> None:
        numbers, first = self.numbers, len(self.keys)
        of_groups = (numbers.setdefault(group, len(numbers)) for group, _ in keys)
        self.groups[first : first + len(keys)] = np.fromiter(of_groups, dtype=np.intp, count=len(keys))
        self.keys.extend(keys)


@dataclass(frozen=True, slots=True, eq=False)
class LocalView:
    """All vectors of a space: the first `count` rows, less those `gone` (row numbers, ascending).

    `epoch` counts how often the space's copies were let go before this one was begun.
    """

    generation: int
    rows: _Rows
    count: int
    gone: NDArray[np.intp]
    epoch: int

    @classmethod
    def empty(cls, dimensions: int, epoch: int = 0) -> LocalView:
        """The view of a space of which nothing is known."""
        rows = _Rows(np.empty((0, dimensions), dtype=np.float32), ())
        return cls(NOTHING, rows, 0, np.empty(0, dtype=np.intp), epoch)

    @property
    def offloaded(self) -> bool:
        """See `base.View`. Never."""
        return False

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return self.rows.matrix.nbytes + _KEY_BYTES * len(self.rows.keys)

    def numbers_of(self, groups: Collection[str]) -> list[int]:
        """The numbers of those groups that there are."""
        return [number for group in groups if (number := self.rows.numbers.get(group)) is not None]

    def own(self) -> NDArray[np.bool_]:
        """Of each of the first `count` rows whether it is the view's."""
        own = np.ones(self.count, dtype=bool)
        own[self.gone] = False
        return own

    async def nominate(
        self,
        query: NDArray[np.float32],
        k: int,
        *,
        only: Collection[str] | None = None,
        without: Collection[str] = (),
    ) -> Nomination:
        """See `base.View`. These are the best rows of the k best groups themselves."""
        if self.count * self.rows.matrix.shape[1] <= _SMALL:
            return self._nominate(query, k, only, without)
        return await asyncio.to_thread(self._nominate, query, k, only, without)

    def _nominate(
        self, query: NDArray[np.float32], k: int, only: Collection[str] | None, without: Collection[str]
    ) -> Nomination:
        matrix, groups, keys = self.rows.matrix[: self.count], self.rows.groups[: self.count], self.rows.keys
        asked = self.own()
        if only is not None:
            asked &= np.isin(groups, self.numbers_of(only))
        if without:
            asked &= ~np.isin(groups, self.numbers_of(without))
        number = np.count_nonzero(asked)
        if number == self.count:
            hits = best(matrix, query, groups, keys, k)
        elif number * _FEW < self.count:
            hits = best(matrix, query, groups, keys, k, np.flatnonzero(asked))
        else:
            hits = best(matrix, query, groups, keys, k, without=np.flatnonzero(~asked))
        return Nomination(tuple(keys[hit.row] for hit in hits), exact=True)


def changed(view: LocalView, change: Change) -> LocalView:
    """The view after the change. Raises Invalid when the change's matrix does not fit."""
    dimensions = view.rows.matrix.shape[1]
    check_change(change, dimensions)
    rows, gone, after = view.rows, view.gone, view.count + len(change.keys)
    if numbers := view.numbers_of(change.groups):
        gone = np.union1d(gone, np.flatnonzero(np.isin(rows.groups[: view.count], numbers)))
    with rows.lock:
        if len(rows.keys) == view.count and after <= len(rows.matrix) and len(gone) * _GONE <= after:
            rows.add(change)
            return LocalView(change.generation, rows, after, gone, view.epoch)
    if not view.count:
        return LocalView(change.generation, _Rows(change.matrix, change.keys), after, gone, view.epoch)
    left = np.delete(np.arange(view.count), gone)
    room = (len(left) + len(change.keys)) * (_SPARE + 1) // _SPARE
    matrix = np.empty((room, dimensions), dtype=np.float32)
    np.take(rows.matrix, left, axis=0, out=matrix[: len(left)], mode="clip")  # all are in range; "raise" copies twice
    fresh = _Rows(matrix, [rows.keys[row] for row in left.tolist()])
    fresh.add(change)
    return LocalView(change.generation, fresh, len(fresh.keys), np.empty(0, dtype=np.intp), view.epoch)


@dataclass(slots=True)
class LocalVectors:
    """Views of the spaces in use, together about `budget` bytes; one space alone may be larger."""

    budget: int = 512 * 1024 * 1024
    _views: OrderedDict[Space, LocalView] = field(default_factory=OrderedDict)
    _epochs: dict[tuple[str, str], int] = field(default_factory=dict)

    async def open(self) -> None:
        """Nothing: there is nobody to wait for."""

    async def close(self) -> None:
        """Let go of every view."""
        self._views.clear()

    async def ready(self) -> None:
        """Always."""

    async def view(self, space: Space) -> LocalView:
        """See `base.Vectors`."""
        if space in self._views:
            self._views.move_to_end(space)
            return self._views[space]
        return LocalView.empty(space.dimensions, self._epoch(space))

    async def apply(self, space: Space, view: View, change: Change) -> LocalView:
        """See `base.Vectors`."""
        if not isinstance(view, LocalView):
            raise Unavailable("The view belongs to another vector index.")
        if view.rows.matrix.size + change.matrix.size <= _SMALL:
            after = changed(view, change)
        else:
            after = await asyncio.to_thread(changed, view, change)
        if after.epoch != self._epoch(space):  # let go meanwhile: this one is for who asked, and for nobody else
            return after
        kept = self._views.get(space)
        if kept is None or kept.generation < after.generation:
            self._views[space] = after
        self._views.move_to_end(space)
        self._make_room()
        return after

    async def use(self, space: Space, view: View) -> None:
        """See `base.Vectors`. It is always here."""

    async def offload(self, space: Space, before: int) -> bool:
        """See `base.Vectors`. There is no other place for it."""
        return False

    async def onload(self, space: Space, view: View) -> bool:
        """See `base.Vectors`. It is always here."""
        return True

    async def intact(self, space: Space, view: View) -> bool:
        """See `base.Vectors`. It is always here."""
        return True

    async def reached(self, space: Space, view: View) -> int:
        """See `base.Vectors`. Nobody else writes here."""
        return view.generation

    async def held(self, space: Space) -> AsyncIterator[tuple[Sequence[Key], NDArray[np.float32]]]:
        """See `base.Vectors`."""
        if (view := self._views.get(space)) is not None:
            rows = np.flatnonzero(view.own())
            for first in range(0, len(rows), _AT_ONCE):
                some = rows[first : first + _AT_ONCE]
                yield [view.rows.keys[row] for row in some.tolist()], view.rows.matrix[some]

    def names_of(self, space: Space, epoch: int) -> frozenset[str]:
        """See `base.Vectors`. Nothing is shared."""
        return frozenset()

    async def names(self) -> frozenset[str]:
        """See `base.Vectors`. Nothing is shared."""
        return frozenset()

    async def remove(self, names: Collection[str], kept: Collection[str]) -> None:
        """See `base.Vectors`. Nothing is shared."""

    def forget(self, tenant_id: str, env: str) -> None:
        """See `base.Vectors`."""
        self._forget(tenant_id, env, None)

    async def erase(self, tenant_id: str, env: str, but: str | None = None) -> None:
        """See `base.Vectors`. What other processes hold, they let go of when their rows are gone."""
        self._forget(tenant_id, env, but)

    def _epoch(self, space: Space) -> int:
        return self._epochs.get((space.tenant_id, space.env), 0)

    def _forget(self, tenant_id: str, env: str, but: str | None) -> None:
        self._epochs[tenant_id, env] = self._epochs.get((tenant_id, env), 0) + 1
        for space in [space for space in self._views if (space.tenant_id, space.env) == (tenant_id, env)]:
            if space.definition_id != but:
                del self._views[space]

    def _make_room(self) -> None:
        while len(self._views) > 1 and sum(view.size for view in self._views.values()) > self.budget:
            self._views.popitem(last=False)
