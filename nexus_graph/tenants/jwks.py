"""Public keys of an issuer of tokens: a JSON Web Key Set (RFC 7517), from a file or an https address."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson
import structlog
from joserfc.jwk import Key, import_key
from joserfc.jws import JWSRegistry

from nexus_graph.scope.errors import ConfigurationError, Unavailable
from nexus_graph.scope.redaction import redact_text

log = structlog.get_logger("nexus_graph.tokens")

ALGORITHMS = ("Ed25519", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
OLDER_NAMES: Mapping[str, str] = {"EdDSA": "Ed25519"}
"""Names that say no curve (RFC 9864), and the one algorithm that each is taken for here."""
LARGEST_SET = 1024 * 1024
"""Bytes of a whole set: thousands of keys."""

_FETCH_SECONDS = 10.0
_REFRESH_SECONDS = 30.0
_STALE_SECONDS = 300.0
_SHORTEST_MODULUS = 342
"""Characters of 2,048 bits: RFC 7518 rules shorter ones out."""
_ADDRESS = re.compile(r"https://.+|http://(127\.0\.0\.1|localhost)(:\d+)?/.*")


class Keys:
    """The public keys of a JWKS file or https address, each for the algorithms that it can verify.

    Fetched again when they are five minutes old, so that a withdrawn key stops counting, and at most every 30 seconds
    when an unknown key id comes, so that a new one starts to.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self._keys: Mapping[tuple[str, str], Key] = {}
        self._fetched = -math.inf
        self._loading = asyncio.Lock()

    async def load(self) -> None:
        """Read the keys. Raises ConfigurationError for what is no JWKS, Unavailable for a silent address."""
        self._fetched = time.monotonic()
        if _ADDRESS.fullmatch(self.source):
            text = await _fetched(self.source)
        elif "://" in self.source:
            raise ConfigurationError("Token keys come from a file or an https address.")
        else:
            try:
                text = Path(self.source).read_bytes()  # noqa: ASYNC240 - a small local file, rarely
            except OSError as error:
                raise ConfigurationError(f"The token keys can't be read: {self.source} ({error.strerror}).") from error
        if len(text) > LARGEST_SET:
            raise ConfigurationError(f"{self.source} is larger than a JSON Web Key Set may be: {LARGEST_SET:,} bytes.")
        try:
            found = _usable(orjson.loads(text)["keys"])
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"{self.source} is no JSON Web Key Set.") from error
        if not found:
            raise ConfigurationError(f"{self.source} holds no key with a key id that can verify a token.")
        self._keys = found

    async def find(self, key_id: str, algorithm: str) -> Key | None:
        """The key of that id, or None. Raises Unavailable when it may exist and the source can't be read."""
        wanted = key_id, algorithm
        if self._stale(wanted):
            async with self._loading:
                if self._stale(wanted):  # nobody loaded them meanwhile
                    await self._reload(wanted)
        return self._keys.get(wanted)

    def _stale(self, wanted: tuple[str, str]) -> bool:
        return time.monotonic() - self._fetched > (_STALE_SECONDS if wanted in self._keys else _REFRESH_SECONDS)

    async def _reload(self, wanted: tuple[str, str]) -> None:
        try:
            await self.load()
        except (ConfigurationError, Unavailable) as error:  # a known key outlives a silent source
            log.warning("token_keys.unreadable", source=redact_text(self.source))
            if wanted not in self._keys:
                raise Unavailable("The token keys can't be read at the moment.", hint="Try again.") from error


async def _fetched(address: str) -> bytes:
    """What an address answers, up to a little more than a set may have. Raises Unavailable for a silent one."""
    import httpx  # for those alone who have an issuer with an address

    text = bytearray()
    try:
        async with (
            asyncio.timeout(_FETCH_SECONDS),
            httpx.AsyncClient(timeout=5) as client,
            client.stream("GET", address) as response,
        ):
            response.raise_for_status()
            async for chunk in response.aiter_bytes():
                text += chunk
                if len(text) > LARGEST_SET:
                    break
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        told = f"The token keys of {redact_text(address)} can't be fetched now."
        raise Unavailable(told, hint="Try again.") from error
    return bytes(text)


def _usable(listed: Iterable[object]) -> dict[tuple[str, str], Key]:
    """The keys that verify tokens, by id and algorithm.

    Sets hold others as well, for encryption, of kinds yet to come, or without an id: they are passed over (RFC 7517,
    section 5), and so is what is broken or too weak. Of two for the same, the first counts.
    """
    found: dict[tuple[str, str], Key] = {}
    for each in listed:
        if not isinstance(each, dict) or not isinstance(each.get("kid"), str):
            continue
        try:
            key = _imported(each)
        except Exception:  # noqa: S112 - whatever the libraries say of a key that is broken or unknown to them
            continue
        for algorithm in JWSRegistry.filter_algorithms(key, list(ALGORITHMS)):
            found.setdefault((each["kid"], algorithm.name), key)
    return found


def _imported(described: dict[str, Any]) -> Key:
    if (named := described.get("alg", "")) in OLDER_NAMES:
        described = {**described, "alg": OLDER_NAMES[named]}
    if described["kty"] == "RSA" and len(described["n"]) < _SHORTEST_MODULUS:
        raise ValueError
    key = import_key(described)
    key.check_key_op("verify")
    return key
