"""All that the engines hold, of every tenant: what is looked through where walls between tenants are tried.

No room takes this: it passes every wall.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nexus_graph.stores.blobs.base import Blobs
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Value

if TYPE_CHECKING:
    from nexus_graph.stores.database.roles import Bare


class Reader(Protocol):
    """Somebody who may read every row."""

    async def rows(self, sql: str, parameters: dict[str, Value]) -> Sequence[Row]:
        """Run one statement with named parameters, and return its rows."""


class EveryCopy(Protocol):
    """Copies of vectors on a server."""

    def everything(self) -> AsyncIterator[tuple[str, Sequence[str]]]:
        """How the copy of each row is named, and the ids of the cards whose rows are in it, in pieces."""


@dataclass(frozen=True, slots=True)
class Walls:
    """What the walls around the tables promise, and how they are tried.

    `attacker` connects with the application's role. `doors`: the rights of the role that crosses tenants, by table.
    `sample` lets the planner take its samples. Without walls in the database itself there is none of this.
    """

    attacker: Callable[[], AbstractAsyncContextManager[Bare]]
    doors: dict[str, str]
    sample: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Whole:
    """The engines as one sees them who may see all.

    `rows` opens a read of every row. `keeps` tells whether a file is the database's own. `blobs` is None where objects
    are files in the data folder, `copies` where no server holds vectors, `walls` where the database knows none.
    """

    engines: tuple[str, ...]
    rows: Callable[[], AbstractAsyncContextManager[Reader]]
    keeps: Callable[[Path], bool]
    blobs: Blobs | None = None
    copies: EveryCopy | None = None
    walls: Walls | None = None
