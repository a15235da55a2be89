"""What every vector index promises.

A vector index is a copy that can be thrown away: it is told which rows changed, and nominates candidates. Whoever asks
takes the candidates' vectors from the database and scores them there (`scoring.score`), so that every index gives the
same scores in the same order.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from nexus_graph.scope.scope import Scope

Key = tuple[str, int]
"""A vector's name: the group that it belongs to (a card), and its ordinal there (a chunk)."""

NOTHING: Final = 0
"""The generation of a copy that has not been told anything yet; the rows' own generations begin at 1."""


@dataclass(frozen=True, slots=True)
class Space:
    """The vectors of one definition in one tenant and env. Vectors of two spaces never meet."""

    tenant_id: str
    env: str
    definition_id: str
    dimensions: int

    @classmethod
    def of(cls, scope: Scope, definition_id: str, dimensions: int) -> Space:
        """The space of a definition in a scope."""
        return cls(scope.tenant_id, scope.env.value, definition_id, dimensions)


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What the rows of a space became between two generations.

    `groups` are all that changed or went away; `keys` name the rows of `matrix` (n, dimensions), float32: all that
    those groups hold now.
    """

    generation: int
    groups: Collection[str]
    keys: Sequence[Key]
    matrix: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Nomination:
    """Candidates without order. `exact`: among them are, for certain, the best rows of the k best groups."""

    keys: tuple[Key, ...]
    exact: bool


class View(Protocol):
    """A copy of a space as of one generation. It does not change while it is held."""

    @property
    def generation(self) -> int:
        """How far the copy was told; `NOTHING` for an empty one."""
        ...

    async def nominate(
        self,
        query: NDArray[np.float32],
        k: int,
        *,
        only: Collection[str] | None = None,
        without: Collection[str] = (),
    ) -> Nomination:
        """Candidates for the k groups nearest to `query` (dimensions,), of unit length, by each group's best row.

        `only` restricts the search to these groups, `without` leaves groups out. Raises Invalid for a query of another
        shape, Unavailable when the index does not answer.
        """
        ...


class Vectors(Protocol):
    """Keeps copies of spaces."""

    async def view(self, space: Space) -> View:
        """The newest copy of a space, empty when there is none."""
        ...

    def forget(self, tenant_id: str, env: str) -> None:
        """Let go of every copy of a tenant and env in this process."""
        ...

    async def apply(self, space: Space, view: View, change: Change) -> View:
        """The copy `view` after `change`, kept for those who come later. Raises Unavailable when it can't be kept."""
        ...
