"""Wake-ups between the processes on one Postgres database, by LISTEN and NOTIFY on a connection of their own.

They are sent after the commit, gathered for a moment, never inside a transaction: a NOTIFY there would hold up every
other commit. They say which scope and which actions, nothing else. Whatever is lost, the slow poll finds.

A connection on which nobody is heard may be one whose network was cut: it is tried every few seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any, Final

import asyncpg
import orjson
import structlog

from nexus_graph.scope.errors import Unavailable
from nexus_graph.stores.signals.base import Listener, ScopeKey
from nexus_graph.stores.signals.local import LocalSignals

log = structlog.get_logger("nexus_graph.signals")

_CHANNEL: Final = "nexus_graph"
_LARGEST = 7_500  # bytes; the server refuses 8,000
_GATHER_SECONDS = 0.005
_AGAIN_SECONDS = 1.0
_CONNECT_SECONDS = 5.0
_Gathered = dict[ScopeKey | None, set[str] | None]


class PostgresSignals:
    """Wakes whoever listens in this process at once, and those in other processes a moment later.

    `address` leads to the server itself: a pooler that lends connections by the transaction can't listen. `seconds` is
    how long an answer is waited for, and how long it is silent before the connection is tried.
    """

    def __init__(self, address: str, seconds: float = _CONNECT_SECONDS) -> None:
        self._address = address
        self._seconds = seconds
        self._local = LocalSignals()
        self._gathered: _Gathered = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: Any = None

    async def open(self) -> None:
        """Begin to listen. Raises Unavailable when the server can't be reached."""
        try:
            self._connection = await self._connected()
        except (OSError, asyncpg.PostgresError, TimeoutError) as error:
            raise Unavailable("The database can't be reached for wake-ups.", hint="Try again.") from error
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop listening."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._let_go()

    async def ready(self) -> None:
        """Raises Unavailable while nothing is heard of other processes but by the poll."""
        if self._connection is None or self._connection.is_closed():
            raise Unavailable("No wake-ups come from other processes.", hint="It is tried again by itself.")

    def wake(self, key: ScopeKey | None, actions: Collection[str] | None = None) -> None:
        """See `base.Signals`."""
        self._local.wake(key, actions)
        known = self._gathered.get(key, set())
        self._gathered[key] = None if actions is None or known is None else known | set(actions)
        self._news.set()

    def listen(self, key: ScopeKey | None, actions: Collection[str] | None = None) -> AbstractContextManager[Listener]:
        """See `base.Signals`."""
        return self._local.listen(key, actions)

    async def _run(self) -> None:
        while True:
            try:
                if self._connection is None:
                    self._connection = await self._connected()
                    self._local.wake(None)  # something may have been told meanwhile
                await self._send()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                log.warning("signals.lost", error=type(error).__name__)
                await self._let_go()
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _send(self) -> None:
        """Tell what gathers, until the connection fails."""
        while True:
            try:
                async with asyncio.timeout(self._seconds):
                    await self._news.wait()
            except TimeoutError:
                await self._connection.execute("select 1")
                continue
            await asyncio.sleep(_GATHER_SECONDS)
            self._news.clear()
            gathered, self._gathered = self._gathered, {}
            for payload in payloads(gathered):
                await self._connection.execute("select pg_notify($1, $2)", _CHANNEL, payload)

    async def _connected(self) -> Any:
        connection = await asyncpg.connect(
            self._address,
            timeout=self._seconds,
            command_timeout=self._seconds,
            server_settings={"application_name": "nexus-graph signals"},
        )
        own = connection.get_server_pid()

        def heard(_: Any, sender: int, __: str, payload: str) -> None:
            if sender != own:
                self._heard(payload)

        await connection.add_listener(_CHANNEL, heard)
        connection.add_termination_listener(lambda _: self._ended())
        return connection

    def _ended(self) -> None:
        if self._task is not None:
            self._gathered.setdefault(None, set())  # sending finds that the connection is gone
            self._news.set()

    def _heard(self, payload: str) -> None:
        with suppress(ValueError):  # another program's
            for key, actions in orjson.loads(payload):
                self._local.wake(None if key is None else (key[0], key[1]), actions)

    async def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                await connection.close(timeout=1)


def payloads(gathered: Mapping[ScopeKey | None, set[str] | None]) -> Iterator[str]:
    """What is sent, in pieces that the server takes. Many actions of a scope become any action."""
    piece: list[bytes] = []
    size = 2
    for key, actions in gathered.items():
        told = orjson.dumps([key, None if actions is None else sorted(actions)])
        if len(told) > _LARGEST // 2:
            told = orjson.dumps([key, None])
        if piece and size + len(told) + 1 > _LARGEST:
            yield f"[{b','.join(piece).decode()}]"
            piece, size = [], 2
        piece.append(told)
        size += len(told) + 1
    if piece:
        yield f"[{b','.join(piece).decode()}]"
