"""One way to turn a value into bytes, and bytes into a name.

Canonical JSON is RFC 8785 (JSON Canonicalization Scheme): the same value gives the same bytes in every process
and every language. Digests are SHA-256, written as 64 lower-case hexadecimal digits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson
import rfc8785

_LARGEST = 2**53 - 1
_TINY, _HUGE = 1e-4, 1e15  # between them a fraction is written without an exponent by everybody

_ALWAYS_PLAIN = frozenset((str, bool, type(None)))

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


def canonical(value: Json) -> bytes:
    """The RFC 8785 bytes of `value`. Raises ValueError for what JSON can't say: NaN, integers beyond 2^53-1."""
    if _is_plain(value):
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:  # half a surrogate pair, or too deep for it: the other one says so, or can
            pass
    try:
        return rfc8785.dumps(cast("Any", value))
    except rfc8785.CanonicalizationError as error:
        raise ValueError(str(error)) from error


def _is_plain(value: object) -> bool:
    """Whether a general and faster writer writes the same bytes: small integers, plain fractions, names in ASCII.

    Floats that are whole, tiny or huge are written otherwise by ECMAScript, and names beyond ASCII may sort otherwise
    by UTF-16.
    """
    waiting: list[Any] = [value]
    for each in waiting:  # and what is put behind it meanwhile
        kind = type(each)
        if kind in _ALWAYS_PLAIN:
            continue
        if kind is dict:
            if not all(type(key) is str and key.isascii() for key in each):
                return False
            waiting.extend(each.values())
        elif kind is list or kind is tuple:
            waiting.extend(each)
        elif kind is int:
            if not -_LARGEST <= each <= _LARGEST:
                return False
        elif kind is not float or not _TINY <= abs(each) < _HUGE or each.is_integer():
            return False
    return True


def sha256(data: bytes) -> str:
    """SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest(value: Json) -> str:
    """SHA-256 of the canonical JSON of `value`."""
    return sha256(canonical(value))
