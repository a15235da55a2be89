"""Records of a table: which one names the columns, and each other one as a JSON object keyed by these names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from json.encoder import encode_basestring as _encode  # strings as RFC 8785 wants them, ten times as fast
from typing import NamedTuple, Self

from nexus_graph.atoms.decoding import unreadable

_MOST_ORDERS = 1000


class Outline(NamedTuple):
    """The outline of a record: its row, how many of its cells are filled, and the last column that is."""

    row: int
    filled: int
    reach: int

    @classmethod
    def of(cls, row: int, columns: Collection[int]) -> Self:
        """The outline of a record whose filled cells stand in these columns."""
        return cls(row, len(columns), max(columns, default=0))


def header_place(outlines: Sequence[Outline]) -> int | None:
    """The index of the record that names the columns; None where there is no record.

    It is the first that fills at least half as many cells as most records do, and reaches as far as most do, or stands
    right above one that does: what stands above a table (a title, metadata) fills few cells, or a blank line ends it.
    """
    filled = _most_often(outline.filled for outline in outlines)
    reach = _most_often(outline.reach for outline in outlines)
    for index, outline in enumerate(outlines):
        below = outlines[index + 1] if index + 1 < len(outlines) else outline
        near = below if below.row == outline.row + 1 else outline
        if 2 * outline.filled >= filled and max(outline.reach, near.reach) >= reach:
            return index
    return None


def _most_often(numbers: Iterable[int]) -> int:
    """The number that comes most often, the largest of several; 0 where there is none."""
    counts = Counter(numbers)
    return max(counts, key=lambda number: (counts[number], number), default=0)


class Columns:
    """The columns of a table: their names, and the JSON of a record under them."""

    def __init__(self, names: Mapping[int, str], stand_in: Callable[[int], str], reads: str) -> None:
        """`names` by column; `stand_in` names a column whose name is blank or an earlier one's.

        Raises Invalid where a column is really named like the stand-in of another.
        """
        self._stand_in, self._reads = stand_in, reads
        self._names: dict[int, str] = {}
        self._keys: dict[int, str] = {}
        self._orders: dict[tuple[int, ...], list[int]] = {}
        self._taken: set[str] = set()
        for column, cell in names.items():
            name = cell.strip()
            self._take(column, name if name and name not in self._taken else stand_in(column))

    def record(self, cells: Mapping[int, str]) -> str:
        """The canonical JSON (RFC 8785) of a record, whose cells are told by column.

        Raises Invalid for a column beyond the names whose stand-in is taken.
        """
        columns = tuple(cells)
        order = self._orders.get(columns)
        if order is None:
            if len(self._orders) == _MOST_ORDERS:
                self._orders.clear()
            order = sorted(columns, key=lambda column: self._name(column).encode("utf-16-be"))
            self._orders[columns] = order
        keys = self._keys
        return "{" + ",".join([f"{keys[column]}:{_encode(cells[column])}" for column in order]) + "}"

    def _name(self, column: int) -> str:
        return self._names.get(column) or self._take(column, self._stand_in(column))

    def _take(self, column: int, name: str) -> str:
        if name in self._taken:
            hint = "Give each column a name of its own."
            raise unreadable(self._reads, f"two of its columns have the name {name[:40]!r}", hint=hint)
        self._taken.add(name)
        self._names[column], self._keys[column] = name, _encode(name)
        return name
