"""One bucket of an object server that speaks S3: its calls, each with a deadline, and what went wrong in our own words.

The only place that knows aiobotocore. Its import takes two seconds, so it happens when a bucket is opened.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol, TypedDict

import structlog

from nexus_graph.scope.errors import ConfigurationError, Unavailable

log = structlog.get_logger("nexus_graph.stores.blobs")

_CONNECTIONS = 50
_CONNECT_SECONDS = 3.0
_ATTEMPTS = 3
_SLOWEST = 1024 * 1024  # bytes a second that a transfer may come down to
_PIECE = 256 * 1024
_NEEDED = {
    **dict.fromkeys(("complete_multipart_upload", "get_object", "head_object", "put_object", "upload_part"), "ETag"),
    "create_multipart_upload": "UploadId",
}


@dataclass(frozen=True, slots=True)
class ObjectServer:
    """Which bucket, where, and how to speak to it.

    Without `endpoint` it is AWS's of the region. Clients are sent to `public_endpoint`, if it is another one. Without
    keys, credentials come from where AWS's own tools look. `seconds` is how long a call may take, besides the
    time that its bytes need.
    """

    bucket: str
    region: str
    endpoint: str | None = None
    public_endpoint: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    addressing: Literal["path", "virtual"] = "virtual"
    authorities: Path | None = None
    encryption: Literal["AES256", "aws:kms"] | None = None
    encryption_key: str | None = None
    seconds: float = 10.0


class Body(Protocol):
    """An object on its way here."""

    async def read(self, amount: int) -> bytes: ...
    def close(self) -> None: ...


class Entry(TypedDict, total=False):
    """A line of a listing."""

    Key: str
    VersionId: str
    LastModified: datetime
    Size: int
    ETag: str
    Prefix: str
    UploadId: str
    Initiated: datetime


class Answer(TypedDict, total=False):
    """What is read of the answers, whichever call they are of."""

    Body: Body
    ChecksumSHA256: str
    ChecksumType: str
    CommonPrefixes: Sequence[Entry]
    ContentLength: int
    Contents: Sequence[Entry]
    DeleteMarker: bool
    DeleteMarkers: Sequence[Entry]
    ETag: str
    IsTruncated: bool
    NextContinuationToken: str
    NextKeyMarker: str
    NextUploadIdMarker: str
    NextVersionIdMarker: str
    Status: str
    UploadId: str
    Uploads: Sequence[Entry]
    VersionId: str
    Versions: Sequence[Entry]


class Form(TypedDict):
    """A presigned POST."""

    url: str
    fields: Mapping[str, str]


class _Client(Protocol):
    """What is used of aiobotocore's client, which has no types, besides the calls themselves."""

    async def generate_presigned_post(
        self, bucket: str, key: str, fields: Mapping[str, str], conditions: Sequence[object], seconds: int
    ) -> Form: ...
    async def generate_presigned_url(self, operation: str, arguments: Mapping[str, str], seconds: int) -> str: ...


class Silent(Unavailable):
    """The server does not answer, or not in time."""


class Refusal(Exception):
    """An answer that is no success, to a caller that expects it: HTTP's status and S3's word for it."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code


class Bucket:
    """The calls. Raises Unavailable for all that the caller does not expect, and never with an address or a key."""

    def __init__(self, server: ObjectServer) -> None:
        self.server = server
        self._stack = AsyncExitStack()
        self._client: _Client | None = None
        self._signing: _Client | None = None

    async def open(self) -> None:
        """Make the client, asking nobody. Raises ConfigurationError when the extra `s3` is not installed."""
        try:
            from aiobotocore.session import get_session
        except ImportError as error:
            missing = "NEXUS_OBJECTS is s3, which needs the extra `s3`: pip install 'nexus-graph[s3]'."
            raise ConfigurationError(missing) from error
        self._failures = _Failures()
        session, server = get_session(), self.server
        try:
            if server.authorities is not None:  # read by the driver at the first call only
                ssl.create_default_context(cafile=server.authorities)
            self._client = await self._stack.enter_async_context(_client(session, server, server.endpoint))
            self._signing = self._client
            if server.public_endpoint not in (None, server.endpoint):
                self._signing = await self._stack.enter_async_context(_client(session, server, server.public_endpoint))
        except self._failures.unusable as error:
            await self.close()
            raise ConfigurationError(f"The settings of S3 can't be used: {type(error).__name__}.") from None

    async def close(self) -> None:
        """Close all connections."""
        self._client = self._signing = None
        await self._stack.aclose()

    async def call(
        self, operation: str, given: Mapping[str, object], *, expected: Sequence[int] = (), moved: int = 0
    ) -> Answer:
        """One call on the bucket. `moved` is how many bytes go along.

        Raises Refusal for the statuses that are expected (never when the bucket itself is missing), else Unavailable.
        """
        function: Callable[..., Awaitable[Answer]] = getattr(self._opened(self._client), operation)
        async with self._bounded(operation, self.server.seconds + moved / _SLOWEST, expected):
            answer = await function(Bucket=self.server.bucket, **given)
            if _NEEDED.get(operation, "ResponseMetadata") not in answer:
                raise ConnectionError  # not from an object server, which always says this
            return answer
        raise AssertionError  # the context never swallows an error

    async def form(
        self, key: str, fields: Mapping[str, str], conditions: Sequence[object], seconds: int
    ) -> tuple[str, Mapping[str, str]]:
        """Address and fields of a presigned POST."""
        every = [*conditions, *({name: value} for name, value in fields.items())]
        signing = self._opened(self._signing)
        async with self._bounded("presign", self.server.seconds, ()):
            if self.server.access_key is None:  # a form that nobody can sign ends in an error of no kind
                await signing.generate_presigned_url("get_object", {"Bucket": self.server.bucket, "Key": key}, 1)
            form = await signing.generate_presigned_post(self.server.bucket, key, fields, every, seconds)
            return form["url"], form["fields"]
        raise AssertionError

    async def address(self, seconds: int, **arguments: str) -> str:
        """A presigned GET."""
        signing = self._opened(self._signing)
        async with self._bounded("presign", self.server.seconds, ()):
            given = {"Bucket": self.server.bucket, **arguments}
            return await signing.generate_presigned_url("get_object", given, seconds)
        raise AssertionError

    async def pieces(self, body: Body, size: int) -> AsyncIterator[bytes]:
        """An object's bytes, none of them late. Raises Unavailable when they stop before all `size` are here."""
        left = size
        while left > 0:
            async with self._bounded("read", self.server.seconds, ()):
                piece = await body.read(_PIECE)
                if not piece:
                    raise ConnectionResetError
            left -= len(piece)
            yield piece

    def _opened(self, client: _Client | None) -> _Client:
        if client is None:
            raise RuntimeError("The object store is not open.")
        return client

    @asynccontextmanager
    async def _bounded(self, operation: str, seconds: float, expected: Sequence[int]) -> AsyncIterator[None]:
        failures = self._failures
        try:
            async with asyncio.timeout(seconds):
                yield
        except failures.answered as error:
            status, code = failures.of(error)
            if status in expected and code != "NoSuchBucket":
                raise Refusal(status, code) from None
            log.warning("objects.refused", operation=operation, status=status, code=code)
            raise Unavailable(f"The object store refuses ({code}).", hint=_HINT) from None
        except failures.unable as error:
            log.warning("objects.no_credentials", error=type(error).__name__)
            raise Unavailable("There are no credentials for the object store.", hint=_HINT) from None
        except failures.silent as error:
            log.warning("objects.silent", operation=operation, error=type(error).__name__)
            raise Silent("The object store does not answer.", hint=_HINT) from None


_HINT = "Try again later; the server's log says more to its operator."


class _Failures:
    """The errors of the drivers, which can be named only after their import."""

    def __init__(self) -> None:
        from aiohttp import ClientError as HttpError
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
        from botocore.parsers import ResponseParserError

        self.answered: type[Exception] = ClientError
        self.silent: tuple[type[Exception], ...] = (BotoCoreError, HttpError, ResponseParserError, OSError)
        self.unable: tuple[type[Exception], ...] = (NoCredentialsError, PartialCredentialsError)
        self.unusable = (BotoCoreError, OSError, ValueError)

    def of(self, error: Exception) -> tuple[int, str]:
        """Status and code of an answer."""
        response: Mapping[str, Mapping[str, object]] = getattr(error, "response", {})
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return (status if isinstance(status, int) else 0), str(response.get("Error", {}).get("Code", ""))


class _Session(Protocol):
    def create_client(self, service: str, **given: object) -> AbstractAsyncContextManager[_Client]: ...


def _client(session: _Session, server: ObjectServer, endpoint: str | None) -> AbstractAsyncContextManager[_Client]:
    from aiobotocore.config import AioConfig

    config = AioConfig(
        signature_version="s3v4",
        connect_timeout=min(_CONNECT_SECONDS, server.seconds),
        read_timeout=server.seconds,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        max_pool_connections=_CONNECTIONS,
        # Checksums are those that we name: others confuse servers that do not know them.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        ignore_configured_endpoint_urls=True,  # what is not in our settings leads nowhere
        s3={"addressing_style": server.addressing},
    )
    return session.create_client(
        "s3",
        region_name=server.region,
        endpoint_url=endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        verify=str(server.authorities) if server.authorities else True,
        config=config,
    )
