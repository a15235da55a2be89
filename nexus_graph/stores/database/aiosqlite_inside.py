"""Where we reach into aiosqlite beyond what it documents. Read in aiosqlite 0.22.1.

It runs one statement at a time in the thread of a connection; a whole transaction goes there as one function. While its
thread has nothing to do, SQLite's own connection may be used where one is.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import aiosqlite

Result = TypeVar("Result")


def in_thread(
    connection: aiosqlite.Connection, function: Callable[[sqlite3.Connection], Result]
) -> asyncio.Future[Result]:
    """What a function comes to that is called with SQLite's own connection, in the connection's thread, in one hop.

    Without a task around it, as the library's own coroutine needs one. Raises ValueError for a closed connection.
    """
    if not connection._running:
        raise ValueError("The connection is closed.")
    future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    connection._tx.put_nowait((future, partial(function, connection._conn)))
    return future


def at_hand(connection: aiosqlite.Connection) -> sqlite3.Connection:
    """SQLite's own connection, for whoever knows that its thread has nothing to do."""
    return connection._conn
