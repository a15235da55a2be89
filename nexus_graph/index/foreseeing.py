"""Search with a copy on a server: it is asked before the snapshot is opened, and the snapshot's rows decide.

Why that is right although others write to the copy meanwhile: a group is written there only after its rows were
committed. So every group whose rows did not change after the copy's generation, as the later snapshot sees it, stood in
the copy as it stands in the rows, all along. All others are scored from the rows, and so is what a filter means by now
and did not before. What the copy did not name scores no more than its bound.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from nexus_graph.cards.model import CardFilter
from nexus_graph.index.definition import UNDEFINED, Copies, Definition, Index, active
from nexus_graph.index.model import VectorSource
from nexus_graph.index.nominating import best_of_groups, changed_since, meant, recent, vectors_of
from nexus_graph.scope.errors import Unavailable
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.vectors.base import NOTHING, Nomination
from nexus_graph.stores.vectors.scoring import score
from nexus_graph.stores.work import Read, Stores

log = structlog.get_logger("nexus_graph.vectors")

_DIRECT: Final = 256  # cards that are scored from their rows at once, rather than asked for


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a copy at `generation` named of the groups `only` (None: of all), less those `skipped`.

    `by`: VECTOR_SERVER, or ROWS where these were so few that it was not asked.
    """

    by: VectorSource
    generation: int
    nomination: Nomination
    only: frozenset[str] | None
    skipped: frozenset[str]


async def foresee(
    stores: Stores, index: Index, scope: Scope, vector: NDArray[np.float32], chosen: CardFilter, k: int
) -> tuple[Foreseen | None, VectorSource]:
    """Ask the scope's copy, and tell who answers where it does not: LOCAL_MATRIX when there is no copy, else ROWS."""
    if index.copies is None:
        return None, VectorSource.LOCAL_MATRIX
    try:
        return await _foresee(stores, index, index.copies, scope, vector, chosen, k)
    except Unavailable as error:
        log.info("vectors.answered_by_rows", tenant=scope.tenant_id, env=scope.env.value, reason=error.message)
        return None, VectorSource.ROWS


async def _foresee(
    stores: Stores, index: Index, copies: Copies, scope: Scope, vector: NDArray[np.float32], chosen: CardFilter, k: int
) -> tuple[Foreseen | None, VectorSource]:
    view = await copies.vectors.view(index.space(scope))
    if view.generation == NOTHING:
        return None, VectorSource.LOCAL_MATRIX
    await copies.vectors.use(index.space(scope), view)
    reached = await copies.vectors.reached(index.space(scope), view)
    async with stores.read(scope) as read:
        definition = await active(read, index) or UNDEFINED
        if max(view.generation, reached) > definition.generation:
            log.warning("vectors.rows_are_older", tenant=scope.tenant_id, env=scope.env.value)
            return None, VectorSource.ROWS
        standing = await index.standings.of(read, index.definition_id, definition.generation)
        skipped = standing.outdated.union(await changed_since(read, index, view.generation))
        only = await meant(read, chosen)
    if only is not None:
        only -= skipped
        if len(only) <= _DIRECT:
            nobody = Nomination((), exact=True)
            few = Foreseen(VectorSource.ROWS, view.generation, nobody, frozenset(), skipped)
            return few, VectorSource.ROWS
    nomination = await view.nominate(vector, k, only=only, without=skipped)
    by = VectorSource.VECTOR_SERVER if vector.any() else VectorSource.ROWS  # nobody is asked about nothing
    return Foreseen(by, view.generation, nomination, only, skipped), VectorSource.ROWS


async def nominees(
    read: Read,
    index: Index,
    foreseen: Foreseen,
    vector: NDArray[np.float32],
    k: int,
    definition: Definition,
    only: frozenset[str] | None,
    outdated: Collection[str],
) -> Nomination | None:
    """The best rows of the k best groups as the handle sees them; None when the copy is of no use to this handle.

    Raises Unavailable when more changed since the copy was written than rows may answer.
    """
    if index.copies is None or foreseen.generation > definition.generation:
        return None
    changed = frozenset(await changed_since(read, index, foreseen.generation))
    left_out = changed.union(outdated)
    groups = {group for group, _ in foreseen.nomination.keys} | foreseen.skipped
    if only is not None:
        groups &= only
        if foreseen.only is not None:
            groups |= only - foreseen.only
    groups -= left_out
    if changed:
        view = await recent(read, index, index.copies.recent, foreseen.generation, definition)
        groups |= {group for group, _ in (await view.nominate(vector, k, only=only, without=outdated)).keys}
    keys, matrix = await vectors_of(read, index, sorted(groups))
    best = [*best_of_groups(zip(score(matrix, vector).tolist(), keys, strict=True), k).values()]
    bound = foreseen.nomination.bound
    exact = bound is None or (len(best) == k and bound < best[-1][0])
    return Nomination(tuple(key for _, key in best), exact and (bound is not None or foreseen.nomination.exact))
