"""Bytes to canonical text."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_graph.atoms.decoding import Lines, decode
from nexus_graph.scope.errors import Invalid


@pytest.mark.parametrize(
    ("data", "declared", "encoding", "guessed"),
    [
        (codecs.BOM_UTF8 + "é€".encode(), "latin-1", "utf-8", False),
        (codecs.BOM_UTF16_LE + "é€".encode("utf-16-le"), None, "utf-16-le", False),
        (codecs.BOM_UTF16_BE + "é€".encode("utf-16-be"), None, "utf-16-be", False),
        (codecs.BOM_UTF32_LE + "é€".encode("utf-32-le"), None, "utf-32-le", False),
        (codecs.BOM_UTF32_BE + "é€".encode("utf-32-be"), None, "utf-32-be", False),
        ("é€".encode(), "latin-1", "utf-8", False),
        ("é€".encode("iso8859-15"), "ISO-8859-15", "iso8859-15", False),
        ("é€".encode("cp1252"), "iso-8859-1", "cp1252", False),
        ("é€".encode("cp1252"), None, "cp1252", True),
    ],
)
def test_the_encoding_is_found_in_order(data: bytes, declared: str | None, encoding: str, guessed: bool) -> None:
    """Byte order mark, UTF-8, the declared charset, windows-1252 as a guess: each gives the same text."""
    decoded = decode(data, declared)
    assert (decoded.text, decoded.encoding, decoded.guessed) == ("é€", encoding, guessed)


def test_line_ends_become_line_feeds_and_nothing_else_changes() -> None:
    """CRLF and lone CR are ends of lines; other separators, accents and white space stay."""
    assert decode("a\r\nb\rc\n\r\u2028\x85e\u0301 ".encode()).text == "a\nb\nc\n\n\u2028\x85e\u0301 "


@pytest.mark.parametrize(
    ("data", "declared", "said"),
    [
        (b"ab\ncd\0e", None, r"NUL character. \(line 2, column 3\)"),
        ("plain".encode("utf-16-le"), None, "NUL character"),
        (codecs.BOM_UTF8 + b"\xff", None, "not utf-8"),
        (codecs.BOM_UTF16_LE + b"\x00\xd8", None, "not utf-16-le"),
        (b"ok \x81", None, "neither UTF-8 nor windows-1252"),
        (b"\xff\xfd\xfc", "euc_jp", "not euc_jp"),
        (b"x", "rot13", "charset 'rot13' is unknown"),
        (b"x", "zlib", "unknown"),
        (b"x", "unicode_escape", "unknown"),
        (b"x", "utf-7", "unknown"),
        (b"x", "no\0such", "unknown"),
        (b"x", "é" * 10_000, "unknown"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, declared: str | None, said: str) -> None:
    """Bytes that don't fit, NUL characters, and charsets that are none."""
    with pytest.raises(Invalid, match=said):
        decode(data, declared)


def test_encoded_surrogates_are_no_utf_8() -> None:
    """CESU bytes of a surrogate are read as windows-1252, never as a surrogate."""
    decoded = decode(b"\xed\xa0\x80")
    assert decoded.guessed
    decoded.text.encode()


@given(st.text())
def test_text_survives(text: str) -> None:
    """Any text without CR and NUL comes back as it was."""
    text = text.replace("\r", "").replace("\0", "").lstrip("\ufeff")
    assert decode(text.encode()).text == text


@given(st.text("ab\n"), st.data())
def test_places_count_from_one(text: str, data: st.DataObject) -> None:
    """Line and column agree with counting by hand."""
    offset = data.draw(st.integers(0, len(text)))
    before = text[:offset]
    assert Lines(text).place(offset) == (before.count("\n") + 1, len(before) - before.rfind("\n"))
