"""The port: what every database promises to the handles in `work`.

One writer per scope is a promise, not an accident: while a transaction writes in a tenant and env, nobody else writes
there, in this process or another, so that it may read, decide and write. What it waits for is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from nexus_graph.scope.errors import Conflict
from nexus_graph.stores.statement import Value

Result = TypeVar("Result")
ScopeKey = tuple[str, str]
"""Tenant and env. None in its place: what crosses tenants, for the few doors that `Stores` names."""

Bound = tuple[str, dict[str, Value]]
"""A statement with named parameters (`:name`), and their values."""


class Entangled(Conflict):
    """The database took a transaction back for another's sake; done again from its beginning, it may go through."""


class Row(Protocol):
    """A row of an answer: its values by name or by place. `dict(row)` holds them all.

    What is true or false may come as 1 or 0: `bool` tells.
    """

    def __getitem__(self, key: Any, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...

    def keys(self) -> Any:
        """The names, in the order of the values."""


class Connection(Protocol):
    """One database connection inside a transaction, held by one task at a time."""

    async def rows(self, sql: str, parameters: dict[str, Value]) -> Sequence[Row]:
        """Run one statement with named parameters (`:name`) and return its rows.

        Raises Conflict when the database says that another was faster, Unavailable when it can't be used now.
        """

    async def many(self, sql: str, parameters: Iterable[dict[str, Value]]) -> None:
        """Run one statement for each set of parameters."""

    async def batch(self, statements: Sequence[Bound]) -> int:
        """Run statements whose answers nobody needs, in one round trip; how many rows the last one changed."""

    async def hold(self, name: str) -> None:
        """Wait until nobody else holds this name, and hold it until the transaction ends. For what envs share."""


Transaction = Callable[[Connection], Coroutine[Any, Any, Result]]
"""What is done in one transaction, and awaits nothing but its connection. It may be done again after an Entangled, when
all that the first attempt wrote is gone."""


class Database(Protocol):
    """Where rows are kept."""

    distant: bool
    """Whether every statement is a round trip to another process, which `batch` saves."""

    async def open(self) -> None:
        """Open the connections. Raises Unavailable when the database can't be opened."""

    async def close(self) -> None:
        """Close the connections, once the works under way have come to their end."""

    async def ready(self) -> None:
        """Raises Unavailable unless a row can be read."""

    def reading(self, key: ScopeKey | None) -> AbstractAsyncContextManager[Connection]:
        """A connection inside a read transaction: every statement sees the same state, and none can write."""

    def writing(self, key: ScopeKey | None) -> AbstractAsyncContextManager[Connection]:
        """A connection inside a write transaction: commits on a clean exit, rolls back on any exception."""

    async def write(self, key: ScopeKey | None, transaction: Transaction[Result]) -> Result:
        """A write transaction as a whole: commits on a clean exit, rolls back on any exception.

        Raises Entangled when it was taken back for others' sake several times.
        """

    async def batch(self, key: ScopeKey | None, statements: Sequence[Bound]) -> int:
        """A write transaction of statements whose answers nobody needs, in one round trip from begin to commit.

        Returns how many rows the last one changed. Raises as `write` does.
        """

    async def write_each(self, transactions: Sequence[tuple[ScopeKey, Transaction[None]]]) -> list[Exception | None]:
        """Transactions of several scopes, each whole or not at all, in as few commits as the engine can.

        What each came to, in order: None, or what took it back.
        """

    async def forget_deleted(self) -> None:
        """Leave no byte of what was deleted where this engine keeps its rows. Raises Unavailable."""

    def keeps(self, file: Path) -> bool:
        """Whether a file is one of those in which this database keeps its rows."""
