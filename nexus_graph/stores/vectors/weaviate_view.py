"""What is known of a space's copy on a Weaviate server, and how it is asked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nexus_graph.scope.errors import Invalid, Unavailable
from nexus_graph.stores.vectors.base import NOTHING, Copy, Nomination, Offloaded, Space
from nexus_graph.stores.vectors.weaviate_client import QUICK
from nexus_graph.stores.vectors.weaviate_search import nominated

if TYPE_CHECKING:
    from nexus_graph.stores.vectors.weaviate import WeaviateVectors


@dataclass(frozen=True, slots=True, eq=False)
class WeaviateView:
    """A space's copy, as the database knows it. It moves on while others write to it."""

    space: Space
    copy: Copy | None
    vectors: WeaviateVectors = field(repr=False)

    @property
    def generation(self) -> int:
        """See `base.View`."""
        return NOTHING if self.copy is None else self.copy.generation

    @property
    def offloaded(self) -> bool:
        """See `base.View`."""
        return self.copy is not None and self.copy.rest is not None

    async def nominate(
        self,
        query: NDArray[np.float32],
        k: int,
        *,
        only: Collection[str] | None = None,
        without: Collection[str] = (),
    ) -> Nomination:
        """See `base.View`."""
        if query.dtype != np.float32 or query.shape != (self.space.dimensions,):
            raise Invalid(f"A query of shape {query.shape} can't be compared with {self.space.dimensions} dimensions.")
        if k < 1:
            raise Invalid(f"The number of results must be at least 1, not {k}.")
        if not np.isfinite(query).all():
            raise Unavailable("The query holds a number that is not finite.")
        if self.offloaded:
            raise offloaded()
        if self.copy is None or self.copy.generation == NOTHING or (only is not None and not only):
            return Nomination((), exact=True)
        if not query.any():
            return Nomination((), exact=False, bound=0.0)  # all are equally near, and there is no order among them
        return await self.vectors.ask(
            self.space, self.copy.epoch, lambda rows: nominated(rows, query, k, only, without), QUICK
        )


def offloaded() -> Offloaded:
    """What who needs an offloaded copy is told."""
    return Offloaded("The copy of the vectors is being loaded from its bucket.", hint="Try again in a minute.")
