"""Large objects go up in parts, each with its checksum, and appear whole or not at all."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.errors import Invalid, NexusError
from nexus_graph.stores.blobs.base import Stat
from nexus_graph.stores.blobs.bucket import Bucket, Refusal

_MOST_PARTS = 10_000  # of one object, by S3


def encoded(checksum: str) -> str:
    """A SHA-256 in hexadecimal as S3 writes it."""
    return base64.b64encode(bytes.fromhex(checksum)).decode()


def require_declared(found: Stat, declared: Stat) -> None:
    """Raises Invalid when the bytes that came are not those that were declared."""
    if found.size != declared.size:
        message = f"{found.size} bytes came where {declared.size} were declared."
        raise Invalid(message, hint="Send the whole file, and nothing else.")
    if found.sha256 != declared.sha256:
        raise Invalid("The SHA-256 of the bytes is not the declared one.", hint="Send the file that was declared.")


async def in_parts(pieces: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """The same bytes in parts of exactly this size, except for the last."""
    part = bytearray()
    async for piece in pieces:
        part += piece
        while len(part) >= size:
            yield bytes(part[:size])
            del part[:size]
    if part:
        yield bytes(part)


async def store(
    bucket: Bucket, key: str, parts: AsyncIterator[bytes], declared: Stat, settings: Mapping[str, str]
) -> bool:
    """Store an object in parts. False when the key is taken: then nothing has changed.

    Raises Invalid when other bytes came than those declared, Unavailable. Nothing is left behind then, unless the
    server is gone: what an upload leaves without its end is for `clear_unfinished`.
    """
    answer = await bucket.call("create_multipart_upload", {"Key": key, "ChecksumAlgorithm": "SHA256", **settings})
    upload = {"Key": key, "UploadId": answer["UploadId"]}
    done: list[dict[str, object]] = []
    hashed, size = hashlib.sha256(), 0
    try:
        async for part in parts:
            size += len(part)
            if size > declared.size or len(done) == _MOST_PARTS:
                raise Invalid(
                    f"More than the {declared.size} bytes that were declared.", hint="Send what was declared."
                )
            await asyncio.to_thread(hashed.update, part)
            checksum = encoded(await asyncio.to_thread(sha256, part))
            number = len(done) + 1
            given = {"Body": part, "PartNumber": number, "ChecksumSHA256": checksum, **upload}
            answer = await bucket.call("upload_part", given, moved=len(part))
            done.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum})
        require_declared(Stat(size, hashed.hexdigest()), declared)
        given = {"MultipartUpload": {"Parts": done}, "IfNoneMatch": "*", **upload}
        await bucket.call("complete_multipart_upload", given, expected=(404, 409, 412), moved=size)
    except Refusal:  # somebody has the key; or our own second attempt finds the upload ended by the first
        await _abort(bucket, upload)
        return False
    except BaseException:
        await _abort(bucket, upload)
        raise
    return True


def part_size(size: int, usual: int) -> int:
    """How large the parts of an object have to be, so that there are not too many."""
    return max(usual, -(-size // _MOST_PARTS))


async def _abort(bucket: Bucket, upload: Mapping[str, str]) -> None:
    with suppress(NexusError, Refusal):
        await bucket.call("abort_multipart_upload", upload, expected=(404,))
