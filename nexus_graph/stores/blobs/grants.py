"""Signed grants: what an address of the embedded object store allows, in the address itself.

    <base64url of canonical JSON>.<base64url of HMAC-SHA256 over that text>

Nothing is kept: whoever holds an unexpired address may do this one thing with this one object, and nothing else. The
signing key is derived from the installation's secret for this purpose alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import asdict, dataclass
from datetime import datetime

import orjson

from nexus_graph.scope.canonical import canonical
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import Forbidden

PUT, GET = "PUT", "GET"

_PURPOSE = b"nexus-graph object addresses 1"  # raise the number when a grant's fields change
_LONGEST = 16_384


@dataclass(frozen=True, slots=True)
class Grant:
    """One method on one object until `expires` (microseconds since 1970). An upload binds size and checksum."""

    method: str
    key: str
    size: int
    sha256: str
    content_type: str
    filename: str
    expires: int


class Signer:
    """Turns grants into tokens and back."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)

    def token(self, grant: Grant) -> str:
        """The text that proves the grant."""
        payload = _text(canonical(asdict(grant)))
        return f"{payload}.{self._signature(payload)}"

    def grant(self, token: str, method: str, now: datetime) -> Grant:
        """The grant that a token proves. Raises Forbidden, in the same words, for one that is wrong or has expired."""
        payload, _, signature = token.partition(".")
        if len(token) <= _LONGEST and hmac.compare_digest(_bytes(signature), _bytes(self._signature(payload))):
            grant = Grant(**orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
            if grant.method == method and micros(now) < grant.expires:
                return grant
        raise refused()

    def _signature(self, payload: str) -> str:
        return _text(hmac.digest(self._key, _bytes(payload), hashlib.sha256))


def refused() -> Forbidden:
    """What every wrong, foreign and expired address is answered with."""
    return Forbidden("The address is wrong or has expired.", hint="Ask for a new one.")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
