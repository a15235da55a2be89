"""Whether a pooler stands between us and the server, and keeps prepared statements.

One that lends connections by the transaction and does not know of them hands a statement to whoever comes next: most
often it is refused there, and at worst another process' statement of the same name is run. So it is tried at the start.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

import asyncpg

from nexus_graph.scope.errors import ConfigurationError

LOST: Final = ("26000", "42P05")
"""What the server says of a statement that it does not have, or has already."""

HINT: Final = "Set NEXUS_POSTGRES_PREPARED=false."

_TRIES = 5
_PID = "select pg_backend_pid()"


async def is_direct(pool: Any) -> bool:
    """Whether nothing stands in between: a pooler names another process than the server does."""
    async with pool.acquire() as one:
        return bool(one.get_server_pid() == await _server(one))


async def require_kept(pool: Any) -> None:
    """Raises ConfigurationError when a connection finds the statement that another prepared, behind a pooler.

    Where one keeps its connections to the server apart for so long that the two of ours never meet, it lends none by
    the transaction, and all is well.
    """
    async with pool.acquire() as one, pool.acquire() as other:
        for _ in range(_TRIES):
            name = f"nexus_graph_{secrets.token_hex(8)}"
            async with one.transaction():
                behind = await _server(one)
                await one.prepare("select 1", name=name)
            try:
                async with other.transaction():
                    if await _server(other) != behind:
                        continue
                    await other.prepare("select 2", name=name)
                    return
            except asyncpg.PostgresError as error:
                if error.sqlstate not in LOST:
                    raise
                raise ConfigurationError(
                    f"The pooler in front of Postgres can't keep prepared statements. {HINT}"
                ) from error


async def _server(connection: Any) -> int:
    """The process that serves it now. Asked without a statement of a name."""
    status: str = await connection.fetchval(_PID)
    return int(status)
