"""Where the atoms of a YAML text stand: found from the events of the parser, of which nothing is composed.

This file loads the parser, so only a worker imports it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

import yaml
from yaml import Mark

from nexus_graph.atoms.decoding import Lines, unreadable
from nexus_graph.scope.errors import Invalid

DEEPEST = 64
MOST_EVENTS = 2_000_000

_HINT = "Is it a template, or another kind of file? To read it as text, name text.paragraphs in op."
_HEAD = re.compile(r"(?:[ \t]*\n|(?:---|\.\.\.)[ \t]*(?=\n|\Z))*")
_REST_OF_LINE = re.compile(r"[ \t]*(?:#[^\n]*)?(?=\n|\Z)")


@dataclass(slots=True)
class _Open:
    """A mapping or sequence that has begun and not ended."""

    start: int
    mapping: bool
    pointer: str | None
    """None inside an atom, and inside a key."""
    split: bool
    """Whether its parts are atoms, rather than itself."""
    is_key: bool
    key: str | None = None
    """Of the member whose value is to come."""
    count: int = 0


@dataclass(slots=True)
class Atom:
    """A piece of the text. `document` counts from 1."""

    document: int
    pointer: str
    start: int
    end: int


@dataclass(slots=True)
class _Scan:
    """Takes the events of a text, one by one, and finds the atoms."""

    text: str
    depth: int
    atoms: list[Atom] = field(default_factory=list)
    _open: list[_Open] = field(default_factory=list)
    _document: int = 0
    _end: int = 0
    """Where the last value ended."""

    def take(self, event: yaml.Event) -> None:
        """Take the next event."""
        start, end = cast("Mark", event.start_mark).index, cast("Mark", event.end_mark).index
        if isinstance(event, (yaml.ScalarEvent, yaml.AliasEvent)):
            self._end = max(self._end, start + len(self.text[start:end].rstrip()))
            self._complete(event.value if isinstance(event, yaml.ScalarEvent) else self.text[start:end])
        elif isinstance(event, yaml.CollectionStartEvent):
            self._enter(event, start)
        elif isinstance(event, yaml.CollectionEndEvent):
            if start < end:  # a bracket; what ends without one is told where the next thing begins
                self._end = end
            inner = self._open.pop()
            self._complete(self.text[inner.start : self._end], inner)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._document += 1
            self._lengthen(start)

    def finish(self) -> None:
        """At the end of the text: what is left of it are comments."""
        if not self.atoms:
            self._document = max(self._document, 1)
            self._add("", len(self.text))
        self._lengthen(len(self.text))

    def _enter(self, event: yaml.CollectionStartEvent, start: int) -> None:
        if len(self._open) == DEEPEST:
            raise _wrong(self.text, f"it is nested deeper than {DEEPEST} levels", start)
        around = self._open[-1] if self._open else None
        pointer = self._pointer()
        element = around is not None and not around.mapping
        split = pointer is not None and not event.flow_style and len(self._open) < self.depth and not element
        mapping = isinstance(event, yaml.MappingStartEvent)
        self._open.append(_Open(start, mapping, pointer, split, self._at_key))

    @property
    def _at_key(self) -> bool:
        return bool(self._open) and self._open[-1].mapping and self._open[-1].key is None

    def _pointer(self) -> str | None:
        """The pointer of the value to come; None of a key, and of what is no atom."""
        if not self._open:
            return ""
        around = self._open[-1]
        said = around.key if around.mapping else str(around.count)
        if said is None or not around.split:
            return None
        return f"{around.pointer}/{said.replace('~', '~0').replace('/', '~1')}"

    def _complete(self, said: str, inner: _Open | None = None) -> None:
        """After a key, a value or an element; `inner` is the container that it is."""
        if self._at_key:
            self._open[-1].key = said
            return
        pointer = self._pointer()
        if pointer is not None and not (inner is not None and inner.split and inner.count):
            self._add(pointer, self._end)
        if self._open:
            self._open[-1].key = None
            self._open[-1].count += 1

    def _add(self, pointer: str, end: int) -> None:
        start = _match(_HEAD, self.text, self.atoms[-1].end if self.atoms else 0)
        said = self.text[start : _match(_REST_OF_LINE, self.text, end)].rstrip()
        if said:
            self.atoms.append(Atom(self._document, pointer, start, start + len(said)))

    def _lengthen(self, end: int) -> None:
        """Give the last atom what stands between it and `end`."""
        if self.atoms:
            last = self.atoms[-1]
            if _match(_HEAD, self.text, last.end) < end:
                last.end += len(self.text[last.end : end].rstrip())


def _match(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Where a match at a place ends; the place itself where there is none."""
    found = pattern.match(text, at)
    return at if found is None else found.end()


def find_atoms(text: str, depth: int) -> list[Atom]:
    """The atoms of a text, in order. Raises Invalid."""
    scan = _Scan(text, depth)
    try:
        for number, event in enumerate(yaml.parse(text, yaml.CSafeLoader)):
            if number == MOST_EVENTS:
                raise unreadable("YAML", f"it holds more than {MOST_EVENTS:,} keys and values", hint=_HINT)
            scan.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        _judge(text[: mark.index] if mark else "")
        problem = ": ".join(part for part in (error.context, error.problem) if part)
        raise _wrong(text, problem, mark.index if mark else 0) from None
    except yaml.reader.ReaderError as error:
        place = len(text.encode()[: error.position].decode(errors="ignore"))
        raise _wrong(text, f"it holds the character U+{error.character:04X}", place) from None
    scan.finish()
    return scan.atoms


def _judge(start: str) -> None:
    """Refuse what is nested too deep before the parser's error; `start` is the text up to that.

    While a bracket may still turn out to be a key, up to 1,024 characters, the parser reads on and gives no event. So
    its own limit (1,000 levels since PyYAML 6.0.4, none before) can be met before ours has been looked at.
    """
    scan = _Scan(start, 0)
    with suppress(yaml.YAMLError):
        for event in yaml.parse(start, yaml.CSafeLoader):
            scan.take(event)


def _wrong(text: str, reason: str, place: int) -> Invalid:
    line, column = Lines(text).place(min(place, len(text)))
    return unreadable("YAML", reason, hint=_HINT, line=line, column=column)
