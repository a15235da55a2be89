"""Bearer tokens: JSON Web Tokens (RFC 7519), signed by a key of a JWKS. A token says who, never what."""

from __future__ import annotations

import asyncio
import math
import re
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import orjson
import structlog
from joserfc import jws, jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import KeySet, OKPKey

from nexus_graph.scope.clock import moment
from nexus_graph.scope.errors import ConfigurationError, Unauthenticated, Unavailable
from nexus_graph.scope.redaction import redact_text
from nexus_graph.tenants.model import subject as well_formed_subject

log = structlog.get_logger("nexus_graph.tokens")

ALGORITHMS = ("Ed25519", "ES256", "ES384", "RS256", "PS256")
LONGEST_TOKEN = 8192
_LEEWAY = timedelta(seconds=30)
_REFRESH_SECONDS = 30.0
_STALE_SECONDS = 300.0
_ADDRESS = re.compile(r"https://.+|http://(127\.0\.0\.1|localhost)(:\d+)?/.*")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says: the subject, when it ends, and whether a local development key signed it."""

    subject: str
    expires_at: datetime
    development: bool


class Keys:
    """Public keys from a JWKS file or https address.

    Fetched again when they are five minutes old, so that a withdrawn key stops counting, and at most every 30 seconds
    when an unknown key id comes, so that a new one starts to.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self._keys: dict[str, KeySet] = {}
        self._fetched = -math.inf
        self._loading = asyncio.Lock()

    async def load(self) -> None:
        """Read the keys. Raises ConfigurationError for a file that isn't a JWKS, Unavailable for a silent address."""
        self._fetched = time.monotonic()
        if _ADDRESS.fullmatch(self.source):
            try:
                async with httpx.AsyncClient(timeout=5) as client:
                    text = (await client.get(self.source)).raise_for_status().content
            except httpx.HTTPError as error:
                raise Unavailable("The token keys can't be fetched now.", hint="Try again.") from error
        elif "://" in self.source:
            raise ConfigurationError("Token keys come from a file or an https address.")
        else:
            try:
                text = Path(self.source).read_bytes()  # noqa: ASYNC240 - a small local file, rarely
            except OSError as error:
                raise ConfigurationError(f"The token keys can't be read: {self.source} ({error.strerror}).") from error
        try:
            keys = KeySet.import_key_set(orjson.loads(text)).keys
            by_id = {key.kid: KeySet([key]) for key in keys if key.kid}
        except (ValueError, KeyError, TypeError, JoseError) as error:
            raise ConfigurationError(f"{self.source} is no JSON Web Key Set.") from error
        if not by_id:
            raise ConfigurationError(f"{self.source} holds no key with a key id.")
        self._keys = by_id

    async def find(self, key_id: str) -> KeySet | None:
        """The key of that id, or None. Raises Unavailable when it may exist and the source can't be read."""
        if self._stale(key_id):
            async with self._loading:
                if self._stale(key_id):  # nobody loaded them meanwhile
                    await self._reload(key_id)
        return self._keys.get(key_id)

    def _stale(self, key_id: str) -> bool:
        return time.monotonic() - self._fetched > (_STALE_SECONDS if key_id in self._keys else _REFRESH_SECONDS)

    async def _reload(self, key_id: str) -> None:
        try:
            await self.load()
        except (ConfigurationError, Unavailable) as error:  # a known key outlives a silent source
            log.warning("token_keys.unreadable", source=redact_text(self.source))
            if key_id not in self._keys:
                raise Unavailable("The token keys can't be read at the moment.", hint="Try again.") from error


class Verifier:
    """Checks tokens: signature, algorithm list, key id, issuer, audience, expiry, not-before."""

    def __init__(self, *, issuer: str, audience: str, keys: Keys | None, development_keys: Keys | None) -> None:
        self._issuer = issuer
        self._audience = audience
        self._sources = [(keys, False), (development_keys, True)]

    async def verify(self, token: str, now: datetime) -> Claims:
        """The claims of a valid token. Raises Unauthenticated, which never says more than it must."""
        if len(token) > LONGEST_TOKEN:
            raise _refused("The token is too long.")
        try:
            header: object = jws.extract_compact(token.encode("ascii")).headers()
        except (JoseError, ValueError) as error:
            raise _refused("The token is no signed JSON Web Token.") from error
        if not isinstance(header, dict):  # joserfc takes a text or list that holds "alg" for a header
            raise _refused("The token is no signed JSON Web Token.")
        key_id = header.get("kid")
        if header.get("alg") not in ALGORITHMS or not isinstance(key_id, str):
            raise _refused("The token's algorithm or key id is not accepted.")
        for keys, development in self._sources:
            found = await keys.find(key_id) if keys else None
            if found is not None:
                return self._claims(token, found, now, development)
        raise _refused("The token was signed with an unknown key.")

    def _claims(self, token: str, key: KeySet, now: datetime, development: bool) -> Claims:
        registry = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=int(_LEEWAY.total_seconds()),
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            sub={"essential": True},
            exp={"essential": True},
        )
        try:
            claims = jwt.decode(token, key, algorithms=list(ALGORITHMS)).claims
            registry.validate(claims)
            return Claims(well_formed_subject(claims["sub"]), moment(int(claims["exp"] * 1_000_000)), development)
        except ExpiredTokenError as error:
            raise _refused("The token has expired.", expired=True) from error
        except Exception as error:  # joserfc's own and, for odd claims, plain TypeErrors and ValueErrors
            raise _refused("The token is not valid: signature, issuer, audience, subject or time.") from error


def new_development_key() -> OKPKey:
    """A fresh Ed25519 key, for a development installation."""
    return OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "Ed25519"}, auto_kid=True)


def issue(key: OKPKey, *, issuer: str, audience: str, subject: str, now: datetime, lifetime: timedelta) -> str:
    """A token signed with a development key."""
    claims = {
        "iss": issuer,
        "aud": audience,
        "sub": well_formed_subject(subject),
        "iat": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
    }
    return jwt.encode({"alg": "Ed25519", "kid": key.kid}, claims, key, algorithms=["Ed25519"])


def _refused(message: str, *, expired: bool = False) -> Unauthenticated:
    hint = "Send 'Authorization: Bearer <token>' with a current token or an API key."
    return Unauthenticated(message, hint=hint, expired=expired)
