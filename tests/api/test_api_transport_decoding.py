"""Strict JSON: what is read, what is refused and where, and that a refusal takes no longer than a few parses."""

from __future__ import annotations

from typing import Any

import pytest

from nexus_graph.api.transport.decoding import DEEPEST, MOST_VALUES, decode
from nexus_graph.scope.errors import Invalid

GOOD: list[tuple[str | bytes, Any]] = [
    ('{"query": "{ a }", "variables": {"b": [1, 2.5, true, null]}}', None),
    (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
    ('{"a": "{\\"b\\": 1, \\"b\\": [[[[\\\\"}', {"a": '{"b": 1, "b": [[[[\\'}),
    ('{"a": {"a": {"a": []}}, "b": {"a": 1}}', None),
    ('"\\ud83c\\udfc3"', "\U0001f3c3"),
    ("[9223372036854775807, -9223372036854775808]", [2**63 - 1, -(2**63)]),
    ("[0.30000000000000004, 1e300, 1.7976931348623157e308]", [0.30000000000000004, 1e300, 1.7976931348623157e308]),
    ("[" * DEEPEST + "]" * DEEPEST, None),
    ("[" + "[]," * (MOST_VALUES // 2 - 1) + "[]]", None),
    ('["' + "[{,:" * 100_000 + '"]', None),
]
BAD: list[tuple[str | bytes, str]] = [
    ("", "empty"),
    (" \n", "empty"),
    ("{", "no JSON"),
    ("{'a': 1}", "no JSON"),
    ('{"a": 1,}', "no JSON"),
    ('{"a": 1} x', "no JSON"),
    ("NaN", "no JSON"),
    ("[-Infinity]", "no JSON"),
    ("[01]", "no JSON"),
    ("[1e400]", "no JSON"),
    ('["\\ud800"]', "no JSON"),
    (b'["\xed\xa0\x80"]', "no JSON"),
    (b'["\xff"]', "no JSON"),
    (b'\xff\xfe{\x00"\x00', "no JSON"),
    (b"\x1f\x8b\x08\x00", "no JSON"),
    ('["\n"]', "no JSON"),
    ("// a\n1", "no JSON"),
    ('{"a": 1, "a": 1}', "two members"),
    ('{"b": [{"a": {}, "\\u0061": 2}]}', "two members"),
    ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "nested"),
    ('{"a":' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1), "nested"),
    ("[" + "0," * (MOST_VALUES + 1) + "0]", "values"),
    ("[9223372036854775808]", "exactly"),
    ("[-9223372036854775809]", "exactly"),
    ("9" * 5000, "exactly"),
    ("0." + "1" * 40, "exactly"),
]


@pytest.mark.parametrize(("text", "value"), GOOD)
def test_strict_json_within_bounds_is_read(text: str | bytes, value: Any) -> None:
    """Brackets, colons and quotes inside of strings are no structure; one byte order mark is forgiven."""
    read = decode(text)
    assert value is None or read == value


@pytest.mark.parametrize(("text", "why"), BAD)
def test_what_is_not_exact_or_too_much_is_refused(text: str | bytes, why: str) -> None:
    """With words of our own that say why."""
    with pytest.raises(Invalid, match=why):
        decode(text)


def test_the_place_is_told() -> None:
    """The line and column at which a text stops to be JSON."""
    with pytest.raises(Invalid) as refused:
        decode('{"query": "{ a }",\n  nonsense}')
    assert (refused.value.line, refused.value.column) == (2, 3)
