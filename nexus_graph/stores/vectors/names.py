"""Names of groups, numbered in the order in which they came, in few more bytes than they have letters."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

_NEW: Final = 4096  # names that are kept in a dictionary, which is quick to change and takes several times the bytes
_PART: Final = 16  # or one in so many of all


class Names:
    """Numbers for names, which are added and never taken away. One thread adds, while others ask.

    The names stand one after the other in one text. A name is found by its hash, which gives the numbers that have it,
    and by the text, which tells whether it is the same name; the newest ones by a dictionary.
    """

    __slots__ = ("_ends", "_new", "_sorted", "_text")

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends = array("Q", (0,))
        self._new: dict[str, int] = {}
        self._sorted = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> str:
        return _text(self._text[self._ends[number] : self._ends[number + 1]])

    @property
    def nbytes(self) -> int:
        """About how many bytes it takes."""
        hashes, numbers = self._sorted
        return len(self._text) + 8 * len(self._ends) + hashes.nbytes + numbers.nbytes + 200 * len(self._new)

    def add(self, names: Iterable[str]) -> NDArray[np.int32]:
        """The number of each name, new ones among them."""
        given = [*names]
        unknown = [*dict.fromkeys(name for name in given if name not in self._new)]
        old = dict(self._kept(unknown))
        for name in unknown:
            if name not in old:
                self._text += _bytes(name)
                self._new[name] = len(self)
                self._ends.append(len(self._text))
        numbers = [number if (number := self._new.get(name)) is not None else old[name] for name in given]
        if len(self._new) > max(_NEW, len(self) // _PART):
            self._settle()
        return np.array(numbers, dtype=np.int32)

    def known(self, names: Collection[str]) -> NDArray[np.int32]:
        """The numbers of those names that there are."""
        new = self._new  # before what is sorted: nothing that moves from here to there is missed
        found = [(name, new.get(name)) for name in names]
        numbers = [number for _, number in found if number is not None]
        numbers += [number for _, number in self._kept([name for name, number in found if number is None])]
        return np.array(numbers, dtype=np.int32)

    def _kept(self, names: list[str]) -> Iterable[tuple[str, int]]:
        """Those of the names that are sorted by their hashes, and their numbers."""
        hashes, numbers = self._sorted
        if not len(hashes):
            return
        wanted = np.fromiter(map(hash, names), dtype=np.int64, count=len(names))
        places = np.searchsorted(hashes, wanted)
        some = np.flatnonzero(hashes[np.minimum(places, len(hashes) - 1)] == wanted)
        firsts = places[some]
        for asked, place, number in zip(some.tolist(), firsts.tolist(), numbers[firsts].tolist(), strict=True):
            name = names[asked]
            if self[number] == name:
                yield name, number
            else:  # another name has the same hash
                end = np.searchsorted(hashes, wanted[asked], "right")
                yield from ((name, other) for other in numbers[place + 1 : end].tolist() if self[other] == name)

    def _settle(self) -> None:
        hashes = np.fromiter(map(hash, self._new), dtype=np.int64, count=len(self._new))
        numbers = np.fromiter(self._new.values(), dtype=np.int32, count=len(self._new))
        all_hashes = np.concatenate([self._sorted[0], hashes])
        order = np.argsort(all_hashes, kind="stable")
        self._sorted = (all_hashes[order], np.concatenate([self._sorted[1], numbers])[order])
        self._new = {}


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def _text(name: bytes | bytearray) -> str:
    return name.decode("utf-8", "surrogatepass")
