"""Which engines keep rows, objects, vectors, wake-ups and the ledger of erasures: chosen by the settings, here alone.

A driver is imported where its engine was chosen, and not before: whoever keeps everything on this machine needs none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from nexus_graph import index
from nexus_graph.config import Config
from nexus_graph.index import Copies
from nexus_graph.safeguards.erasure import BucketLedger, FileLedger, Ledger
from nexus_graph.scope.clock import system_clock
from nexus_graph.scope.errors import ConfigurationError, Unavailable
from nexus_graph.scope.ids import NewId, new_id
from nexus_graph.stores.blobs.base import Blobs
from nexus_graph.stores.blobs.bucket import ObjectServer
from nexus_graph.stores.blobs.files import FileBlobs
from nexus_graph.stores.database.base import Database
from nexus_graph.stores.database.place import Place, PostgresPlace
from nexus_graph.stores.database.sqlite import SqliteDatabase
from nexus_graph.stores.migrations import require_newest
from nexus_graph.stores.signals.base import Signals
from nexus_graph.stores.signals.local import LocalSignals
from nexus_graph.stores.vectors.local import LocalVectors
from nexus_graph.stores.whole import Reader, Walls, Whole
from nexus_graph.stores.work import Stores

if TYPE_CHECKING:
    from nexus_graph.stores.vectors.weaviate import WeaviateVectors
    from nexus_graph.stores.vectors.weaviate_offloading import Shelf

log = structlog.get_logger("nexus_graph.app")


@asynccontextmanager
async def open_stores(config: Config, new_id: NewId = new_id) -> AsyncIterator[Stores]:
    """Open the stores alone. Raises ConfigurationError unless the database has the newest schema."""
    require_newest(config.database)
    database, signals = _database(config.database)
    async with AsyncExitStack() as opened:
        blobs = await opened.enter_async_context(open_blobs(config))
        for store in (database, signals):
            await store.open()
            opened.push_async_callback(store.close)
        yield Stores(database, blobs, signals, new_id=new_id, limits=config.limits)


def _database(place: Place) -> tuple[Database, Signals]:
    """The database at a place, and the wake-ups that go with it. Raises ConfigurationError for a missing driver."""
    if isinstance(place, Path):
        return SqliteDatabase(place), LocalSignals()
    from nexus_graph.stores.database.postgres import PostgresDatabase
    from nexus_graph.stores.signals.postgres import PostgresSignals

    return PostgresDatabase(place), PostgresSignals(place.signals or place.address)


@asynccontextmanager
async def open_blobs(config: Config) -> AsyncIterator[Blobs]:
    """Open the object store that the settings choose, asking nobody.

    Raises ConfigurationError when the extra `s3` is needed and not installed, or its settings can't be used.
    """
    blobs: Blobs
    if config.objects == "s3":
        from nexus_graph.stores.blobs.s3 import S3Blobs

        blobs = S3Blobs(_object_server(config), clock=system_clock, prefix=config.s3_prefix)
    else:
        secret = config.signing_secret.get_secret_value()
        blobs = FileBlobs(config.objects_folder, secret=secret, address=config.address, clock=system_clock)
    await blobs.open()
    try:
        yield blobs
    finally:
        await blobs.close()


@asynccontextmanager
async def open_ledger(config: Config) -> AsyncIterator[Ledger]:
    """Open the ledger of erasures, in a file or in a bucket of the same object server. Raises as `open_blobs` does."""
    if isinstance(config.ledger, Path):
        yield FileLedger(config.ledger)
        return
    from nexus_graph.stores.blobs.s3 import S3Blobs

    bucket, prefix = config.ledger
    blobs = S3Blobs(replace(_object_server(config), bucket=bucket), clock=system_clock, prefix=prefix)
    await blobs.open()
    try:
        yield BucketLedger(blobs, config.erasure_ledger)
    finally:
        await blobs.close()


def _object_server(config: Config) -> ObjectServer:
    return ObjectServer(
        bucket=config.s3_bucket or "",  # both are there, or there would be no config
        region=config.s3_region or "",
        endpoint=config.s3_endpoint,
        public_endpoint=config.s3_public_endpoint,
        access_key=config.s3_access_key,
        secret_key=config.s3_secret_key.get_secret_value() if config.s3_secret_key else None,
        addressing=config.s3_addressing or ("path" if config.s3_endpoint else "virtual"),
        authorities=config.s3_ca,
        encryption=config.s3_encryption,
        encryption_key=config.s3_encryption_key,
        seconds=config.s3_seconds,
    )


@asynccontextmanager
async def open_copies(config: Config, stores: Stores) -> AsyncIterator[Copies | None]:
    """Connect with the vector server, if there is one. Raises ConfigurationError when it isn't as it must be."""
    if config.vectors == "local":
        yield None
        return
    after = timedelta(days=config.weaviate_offload_days) if config.weaviate_offload_bucket else None
    async with _open_weaviate(config, stores) as vectors:
        recent = LocalVectors(config.vectors_memory)
        copies = Copies(vectors, recent, config.vectors_least, config.vectors_rows, after)
        await index.require_bucket(stores, copies)
        yield copies


@asynccontextmanager
async def _open_weaviate(config: Config, stores: Stores) -> AsyncIterator[WeaviateVectors]:
    from nexus_graph.stores.vectors.weaviate import WeaviateVectors
    from nexus_graph.stores.vectors.weaviate_client import WeaviateConnection

    key = None if config.weaviate_key is None else config.weaviate_key.get_secret_value()
    addresses = (config.weaviate_address or "", config.weaviate_grpc_address or "")
    connection = WeaviateConnection(*addresses, key, config.weaviate_seconds)
    async with _open_shelf(config) as shelf:
        vectors = WeaviateVectors(connection, index.CopyBook(stores), config.weaviate_prefix, shelf)
        try:
            await vectors.open()
            yield vectors
        finally:
            await vectors.close()


@asynccontextmanager
async def _open_shelf(config: Config) -> AsyncIterator[Shelf | None]:
    """Open the bucket that copies are offloaded to. Raises ConfigurationError when it can't be used."""
    if config.weaviate_offload_bucket is None:
        yield None
        return
    from nexus_graph.stores.blobs.s3 import S3Blobs

    server = replace(_object_server(config), bucket=config.weaviate_offload_bucket)
    shelf = S3Blobs(server, clock=system_clock)
    await shelf.open()
    try:
        await _require_shelf(shelf)
        yield shelf
    finally:
        await shelf.close()


async def _require_shelf(shelf: Blobs) -> None:
    try:
        await shelf.require_fit()
    except ConfigurationError as error:
        raise ConfigurationError(f"NEXUS_WEAVIATE_OFFLOAD_BUCKET: {error}") from error
    except Unavailable:  # as for the objects: it stops no start, and nothing is offloaded or certified without it
        log.warning("store.unavailable", store="offloaded vectors")


@asynccontextmanager
async def open_whole(config: Config, stores: Stores) -> AsyncIterator[Whole]:
    """All that the engines hold, of every tenant, for the proof of isolation; `stores` are those of the same settings.

    Raises ConfigurationError where not everything can be seen: on Postgres without the owner's address.
    """
    place, walls = config.database, None
    rows: Callable[[], AbstractAsyncContextManager[Reader]] = partial(stores.database.reading, None)
    if isinstance(place, PostgresPlace):
        from nexus_graph.stores.database import roles
        from nexus_graph.stores.migrations.walls import DOORS

        rows = partial(roles.every_row, place)
        walls = Walls(partial(roles.bare, place), dict(DOORS), partial(roles.sample, place))
        async with rows():  # refused before anything is tried
            pass
    async with AsyncExitStack() as opened:
        held = None if config.vectors == "local" else await opened.enter_async_context(_open_weaviate(config, stores))
        blobs = stores.blobs if config.objects == "s3" else None
        names = ("SQLite" if walls is None else "Postgres", "files" if blobs is None else "S3")
        engines = (*names, "Weaviate") if held else names
        yield Whole(engines, rows, stores.database.keeps, blobs, held, walls)
