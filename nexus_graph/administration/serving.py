"""`serve`: the server process."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import FrameType
from typing import Annotated, Final

import structlog
import typer
import uvicorn

from nexus_graph.administration import console, uvicorn_inside
from nexus_graph.administration.bounded_http import bounded_http
from nexus_graph.administration.bounded_sockets import bounded_sockets
from nexus_graph.administration.workers import Workers
from nexus_graph.api.house import House
from nexus_graph.app import application, following, open_house
from nexus_graph.config import Config
from nexus_graph.scope.errors import ConfigurationError, Unavailable

log = structlog.get_logger("nexus_graph.server")

GRACE_SECONDS = 10
START_SECONDS = 20
PING_SECONDS = 10.0
"""A websocket is pinged so often, and may take as long to answer."""
UNSENT = 128 * 1024
"""Bytes that the system keeps for a client before they are on their way to it."""


class Server(uvicorn_inside.Server):
    """A server over an open house. Live streams are told before their connections close."""

    def __init__(self, house: House) -> None:
        config = house.config
        super().__init__(
            uvicorn.Config(
                application(house),
                http=bounded_http(config.send_seconds, config.request_seconds),
                ws=bounded_sockets(config.send_seconds, config.request_seconds),
                ws_per_message_deflate=False,  # compressing small frames doubles the work of a stream
                ws_max_size=config.largest_request,
                ws_ping_interval=PING_SECONDS,
                ws_ping_timeout=PING_SECONDS,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._house = house

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        log.info("server.ready", address=self._house.config.address, embedder=self._house.index.embedder.id)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop. SIGTERM is an order: it is not raised again afterwards, so that the process ends with 0."""
        if sig == signal.SIGTERM:
            self.should_exit = True
        else:
            super().handle_exit(sig, frame)

    def abandon(self, orphaned: int) -> None:
        """Begin to stop, since the parent has gone."""
        asyncio.get_running_loop().remove_reader(orphaned)
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop gracefully."""
        log.info("server.stopping")
        self._house.stopping.set()
        self._house.stores.signals.wake(None)
        await asyncio.sleep(0.1)
        await super().shutdown(sockets)


def listen(config: Config) -> socket.socket:
    """The bound socket. Raises ConfigurationError when the address is taken or can't be had."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    # Named as TCP, so that the event loop switches Nagle's delay off: without it every answer waits 40 ms for an ACK.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # else the system takes megabytes for a client that reads nothing
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    try:
        bound.bind((config.host, config.port))
    except OSError as error:
        bound.close()
        raise ConfigurationError(
            f"Can't listen on {config.host}:{config.port}: {error.strerror}. Set NEXUS_HOST or NEXUS_PORT."
        ) from error
    return bound


@asynccontextmanager
async def served(house: House, bound: socket.socket) -> AsyncIterator[asyncio.Task[None]]:
    """A server beside whatever happens inside; await the task to serve on. Raises Unavailable when it doesn't start."""
    server = Server(house)
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        async with asyncio.timeout(START_SECONDS):
            while not server.started:
                if serving.done():
                    await serving
                    raise Unavailable("The server did not start.")
                await asyncio.sleep(0.02)
        yield serving
    finally:
        server.should_exit = True
        with suppress(asyncio.CancelledError):
            await serving


def event_loops() -> Callable[[], asyncio.AbstractEventLoop]:
    """What a server's event loop is made by: uvicorn's own choice, the fastest that there is for the platform."""
    return uvicorn_inside.auto_loop_factory()


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on, instead of NEXUS_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on, instead of NEXUS_PORT.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Server processes behind that one port.")] = 1,
) -> None:
    """Serve GraphQL until interrupted."""
    config = console.settings(host=host, port=port).config
    if workers == 1:
        console.run(_serve(config), event_loops())
        return
    try:
        bound = listen(config)
    except ConfigurationError as error:
        console.fail(str(error), status=console.MISUSED)

    def work(orphaned: int) -> int:
        try:
            console.run(_serve(config, bound, orphaned), event_loops())
        except typer.Exit as end:
            return end.exit_code
        return 0

    raise typer.Exit(Workers(workers, work).run())


_GARBAGE: Final = (5000, 20, 10)
"""How much may be new before it is looked for garbage: most of what an operation makes goes by itself."""


async def _serve(config: Config, bound: socket.socket | None = None, orphaned: int | None = None) -> None:
    """Serve until told to stop; also when `orphaned`, a descriptor, can be read: then the parent has gone."""
    bound = bound or listen(config)
    async with open_house(config) as house, following(house):
        server = Server(house)
        gc.collect()
        gc.set_threshold(*_GARBAGE)
        gc.freeze()  # what is here now stays: walking through it again and again would stop everything for 0.2 s
        if orphaned is not None:
            asyncio.get_running_loop().add_reader(orphaned, server.abandon, orphaned)
        await server.serve(sockets=[bound])
