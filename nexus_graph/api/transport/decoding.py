"""Strict JSON within bounds: what is too deep, too much, said twice or not exact is refused before it is built.

Spec: RFC 8259, read as strictly as I-JSON (RFC 7493) wants it.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from itertools import accumulate

import orjson

from nexus_graph.scope.errors import Invalid

DEEPEST = 128
MOST_VALUES = 50_000
LONGEST_NUMBER = 32
"""Levels of a text, values in it, and characters of one number."""

_LARGEST = 2**63
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NOT_BRACKETS = bytes(set(range(256)) - set(_STEPS))
_LONG_NUMBER = re.compile(rb"[\d.eE+-]{19,}")
_HINT = "Send one JSON object in UTF-8."


def decode(text: bytes | str) -> object:
    """The value of a JSON text. Raises Invalid for anything that is not strict JSON, or is beyond the bounds.

    Takes about the time of a parse of the same text, also for a refusal.
    """
    body = (text.encode() if isinstance(text, str) else text).removeprefix(BOM_UTF8)
    if not body.strip():
        raise Invalid("The request is empty.", hint=_HINT)
    bare = _without_strings(body)
    _require_bounds(bare)
    try:
        value: object = orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError) as error:
        place = (error.lineno, error.colno) if isinstance(error, orjson.JSONDecodeError) else (None, None)
        raise Invalid("The request is no JSON.", hint=_HINT, line=place[0], column=place[1]) from error
    if _members(value) != bare.count(b":"):
        raise Invalid("An object of the request has two members of one name.", hint="Send each member once.")
    return value


def _without_strings(body: bytes) -> bytes:
    """What stands outside of the strings."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if body.count(b'"') > 4 * MOST_VALUES:  # of which each may have a name
        raise _too_many()
    return b"".join(body.split(b'"')[::2])


def _require_bounds(bare: bytes) -> None:
    opened = bare.count(b"[") + bare.count(b"{")
    if opened + bare.count(b",") > MOST_VALUES or bare.count(b"]") + bare.count(b"}") > MOST_VALUES:
        raise _too_many()
    brackets = bare.translate(None, _NOT_BRACKETS)
    if opened > DEEPEST and max(accumulate(map(_STEPS.__getitem__, brackets))) > DEEPEST:
        raise Invalid(f"The request is nested deeper than {DEEPEST} levels.", hint="Send flatter values.")
    for number in _LONG_NUMBER.findall(bare):
        if len(number) > LONGEST_NUMBER or not _exact(number):
            raise Invalid("A number of the request can't be kept exactly.", hint="Send long numbers as strings.")


def _too_many() -> Invalid:
    return Invalid(f"The request has more than {MOST_VALUES:,} values.", hint="Send less at once.")


def _exact(number: bytes) -> bool:
    """Whether a number is no integer, or one of 64 bits with a sign. What is no number, the parser refuses."""
    digits = number.removeprefix(b"-")
    return not digits.isdigit() or -_LARGEST <= int(number) < _LARGEST


def _members(value: object) -> int:
    """How many members all objects of a value have."""
    found, waiting = 0, [value]
    while waiting:
        match waiting.pop():
            case dict() as members:
                found += len(members)
                waiting += [each for each in members.values() if isinstance(each, dict | list)]
            case list() as items:
                waiting += [each for each in items if isinstance(each, dict | list)]
    return found
