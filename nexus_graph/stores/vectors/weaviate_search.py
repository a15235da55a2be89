"""Which rows of a copy may be among the best: more of them than asked for, until no other can be.

Weaviate's order is right up to the rounding of float32, and equal ones come in no order: so a list is long enough when
what stands at its end is certainly worse than the k-th best group. Filters are by digests of names, decided again here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from nexus_graph.stores.vectors import weaviate_schema as schema
from nexus_graph.stores.vectors.base import Key, Nomination
from nexus_graph.stores.vectors.scoring import margin

if TYPE_CHECKING:
    from weaviate.collections.collection import CollectionAsync

_FIRST: Final = 64  # rows that are asked for at least
_GROWTH: Final = 8
_MOST: Final = 10_000  # rows of one answer: the server gives no more unless it is told to
_NAMES: Final = 4096  # of one filter
_SLICES: Final = 8  # filters of one question
_FEW: Final = 64  # groups to leave out that are cheaper to find along with the others and drop


async def nominated(
    rows: CollectionAsync[Any, None],
    query: NDArray[np.float32],
    k: int,
    only: Collection[str] | None,
    without: Collection[str],
) -> Nomination:
    """See `base.View.nominate`, of a copy that holds something."""
    left_out = frozenset(without)
    search = _Search(rows, query, k, left_out)
    first = max(_FIRST, 4 * k)
    if only is None:
        return await search.listed(None, frozenset(), first)
    wanted = frozenset(only) - left_out
    if not wanted:
        return Nomination((), exact=True)
    if len(wanted) <= _NAMES:
        return await search.listed(sorted(wanted), wanted, first)
    many = len(wanted) > _NAMES * _SLICES
    found = await search.listed(
        None, wanted, _GROWTH * first, _MOST if many else _NAMES
    )  # likely among the best of all
    if found.exact or many:
        return found
    return _together([await search.listed(part, wanted, first) for part in _parts(sorted(wanted))])


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _NAMES):
        yield names[start : start + _NAMES]


def _together(parts: Sequence[Nomination]) -> Nomination:
    keys = tuple(key for part in parts for key in part.keys)
    bounds = [part.bound for part in parts if part.bound is not None]
    return Nomination(keys, all(part.exact for part in parts), max(bounds, default=None))


class _Search:
    def __init__(
        self, rows: CollectionAsync[Any, None], query: NDArray[np.float32], k: int, left_out: frozenset[str]
    ) -> None:
        self._rows, self._query, self._k, self._left_out = rows, query.tolist(), k, left_out
        self._margin = 2 * margin(len(query))  # theirs for the length of the row, and ours

    async def listed(
        self, names: Sequence[str] | None, wanted: frozenset[str], limit: int, most: int = _MOST
    ) -> Nomination:
        """The best rows: of the groups `names` by a filter; else of all, less those not `wanted`, if any are.

        `limit` rows are asked for at first, `most` at last.
        """
        if len(self._left_out) <= _FEW:
            limit += len(self._left_out)
        limit = min(limit, most)
        where = self._where(names)
        while True:
            found = await self._near(where, limit)
            scores = {key: score for key, score in found if self._counts(key[0], names, wanted)}
            if len(found) < limit:
                return Nomination(tuple(scores), exact=True)
            bound = found[-1][1] + self._margin
            if (best := self._kth(scores)) is not None and bound < best - self._margin:
                return Nomination(tuple(scores), exact=True, bound=bound)
            if limit >= most:
                return Nomination(tuple(scores), exact=False, bound=bound)
            limit = min(limit * _GROWTH, most)

    def _counts(self, group: str, names: Sequence[str] | None, wanted: frozenset[str]) -> bool:
        return group not in self._left_out and (group in wanted or (names is None and not wanted))

    def _kth(self, scores: dict[Key, float]) -> float | None:
        """The score of the k-th best group, or None when there are fewer."""
        best: dict[str, float] = {}
        for (group, _), score in scores.items():
            best[group] = max(score, best.get(group, score))
        return sorted(best.values(), reverse=True)[self._k - 1] if len(best) >= self._k else None

    def _where(self, names: Sequence[str] | None) -> Any:
        from weaviate.classes.query import Filter

        by_mark = Filter.by_property(schema.MARK)
        if names is not None:
            return by_mark.contains_any([schema.mark(name) for name in names])
        if len(self._left_out) <= _FEW:
            return None
        left_out = [*_parts(sorted(self._left_out))][:_SLICES]  # more than that are dropped from what is found
        return Filter.all_of([by_mark.contains_none([schema.mark(name) for name in part]) for part in left_out])

    async def _near(self, where: Any, limit: int) -> list[tuple[Key, float]]:
        """The nearest rows and about their scores, best first."""
        from weaviate.classes.query import MetadataQuery

        found = await self._rows.query.near_vector(
            self._query,
            limit=limit,
            filters=where,
            return_metadata=MetadataQuery(distance=True),
            return_properties=[schema.GROUP, schema.ORDINAL],
        )
        return [
            (
                (str(each.properties[schema.GROUP]), int(each.properties[schema.ORDINAL])),
                1.0 - float(each.metadata.distance or 0.0),
            )
            for each in found.objects
        ]
