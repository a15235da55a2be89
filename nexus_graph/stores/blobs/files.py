"""The embedded object store: objects are files of one folder, and its addresses lead back to this server."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import ParamSpec, TypeVar

from nexus_graph.scope.clock import Clock, micros, moment
from nexus_graph.scope.errors import Conflict, Invalid, NotFound, Unavailable
from nexus_graph.stores.blobs.base import Download, Stat, Upload, valid_key
from nexus_graph.stores.blobs.folder import Folder, Incoming, Stored
from nexus_graph.stores.blobs.grants import GET, PUT, Grant, Signer, refused

_PIECE = 1024 * 1024  # bytes that go to a thread at once
_BATCH = 1000  # paths listed at once
_PROBE = "probe/object"
_ATTEMPTS = 16  # where others remove the same object at the same moment

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class FileBlobs:
    """Objects as files `folder/<key>`. Blocking work runs in threads; large objects pass through in pieces.

    `address` is how clients reach this server, without a slash at the end; `secret` signs the addresses. Needs a POSIX
    file system with hard links.
    """

    def __init__(self, folder: Path, *, secret: str, address: str, clock: Clock) -> None:
        self._folder = Folder(folder)
        self._signer = Signer(secret)
        self._address = address
        self._clock = clock

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""

    async def require_fit(self) -> None:
        """Nothing to ask: what the folder is missing, `ready` says."""

    async def upload(self, key: str, *, size: int, sha256: str, content_type: str, expires_at: datetime) -> Upload:
        """A presigned PUT of the bare bytes."""
        grant = Grant(PUT, valid_key(key), size, sha256, content_type, "", micros(expires_at))
        return Upload(self._lead(grant), PUT, {"Content-Type": content_type}, {}, expires_at)

    async def download(self, key: str, *, filename: str, content_type: str, expires_at: datetime) -> str:
        """A presigned GET of the object, as an attachment of that name."""
        return self._lead(Grant(GET, valid_key(key), 0, "", content_type, filename, micros(expires_at)))

    async def stat(self, key: str) -> Stat | None:
        """Size and checksum, computed from the file as it is now, or None."""
        return await _in_thread(self._stat, key)

    async def measure(self, key: str) -> Stat | None:
        """The same: the file is read each time."""
        return await self.stat(key)

    async def read(self, key: str, *, start: int = 0, size: int | None = None) -> bytes:
        """The object, or `size` bytes of it from `start` on. Raises NotFound."""
        data = await _in_thread(self._read, key, start, size)
        if data is None:
            raise NotFound("object")
        return data

    @asynccontextmanager
    async def reading(
        self, key: str, *, start: int = 0, size: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The same in pieces. Raises NotFound on entering."""
        file = await _in_thread(self._folder.open, valid_key(key))
        if file is None:
            raise NotFound("object")
        outgoing = _Outgoing(file)
        try:
            yield outgoing.chunks(start, size)
        finally:
            outgoing.close()

    async def put(self, key: str, data: bytes) -> Stat:
        """Store an object whole, or not at all, and say what was stored. Raises Conflict when the key holds others."""
        incoming = Incoming(self._folder, key)
        try:
            if not await _in_thread(self._put, incoming, data):
                await self._publish(incoming, key)
        finally:
            incoming.discard()  # done by then, unless the task was cancelled or the key was taken
        return Stat(len(data), incoming.sha256)

    async def put_pieces(self, key: str, pieces: AsyncIterator[bytes], declared: Stat) -> Stat:
        """Store what comes in pieces. Raises Invalid for other bytes than those declared, Conflict as `put` does."""
        incoming = Incoming(self._folder, key)
        try:
            await _fill(incoming, declared, pieces)
            await self._publish(incoming, key)
        finally:
            incoming.discard()
        return declared

    async def remove(self, key: str) -> None:
        """Remove an object; nothing happens when there is none."""
        await _in_thread(self._folder.remove, valid_key(key))

    async def keys(self, prefix: str, *, stored_before: datetime | None = None) -> AsyncIterator[str]:
        """Every key that begins with a prefix, in order; only objects stored before an instant, if one is given."""
        async for file in self._files(prefix):
            if not file.temporary and (stored_before is None or file.at < micros(stored_before)):
                yield file.key

    async def clear_unfinished(self, before: datetime | None, prefix: str = "") -> int:
        """Remove the temporary files of uploads that were last written to before an instant. Returns how many."""
        count = 0
        async for file in self._files(prefix):
            if file.temporary and (before is None or file.at < micros(before)):
                await _in_thread(self._folder.remove, file.key)
                count += 1
        return count

    async def ready(self) -> None:
        """Raises Unavailable when an object can't be written."""
        incoming = Incoming(self._folder, _PROBE)
        try:
            await _in_thread(incoming.publish, self._clock())
            await _in_thread(self._folder.remove, _PROBE)
        finally:
            incoming.discard()

    def place(self, token: str, method: str) -> tuple[str, str]:
        """Tenant and env of the object that the address with this token leads to by PUT or GET. Raises Forbidden."""
        _, tenant_id, env, *_ = self._signer.grant(token, method, self._clock()).key.split("/")
        return tenant_id, env

    def expected(self, token: str) -> int:
        """How many bytes the upload address with this token takes. Raises Forbidden."""
        return self._signer.grant(token, PUT, self._clock()).size

    async def receive(self, token: str, chunks: AsyncIterator[bytes]) -> bool:
        """Take an upload: exactly the size and checksum of its address, complete before it expires.

        True when it was stored, False when exactly this object was there before. Raises Forbidden for a wrong or
        expired token, Invalid for another size or checksum, Conflict when the key holds other bytes.
        """
        now = self._clock()
        grant = self._signer.grant(token, PUT, now)
        incoming = Incoming(self._folder, grant.key)
        try:
            async with asyncio.timeout((moment(grant.expires) - now).total_seconds()):
                await _fill(incoming, Stat(grant.size, grant.sha256), chunks)
            if micros(self._clock()) >= grant.expires:
                raise refused()
            return await self._publish(incoming, grant.key)
        except TimeoutError:
            raise refused() from None
        finally:
            incoming.discard()

    async def send(self, token: str) -> Download:
        """The object that a download address leads to. Raises Forbidden or NotFound."""
        grant = self._signer.grant(token, GET, self._clock())
        file = await _in_thread(self._folder.open, grant.key)
        if file is None:
            raise NotFound("object")
        outgoing = _Outgoing(file)
        size = outgoing.size()
        return Download(size, grant.content_type, grant.filename, outgoing.chunks(), outgoing.close)

    def _lead(self, grant: Grant) -> str:
        return f"{self._address}/objects/{self._signer.token(grant)}"

    async def _publish(self, incoming: Incoming, key: str) -> bool:
        """Whether it is new. Raises Conflict when the key holds other bytes."""
        for _ in range(_ATTEMPTS):
            if await _in_thread(incoming.publish, self._clock()):
                return True
            there = await self.stat(key)
            if there is not None and there.sha256 == incoming.sha256:
                return False
            if there is not None:
                break
        raise Conflict("Another object is stored there already.", hint="Objects never change; use a new key.")

    def _put(self, incoming: Incoming, data: bytes) -> bool:
        incoming.write((data,))
        new = incoming.publish(self._clock())
        if new:
            incoming.discard()
        return new

    async def _files(self, prefix: str) -> AsyncIterator[Stored]:
        files = self._folder.files(prefix)
        while batch := await _in_thread(_take, files):
            for file in batch:
                yield file

    def _stat(self, key: str) -> Stat | None:
        file = self._folder.open(key)
        if file is None:
            return None
        with file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
            return Stat(file.tell(), checksum)

    def _read(self, key: str, start: int, size: int | None) -> bytes | None:
        file = self._folder.open(key)
        if file is None:
            return None
        with file:
            file.seek(start)
            return file.read(-1 if size is None else size)


class _Outgoing:
    """An open file on its way out. The lock makes closing wait for a thread that still reads for a cancelled task."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._lock = threading.Lock()

    def size(self) -> int:
        """Bytes of the whole file."""
        return self._file.seek(0, 2) + self._file.seek(0)

    async def chunks(self, start: int = 0, size: int | None = None) -> AsyncIterator[bytes]:
        """The file in pieces, or `size` bytes of it from `start` on."""
        if start:
            await _in_thread(self._skip, start)
        left = size
        while piece := await _in_thread(self._next, _PIECE if left is None else min(_PIECE, left)):
            yield piece
            left = None if left is None else left - len(piece)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def _skip(self, count: int) -> None:
        with self._lock:
            if not self._file.closed:
                self._file.seek(count)

    def _next(self, most: int) -> bytes:
        with self._lock:
            return b"" if self._file.closed else self._file.read(most)


async def _fill(incoming: Incoming, declared: Stat, chunks: AsyncIterator[bytes]) -> None:
    size = held = 0
    pieces: list[bytes] = []
    async for chunk in chunks:
        size += len(chunk)
        if size > declared.size:
            raise Invalid(
                f"More than the {declared.size} bytes that were declared.", hint="Reserve the size of the file."
            )
        pieces.append(chunk)
        held += len(chunk)
        if held >= _PIECE:
            await _in_thread(incoming.write, pieces)
            pieces, held = [], 0
    await _in_thread(incoming.write, pieces)
    if size != declared.size:
        raise Invalid(f"{size} bytes came where {declared.size} were declared.", hint="Send the whole file.")
    if incoming.sha256 != declared.sha256:
        raise Invalid("The SHA-256 of the bytes is not the declared one.", hint="Send the file that was reserved.")


def _take(files: Iterator[Stored]) -> list[Stored]:
    return list(islice(files, _BATCH))


async def _in_thread(
    function: Callable[Parameters, Result], *arguments: Parameters.args, **named: Parameters.kwargs
) -> Result:
    try:
        return await asyncio.to_thread(function, *arguments, **named)
    except OSError as error:
        raise Unavailable(
            f"The object store can't be used: {error.strerror or error}.", hint="Check the data folder and its disk."
        ) from error
