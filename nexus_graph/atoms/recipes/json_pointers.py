"""JSON (RFC 8259, strictly): the source of each value down to a depth, with its JSON Pointer (RFC 6901).

An object opens into its members down to `depth` levels; an array opens into its elements, and an element is one atom
however deep it goes, so that a record stays whole. Scalars and empty containers are atoms where they stand. The text is
the source itself, so numbers keep all their digits.

Refused with line and column: duplicate keys, lone surrogates, anything that RFC 8259 does not allow (comments, trailing
commas, NaN, a second document), and nesting deeper than 512. The scan keeps its own stack, so depth costs no recursion.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from nexus_graph.atoms.decoding import Lines, unreadable
from nexus_graph.atoms.model import Draft, Parameter, Params, Recipe, Span
from nexus_graph.atoms.recipes.text import CHARSET, decode_declared
from nexus_graph.scope.errors import Invalid

DEEPEST = 512

_HINT = (
    "JSON has no comments, no comma before a closing bracket, no single quotes, no NaN. Mend it, or read it as text: "
    "name text.paragraphs in op."
)
_HINT_OF_LINES = "Many documents in one file are read by jsonl.records, where each has a line of its own."

_SPACE = re.compile(r"[ \t\n]*+")
_STRING = re.compile(r'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+"')
_SURROGATE = re.compile("[\ud800-\udfff]")
_SCALAR = re.compile(r"(?:-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+|true|false|null)(?![\w.+-])")

_UNFINISHED = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*+\\?|[\w.+-]*+')
"""What may stand at the end of a document that was cut off: a part of a string, of another scalar, or nothing."""


@dataclass(slots=True)
class _Container:
    """An object or array that is being read."""

    closes: str
    start: int
    pointer: str | None
    """None inside an atom."""
    split: bool
    """Whether its parts are atoms, rather than itself."""
    keys: set[str] = field(default_factory=set)
    count: int = 0


class Scan:
    """One pass over a document, from left to right. Its faults are told with lines counted from `first_line`."""

    def __init__(self, text: str, depth: int, first_line: int = 1) -> None:
        self._text = text
        self._depth = depth
        self._first_line = first_line
        self._open: list[_Container] = []
        self._at = 0

    def atoms(self) -> Iterator[tuple[str, int, int]]:
        """Pointer, start and end of each atom, in the order of the text. Raises Invalid."""
        pointer: str | None = ""
        while True:
            mark, start = self._next(), self._at
            if mark in ("{", "["):
                self._enter(mark, pointer)
                if self._next() != self._open[-1].closes:
                    pointer = self._part()
                    continue
            else:
                self._scalar(mark)
                if pointer is not None:
                    yield pointer, start, self._at
            yield from self._leave()
            if not self._open:
                break
            pointer = self._part()
        if self._next():
            raise self._wrong("something follows the end of the document", hint=_HINT_OF_LINES)

    @property
    def cut(self) -> bool:
        """After a fault: whether it is that the text ends inside of an object or array."""
        return bool(self._open) and _UNFINISHED.fullmatch(self._text, self._at) is not None

    def _leave(self) -> Iterator[tuple[str, int, int]]:
        """After a value: close what ends here, up to the comma before the next value or the end of the document."""
        while self._open:
            inner, mark = self._open[-1], self._next()
            if mark not in (",", inner.closes):
                raise self._wrong(f"a comma or {inner.closes!r} was expected here")
            self._at += 1
            if mark == ",":
                return
            self._open.pop()
            if inner.pointer is not None and not (inner.split and inner.count):
                yield inner.pointer, inner.start, self._at

    def _enter(self, mark: str, pointer: str | None) -> None:
        if len(self._open) == DEEPEST:
            raise self._wrong(f"it is nested deeper than {DEEPEST} levels")
        element = bool(self._open) and self._open[-1].closes == "]"
        split = pointer is not None and len(self._open) < self._depth and not element
        self._open.append(_Container("}" if mark == "{" else "]", self._at, pointer, split))
        self._at += 1

    def _part(self) -> str | None:
        """Read the key of a member, where the innermost container is an object; the pointer of the value to come."""
        inner = self._open[-1]
        said = str(inner.count)
        inner.count += 1
        if inner.closes == "}":
            if self._next() != '"':
                raise self._wrong("a key in double quotes was expected here")
            start = self._at
            said = self._string()
            if said in inner.keys:
                raise self._wrong(f"the key {said[:40]!r} stands twice in one object", start)
            inner.keys.add(said)
            if self._next() != ":":
                raise self._wrong("a colon was expected here")
            self._at += 1
        return f"{inner.pointer}/{said.replace('~', '~0').replace('/', '~1')}" if inner.split else None

    def _scalar(self, mark: str) -> None:
        if mark == '"':
            self._string()
            return
        match = _SCALAR.match(self._text, self._at)
        if match is None:
            raise self._wrong("a value was expected here" if mark else "it ends too early")
        self._at = match.end()

    def _string(self) -> str:
        """Read a string, and give what it says."""
        match = _STRING.match(self._text, self._at)
        if match is None:
            raise self._wrong("a string is not closed, or holds a bad escape or a control character")
        said = match[0][1:-1]
        if "\\" in said:
            said = cast("str", json.loads(match[0]))
            if _SURROGATE.search(said):
                raise self._wrong("a string holds half of a surrogate pair")
        self._at = match.end()
        return said

    def _next(self) -> str:
        """The next character that is not white space, or "" at the end; the scan then stands before it."""
        self._at = cast("re.Match[str]", _SPACE.match(self._text, self._at)).end()
        return self._text[self._at : self._at + 1]

    def _wrong(self, reason: str, at: int | None = None, hint: str = _HINT) -> Invalid:
        line, column = Lines(self._text).place(self._at if at is None else at)
        return unreadable("JSON", reason, hint=hint, line=self._first_line + line - 1, column=column)


def values(data: bytes, params: Params) -> Iterator[Draft]:
    """The values down to `depth`, each with its source as text."""
    text = decode_declared(data, params).text
    lines = Lines(text)
    scan = Scan(text, cast("int", params["depth"]))
    for ordinal, (pointer, start, end) in enumerate(scan.atoms()):
        span = Span(start, end, line=lines.number(start), end_line=lines.number(end - 1), pointer=pointer)
        yield Draft(ordinal, span, text[start:end], "value")


POINTERS = Recipe(
    op="json.pointers",
    version="1",
    reads="JSON",
    purpose="One atom for each value down to a depth, with its JSON Pointer; the elements of an array stay whole.",
    content_types=frozenset({"application/json", "text/json"}),
    extensions=dict.fromkeys(("json", "geojson"), "application/json"),
    derive=values,
    decode=decode_declared,
    parameters={
        **CHARSET,
        "depth": Parameter(
            2, "How many levels of objects and arrays open into their parts; 0 keeps all in one.", least=0, most=32
        ),
    },
)
