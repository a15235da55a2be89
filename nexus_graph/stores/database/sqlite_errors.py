"""What SQLite's errors mean to whoever asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from nexus_graph.scope.errors import Unavailable


@contextmanager
def translated() -> Iterator[None]:
    """SQLite's words for a busy or broken file become Unavailable; a mistake in a statement stays what it is."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        if "malformed" in text or "not a database" in text:
            raise Unavailable("The database is damaged.", hint="Restore nexus.db from a backup.") from error
        if not isinstance(error, sqlite3.OperationalError):
            raise
        if "locked" in text or "busy" in text:
            raise Unavailable("The database is busy with another process.", hint="Try again.") from error
        if "unable to open" in text or "disk" in text or "full" in text or "readonly" in text:
            raise Unavailable(
                f"The database can't be used: {text}.", hint="Check the data folder and its disk."
            ) from error
        raise
