"""What asyncpg and a server raise, as errors of our own."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from nexus_graph.scope.errors import Conflict, Unavailable
from nexus_graph.stores.database.base import Entangled
from nexus_graph.stores.database.pooling import HINT, LOST

FAILED = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_FASTER = "23505"  # unique violation
_ENTANGLED = ("40001", "40P01")  # serialization failure, deadlock
_LET_GO = ("clos", "released")  # how the driver says that a connection is gone, or that it gave it up by itself
_BUSY = ("55P03", "57014")  # a lock or a statement that took too long
_AWAY = ("08", "25006", "25P03", "53", "57P", "58")  # connection, standby, idle too long, resources, shutdown, system


@contextmanager
def unknown() -> Iterator[None]:
    """Around what commits: without an answer it is kept, or it is not."""
    try:
        yield
    except Unavailable as error:
        if getattr(error.__cause__, "sqlstate", None) in _BUSY:
            raise  # it said so: nothing is kept
        raise Unavailable(
            "The database did not say whether the change was kept.",
            hint="Look whether it was, or send the same request again with the same idempotency key.",
        ) from error


@contextmanager
def translated() -> Iterator[None]:
    """What the server says of others and of itself becomes our own error; a mistake in a statement stays what it is."""
    try:
        yield
    except asyncpg.PostgresError as error:
        state = str(error.sqlstate or "")
        if state == _FASTER:
            raise Conflict("Another was faster.", hint="Read again, and try again.") from error
        if state in _ENTANGLED:
            raise Entangled("Another was faster.", hint="Read again, and try again.") from error
        if state in LOST:
            raise Unavailable("The pooler in front of the database lost a prepared statement.", hint=HINT) from error
        if state in _BUSY:
            raise Unavailable("The database is busy.", hint="Try again.") from error
        if state.startswith(_AWAY):
            raise Unavailable("The database can't be used now.", hint="Try again.") from error
        raise
    except asyncpg.InternalClientError as error:  # the driver lost its place, as when the server ends amid an answer
        raise Unavailable("The connection to the database was lost.", hint="Try again.") from error
    except asyncpg.InterfaceError as error:
        if not any(word in str(error) for word in _LET_GO):  # a mistake of ours, in a statement's parameters
            raise
        raise Unavailable("The connection to the database was lost.", hint="Try again.") from error
    except TimeoutError as error:
        raise Unavailable("The database is busy.", hint="Try again.") from error
    except (OSError, ssl.SSLError) as error:
        raise Unavailable("The database can't be reached.", hint="Try again.") from error
