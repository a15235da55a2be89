"""All that the engines hold, of every tenant: what is looked through where walls between tenants are tried.

No room takes this: it passes every wall.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nexus_graph.stores.blobs.base import Blobs
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Value


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a database answered: rows, or the code of its error, its message, and all that it said with it."""

    rows: Sequence[Row] = ()
    code: str | None = None
    message: str = ""
    said: str = ""


class Attacker(Protocol):
    """A connection with the application's role. Each attempt is a transaction that is taken back.

    `before` are statements that prepare it. What the server refuses is in the answer. Raises Unavailable when the
    connection is lost.
    """

    async def attempt(self, sql: str, *before: str) -> Attempt:
        """Run one statement."""

    async def copied_out(self, table: str, sought: Sequence[bytes], *before: str) -> tuple[Attempt, list[bytes]]:
        """COPY a table out, each row after a line feed; which of the sought words came along."""

    async def copied_in(self, table: str, columns: Sequence[str], row: Sequence[str], *before: str) -> Attempt:
        """COPY a row of text in."""


class Reader(Protocol):
    """Somebody who may read every row."""

    async def rows(self, sql: str, parameters: dict[str, Value]) -> Sequence[Row]:
        """Run one statement with named parameters, and return its rows."""


class EveryCopy(Protocol):
    """Copies of vectors on a server."""

    def begin_of(self, tenant_id: str, env: str) -> str:
        """How the names of the copies of a tenant and env begin, and of nobody else's."""

    def everything(self) -> AsyncIterator[tuple[str, Sequence[str]]]:
        """How the copy of each row is named, and the ids of the cards whose rows are in it, in pieces."""


@dataclass(frozen=True, slots=True)
class Walls:
    """What the walls around the tables promise, and how they are tried.

    `attacker` connects with the application's role. `doors`: the rights of the role that crosses tenants, by table.
    `sample` lets the planner take its samples. Without walls in the database itself there is none of this.
    """

    attacker: Callable[[], AbstractAsyncContextManager[Attacker]]
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
