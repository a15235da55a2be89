"""Bytes to canonical text: the one text that spans of a text file point into.

The encoding is found in this order: a byte order mark; strict UTF-8; what is declared; windows-1252, told as a guess.
The canonical text has no byte order mark, ends each line with a line feed (CRLF and lone CR become LF) and has no NUL.
Nothing else is changed: no Unicode normalisation, no trimming.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from dataclasses import dataclass

from nexus_graph.scope.errors import Invalid

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# A closed list: Python's codecs also hold transformations that are no encodings, and some that grow their input.
_DECLARABLE = frozenset(
    ["ascii", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
    + [f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)]
    + [f"cp125{page}" for page in range(9)]
    + ["cp437", "cp850", "cp852", "cp866", "cp932", "mac-roman", "koi8-r", "koi8-u"]
    + ["shift_jis", "euc_jp", "iso2022_jp", "euc_kr", "cp949", "gb2312", "gbk", "gb18030", "big5", "big5hkscs", "cp950"]
)

_LATIN_1 = frozenset(["ascii", "iso8859-1"])


@dataclass(frozen=True, slots=True)
class Decoded:
    """The canonical text, the encoding that it was read with, and whether that was a guess."""

    text: str
    encoding: str
    guessed: bool


def unreadable(
    reads: str, reason: str, *, hint: str | None = None, line: int | None = None, column: int | None = None
) -> Invalid:
    """The error for a file that is no good `reads` ("PDF", "JSON", ...); `reason` completes the sentence."""
    return Invalid(f"The file could not be read as {reads}: {reason}.", hint=hint, line=line, column=column)


def decode(data: bytes, declared: str | None = None) -> Decoded:
    """The canonical text of `data`; `declared` is a charset label, such as "iso-8859-1". Raises Invalid."""
    marked = next(((mark, encoding) for mark, encoding in _MARKS if data.startswith(mark)), None)
    if marked is not None:
        mark, encoding = marked
        return _decoded(data[len(mark) :], encoding)
    named = None if declared is None else _encoding(declared)
    try:
        return Decoded(_canonical(data.decode("utf-8")), "utf-8", guessed=False)
    except UnicodeDecodeError:
        return _decoded(data, named or "cp1252", guessed=named is None)


def _decoded(data: bytes, encoding: str, *, guessed: bool = False) -> Decoded:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        tried = "neither UTF-8 nor windows-1252" if guessed else f"not {encoding}"
        reason = f"it is {tried} (byte {error.start:,} does not fit)"
        raise unreadable("text", reason, hint="Save it as UTF-8, or declare its charset.") from None
    return Decoded(_canonical(text), encoding, guessed)


def _encoding(label: str) -> str:
    """Python's name for a charset label; Latin-1 and ASCII mean windows-1252, as in browsers (WHATWG Encoding)."""
    try:
        name = codecs.lookup(label.strip()).name
    except (LookupError, ValueError):
        name = ""
    if name not in _DECLARABLE:
        raise Invalid(f"The charset {label[:40]!r} is unknown.", hint="Name one such as utf-8 or windows-1252.")
    return "cp1252" if name in _LATIN_1 else name


def _canonical(text: str) -> str:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    nul = text.find("\0")
    if nul >= 0:
        line, column = Lines(text).place(nul)
        hint = "Is it a binary file, or UTF-16 without a byte order mark? Save it as UTF-8."
        raise unreadable("text", "it contains a NUL character", hint=hint, line=line, column=column)
    return text


class Lines:
    """The lines of a canonical text: where each begins. Only a line feed ends a line."""

    __slots__ = ("starts",)

    def __init__(self, text: str) -> None:
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def number(self, offset: int) -> int:
        """The 1-based line that holds `offset`."""
        return bisect_right(self.starts, offset)

    def place(self, offset: int) -> tuple[int, int]:
        """The 1-based line and column of `offset`."""
        line = self.number(offset)
        return line, offset - self.starts[line - 1] + 1
