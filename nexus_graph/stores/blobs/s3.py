"""An object server that speaks S3: the bytes go between it and the client, without us in between.

A key takes its bytes once, by conditional writes. Uploads of clients are forms (presigned POST), since the signature of
a form binds key, size and SHA-256, and the server itself refuses other bytes. S3 knows no condition for forms: whoever
sends one again stores the same bytes again, and no others.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.clock import Clock
from nexus_graph.scope.errors import Conflict, NotFound, Unavailable
from nexus_graph.stores.blobs import listing, multipart
from nexus_graph.stores.blobs.attachments import disposition, inert_type
from nexus_graph.stores.blobs.base import Stat, Upload, valid_key
from nexus_graph.stores.blobs.bucket import Bucket, Entry, ObjectServer, Refusal
from nexus_graph.stores.blobs.fitness import probe, require_fit
from nexus_graph.stores.blobs.multipart import encoded

_WHOLE = 64 * 1024 * 1024  # up to here an object that is in memory goes up at once, and the server knows its SHA-256
_PART = 16 * 1024 * 1024
_ATTEMPTS = 16  # where others remove the same object at the same moment
_PAUSE = 0.02  # seconds, longer each time
_AT_ONCE = 8
_TAKEN = (409, 412)


class S3Blobs:
    """Objects as `bucket/<prefix>/<key>`. `whole` and `part` say from which size on objects go up in parts."""

    def __init__(
        self, server: ObjectServer, *, clock: Clock, prefix: str = "", whole: int = _WHOLE, part: int = _PART
    ) -> None:
        self._bucket = Bucket(server)
        self._clock = clock
        self._root = f"{valid_key(prefix)}/" if prefix else ""
        self._whole, self._part = whole, part
        self._versioned: bool | None = None  # unknown
        self._encryption = _encryption(server)

    async def open(self) -> None:
        """Make the client, asking nobody. Raises ConfigurationError when the extra `s3` is not installed."""
        await self._bucket.open()

    async def close(self) -> None:
        """Close all connections."""
        await self._bucket.close()

    async def require_fit(self) -> None:
        """Try what everything here relies on: that a key takes its bytes once, and that a checksum is compared.

        Raises ConfigurationError when the server refuses or lacks it, Unavailable when it does not answer.
        """
        self._versioned = None
        await require_fit(self._bucket, self, self._root, self._encryption)

    async def ready(self) -> None:
        """Raises Unavailable when an object can't be written."""
        key = probe()
        await self._ask_versions()
        await self._write(self._root + key, b"")
        await self.remove(key)

    async def upload(self, key: str, *, size: int, sha256: str, content_type: str, expires_at: datetime) -> Upload:
        """A presigned form, good for these bytes alone."""
        fields = {
            "Content-Type": content_type,
            "success_action_status": "201",
            "x-amz-checksum-algorithm": "SHA256",
            "x-amz-checksum-sha256": encoded(sha256),
            **_form_fields(self._bucket.server),
        }
        seconds = math.floor((expires_at - self._clock()).total_seconds())
        length = ["content-length-range", size, size]
        address, every = await self._bucket.form(self._rooted(key), fields, [length], seconds)
        return Upload(address, "POST", {}, every, expires_at)

    async def download(self, key: str, *, filename: str, content_type: str, expires_at: datetime) -> str:
        """A presigned GET of the object, as an attachment of that name."""
        return await self._bucket.address(
            max(1, math.floor((expires_at - self._clock()).total_seconds())),
            Key=self._rooted(key),
            ResponseCacheControl="no-store",
            ResponseContentDisposition=disposition(filename),
            ResponseContentType=inert_type(content_type),
        )

    async def stat(self, key: str) -> Stat | None:
        """Size and checksum that the server computed. An object of which it knows none is read and hashed."""
        try:
            head = await self._bucket.call(
                "head_object", {"Key": self._rooted(key), "ChecksumMode": "ENABLED"}, expected=(404,)
            )
        except Refusal:
            await self._bucket.call("head_bucket", {})  # a HEAD can't tell whether the whole bucket is missing
            return None
        checksum = head.get("ChecksumSHA256", "")
        if not checksum or "-" in checksum or head.get("ChecksumType") == "COMPOSITE":  # of parts, not of the object
            return await self.measure(key)
        return Stat(head["ContentLength"], base64.b64decode(checksum).hex())

    async def measure(self, key: str) -> Stat | None:
        """Size and checksum of the bytes as they are read now, or None."""
        hashed, size = hashlib.sha256(), 0
        try:
            async with self.reading(key) as pieces:
                async for piece in pieces:
                    size += len(piece)
                    await asyncio.to_thread(hashed.update, piece)
        except NotFound:
            return None
        return Stat(size, hashed.hexdigest())

    async def read(self, key: str, *, start: int = 0, size: int | None = None) -> bytes:
        """The object, or `size` bytes of it from `start` on. Raises NotFound."""
        async with self.reading(key, start=start, size=size) as pieces:
            return b"".join([piece async for piece in pieces])

    @asynccontextmanager
    async def reading(
        self, key: str, *, start: int = 0, size: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The same in pieces. Raises NotFound on entering."""
        until = "" if size is None else str(start + max(size, 1) - 1)
        span = {} if start == 0 and size is None else {"Range": f"bytes={start}-{until}"}
        try:
            answer = await self._bucket.call("get_object", {"Key": self._rooted(key), **span}, expected=(404, 416))
        except Refusal as refusal:
            if refusal.status == 404:
                raise NotFound("object") from None
            yield _nothing()  # the object ends before
            return
        body = answer["Body"]
        try:
            yield self._bucket.pieces(body, answer["ContentLength"] if size is None or size > 0 else 0)
        finally:
            body.close()

    async def put(self, key: str, data: bytes) -> Stat:
        """Store an object whole, or not at all, and say what was stored. Raises Conflict when the key holds others."""
        path = self._rooted(key)
        declared = Stat(len(data), await asyncio.to_thread(sha256, data))
        if len(data) > self._whole:
            return await self._put_parts(key, _slices(data, self._part), declared)
        for attempt in range(_ATTEMPTS):
            try:
                await self._write(path, data, declared.sha256, IfNoneMatch="*")
            except Refusal:
                if not await self._holds(key, declared):
                    await asyncio.sleep(attempt * _PAUSE)
                    continue  # it was removed meanwhile
            return declared
        raise Unavailable("Too many write this object at once.", hint="Try again.")

    async def put_pieces(self, key: str, pieces: AsyncIterator[bytes], declared: Stat) -> Stat:
        """Store what comes in pieces. Raises Invalid for other bytes than those declared, Conflict as `put` does."""
        if declared.size > self._part:
            size = multipart.part_size(declared.size, self._part)
            return await self._put_parts(key, multipart.in_parts(pieces, size), declared)
        valid_key(key)
        data = bytearray()
        async for piece in pieces:
            data += piece
            if len(data) > declared.size:
                break
        multipart.require_declared(Stat(len(data), await asyncio.to_thread(sha256, bytes(data))), declared)
        return await self.put(key, bytes(data))

    async def remove(self, key: str) -> None:
        """Remove an object in all its versions, and see that none is left. Raises Unavailable when one stays."""
        path = self._rooted(key)
        if not await self._keeps_versions():
            gone = await self._bucket.call("delete_object", {"Key": path})
            if "VersionId" not in gone and not gone.get("DeleteMarker"):
                return
            self._versioned = True  # since a while ago
        for _ in range(_ATTEMPTS):
            left = await self._versions_of(path)
            if not left:
                return
            for start in range(0, len(left), _AT_ONCE):
                await asyncio.gather(*(self._remove_version(entry) for entry in left[start : start + _AT_ONCE]))
        raise Unavailable("The object store keeps a version of what was removed.", hint="docs/s3.md says why it may.")

    async def keys(self, prefix: str, *, stored_before: datetime | None = None) -> AsyncIterator[str]:
        """Every key that begins with a prefix, in the order of the server, which S3 promises to be that of UTF-8.

        Where the bucket keeps versions, those are listed too of which only a former one is left.
        """
        before = ""
        listed = listing.versions if await self._keeps_versions() else listing.current
        async for entry in listed(self._bucket, self._root + prefix):
            if entry["Key"] != before and (stored_before is None or entry["LastModified"] < stored_before):
                yield entry["Key"].removeprefix(self._root)
            before = entry["Key"]  # whose newest version was the first

    async def clear_unfinished(self, before: datetime | None, prefix: str = "") -> int:
        """Abort uploads in parts that began before an instant. Returns how many."""
        count = 0
        async for upload in listing.unfinished(self._bucket, self._root + prefix):
            if before is None or upload["Initiated"] < before:
                with suppress(Refusal):  # it ended by itself
                    named = {"Key": upload["Key"], "UploadId": upload["UploadId"]}
                    await self._bucket.call("abort_multipart_upload", named, expected=(404,))
                    count += 1
        return count

    async def folders(self, prefix: str) -> frozenset[str]:
        """How keys that begin with a prefix go on up to the next slash, with it, whoever wrote them.

        Keys of former versions, and of uploads that never ended, are among them; on servers that really have folders
        also one in which nothing is left.
        """
        await self._ask_versions()
        path, versioned = self._root + prefix, bool(self._versioned)
        found = {each async for each in listing.folders(self._bucket, path, versioned=versioned)}
        async for upload in listing.unfinished(self._bucket, path):
            first, slash, _ = upload["Key"].removeprefix(path).partition("/")
            found.add(path + first + slash)
        return frozenset(each.removeprefix(self._root) for each in found)

    async def holds(self, prefix: str) -> bool:
        """Whether there is anything that `clear` would remove."""
        await self._ask_versions()
        listed = listing.versions if self._versioned else listing.current
        for found in (listed, listing.unfinished):
            async for _ in found(self._bucket, self._root + prefix):
                return True
        return False

    async def contents(self, prefix: str) -> str:
        """A digest of what can be read under keys that begin with a prefix, as the listing tells; empty for nothing."""
        lines = [
            f"{entry['Key']} {entry['Size']} {entry['ETag']}\n"
            async for entry in listing.current(self._bucket, self._root + prefix)
        ]
        return sha256("".join(sorted(lines)).encode()) if lines else ""

    async def clear(self, prefix: str) -> None:
        """Remove whatever lies under keys that begin with a prefix, whoever wrote it, and see that nothing is left.

        Versions, the markers of what was removed, and uploads that never ended are part of it. Raises Unavailable when
        something stays.
        """
        await self.clear_unfinished(None, prefix)
        await self._ask_versions()
        listed = listing.versions if self._versioned else listing.current
        for _ in range(_ATTEMPTS):
            left = [entry async for entry in listed(self._bucket, self._root + prefix)]
            if not left:
                return
            for start in range(0, len(left), _AT_ONCE):
                await asyncio.gather(*(self._remove_version(entry) for entry in left[start : start + _AT_ONCE]))
        raise Unavailable("The object store keeps what was removed.", hint="docs/s3.md says why it may.")

    async def _put_parts(self, key: str, parts: AsyncIterator[bytes], declared: Stat) -> Stat:
        stored = await multipart.store(self._bucket, self._rooted(key), parts, declared, self._encryption)
        if not stored and not await self._holds(key, declared):
            raise Unavailable("The object was removed while it was stored.", hint="Try again.")
        return declared

    async def _write(self, path: str, data: bytes, checksum: str | None = None, **condition: str) -> None:
        """Raises Refusal when the key is taken, under that condition."""
        given = {"Key": path, "Body": data, "ChecksumSHA256": encoded(checksum or sha256(data))}
        taken = _TAKEN if condition else ()
        await self._bucket.call(
            "put_object", {**given, **condition, **self._encryption}, expected=taken, moved=len(data)
        )

    async def _holds(self, key: str, declared: Stat) -> bool:
        """Whether a key holds these bytes; False when it holds none. Raises Conflict when it holds others."""
        there = await self.stat(key)
        if there is not None and there != declared:
            raise Conflict("Another object is stored there already.", hint="Objects never change; use a new key.")
        return there is not None

    async def _keeps_versions(self) -> bool:
        if self._versioned is None:
            await self._ask_versions()
        return bool(self._versioned)

    async def _ask_versions(self) -> None:
        """Once there were versions there may be, also where they are suspended."""
        try:
            answer = await self._bucket.call("get_bucket_versioning", {}, expected=(405, 501))
        except Refusal:  # a server without versions
            self._versioned = False
        else:
            self._versioned = bool(answer.get("Status"))

    async def _versions_of(self, path: str) -> list[Entry]:
        found = []
        async for entry in listing.versions(self._bucket, path):
            if entry["Key"] != path:  # a longer key, and those come later
                break
            found.append(entry)
        return found

    async def _remove_version(self, entry: Entry) -> None:
        version = {"VersionId": entry["VersionId"]} if "VersionId" in entry else {}
        await self._bucket.call("delete_object", {"Key": entry["Key"], **version})

    def _rooted(self, key: str) -> str:
        return self._root + valid_key(key)


def _encryption(server: ObjectServer) -> dict[str, str]:
    """What a write says of encryption; nothing leaves it to the bucket."""
    said = {"ServerSideEncryption": server.encryption, "SSEKMSKeyId": server.encryption_key}
    return {name: value for name, value in said.items() if value}


def _form_fields(server: ObjectServer) -> dict[str, str]:
    """The same in a form."""
    name = "x-amz-server-side-encryption"
    said = {name: server.encryption, f"{name}-aws-kms-key-id": server.encryption_key}
    return {name: value for name, value in said.items() if value}


async def _slices(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
