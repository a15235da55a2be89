"""What every vector index promises.

A vector index is a copy that can be thrown away: it is told which rows changed, and nominates candidates. Whoever asks
takes the candidates' vectors from the database and scores them there (`scoring.score`), so that every index gives the
same scores in the same order.

A copy in this process's memory stays as it is while a view of it is held. A shared one, on a server, moves on while
other processes write to it: it is asked before the snapshot of the rows is opened, and what the rows tell as changed
since the view's generation is scored from them (`index.foreseeing`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from nexus_graph.scope.errors import Invalid, Unavailable
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


class Offloaded(Unavailable):
    """The copy lies in a bucket, and is loaded from there now that somebody asked for it."""


class Lost(Unavailable):
    """The server is well, and has no such copy."""


def check_change(change: Change, dimensions: int) -> None:
    """Raises Invalid unless the change's matrix holds a vector of these dimensions for each key."""
    if change.matrix.dtype != np.float32 or change.matrix.shape != (len(change.keys), dimensions):
        raise Invalid(
            f"{len(change.keys)} vectors of {dimensions} dimensions were announced, "
            f"but the matrix is {change.matrix.dtype} of shape {change.matrix.shape}."
        )


@dataclass(frozen=True, slots=True)
class Nomination:
    """Candidates. `exact`: among them are, for certain, the best rows of the k best groups.

    `highest`: what each may score at most, falling; empty where the candidates come without order.

    `bound`: no row that was asked for and is not among them scores higher. None where there is nothing to bound: every
    row is among them, or none of the others counts.
    """

    keys: tuple[Key, ...]
    exact: bool
    bound: float | None = None
    highest: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Rest:
    """A copy that was offloaded: when (microseconds since 1970), and a digest of its files in the bucket.

    The digest is empty until it is certain that they all are there.
    """

    since: int
    contents: str


@dataclass(frozen=True, slots=True)
class Copy:
    """What the database knows of a shared copy: its name, and the generation of the rows that it holds for certain.

    A copy that was let go gets another epoch when it is made again, so that a late write never reaches the new one.
    `used_at`: when it was made, written or asked last, in microseconds since 1970, up to half a day too early.
    """

    epoch: int
    generation: int
    rest: Rest | None = None
    used_at: int = field(default=0, compare=False)


class Book(Protocol):
    """Where the shared copies are known, to every process alike."""

    async def find(self, space: Space) -> Copy | None:
        """The copy of a space, or None when there never was one."""
        ...

    async def begin(self, space: Space, after: int) -> Copy | None:
        """The epoch of a space that comes after `after` (0: the first), at `NOTHING`. None when that one is over.

        What is written to it was read from the rows while `after` was the newest: not before something was erased.
        """
        ...

    async def move(self, space: Space, epoch: int, generation: int) -> bool:
        """The copy holds the rows as far as `generation`, or further. False when it is over or offloaded."""
        ...

    async def use(self, space: Space, copy: Copy) -> bool:
        """The copy is about to be asked, and is not offloaded in the hours after that. False when it is offloaded.

        Then it is called for: whoever keeps the copies learns of it, once.
        """
        ...

    async def offload(self, space: Space, epoch: int, before: int) -> bool:
        """From now on the copy is offloaded, with contents that nobody knows yet.

        False when it was used since `before` (microseconds since 1970), or is over, empty or offloaded already.
        """
        ...

    async def offloaded(self, space: Space, epoch: int, contents: str) -> bool:
        """An offloaded copy has these contents in the bucket. False when this epoch is over."""
        ...

    async def onloaded(self, space: Space, epoch: int) -> bool:
        """The copy is back on the server, whole. False when this epoch is over."""
        ...

    async def end(self, tenant_id: str, env: str, but: str | None) -> None:
        """Every epoch of a tenant and env is over, begun or not, save of the definition `but`."""
        ...


class View(Protocol):
    """A copy of a space as of one generation. It does not change while it is held, unless the copy is a shared one."""

    @property
    def generation(self) -> int:
        """How far the copy was told; `NOTHING` for an empty one."""
        ...

    @property
    def offloaded(self) -> bool:
        """Whether the copy lies in a bucket, and is not to be asked before `Vectors.onload` has brought it back."""
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

    async def open(self) -> None:
        """Get ready for use. Raises ConfigurationError for a server that is not as this program needs it.

        A server that does not answer is no reason not to start: `ready` tells.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and memory."""
        ...

    async def ready(self) -> None:
        """Raises Unavailable unless the index answers."""
        ...

    async def view(self, space: Space) -> View:
        """The newest copy of a space, empty when there is none."""
        ...

    async def apply(self, space: Space, view: View, change: Change) -> View:
        """The copy `view` after `change`, kept for those who come later.

        Raises Invalid for vectors that don't fit, before any is kept, and Unavailable when they can't be kept.
        """
        ...

    async def use(self, space: Space, view: View) -> None:
        """Tell that the copy is about to be asked. Raises Offloaded when it has to be loaded first."""
        ...

    async def offload(self, space: Space, before: int) -> bool:
        """Put the copy of a space into a bucket when nobody used it since `before` (microseconds since 1970).

        False when there is nothing to do. Raises Unavailable when that failed: then the copy stays where it is, or is
        one that can't be brought back.
        """
        ...

    async def onload(self, space: Space, view: View) -> bool:
        """Bring an offloaded copy back. False when it can't be said that it is whole: then it is to be made anew.

        Raises Unavailable.
        """
        ...

    async def intact(self, space: Space, view: View) -> bool:
        """Whether a copy, if it is offloaded, is in its bucket as it was put there. Raises Unavailable."""
        ...

    async def reached(self, space: Space, view: View) -> int:
        """A generation that somebody has written to the copy, the newest when this process first asked. Raises Lost.

        It is newer than the rows' own where these were restored from an older copy of theirs: then don't believe it.
        """
        ...

    def held(self, space: Space) -> AsyncIterator[tuple[Sequence[Key], NDArray[np.float32]]]:
        """All that the copy of a space holds, in any order, some rows at a time. Raises Unavailable.

        Of a shared copy, bit for bit what it was given.
        """
        ...

    def names_of(self, space: Space, epoch: int) -> frozenset[str]:
        """What `names` tells where there is this copy, or a place for such copies with none in it."""
        ...

    async def names(self) -> frozenset[str]:
        """All shared copies and empty places for them, whoever knows of them. Raises Unavailable."""
        ...

    async def remove(self, names: Collection[str], kept: Collection[str]) -> None:
        """Remove copies by their names, and their places where these are empty then and not `kept`.

        Raises Unavailable.
        """
        ...

    def forget(self, tenant_id: str, env: str) -> None:
        """Let go of every copy of a tenant and env in this process."""
        ...

    async def erase(self, tenant_id: str, env: str, but: str | None = None) -> None:
        """Remove every copy of a tenant and env, save of the definition `but`, and prove that they are gone.

        A write that was on its way can't bring them back. Raises Unavailable while that can't be proven.
        """
        ...
