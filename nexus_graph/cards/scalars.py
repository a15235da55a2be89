"""What a plain scalar means in the core schema of YAML 1.2 (YAML 1.2.2, section 10.3.2).

`NO`, `yes`, `1:30`, `1_000` and timestamps are strings, `012` is twelve, `0o14` and `0xC` too, `~` is null.
"""

from __future__ import annotations

import math
import re

MAX_INTEGER = 2**53 - 1

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "True", "TRUE"))
_FALSE = frozenset(("false", "False", "FALSE"))
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NON_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_BASES = {"0o": 8, "0x": 16}
_LONGEST_NUMBER = 400


def core_scalar(text: str) -> bool | int | float | str | None:
    """The value of a plain scalar. Raises ValueError for a number that JSON can't carry exactly."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    integer = _INTEGER.fullmatch(text)
    if not integer and not _FLOAT.fullmatch(text):
        if _NON_FINITE.fullmatch(text):
            raise ValueError("A number is not finite.")
        return text
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"A number is longer than {_LONGEST_NUMBER} characters.")
    if integer:
        value = int(text, _BASES.get(text[:2], 10))
        if abs(value) > MAX_INTEGER:
            raise ValueError("An integer is beyond 2^53-1.")
        return value
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("A number is not finite.")
    return number
