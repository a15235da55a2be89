"""The text that the detectors read, and the words in it that patterns begin with.

Patterns that begin with a word are tried where the word stands, which takes a fraction of the time of a search. Each
view that this needs is made once and used by all detectors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import AnyStr

_LAST_LATIN = "\u024f"
_FOREIGN = re.compile("[\u0370-\u1fff\u2600-\U0010ffff]")  # letters of other scripts, and pictures
_NO_DIGITS = bytes(code for code in range(256) if not 48 <= code < 58)
_NO_DIGITS_OR_ENDS = bytes(code for code in _NO_DIGITS if code != ord("\n"))
_TOKEN_MARKS = bytes(
    ord("x") if chr(code).isascii() and (chr(code).isalnum() or chr(code) in "_-") else ord(" ") for code in range(256)
)
_SHORTEST_TOKEN = b"x" * 16
_SHORT = 1024  # characters up to which it pays to ask first which words are there at all


class Text(str):
    """A text in which words are found fast, whatever characters surround them."""

    def places(self, word: str) -> Iterator[int]:
        """Where a word begins, each time."""
        return _places(self._ascii, word.encode("ascii")) if word.isascii() else _places(self, word)

    def folded_places(self, word: str) -> Iterator[int]:
        """Where a word begins, each time, in capitals or not; `word` is in lower case."""
        if word.isascii():
            return _places(self._ascii_folded, word.encode("ascii"))
        return _places(self.folded, word) if word[0] <= _LAST_LATIN or self._is_foreign else iter(())

    @cached_property
    def digits(self) -> int:
        """How many ASCII digits there are."""
        return len(self._ascii.translate(None, _NO_DIGITS))

    @cached_property
    def line_ends(self) -> list[int]:
        """Where each line ends, the last one too."""
        return [*self.places("\n"), len(self)]

    @cached_property
    def digits_of_lines(self) -> list[bytes]:
        """The ASCII digits of each line."""
        return self._ascii.translate(None, _NO_DIGITS_OR_ENDS).split(b"\n")

    @cached_property
    def tokens(self) -> list[tuple[int, int]]:
        """The runs of at least 16 ASCII letters, digits, underscores and hyphens: long enough for a key."""
        runs, place, marked = [], 0, self._ascii.translate(_TOKEN_MARKS)
        while (place := marked.find(_SHORTEST_TOKEN, place)) >= 0:
            end = marked.find(b" ", place)
            end = len(marked) if end < 0 else end
            runs.append((place, end))
            place = end
        return runs

    @cached_property
    def folded(self) -> str:
        """The text in lower case, each character at its own place."""
        lower = self.lower()
        if len(lower) == len(self):
            return lower
        return "".join(each if len(each.lower()) > 1 else each.lower() for each in self)

    @cached_property
    def _ascii(self) -> bytes:
        return self.encode("ascii", "replace")

    @cached_property
    def _ascii_folded(self) -> bytes:
        return self._ascii.lower()

    @cached_property
    def _is_foreign(self) -> bool:
        return _FOREIGN.search(self) is not None


class Words:
    """Words that patterns begin with, in lower case."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = tuple(words)

    def places(self, text: Text) -> Iterator[tuple[str, int]]:
        """Each word that is in a text, in capitals or not, and where it begins."""
        words = self._words
        if len(text) <= _SHORT:
            folded = text.folded
            words = tuple([word for word in words if word in folded])
        for word in words:
            for place in text.folded_places(word):
                yield word, place


class Patterns:
    """For each word a pattern that begins with it, made when it is first asked for: most words never occur."""

    def __init__(self, patterns: Mapping[str, str], flags: re.RegexFlag) -> None:
        self._patterns = patterns
        self._flags = flags
        self._made: dict[str, re.Pattern[str]] = {}

    def __getitem__(self, word: str) -> re.Pattern[str]:
        made = self._made.get(word)
        if made is None:
            made = self._made[word] = re.compile(self._patterns[word], self._flags)
        return made


def _places(text: AnyStr, word: AnyStr) -> Iterator[int]:
    place = text.find(word)
    while place >= 0:
        yield place
        place = text.find(word, place + 1)
