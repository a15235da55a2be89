"""The port: objects under keys, and addresses that let a client move bytes without us in between."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from nexus_graph.scope.scope import Scope

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True)
class Stat:
    """What the store itself says of an object: its size in bytes and its SHA-256 in hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Upload:
    """An address that takes exactly one object: that key, that size, that checksum, until it expires.

    `fields` are sent before the file in a multipart POST; empty for a PUT of the bare bytes.
    """

    address: str
    method: str
    headers: Mapping[str, str]
    fields: Mapping[str, str]
    expires_at: datetime


class Blobs(Protocol):
    """Objects under keys such as `tenants/t_acme/dev/raw/asset_1/report.pdf`."""

    def upload(self, key: str, *, size: int, sha256: str, content_type: str, expires_at: datetime) -> Upload:
        """A presigned upload."""

    def download(self, key: str, *, filename: str, content_type: str, expires_at: datetime) -> str:
        """A presigned address that answers with the object as an attachment of that name."""

    async def stat(self, key: str) -> Stat | None:
        """Size and checksum of the stored object, computed by the store, or None."""

    async def read(self, key: str) -> bytes:
        """The object. Raises NotFound."""

    async def put(self, key: str, data: bytes) -> None:
        """Store an object whole, or not at all."""

    async def remove(self, key: str) -> None:
        """Remove an object; nothing happens when there is none."""

    def keys(self, prefix: str) -> AsyncIterator[str]:
        """Every key below a prefix, in order."""

    async def ready(self) -> None:
        """Raises Unavailable when the store can't be written."""


class ScopedBlobs:
    """The objects of one tenant and env: every key is rooted at `tenants/<tenant>/<env>/`."""

    def __init__(self, blobs: Blobs, scope: Scope) -> None:
        self._blobs = blobs
        self.root = f"tenants/{scope.tenant_id}/{scope.env}/"

    def upload(self, key: str, *, size: int, sha256: str, content_type: str, expires_at: datetime) -> Upload:
        """A presigned upload."""
        return self._blobs.upload(
            self._rooted(key), size=size, sha256=sha256, content_type=content_type, expires_at=expires_at
        )

    def download(self, key: str, *, filename: str, content_type: str, expires_at: datetime) -> str:
        """A presigned download."""
        return self._blobs.download(
            self._rooted(key), filename=filename, content_type=content_type, expires_at=expires_at
        )

    async def stat(self, key: str) -> Stat | None:
        """Size and checksum of the stored object, or None."""
        return await self._blobs.stat(self._rooted(key))

    async def read(self, key: str) -> bytes:
        """The object. Raises NotFound."""
        return await self._blobs.read(self._rooted(key))

    async def put(self, key: str, data: bytes) -> None:
        """Store an object whole, or not at all."""
        await self._blobs.put(self._rooted(key), data)

    async def remove(self, key: str) -> None:
        """Remove an object; nothing happens when there is none."""
        await self._blobs.remove(self._rooted(key))

    async def keys(self, prefix: str = "") -> AsyncIterator[str]:
        """Every key of the scope below a prefix, without the root."""
        async for key in self._blobs.keys(self.root + prefix):
            yield key.removeprefix(self.root)

    def _rooted(self, key: str) -> str:
        if not all(_PART.fullmatch(part) for part in key.split("/")):
            raise ValueError(f"{key!r} is no object key")
        return self.root + key
