"""The equipment of the index, and the definition (the embedder's id) under which a scope is indexed.

The first card of a scope settles its definition. Vectors of two definitions never mix: under another embedder a scope
can't be searched until `reindex` has built everything anew.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from weakref import WeakValueDictionary

from nexus_graph.cards.manifests import Manifests
from nexus_graph.index import table
from nexus_graph.index.embedding import Embedder
from nexus_graph.index.model import EMPTY_STATE
from nexus_graph.index.standing import Standings
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import ConfigurationError, Unavailable
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.vectors.base import NOTHING, Space, Vectors
from nexus_graph.stores.work import Read, Stores, Work

FOLLOWER: Final = "index"
"""The name of the follower that indexes."""

_ADVICE = "Run `nexus-graph reindex`, or set NEXUS_EMBEDDER and its settings back."


@dataclass(frozen=True, slots=True)
class Copies:
    """Vectors on another server, for spaces that are too large for the memory of a process.

    A scope has a copy there from `least` vectors on, until it has less than half of that. Where there is none yet, or
    the server does not answer, rows answer: up to `rows` vectors. `recent` holds in this process's memory what changed
    since a copy was written. A copy that nobody used for so long is offloaded, where `offload_after` says.
    """

    vectors: Vectors
    recent: Vectors
    least: int
    rows: int
    offload_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """What indexing and searching need beside the stores: made once in a process, shared by all scopes.

    `vectors` are in this process's memory, and `copies` on a server, if there is one. `loading`: each copy in memory is
    brought up to date by one at a time.
    """

    embedder: Embedder
    manifests: Manifests
    vectors: Vectors
    copies: Copies | None = None
    standings: Standings = field(default_factory=Standings, repr=False)
    loading: WeakValueDictionary[Space, asyncio.Lock] = field(default_factory=WeakValueDictionary, repr=False)

    @property
    def definition_id(self) -> str:
        """The definition that this process indexes and searches under."""
        return self.embedder.id

    def forget(self, scope: Scope) -> None:
        """Let go of what this process holds of a scope's vectors."""
        self.vectors.forget(*scope.key)
        if self.copies is not None:
            self.copies.recent.forget(*scope.key)
        self.standings.forget(scope.key)

    async def erase(self, scope: Scope) -> None:
        """Remove every copy of a scope's vectors, wherever it is, and prove it. Raises Unavailable until it is proven.

        The rows are not touched; as long as there are any, a copy is made anew in time.
        """
        self.forget(scope)
        if self.copies is not None:
            await self.copies.vectors.erase(*scope.key)

    def space(self, scope: Scope) -> Space:
        """The scope's vectors of this definition."""
        return Space.of(scope, self.embedder.id, self.embedder.dimensions)


@dataclass(frozen=True, slots=True)
class Definition:
    """How far the rows of a scope's definition are, and the state that they add up to."""

    generation: int
    state: str


async def active(read: Read, index: Index) -> Definition | None:
    """The scope's definition, or None before its first card. Raises Unavailable when it is not that of `index`."""
    row = await read.row(table.ACTIVE)
    if row is None:
        return None
    if row["definition_id"] != index.definition_id:
        raise Unavailable("The cards of this scope were indexed with another embedder.", hint=_ADVICE)
    return Definition(row["generation"], row["state"])


UNDEFINED: Final = Definition(NOTHING, EMPTY_STATE)
"""A scope before its first card."""


async def own(work: Work, index: Index) -> None:
    """The first card settles the definition of the scope; from then on it must be that of `index`, or Unavailable."""
    if await active(work, index) is None:
        await work.write(table.FIRST_ACTIVE, definition_id=index.definition_id, now=micros(work.now))


async def require_definition(stores: Stores, index: Index) -> None:
    """For the start of a process: raises ConfigurationError naming the scopes that another embedder indexed."""
    rows = await stores.across(table.OTHERS, definition_id=index.definition_id)
    others = [f"{row['tenant_id']}/{row['env']} with {row['definition_id']}" for row in rows]
    if others:
        raise ConfigurationError(
            f"The configured embedder is {index.definition_id}, but these scopes were indexed with another: "
            f"{', '.join(others)}. {_ADVICE}"
        )
