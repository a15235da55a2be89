"""Whether an object server does what everything here relies on; some take a condition for a word they don't know."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Final

from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.errors import ConfigurationError, Unavailable
from nexus_graph.stores.blobs.base import Blobs, Stat
from nexus_graph.stores.blobs.bucket import Bucket, Refusal, Silent
from nexus_graph.stores.blobs.multipart import encoded, store

PROBE: Final = "probe"
"""Where objects lie that are written to see whether they can be."""


async def require_fit(bucket: Bucket, blobs: Blobs, root: str, settings: Mapping[str, str]) -> None:
    """See that a key takes its bytes once, that a checksum is compared, and that objects can be listed and removed.

    Raises ConfigurationError when the server refuses or does not heed it, Unavailable when it does not answer.
    """
    first, second = probe(), probe()
    try:
        await blobs.put(first, b"1")
        once = await _refused(bucket, settings, root + first, b"2", b"2")
        once = once and await _refused_in_parts(bucket, settings, root + first)
        checked = await _refused(bucket, settings, root + second, b"1", b"2")
        for key in [key async for key in blobs.keys(f"{PROBE}/") if key in (first, second)]:
            await blobs.remove(key)
    except Silent:
        raise
    except Unavailable as error:
        raise ConfigurationError(f"The bucket can't be used. {error.message} docs/s3.md tells what it needs.") from None
    if not once or not checked:
        what = "checksums (SHA-256)" if once else "conditional writes (If-None-Match)"
        raise ConfigurationError(f"The object server does not heed {what}, and must; see docs/s3.md.")


def probe() -> str:
    """A key for such an object, which nobody else has."""
    return f"{PROBE}/{secrets.token_hex(8)}"


async def _refused_in_parts(bucket: Bucket, settings: Mapping[str, str], path: str) -> bool:
    """The same for an object that comes in parts."""
    return not await store(bucket, path, _one(b"2"), Stat(1, sha256(b"2")), settings)


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _refused(bucket: Bucket, settings: Mapping[str, str], path: str, data: bytes, summed: bytes) -> bool:
    """Whether the server refuses bytes with the checksum of others, or in the place of others."""
    given = {"Key": path, "Body": data, "ChecksumSHA256": encoded(sha256(summed)), "IfNoneMatch": "*", **settings}
    try:
        await bucket.call("put_object", given, expected=(400, 409, 412))
    except Refusal:
        return True
    return False
