"""The in-process vector index: a matrix for each space in use, searched exactly, the least recently used forgotten.

A view is immutable, so a search never sees half of a change and never waits for one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexus_graph.scope.errors import Unavailable
from nexus_graph.stores.vectors.base import NOTHING, Change, Key, Nomination, Space, View, check_change
from nexus_graph.stores.vectors.scoring import best

_KEY_BYTES: Final = 200  # about what a row's key and number cost beside its vector
_SMALL: Final = 1_000_000  # numbers that are looked at on the spot; more of them go to a thread
_FEW: Final = 64  # groups to leave out that are cheaper to search along with and drop


@dataclass(frozen=True, slots=True, eq=False)
class LocalView:
    """All vectors of a space as one matrix (n, dimensions); `groups` numbers each row's group as `numbers` does.

    `epoch` counts how often the space's copies were let go before this one was begun.
    """

    generation: int
    matrix: NDArray[np.float32]
    keys: Sequence[Key]
    groups: NDArray[np.intp]
    numbers: Mapping[str, int]
    epoch: int = 0

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return self.matrix.nbytes + _KEY_BYTES * len(self.keys)

    async def nominate(
        self,
        query: NDArray[np.float32],
        k: int,
        *,
        only: Collection[str] | None = None,
        without: Collection[str] = (),
    ) -> Nomination:
        """See `base.View`. These are the best rows of the k best groups themselves."""
        if self.matrix.size <= _SMALL:
            return self._nominate(query, k, only, without)
        return await asyncio.to_thread(self._nominate, query, k, only, without)

    def _nominate(
        self, query: NDArray[np.float32], k: int, only: Collection[str] | None, without: Collection[str]
    ) -> Nomination:
        left_out = {number for group in without if (number := self.numbers.get(group)) is not None}
        rows, more = None, len(left_out)
        if only is not None or len(left_out) > _FEW:
            rows, more = self._rows(only, left_out), 0
        hits = best(self.matrix, query, self.groups, self.keys, k + more, rows)
        kept = [self.keys[hit.row] for hit in hits if int(self.groups[hit.row]) not in left_out]
        return Nomination(tuple(kept[:k]), exact=True)

    def _rows(self, only: Collection[str] | None, left_out: set[int]) -> NDArray[np.intp] | None:
        chosen = np.full(len(self.numbers), only is None)
        chosen[[number for group in only or () if (number := self.numbers.get(group)) is not None]] = True
        chosen[[*left_out]] = False
        return None if chosen.all() else np.flatnonzero(chosen[self.groups])


def changed(view: LocalView, change: Change) -> LocalView:
    """The view after the change. Raises Invalid when the change's matrix does not fit."""
    check_change(change, view.matrix.shape[1])
    gone = [number for group in change.groups if (number := view.numbers.get(group)) is not None]
    if gone:
        stays = np.ones(len(view.numbers), dtype=bool)
        stays[gone] = False
        rows = np.flatnonzero(stays[view.groups])
        keys = [view.keys[row] for row in rows.tolist()]
        matrix = np.concatenate([view.matrix[rows], change.matrix])
    else:
        keys = [*view.keys]
        matrix = np.concatenate([view.matrix, change.matrix])
    keys.extend(change.keys)
    numbers: dict[str, int] = {}
    groups = np.fromiter((numbers.setdefault(group, len(numbers)) for group, _ in keys), dtype=np.intp, count=len(keys))
    return LocalView(change.generation, np.ascontiguousarray(matrix), keys, groups, numbers, view.epoch)


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
        empty = np.empty((0, space.dimensions), dtype=np.float32)
        return LocalView(NOTHING, empty, (), np.empty(0, dtype=np.intp), {}, self._epoch(space))

    async def apply(self, space: Space, view: View, change: Change) -> LocalView:
        """See `base.Vectors`."""
        if not isinstance(view, LocalView):
            raise Unavailable("The view belongs to another vector index.")
        if view.matrix.size + change.matrix.size <= _SMALL:
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

    async def reached(self, space: Space, view: View) -> int:
        """See `base.Vectors`. Nobody else writes here."""
        return view.generation

    async def held(self, space: Space) -> AsyncIterator[tuple[Sequence[Key], NDArray[np.float32]]]:
        """See `base.Vectors`."""
        if (view := self._views.get(space)) is not None:
            yield view.keys, view.matrix

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
