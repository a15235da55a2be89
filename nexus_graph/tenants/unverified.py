"""A bearer token as it is presented: read strictly, within bounds, and none of it believed.

RFC 7515 and 7519: parameters of the header that nobody here knows are passed over, but not those that the token calls
critical. What the header says of keys (`jwk`, `jku`, `x5c`, `x5u`) is never looked at.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, NoReturn

from nexus_graph.scope.errors import Unauthenticated
from nexus_graph.tenants.jwks import ALGORITHMS, OLDER_NAMES

LARGEST_HEADER = 8 * 1024
"""Bytes of the header, which may hold a chain of certificates."""
LONGEST_TOKEN = 24 * 1024
"""Characters of a whole token: such a header, as many claims, and a signature."""

_TYPES = frozenset(("jwt", "at+jwt"))


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says of itself: the algorithm by its newest name, the id of its key, and its claims."""

    text: str
    algorithm: str
    key_id: str
    claims: dict[str, Any]


def read(token: str) -> Unverified:
    """Take a token apart. Raises Unauthenticated for what is none, and for one that no key could make acceptable."""
    if len(token) > LONGEST_TOKEN:
        raise refused("The token is too long.")
    parts = token.split(".")
    if len(parts) != 3:
        raise refused("The token is no signed JSON Web Token.")
    header = _object(parts[0], LARGEST_HEADER)
    algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if isinstance(algorithm, str):
        algorithm = OLDER_NAMES.get(algorithm, algorithm)
    if algorithm not in ALGORITHMS or not isinstance(key_id, str):
        raise refused("The token's algorithm or key id is not accepted.")
    if "crit" in header or header.get("b64", True) is not True:  # no extension is understood here
        raise refused("The token calls something critical that is not understood here.")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
        raise refused("The token is of another type than JWT and at+jwt.")
    return Unverified(token, algorithm, key_id, _object(parts[1], LONGEST_TOKEN))


def refused(message: str, *, expired: bool = False) -> Unauthenticated:
    """Nobody is let in by this token."""
    hint = "Send 'Authorization: Bearer <token>' with a current token or an API key."
    return Unauthenticated(message, hint=hint, expired=expired)


def _object(part: str, largest: int) -> dict[str, Any]:
    """The JSON object of a part, whose members each have a name of their own."""
    try:
        data = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        if len(data) > largest:
            raise refused("The token's header is too large.")
        value = json.loads(data.decode(), object_pairs_hook=_once, parse_constant=_no_json)
    except (ValueError, RecursionError) as error:
        raise refused("The token is no signed JSON Web Token.") from error
    if not isinstance(value, dict):
        raise refused("The token is no signed JSON Web Token.")
    return value


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a name stands twice")
    return found


def _no_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
