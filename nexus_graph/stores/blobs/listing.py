"""The listings of a bucket, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from operator import itemgetter

from nexus_graph.stores.blobs.bucket import Answer, Bucket, Entry


async def current(bucket: Bucket, prefix: str) -> AsyncIterator[Entry]:
    """The objects whose keys begin with a prefix, as the server orders them."""
    async for answer in _current(bucket, {"Prefix": prefix}):
        for entry in answer.get("Contents", ()):
            yield entry


async def versions(bucket: Bucket, prefix: str) -> AsyncIterator[Entry]:
    """All versions, and the markers of what was removed, by key, the newest of each key first."""
    async for answer in _versions(bucket, {"Prefix": prefix}):
        for entry in _by_key(answer):
            yield entry


async def folders(bucket: Bucket, prefix: str, *, versioned: bool) -> AsyncIterator[str]:
    """How keys that begin with a prefix go on up to the next slash; with `versioned`, keys of former versions too."""
    listed = _versions if versioned else _current
    async for answer in listed(bucket, {"Prefix": prefix, "Delimiter": "/"}):
        for entry in answer.get("CommonPrefixes", ()):
            yield entry["Prefix"]


async def unfinished(bucket: Bucket, prefix: str) -> AsyncIterator[Entry]:
    """Uploads in parts that were begun and neither ended nor given up."""
    marks: dict[str, str] = {}
    while True:
        answer = await bucket.call("list_multipart_uploads", {"Prefix": prefix, **marks})
        for upload in answer.get("Uploads", ()):
            yield upload
        if not answer.get("IsTruncated"):
            return
        marks = {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}


async def _current(bucket: Bucket, given: Mapping[str, str]) -> AsyncIterator[Answer]:
    marks: dict[str, str] = {}
    while True:
        answer = await bucket.call("list_objects_v2", {**given, **marks})
        yield answer
        if not answer.get("IsTruncated"):
            return
        marks = {"ContinuationToken": answer["NextContinuationToken"]}


async def _versions(bucket: Bucket, given: Mapping[str, str]) -> AsyncIterator[Answer]:
    marks: dict[str, str] = {}
    while True:
        answer = await bucket.call("list_object_versions", {**given, **marks})
        yield answer
        if not answer.get("IsTruncated"):
            return
        marks = {"KeyMarker": answer["NextKeyMarker"], "VersionIdMarker": answer.get("NextVersionIdMarker", "")}


def _by_key(answer: Answer) -> list[Entry]:
    """Versions and markers come in two lists, each by key and then the newest first."""
    both = [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]
    newest = sorted(both, key=itemgetter("LastModified"), reverse=True)
    return sorted(newest, key=itemgetter("Key"))
