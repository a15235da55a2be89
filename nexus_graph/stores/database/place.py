"""Where a database is: the file of an embedded installation, or a Postgres server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PostgresPlace:
    """A database on a Postgres server, as connection strings of libpq.

    `address` is for the application's role, which owns nothing; `owner` for the role that owns the tables, None where
    this process is not to change them; `signals` leads around a pooler, which can't listen. At most `connections` are
    open at once; a statement, a lock or a free connection is waited for up to `seconds`; not every pooler can keep
    `prepared` statements.
    """

    address: str = field(repr=False)
    owner: str | None = field(default=None, repr=False)
    signals: str | None = field(default=None, repr=False)
    connections: int = 10
    seconds: float = 10.0
    prepared: bool = True


Place = Path | PostgresPlace
