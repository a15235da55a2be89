"""One way to turn a value into bytes, and bytes into a name.

Canonical JSON is RFC 8785 (JSON Canonicalization Scheme): the same value gives the same bytes in every process
and every language. Digests are SHA-256, written as 64 lower-case hexadecimal digits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import rfc8785

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


def canonical(value: Json) -> bytes:
    """The RFC 8785 bytes of `value`. Raises ValueError for what JSON can't say: NaN, integers beyond 2^53-1."""
    try:
        return rfc8785.dumps(cast("Any", value))
    except rfc8785.CanonicalizationError as error:
        raise ValueError(str(error)) from error


def sha256(data: bytes) -> str:
    """SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest(value: Json) -> str:
    """SHA-256 of the canonical JSON of `value`."""
    return sha256(canonical(value))
