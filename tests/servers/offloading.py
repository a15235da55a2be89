"""A real Weaviate that offloads tenants to a bucket of a real SeaweedFS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nexus_graph.scope.clock import system_clock
from nexus_graph.stores.blobs.s3 import S3Blobs
from nexus_graph.stores.vectors import weaviate_schema as schema
from nexus_graph.stores.vectors.base import Book, Space
from nexus_graph.stores.vectors.weaviate import WeaviateVectors
from servers.seaweedfs import ACCESS_KEY, REGION, SECRET_KEY, SeaweedFS
from servers.weaviate import WeaviateServer, weaviate_server


@dataclass(frozen=True, slots=True)
class Offloading:
    """The two servers, and the bucket between them, which keeps versions."""

    weaviate: WeaviateServer
    objects: SeaweedFS
    bucket: str

    @asynccontextmanager
    async def shelf(self, **other: Any) -> AsyncIterator[S3Blobs]:
        """The bucket as we see it, or `other` settings of it, such as another one."""
        shelf = S3Blobs(self.objects.server(**{"bucket": self.bucket, **other}), clock=system_clock)
        await shelf.open()
        try:
            yield shelf
        finally:
            await shelf.close()

    @asynccontextmanager
    async def vectors(self, book: Book | None = None, prefix: str | None = None) -> AsyncIterator[WeaviateVectors]:
        """An index that offloads, open."""
        async with self.shelf() as shelf:
            vectors = self.weaviate.vectors(book, prefix, shelf)
            try:
                await vectors.open()
                yield vectors
            finally:
                await vectors.close()

    def in_bucket(self, begin: str) -> list[str]:
        """The keys that begin so, one for each version and marker, as the owner of the bucket sees them."""
        found = self.objects.client().list_object_versions(Bucket=self.bucket, Prefix=begin.lower())
        return [each["Key"] for each in [*found.get("Versions", ()), *found.get("DeleteMarkers", ())]]

    def readable(self, begin: str) -> list[str]:
        """Those of them that can be read without naming a version."""
        found = self.objects.client().list_objects_v2(Bucket=self.bucket, Prefix=begin.lower())
        return [each["Key"] for each in found.get("Contents", ())]

    def drop(self, key: str) -> None:
        """Remove an object, as somebody else might."""
        self.objects.client().delete_object(Bucket=self.bucket, Key=key)

    async def has_left(self, vectors: WeaviateVectors, space: Space) -> None:
        """Wait until the server has no file of a copy: it removes them after it says that they are offloaded."""
        async with asyncio.timeout(20):
            while self.on_disk(vectors, space).exists():  # noqa: ASYNC110 - another process removes them
                await asyncio.sleep(0.05)

    def on_disk(self, vectors: WeaviateVectors, space: Space, epoch: int = 1) -> Path:
        """Where the server has the files of a copy."""
        name = schema.collection_name(vectors.prefix, space.env, space.definition_id)
        return self.weaviate.folder / "data" / name.lower() / schema.tenant_name(space, epoch)


@contextmanager
def offloading_servers(folder: Path, objects: SeaweedFS) -> Iterator[Offloading]:
    """A Weaviate that offloads to a new bucket of an object server, until the context closes."""
    with objects.bucket(versions="Enabled") as bucket:
        more = {"ENABLE_MODULES": "offload-s3", "OFFLOAD_S3_BUCKET": bucket, "OFFLOAD_S3_ENDPOINT": objects.address}
        more |= {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": REGION}
        with weaviate_server(folder, more) as weaviate:
            yield Offloading(weaviate, objects, bucket)


@pytest.fixture(scope="session")
def offloading(s3_server: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Offloading]:
    """One for the tests that do not harm it."""
    with offloading_servers(tmp_path_factory.mktemp("offloading"), s3_server) as servers:
        yield servers
