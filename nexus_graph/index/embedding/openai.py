"""Embeds through any server that speaks the OpenAI embeddings protocol: `POST <address>/embeddings`.

Source: https://platform.openai.com/docs/api-reference/embeddings. What the server sends is checked before it is
believed. Neither the key nor a text ever stands in an error or a log. A remote model is as repeatable as its server
makes it: the id binds address, model name and dimensions, but nobody here can see its weights.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import httpx
import numpy as np
import orjson
from numpy.typing import NDArray

from nexus_graph.index.embedding.base import check_texts, embedder_id, estimated_tokens, normalised
from nexus_graph.scope.canonical import digest
from nexus_graph.scope.errors import ConfigurationError, Unavailable

_BATCH: Final = 64  # texts of one request
_ATTEMPTS: Final = 4
_FIRST_PAUSE: Final = 0.5  # seconds; doubles with each attempt
_LONGEST_PAUSE: Final = 10.0  # seconds; a server that asks for more is not waited for
_DEADLINE: Final = 60.0  # seconds for one request with all its attempts
_TIMEOUT: Final = httpx.Timeout(20.0, connect=5.0)
_BYTES_PER_NUMBER: Final = 40  # a generous JSON float; more is not read
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})


class OpenAIEmbedder:
    """See the module. `address` ends before `/embeddings`, as in `https://api.openai.com/v1`.

    `dimensions` is what the model gives; another length in an answer is an error. `pause` waits for some seconds
    before a request is sent again.
    """

    def __init__(
        self,
        *,
        address: str,
        model: str,
        key: str,
        dimensions: int,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._url = _embeddings_url(address)
        if dimensions < 1:
            raise ConfigurationError(f"NEXUS_EMBEDDER_DIMENSIONS must be at least 1, not {dimensions}.")
        if not (key.isascii() and key.isprintable() and key.strip()):
            raise ConfigurationError("NEXUS_EMBEDDER_KEY must be printable ASCII, without line breaks.")
        self._model = model
        self._pause = pause
        self._client = httpx.AsyncClient(
            timeout=_TIMEOUT,
            headers={"Authorization": f"Bearer {key.strip()}"},
            trust_env=False,  # the settings name everything; the environment adds nothing
        )
        self.provider = "openai"
        self.dimensions = dimensions
        self.max_tokens = 8191
        name = f"{model}@{digest({'address': str(self._url), 'model': model})[:12]}"
        self.id = embedder_id(name, dimensions)

    def count_tokens(self, text: str) -> int:
        return estimated_tokens(text)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        check_texts(texts)
        rows = np.empty((len(texts), self.dimensions), dtype=np.float64)
        for begin in range(0, len(texts), _BATCH):
            batch = list(texts[begin : begin + _BATCH])
            try:
                async with asyncio.timeout(_DEADLINE):
                    answer = await self._ask(batch)
            except TimeoutError:
                raise _unavailable(f"gave no answer within {_DEADLINE:.0f} seconds") from None
            rows[begin : begin + len(batch)] = _vectors(answer, len(batch), self.dimensions)
        return normalised(rows)

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(self, batch: list[str]) -> bytes:
        """Posts one batch, again after a pause where that may help; the body of the answer."""
        body = orjson.dumps({"model": self._model, "input": batch, "encoding_format": "float"})
        limit = len(batch) * self.dimensions * _BYTES_PER_NUMBER + 65_536
        for attempt in range(1, _ATTEMPTS + 1):
            pause = _FIRST_PAUSE * 2 ** (attempt - 1)
            try:
                status, asked, answer = await self._post(body, limit)
            except httpx.HTTPError as error:
                trouble = f"can't be reached ({type(error).__name__})"
            else:
                if status == httpx.codes.OK:
                    return answer
                trouble = f"answered with status {status}"
                if status not in _AGAIN:
                    raise _unavailable(trouble)
                pause = max(pause, asked)
            if attempt == _ATTEMPTS or pause > _LONGEST_PAUSE:
                break
            await self._pause(pause)
        raise _unavailable(f"{trouble} after {attempt} attempts") from None

    async def _post(self, body: bytes, limit: int) -> tuple[int, float, bytes]:
        """Status, seconds that the server asks to wait, body. An answer longer than `limit` bytes is not read."""
        headers = {"Content-Type": "application/json"}
        async with self._client.stream("POST", self._url, content=body, headers=headers) as response:
            asked = response.headers.get("Retry-After", "").strip()
            seconds = float(asked) if asked.isascii() and asked.isdigit() else 0.0
            if response.status_code != httpx.codes.OK:
                return response.status_code, seconds, b""
            answer = bytearray()
            async for part in response.aiter_bytes():
                answer += part
                if len(answer) > limit:
                    raise _unavailable("sent more than the vectors asked for")
            return response.status_code, seconds, bytes(answer)


def _embeddings_url(address: str) -> httpx.URL:
    try:
        url = httpx.URL(address.strip().rstrip("/").removesuffix("/embeddings") + "/embeddings")
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"NEXUS_EMBEDDER_ADDRESS is not a web address: {error}.") from None
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        raise ConfigurationError(
            "NEXUS_EMBEDDER_ADDRESS must look like https://api.openai.com/v1, without a user, query or fragment."
        )
    return url


def _vectors(answer: bytes, count: int, dimensions: int) -> NDArray[np.float64]:
    """The vectors of an answer in the order of the texts, (count, dimensions). Raises Unavailable unless all fit."""
    try:
        items = orjson.loads(answer)["data"]
        rows = {item["index"]: item["embedding"] for item in items}
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise _unavailable("sent something else than embeddings") from None
    if len(items) != count or {(type(index), index) for index in rows} != {(int, index) for index in range(count)}:
        raise _unavailable(f"did not send exactly one embedding for each of {count} texts")
    for row in rows.values():
        if not isinstance(row, list) or any(type(number) not in (int, float) for number in row):
            raise _unavailable("sent an embedding that is not a list of numbers")
        if len(row) != dimensions:
            raise _unavailable(f"sent {len(row)} dimensions, but NEXUS_EMBEDDER_DIMENSIONS is {dimensions}")
    return np.array([rows[index] for index in range(count)], dtype=np.float64)


def _unavailable(trouble: str) -> Unavailable:
    return Unavailable(
        f"The embedding server {trouble}.",
        hint="Check NEXUS_EMBEDDER_ADDRESS, NEXUS_EMBEDDER_OPENAI_MODEL and NEXUS_EMBEDDER_KEY, or try again later.",
    )
