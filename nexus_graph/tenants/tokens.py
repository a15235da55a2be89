"""Bearer tokens: JSON Web Tokens (RFC 7519), signed by a key of who issued them. A token says who, never what.

An issuer is believed for its own tokens alone: what a token claims to be from decides whose keys may have signed it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from joserfc import jws, jwt
from joserfc.errors import ExpiredTokenError
from joserfc.jwk import Key, OKPKey

from nexus_graph.scope import issuers
from nexus_graph.scope.clock import moment
from nexus_graph.scope.issuers import TokenIssuer
from nexus_graph.tenants.jwks import ALGORITHMS, OLDER_NAMES, Keys
from nexus_graph.tenants.model import subject as well_formed_subject
from nexus_graph.tenants.unverified import LONGEST_TOKEN, Unverified, read, refused

MOST_PROVEN: Final = 4096
"""Tokens whose signatures are known to hold."""

_LEEWAY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says: the subject, when it ends, and whether a local development key signed it.

    The subject is that of a membership: the `sub` of the token, after the prefix of its issuer.
    """

    subject: str
    expires_at: datetime
    development: bool


class _Signatures(jws.JWSRegistry):
    """Header parameters that nobody knows are passed over, and headers may be as large as we let them."""

    max_header_length = LONGEST_TOKEN

    def get_alg(self, name: str) -> Any:
        """The algorithm of that name, which may be an older one."""
        return super().get_alg(OLDER_NAMES.get(name, name))


_SIGNATURES = _Signatures(algorithms=ALGORITHMS, strict_check_header=False)


class Verifier:
    """Checks tokens: issuer, signature, algorithm list, key id, audience, expiry, not-before.

    Tokens of the development key, the local private key of `nexus-graph init`, may name anybody's subject. That a key
    has signed a token is proven once, for as long as that key is the issuer's; all else is asked each time.
    """

    def __init__(self, trusted: Sequence[TokenIssuer], development_key: Path | None = None) -> None:
        self._trusted = tuple(trusted)
        self._development = issuers.development(development_key) if development_key else None
        every = [*trusted, self._development] if self._development else trusted
        self._known = {each.issuer: (each, Keys(each.keys)) for each in every}
        self._proven: OrderedDict[bytes, tuple[Unverified, Key]] = OrderedDict()

    async def load(self) -> None:
        """Read the keys of all issuers. Raises as `Keys.load` does."""
        for _, keys in self._known.values():
            await keys.load()

    async def verify(self, token: str, now: datetime) -> Claims:
        """The claims of a valid token. Raises Unauthenticated, which never says more than it must."""
        digest = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        known, signer = self._proven.get(digest, (None, None))
        unverified = read(token) if known is None else replace(known, text=token)
        name = unverified.claims.get("iss")
        issuer, keys = self._known.get(name if isinstance(name, str) else "", (None, None))
        if issuer is None or keys is None:
            raise _invalid()
        key = await keys.find(unverified.key_id, unverified.algorithm)
        if key is None:
            raise refused("The token was signed with an unknown key.")
        claims = self._claims(unverified, issuer, key, now, proven=signer is key)
        self._keep(digest, unverified, key)
        return claims

    def forget(self, _: object) -> None:
        """Let go of what is known of all tokens, whoever is to be forgotten: they name people."""
        self._proven.clear()

    def _keep(self, digest: bytes, unverified: Unverified, key: Key) -> None:
        """The digest and the claims, not the token."""
        self._proven[digest] = replace(unverified, text=""), key
        self._proven.move_to_end(digest)
        if len(self._proven) > MOST_PROVEN:
            self._proven.popitem(last=False)

    def _claims(self, unverified: Unverified, issuer: TokenIssuer, key: Key, now: datetime, *, proven: bool) -> Claims:
        try:
            if not proven:
                jws.deserialize_compact(unverified.text, key, registry=_SIGNATURES)
            claims = unverified.claims
            _registry(issuer, now).validate(claims)
            subject = well_formed_subject(self._subject(issuer, claims["sub"]))
            return Claims(subject, moment(int(claims["exp"] * 1_000_000)), issuer is self._development)
        except ExpiredTokenError as error:
            raise refused("The token has expired.", expired=True) from error
        except Exception as error:  # joserfc's own and, for odd claims, plain TypeErrors and ValueErrors
            raise _invalid() from error

    def _subject(self, issuer: TokenIssuer, subject: str) -> str:
        return subject if issuer is self._development else issuers.person(issuer, subject, self._trusted)


def _registry(issuer: TokenIssuer, now: datetime) -> jwt.JWTClaimsRegistry:
    """What the claims must be, of the issuer that they name. An `aud` must name us, also where another claim has to."""
    audience = list(issuer.audience)
    asked: dict[str, jwt.ClaimsOption] = {
        "sub": {"essential": True},
        "exp": {"essential": True},
        "aud": {"values": audience},
    }
    asked[issuer.audience_claim] = {"essential": True, "values": audience}
    return jwt.JWTClaimsRegistry(now=int(now.timestamp()), leeway=int(_LEEWAY.total_seconds()), **asked)


def new_development_key() -> OKPKey:
    """A fresh Ed25519 key, for a development installation."""
    return OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "Ed25519"}, auto_kid=True)


def issue(
    key: OKPKey,
    *,
    subject: str,
    now: datetime,
    lifetime: timedelta,
    issuer: str = issuers.DEVELOPMENT,
    audience: str = issuers.DEVELOPMENT_AUDIENCE,
) -> str:
    """A token signed with an Ed25519 key, such as a development key."""
    claims = {
        "iss": issuer,
        "aud": audience,
        "sub": well_formed_subject(subject),
        "iat": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
    }
    return jwt.encode({"alg": "Ed25519", "kid": key.kid}, claims, key, algorithms=["Ed25519"])


def _invalid() -> Exception:
    return refused("The token is not valid: signature, issuer, audience, subject or time.")
