"""The in-process vector index: codes of each space in use, all looked at, the least recently used forgotten.

A view is immutable, so a search never sees half of a change and never waits for one. Views of one space share their
rows: a change adds some and tells which are no longer the view's, so that it costs what it changes. The vectors
themselves are not here: of each, its codes (`quantizing`) name the candidates, and the rows of the database decide.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexus_graph.scope.errors import Unavailable
from nexus_graph.stores.vectors.base import NOTHING, Change, Key, Nomination, Space, View, check_change
from nexus_graph.stores.vectors.names import Names
from nexus_graph.stores.vectors.quantizing import Codes, Part, approximated, nominate, quantized
from nexus_graph.stores.vectors.scoring import check_query

_SMALL: Final = 1_000_000  # numbers that are looked at on the spot; more of them go to a thread
_BLOCK: Final = 32_768  # rows that lie in one piece
_LEAST: Final = 8  # rows for which there is room in the smallest piece
_SPARE: Final = 8  # a piece that is made larger has room for one row in so many more
_GONE: Final = 4  # the rows are written anew when one in so many is nobody's


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Rows in one piece, with their groups' numbers and their ordinals; and room for more."""

    codes: Codes
    groups: NDArray[np.int32]
    ordinals: NDArray[np.int32]

    @classmethod
    def empty(cls, room: int, dimensions: int) -> _Block:
        return cls(Codes.empty(room, dimensions), np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32))

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + self.groups.nbytes + self.ordinals.nbytes

    def held(self, count: int) -> _Block:
        """The first rows."""
        return _Block(self.codes[:count], self.groups[:count], self.ordinals[:count])

    def larger(self, room: int) -> _Block:
        larger, held = _Block.empty(room, self.codes.numbers.shape[1]), len(self.groups)
        larger.codes[:held], larger.groups[:held], larger.ordinals[:held] = self.codes, self.groups, self.ordinals
        return larger


class _Rows:
    """Rows that the views of a space share: they are added and never changed. All blocks but the last are full."""

    __slots__ = ("blocks", "count", "dimensions", "lock", "names")

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self.blocks: list[_Block] = []
        self.names = Names()
        self.count = 0
        self.lock = Lock()

    @property
    def room(self) -> int:
        """For how many rows there is room."""
        return sum(len(block.groups) for block in self.blocks)

    def add(self, codes: Codes, keys: Iterable[Key]) -> None:
        """Add rows and their keys."""
        given = [*keys]
        groups = self.names.add(group for group, _ in given)
        ordinals = np.array([ordinal for _, ordinal in given], dtype=np.int32)
        done = 0
        while done < len(codes):
            place = self.count % _BLOCK
            block = self._block(place, min(len(codes) - done, _BLOCK - place))
            here = slice(place, min(len(block.groups), place + len(codes) - done))
            those = slice(done, done + here.stop - place)
            block.codes[here], block.groups[here], block.ordinals[here] = codes[those], groups[those], ordinals[those]
            self.count, done = self.count + here.stop - place, those.stop

    def _block(self, place: int, needed: int) -> _Block:
        """The last block, with room for so many rows from a place on."""
        if place == 0 and self.count == _BLOCK * len(self.blocks):
            self.blocks.append(_Block.empty(min(max(needed, _LEAST), _BLOCK), self.dimensions))
        elif len(self.blocks[-1].groups) < place + needed:
            more = max(needed, place // _SPARE, _LEAST)
            self.blocks[-1] = self.blocks[-1].larger(min(place + more, _BLOCK))
        return self.blocks[-1]

    def groups(self, count: int) -> NDArray[np.int32]:
        """The number of each of the first rows' group."""
        return np.concatenate([np.empty(0, dtype=np.int32), *(block.groups for block in self.blocks)])[:count]

    def keys(self, rows: Iterable[int]) -> Iterator[Key]:
        """The keys of rows."""
        for row in rows:
            block, place = self.blocks[row // _BLOCK], row % _BLOCK
            yield self.names[block.groups[place]], int(block.ordinals[place])


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
        return cls(NOTHING, _Rows(dimensions), 0, np.empty(0, dtype=np.intp), epoch)

    @property
    def offloaded(self) -> bool:
        """See `base.View`. Never."""
        return False

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return sum(block.nbytes for block in self.rows.blocks) + self.rows.names.nbytes + self.gone.nbytes

    def own(self) -> NDArray[np.bool_]:
        """Of each of the first `count` rows whether it is the view's."""
        own = np.ones(self.count, dtype=bool)
        own[self.gone] = False
        return own

    def of(self, groups: Collection[str]) -> NDArray[np.bool_]:
        """Of each of the first `count` rows whether it is of one of these groups."""
        wanted = np.zeros(len(self.rows.names) + 1, dtype=bool)
        wanted[self.rows.names.known(groups)] = True
        return wanted[self.rows.groups(self.count)]

    def asked(self, only: Collection[str] | None, without: Collection[str]) -> NDArray[np.bool_] | None:
        """Of each of the first `count` rows whether it is to be looked at; None for all."""
        if only is None and not without and not len(self.gone):
            return None
        asked = self.own()
        if only is not None:
            asked &= self.of(only)
        if without:
            asked &= ~self.of(without)
        return asked

    def pieces(self, own: NDArray[np.bool_] | None) -> Iterator[tuple[int, _Block, NDArray[np.intp] | None]]:
        """Of each block that has some of the rows: its first row's number, itself, and their places in it.

        None for `own` means all, and so it does for places.
        """
        for first in range(0, self.count, _BLOCK):
            block = self.rows.blocks[first // _BLOCK].held(self.count - first)
            here = None if own is None else own[first : first + _BLOCK]
            if here is None or here.all():
                yield first, block, None
            elif here.any():
                yield first, block, np.flatnonzero(here)

    def copied(self, own: NDArray[np.bool_]) -> Iterator[tuple[list[Key], Codes]]:
        """The keys and codes of some rows, piece by piece."""
        for first, block, places in self.pieces(own):
            chosen = np.arange(len(block.groups)) if places is None else places
            yield [*self.rows.keys((first + chosen).tolist())], block.codes[chosen]

    async def nominate(
        self,
        query: NDArray[np.float32],
        k: int,
        *,
        only: Collection[str] | None = None,
        without: Collection[str] = (),
    ) -> Nomination:
        """See `base.View`."""
        if self.count * self.rows.dimensions <= _SMALL:
            return self._nominate(query, k, only, without)
        return await asyncio.to_thread(self._nominate, query, k, only, without)

    def _nominate(
        self, query: NDArray[np.float32], k: int, only: Collection[str] | None, without: Collection[str]
    ) -> Nomination:
        check_query(query, self.rows.dimensions)
        pieces = [*self.pieces(self.asked(only, without))]
        found = nominate((Part(block.codes, block.groups, places) for _, block, places in pieces), query, k)
        firsts = np.array([first for first, _, _ in pieces], dtype=np.intp)
        keys = self.rows.keys((firsts[found.parts] + found.rows).tolist())
        return Nomination(tuple(keys), exact=True, highest=tuple(found.highest.tolist()))


def changed(view: LocalView, change: Change) -> LocalView:
    """The view after the change. Raises Invalid when the change's matrix does not fit."""
    check_change(change, view.rows.dimensions)
    rows, gone, after = view.rows, view.gone, view.count + len(change.keys)
    if len(change.groups):
        gone = np.union1d(gone, np.flatnonzero(view.of(change.groups)))
    codes = quantized(change.matrix)
    with rows.lock:
        if rows.count == view.count and len(gone) * _GONE <= after:
            rows.add(codes, change.keys)
            return LocalView(change.generation, rows, after, gone, view.epoch)
    fresh = _Rows(rows.dimensions)
    own = np.ones(view.count, dtype=bool)
    own[gone] = False
    for keys, codes_of_block in view.copied(own):
        fresh.add(codes_of_block, keys)
    fresh.add(codes, change.keys)
    return LocalView(change.generation, fresh, fresh.count, np.empty(0, dtype=np.intp), view.epoch)


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
        if view.count * space.dimensions + change.matrix.size <= _SMALL:
            after = changed(view, change)
        else:
            after = await asyncio.to_thread(changed, view, change)
        if after.epoch != self._epoch(space) or after.generation == NOTHING:
            return after  # let go meanwhile, or still being read: this one is for who asked, and for nobody else
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
        """See `base.Vectors`. The vectors are about what was given."""
        if (view := self._views.get(space)) is not None:
            for keys, codes in view.copied(view.own()):
                yield keys, approximated(codes)

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
