"""TOML: the source of each value down to a depth, with a JSON Pointer (RFC 6901).

Tables open into their members down to `depth` levels, whether they are written as sections, as dotted keys or both; an
element of an array of tables is one atom however deep it goes, so that a record stays whole; inline tables and arrays
are atoms where they stand. Neighbours that have their pointer in common at this depth are one atom.

Nothing is computed: the text of an atom is the source from the end of the atom before it to the end of the line where
its value ends. So comments belong to the value below them, or to the one on their line, or else to the last one; a
table's header belongs to its first member; and all atoms together are the file, but for blank lines.

Whatever is no TOML 1.0 is refused with line and column, and so is nesting deeper than 64 brackets.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from nexus_graph.atoms.decoding import Lines, unreadable
from nexus_graph.atoms.model import Draft, Parameter, Params, Recipe, Span
from nexus_graph.atoms.recipes.text import CHARSET, decode_declared
from nexus_graph.scope.errors import Invalid

DEEPEST = 64

_STRING = (
    r'"""(?:[^"\\]|\\.|"(?!""))*+"{3,5}'
    r"|'''(?:[^']|'(?!''))*+'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*+"'
    r"|'[^'\n]*+'"
)
_TOKEN = re.compile(
    rf"{_STRING}|\#[^\n]*+|(?P<opens>[\[{{])|(?P<closes>[\]}}])|(?P<end>\n)|[^\[\]{{}}\"'\#\n]++|.", re.DOTALL
)
_SPACE = re.compile(r"(?:[ \t\n]|\#[^\n]*+)*+")
_BLANK_LINES = re.compile(r"(?:[ \t]*\n)*")
_PART = re.compile(rf"[ \t]*({_STRING}|[A-Za-z0-9_-]+)[ \t]*(\.?)", re.DOTALL)
_STEPS = {"opens": 1, "closes": -1}
_HINT = "Mend it, or read it as text: name text.paragraphs in op."

_Path = tuple[str | int, ...]


@dataclass(slots=True)
class _Atom:
    pointer: str
    start: int
    end: int


@dataclass(slots=True)
class _Scan:
    """Finds the atoms of a text that is known to be TOML."""

    text: str
    depth: int
    atoms: list[_Atom] = field(default_factory=list)
    _arrays: dict[_Path, int] = field(default_factory=dict)
    """How many elements each array of tables has so far."""

    def run(self) -> None:
        """Find them all."""
        table: _Path = ()
        header: int | None = None
        """Where the header of a table ends that has no member yet."""
        at = _end(_SPACE, self.text, 0)
        while at < len(self.text):
            if self.text[at] == "[":
                if header is not None:
                    self._add(table, header)
                array = self.text.startswith("[[", at)
                keys, _ = self._keys(at + (2 if array else 1))
                table = self._element(keys) if array else self._table(keys)
                header = at = self._line_end(at)
            else:
                keys, at = self._keys(at)
                header, at = None, self._line_end(at)
                self._add((*table, *keys), at)
            at = _end(_SPACE, self.text, at)
        if header is not None:
            self._add(table, header)
        self._add_rest()

    def _keys(self, at: int) -> tuple[_Path, int]:
        """The parts of a dotted key, and where it ends."""
        keys: list[str] = []
        while (match := _PART.match(self.text, at)) is not None:
            keys.append(_said(match[1]))
            at = match.end()
            if not match[2]:
                break
        return tuple(keys), at

    def _table(self, keys: _Path) -> _Path:
        """The path of a table: with the number of the last element wherever it leads through an array of tables."""
        path: _Path = ()
        for key in keys:
            path = (*path, key)
            if path in self._arrays:
                path = (*path, self._arrays[path] - 1)
        return path

    def _element(self, keys: _Path) -> _Path:
        """The path of a new element of an array of tables."""
        path = (*self._table(keys[:-1]), keys[-1])
        self._arrays[path] = self._arrays.get(path, 0) + 1
        return (*path, self._arrays[path] - 1)

    def _line_end(self, at: int) -> int:
        """The end of the line where the value ends that is around `at`."""
        depth = 0
        for token in _TOKEN.finditer(self.text, at):
            if token.lastgroup == "end" and depth == 0:
                return token.start()
            depth += _STEPS.get(token.lastgroup or "", 0)
        return len(self.text)

    def _add(self, path: _Path, end: int) -> None:
        elements = (number for number, key in enumerate(path, 1) if isinstance(key, int))
        cut = path[: min(self.depth, next(elements, len(path)))]
        pointer = "".join(f"/{str(key).replace('~', '~0').replace('/', '~1')}" for key in cut)
        if self.atoms and self.atoms[-1].pointer == pointer:
            self.atoms[-1].end = end
        else:
            self.atoms.append(_Atom(pointer, self._start(), end))

    def _add_rest(self) -> None:
        """What is left at the end of the text are comments."""
        end = len(self.text.rstrip())
        if not self.atoms:
            self.atoms += [_Atom("", self._start(), end)] if end else []
        self.atoms[-1:] = [_Atom(atom.pointer, atom.start, max(atom.end, end)) for atom in self.atoms[-1:]]

    def _start(self) -> int:
        return _end(_BLANK_LINES, self.text, self.atoms[-1].end if self.atoms else 0)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    """The end of what matches anywhere, if only nothing."""
    return cast("re.Match[str]", pattern.match(text, at)).end()


def _said(key: str) -> str:
    """What a key says, without its quotes."""
    return next(iter(tomllib.loads(f"{key} = 0"))) if key[0] in "\"'" else key


def values(data: bytes, params: Params) -> Iterator[Draft]:
    """The values down to `depth`, each with its source as text."""
    text = decode_declared(data, params).text
    _check(text)
    scan = _Scan(text, cast("int", params["depth"]))
    scan.run()
    lines = Lines(text)
    for ordinal, atom in enumerate(scan.atoms):
        first, last = lines.number(atom.start), lines.number(atom.end - 1)
        span = Span(atom.start, atom.end, line=first, end_line=last, pointer=atom.pointer)
        yield Draft(ordinal, span, text[atom.start : atom.end], "value")


def _check(text: str) -> None:
    """Raise Invalid for what is no TOML."""
    depth = 0
    for token in _TOKEN.finditer(text):
        depth = max(0, depth + _STEPS.get(token.lastgroup or "", 0))
        if depth > DEEPEST:
            raise _wrong(f"it is nested deeper than {DEEPEST} brackets", *Lines(text).place(token.start()))
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, _, place = str(error).partition(" (at ")
        named = re.fullmatch(r"line (\d+), column (\d+)\)", place)
        line, column = map(int, named.groups()) if named else Lines(text).place(len(text))
        raise _wrong(reason, line, column) from None


def _wrong(reason: str, line: int, column: int) -> Invalid:
    return unreadable("TOML", reason, hint=_HINT, line=line, column=column)


POINTERS = Recipe(
    op="toml.pointers",
    version="1",
    reads="TOML",
    purpose="One atom for each value down to a depth, with its JSON Pointer and comments; arrays' elements stay whole.",
    content_types=frozenset({"application/toml", "text/toml", "text/x-toml"}),
    extensions={"toml": "application/toml"},
    derive=values,
    decode=decode_declared,
    parameters={
        **CHARSET,
        "depth": Parameter(2, "How many levels of tables open into their parts; 0 keeps all in one.", least=0, most=32),
    },
)
