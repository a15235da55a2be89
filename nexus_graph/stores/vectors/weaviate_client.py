"""The connection to a Weaviate server: every call has a deadline, and one that is dead costs a second, once.

The client's own time limits bound nothing: it asks a dead server five times, for a minute. So each call is watched
from here: what takes long is waited for while the server says that it lives. After a failure there is a pause in which
nobody waits, and then a new client: an old one goes on failing for a minute after its server is back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx
import structlog

from nexus_graph.scope.errors import ConfigurationError, Unavailable
from nexus_graph.stores.vectors.base import Lost

if TYPE_CHECKING:
    from weaviate import WeaviateAsyncClient

log = structlog.get_logger("nexus_graph.vectors")

Result = TypeVar("Result")
Deed = Callable[["WeaviateAsyncClient"], Awaitable[Result]]

QUICK: Final = 0.4
"""Seconds of patience for those whom somebody waits for: without an answer, and then without a sign of life."""

PATIENT: Final = 2.0
"""Seconds of patience for those who work in the background or on the command line, on a busy machine too."""

_PAUSE_SECONDS: Final = 3.0  # in which a server that failed is left alone
_THEIRS: Final = frozenset({"grpc", "httpcore", "httpx", "weaviate"})
_FOREVER: Final = 3600  # the client's own limit: ours come first
_LIVE: Final = "/v1/.well-known/live"
_REFUSALS: Final = frozenset({400, 409, 422})  # of a server that is well and takes our key
_SILENT: Final = "The vector index Weaviate does not answer."
_ADVICE: Final = "Check NEXUS_WEAVIATE_ADDRESS, NEXUS_WEAVIATE_GRPC_ADDRESS and the server's log."


class Refused(Unavailable):
    """The server is well, and does not take our key."""


class _Slow(TimeoutError):
    """The server lives, and a call took longer than it may."""


@dataclass(slots=True)
class WeaviateConnection:
    """`address` and `grpc_address` are URLs without a path; `seconds` bounds a call to a server that lives."""

    address: str
    grpc_address: str
    key: str | None = field(default=None, repr=False)
    seconds: float = 10.0
    _client: WeaviateAsyncClient | None = None
    _connecting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _quiet_until: float = 0.0
    _answered_at: float = 0.0
    _http: httpx.AsyncClient | None = None
    _asking: asyncio.Task[bool] | None = None
    _closing: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self) -> None:
        """Load the client library, which takes a second or two. Raises ConfigurationError when it isn't installed."""
        await asyncio.to_thread(_load)
        if self._http is None:
            self._http = await asyncio.to_thread(_http_client)  # it reads certificates, which takes long

    async def close(self) -> None:
        """Close the connection."""
        self._let_go()
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self._asking is not None:
            await asyncio.gather(self._asking, return_exceptions=True)
        if self._http is not None:
            await self._http.aclose()

    async def ready(self) -> None:
        """Raises Unavailable unless the server answers with our key; looks also within the pause."""
        await self._do(lambda client: client.get_meta(), self.seconds, 2 * QUICK)
        self._quiet_until = 0.0

    async def call(self, deed: Deed[Result], seconds: float | None = None, patience: float = PATIENT) -> Result:
        """Do something with the client, within `seconds`, or those of the connection.

        Raises Unavailable within twice the patience when the server is dead, at once in the pause after that, and for
        whatever it refuses; of its kinds, Lost for an unknown tenant or collection, Refused for a wrong key.
        """
        if time.monotonic() < self._quiet_until:
            raise Unavailable(_SILENT, hint=_ADVICE)
        found = await self._do(deed, seconds or self.seconds, patience)
        self._answered_at = time.monotonic()
        return found

    async def _do(self, deed: Deed[Result], seconds: float, patience: float) -> Result:
        began = time.monotonic()
        used: list[WeaviateAsyncClient] = []

        async def do() -> Result:
            used.append(await self._connected())
            return await deed(used[0])

        try:
            return await self._watched(do(), seconds, patience)
        except Exception as error:
            raise self._translated(error, began, used[0] if used else None) from error

    async def _connected(self) -> WeaviateAsyncClient:
        async with self._connecting:
            if self._client is None:
                client = self._new()
                try:
                    await client.connect()
                except BaseException:
                    await client.close()
                    raise
                self._client = client
            return self._client

    def _new(self) -> WeaviateAsyncClient:
        import weaviate
        from weaviate.config import AdditionalConfig, Timeout

        http, grpc = urlsplit(self.address), urlsplit(self.grpc_address)
        return weaviate.use_async_with_custom(
            http_host=http.hostname or "",
            http_port=http.port or (443 if http.scheme == "https" else 80),
            http_secure=http.scheme == "https",
            grpc_host=grpc.hostname or "",
            grpc_port=grpc.port or (443 if grpc.scheme == "https" else 50051),
            grpc_secure=grpc.scheme == "https",
            auth_credentials=self.key,
            additional_config=AdditionalConfig(timeout=Timeout(init=_FOREVER, query=_FOREVER, insert=_FOREVER)),
            skip_init_checks=True,  # they ask PyPI for the client's newest version
        )

    async def _watched(self, doing: Awaitable[Result], seconds: float, patience: float) -> Result:
        task = asyncio.ensure_future(doing)
        task.add_done_callback(_looked_at)
        deadline = time.monotonic() + seconds
        try:
            while not (await asyncio.wait([task], timeout=patience))[0]:
                if time.monotonic() > deadline:
                    raise _Slow
                if not await self._alive(patience):
                    raise TimeoutError
            if task.cancelled():  # by the client: another call found the server dead, and closed the connection
                raise Unavailable(_SILENT, hint=_ADVICE)
            return task.result()
        finally:
            task.cancel()

    async def _alive(self, seconds: float) -> bool:
        """Whether the server answers at all, asked once for all who wonder."""
        asking = self._asking
        if asking is None or asking.done():
            asking = self._asking = asyncio.create_task(self._ask())
        done, _ = await asyncio.wait([asking], timeout=seconds)
        return bool(done) and asking.result()

    async def _ask(self) -> bool:
        try:
            async with asyncio.timeout(PATIENT):
                http = self._http
                return http is not None and (await http.get(self.address + _LIVE)).status_code == 200
        except (httpx.HTTPError, TimeoutError):
            return False

    def _translated(self, error: Exception, began: float, client: WeaviateAsyncClient | None) -> Exception:
        """What the failure of a call with a client means, if it got one. A defect of ours stays what it is.

        Never the server's words: they may hold what was sent. Others keep the client, and go on asking, where the
        failure says nothing of them: it was one call that was slow or refused, or the client was let go long since.
        """
        if isinstance(error, ConfigurationError):
            return Unavailable(str(error))
        theirs = isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _THEIRS
        if not theirs and not (isinstance(error, RuntimeError) and client is not self._client):  # as of a closed one
            return error
        status, words = getattr(error, "status_code", None), str(error)
        if "tenant not found" in words or "could not find class" in words or status == 404:
            return Lost("The copy of the vectors is not on the Weaviate server.", hint="It is made anew.")
        if client is not self._client or (isinstance(error, _Slow) and self._answered_at > began):
            return Unavailable(_SILENT, hint=_ADVICE)
        if status is not None and status in _REFUSALS:
            return Unavailable(f"Weaviate refused what was asked of it, with status {status}.", hint=_ADVICE)
        self._let_go()
        self._quiet_until = time.monotonic() + _PAUSE_SECONDS
        log.warning("vectors.unavailable", engine="weaviate", error=type(error).__name__, status=status)
        if status in (401, 403) or "UNAUTHENTICATED" in words or "PERMISSION_DENIED" in words:
            return Refused("Weaviate refuses the key.", hint="Set NEXUS_WEAVIATE_KEY to one that may do everything.")
        return Unavailable(_SILENT, hint=_ADVICE)

    def _let_go(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            closing = asyncio.ensure_future(client.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


def _http_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False)


def _looked_at(task: asyncio.Future[Any]) -> None:
    """What an abandoned call came to is nobody's news."""
    if not task.cancelled():
        task.exception()


def _load() -> None:
    try:
        import weaviate  # noqa: F401 - loaded here, off the event loop
    except ImportError as error:
        raise ConfigurationError(
            "NEXUS_VECTORS is weaviate, and its client is missing: pip install 'nexus-graph[weaviate]'."
        ) from error
    logging.getLogger("weaviate-client").disabled = True  # a failed batch would log whole objects
