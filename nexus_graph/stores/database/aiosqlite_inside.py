"""Where we reach into aiosqlite beyond what it documents. Read in aiosqlite 0.22.1.

It runs one statement at a time in the thread of a connection; a whole transaction goes there as one function. While its
thread has nothing to do, SQLite's own connection may be used where one is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiosqlite

Result = TypeVar("Result")


async def in_thread(connection: aiosqlite.Connection, function: Callable[[sqlite3.Connection], Result]) -> Result:
    """Call a function with SQLite's own connection, in the connection's thread and in one hop."""
    execute: Callable[[Callable[[], Result]], Awaitable[Result]] = connection._execute
    return await execute(lambda: function(connection._conn))


def at_hand(connection: aiosqlite.Connection) -> sqlite3.Connection:
    """SQLite's own connection, for whoever knows that its thread has nothing to do."""
    return connection._conn
