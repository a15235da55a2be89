"""The port: objects under keys, and addresses that let a client move bytes without us in between."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.scope import Scope

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_LONGEST_KEY = 1024


def valid_key(key: str) -> str:
    """The key itself: parts of A-Z, a-z, 0-9, `.`, `_` and `-` joined by `/`, none of which begins with a dot.

    Raises ValueError otherwise: keys are made by code, never taken from a caller.
    """
    if len(key) > _LONGEST_KEY or not all(_PART.fullmatch(part) for part in key.split("/")):
        raise ValueError(f"{key!r} is no object key")
    return key


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


@dataclass(frozen=True, slots=True)
class Download:
    """An object on its way out: its bytes in pieces. `close` it in every case, also when nothing was read."""

    size: int
    content_type: str
    filename: str
    chunks: AsyncIterator[bytes]
    close: Callable[[], None]


class Blobs(Protocol):
    """Objects under keys such as `tenants/t_acme/dev/raw/asset_1/report.pdf`.

    An object never changes: a key takes its bytes once, and nothing but `remove` touches them again. What is removed is
    gone: no version of it can be read any more, also where the store keeps versions. Every method that asks the store
    raises Unavailable when it does not answer in time, or answers what it should not; and nothing of the driver's own.
    """

    async def open(self) -> None:
        """Make ready for use, without asking the store. Belongs to the running event loop until `close`."""

    async def close(self) -> None:
        """Let go of connections."""

    async def require_fit(self) -> None:
        """Raises ConfigurationError when the store answers, and does not hold what is promised here."""

    async def ready(self) -> None:
        """Raises Unavailable when the store can't be written."""

    async def upload(self, key: str, *, size: int, sha256: str, content_type: str, expires_at: datetime) -> Upload:
        """A presigned upload. Made here, where it does not need credentials that have to be fetched first."""

    async def download(self, key: str, *, filename: str, content_type: str, expires_at: datetime) -> str:
        """A presigned address that answers with the object as an attachment of that name."""

    async def stat(self, key: str) -> Stat | None:
        """Size and checksum of the stored object, as the store computed them, or None.

        Where the store knows no SHA-256 of the whole object, it is read and hashed.
        """

    async def measure(self, key: str) -> Stat | None:
        """The same of the bytes as they are read now, whatever the store remembers of them."""

    async def read(self, key: str, *, start: int = 0, size: int | None = None) -> bytes:
        """The object, or `size` bytes of it from `start` on: fewer, or none, where it ends before. Raises NotFound."""

    def reading(
        self, key: str, *, start: int = 0, size: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The same in pieces, none of them large; what is left is not fetched. Raises NotFound on entering."""

    async def put(self, key: str, data: bytes) -> Stat:
        """Store an object whole, or not at all, and say what was stored. Raises Conflict when the key holds others."""

    async def put_pieces(self, key: str, pieces: AsyncIterator[bytes], declared: Stat) -> Stat:
        """The same with bytes that come in pieces and never are in memory together.

        Raises Invalid, too, when they are not those that were declared; then nothing is stored.
        """

    async def remove(self, key: str) -> None:
        """Remove an object in all its versions; nothing happens when there is none."""

    def keys(self, prefix: str, *, stored_before: datetime | None = None) -> AsyncIterator[str]:
        """Every key that begins with a prefix, in order; only objects stored before an instant, if one is given.

        That is every key of which anything can be read: also one that was removed by somebody else, while the store
        keeps a version of it.
        """

    async def clear_unfinished(self, before: datetime | None, prefix: str = "") -> int:
        """Remove what uploads that began before an instant (None: ever) and never ended left behind.

        Returns how many there were, of those under keys that begin with a prefix.
        """


class Exchange(Protocol):
    """A store whose addresses lead back to this server, so that the front door has to carry the bytes."""

    def place(self, token: str, method: str) -> tuple[str, str]:
        """Tenant and env of the object that the address with this token leads to by PUT or GET. Raises Forbidden."""

    def expected(self, token: str) -> int:
        """How many bytes the upload address with this token takes. Raises Forbidden."""

    async def receive(self, token: str, chunks: AsyncIterator[bytes]) -> bool:
        """Take an upload. True when it was stored, False when exactly this object was there before.

        Raises Forbidden for a wrong or expired token, Invalid for another size or checksum, Conflict when the key holds
        other bytes. Nothing is stored in these cases.
        """

    async def send(self, token: str) -> Download:
        """The object that a download address leads to. Raises Forbidden or NotFound."""


class ScopedBlobs:
    """The objects of one tenant and env: every key is rooted at `tenants/<tenant>/<env>/`.

    In a rehearsal nothing is stored or removed.
    """

    def __init__(self, blobs: Blobs, scope: Scope) -> None:
        self._blobs = blobs
        self._rehearsal = scope.rehearsal
        self.root = f"tenants/{scope.tenant_id}/{scope.env}/"

    async def upload(self, key: str, *, size: int, sha256: str, content_type: str, expires_at: datetime) -> Upload:
        """A presigned upload."""
        return await self._blobs.upload(
            self._rooted(key), size=size, sha256=sha256, content_type=content_type, expires_at=expires_at
        )

    async def download(self, key: str, *, filename: str, content_type: str, expires_at: datetime) -> str:
        """A presigned download."""
        return await self._blobs.download(
            self._rooted(key), filename=filename, content_type=content_type, expires_at=expires_at
        )

    async def stat(self, key: str) -> Stat | None:
        """Size and checksum of the stored object, as the store computed them, or None."""
        return await self._blobs.stat(self._rooted(key))

    async def measure(self, key: str) -> Stat | None:
        """Size and checksum of the bytes as they are read now, or None."""
        return await self._blobs.measure(self._rooted(key))

    async def read(self, key: str) -> bytes:
        """The object. Raises NotFound."""
        return await self._blobs.read(self._rooted(key))

    async def put(self, key: str, data: bytes) -> Stat:
        """Store an object whole, or not at all, and say what was stored. Raises Conflict when the key holds others."""
        if self._rehearsal:
            return Stat(len(data), sha256(data))
        return await self._blobs.put(self._rooted(key), data)

    async def remove(self, key: str) -> None:
        """Remove an object in all its versions; nothing happens when there is none."""
        if not self._rehearsal:
            await self._blobs.remove(self._rooted(key))

    async def keys(self, prefix: str = "", *, stored_before: datetime | None = None) -> AsyncIterator[str]:
        """Every key of the scope that begins with a prefix, without the root."""
        async for key in self._blobs.keys(self.root + prefix, stored_before=stored_before):
            yield key.removeprefix(self.root)

    async def clear_unfinished(self, prefix: str = "") -> None:
        """Remove what unended uploads under a prefix left behind, however young. For erasure alone."""
        if not self._rehearsal:
            await self._blobs.clear_unfinished(None, self.root + prefix)

    def _rooted(self, key: str) -> str:
        return self.root + valid_key(key)
