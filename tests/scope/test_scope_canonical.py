"""Canonical JSON: RFC 8785, the same bytes for the same value, in every process."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from nexus_graph.scope.canonical import canonical, digest, sha256

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab\u20ac\U0001f600\n", max_size=3), inner),
    max_leaves=12,
)


def test_the_example_of_the_standard() -> None:
    """RFC 8785, section 3.2.2: numbers, escapes and the order of names."""
    value: Any = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": '\u20ac$\u000f\nA\'B"\\\\"/',
        "literals": [None, True, False],
    }
    assert (
        canonical(value)
        == (
            '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
            '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
        ).encode()
    )


def test_names_sort_by_utf_16_units() -> None:
    """RFC 8785, section 3.2.3: not by code points, where the emoji would come last."""
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    found = list(json.loads(canonical(dict.fromkeys(names, 0))))
    assert found == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


@given(VALUES)
def test_what_is_written_reads_back_and_is_written_the_same(value: Any) -> None:
    """Nothing is lost, and a second writing changes nothing; the order of names does not matter.

    A large float is written as ECMAScript does, without a fraction: a reader takes what is beyond 2^53-1 for a float.
    """
    written = canonical(value)
    read = json.loads(written, parse_int=lambda text: int(text) if abs(int(text)) < 2**53 else float(text))
    assert read == value
    assert canonical(read) == written
    if isinstance(value, dict):
        assert canonical(dict(reversed(value.items()))) == written


PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(-2, 2).map(lambda number: round(number, 6))
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.sampled_from([chr(code) for code in (*range(160), 0x2028, 0xFFFF, 0x10FFFF)]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('ab\x00\x7f"\\/\n€', max_size=3), inner),
    max_leaves=12,
)


@given(PLAIN)
def test_both_writers_write_the_same(value: Any) -> None:
    """What the fast one writes is what the library of the standard writes, for every character."""
    assert canonical(value) == rfc8785.dumps(value)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.floats(1e-7, 1e-3) | st.floats(1e14, 1e23))
@example(1.5e-5)
@example(1.234e-6)
@example(1.5e15)
@example(1.5e16)
def test_both_writers_write_the_same_numbers(number: float) -> None:
    """Wherever one of them turns to exponents."""
    assert canonical([number, -number]) == rfc8785.dumps([number, -number])


class Word(str):
    """A text with a meaning of its own."""


def test_what_the_fast_writer_can_not_say_the_other_says() -> None:
    """Depth beyond its own limit, and subclasses, which have a meaning of their own."""
    deep: Any = 0
    for _ in range(300):
        deep = [deep]
    assert canonical(deep) == rfc8785.dumps(deep)
    assert canonical({"a": Word("x")}) == b'{"a":"x"}'


def test_tuples_are_lists() -> None:
    """A frozen value has the bytes of its JSON."""
    assert canonical({"a": (1, 2)}) == canonical({"a": [1, 2]})


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, -(2**53), [2**60], {"a": float("-inf")}, "\ud800", {"\udc00": 1}]
)
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    """NaN, infinities, integers beyond 2^53-1 and half surrogates: ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011 - the words are the library's
        canonical(value)


def test_digests_are_sha_256_in_hexadecimal() -> None:
    """Of the bytes, and of the canonical bytes."""
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest({"b": 1, "a": 2}) == hashlib.sha256(b'{"a":2,"b":1}').hexdigest()


def test_another_process_with_another_hash_seed_finds_the_same_digest() -> None:
    """Nothing depends on the order of a set or the address of an object."""
    code = (
        "from nexus_graph.scope.canonical import digest;"
        "print(digest({name: [1.5, name] for name in {'a', 'b', '\u20ac', 'd'}}), end='')"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True, timeout=60
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {digest({name: [1.5, name] for name in "abd\u20ac"}).encode()}
