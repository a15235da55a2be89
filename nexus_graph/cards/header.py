"""Reads YAML as JSON: the YAML 1.2 core schema, strictly, within bounds, and with a place for every value.

The text is taken event by event and refused at the first event that breaks a rule, so nothing is ever expanded,
nested or counted beyond the limits. `<<` is a key like any other: the core schema knows no merging.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn, cast

import yaml

from nexus_graph.cards.scalars import core_scalar
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Invalid

MAX_DEPTH = 16
MAX_NODES = 5_000

Path = tuple[str | int, ...]

# What YAML forbids raw, and the line breaks that YAML 1.1 parsers count and YAML 1.2 parsers do not.
UNPRINTABLE = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


class Place(NamedTuple):
    """Where a value stands: 1-based line and column, and its offsets in characters (`end` is exclusive)."""

    line: int
    column: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """What was read. `places` leads from a path (`()` for the whole) to a place; `flow`: written as `{...}`."""

    values: dict[str, Json]
    places: dict[Path, Place]
    flow: bool

    def nearest(self, path: Path) -> Place | None:
        """The place of the value at `path`, or of the closest value around it."""
        for length in range(len(path), -1, -1):
            if place := self.places.get(path[:length]):
                return place
        return None


def read(text: str, *, first_line: int = 1) -> Header:
    """Read a YAML mapping. Lines are counted from `first_line`. Raises Invalid with line and column."""
    if bad := UNPRINTABLE.search(text):
        line = first_line + text.count("\n", 0, bad.start())
        column = bad.start() - text.rfind("\n", 0, bad.start())
        raise Invalid(
            f"The header holds the character U+{ord(bad.group()):04X}.",
            hint="End lines with LF alone; write special characters as escapes in double quotes.",
            path=("header",),
            line=line,
            column=column,
        )
    reader = _Reader(first_line)
    try:
        for event in yaml.parse(text, Loader=yaml.CBaseLoader):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark:
            _judge(text[: mark.index], first_line)
        line, column = (mark.line + first_line, mark.column + 1) if mark else (first_line, 1)
        problem = ": ".join(part for part in (error.context, error.problem) if part)
        hint = _COLON if error.problem == "mapping values are not allowed in this context" else None
        message = f"The header is not YAML: {problem}."
        raise Invalid(message, hint=hint, path=("header",), line=line, column=column) from None
    return Header(reader.values, reader.places, reader.flow)


_COLON = "Put a value that holds a colon and a blank in quotes."


def _judge(start: str, first_line: int) -> None:
    """Refuse what breaks a rule of ours before the parser's error; `start` is the text up to that.

    While a bracket may still turn out to be a key, up to 1,024 characters, the parser reads on and gives no event. So
    its own limits (1,000 levels since PyYAML 6.0.4, none before) can be met before ours have been looked at.
    """
    reader = _Reader(first_line)
    with suppress(yaml.YAMLError):
        for event in yaml.parse(start, Loader=yaml.CBaseLoader):
            if _place(event, first_line).end >= len(start.rstrip()):
                break  # it may have been cut in two
            reader.take(event)


def _place(event: yaml.Event, first_line: int) -> Place:
    start, end = cast("yaml.Mark", event.start_mark), cast("yaml.Mark", event.end_mark)  # a parser's events have both
    return Place(start.line + first_line, start.column + 1, start.index, end.index)


@dataclass(slots=True)
class _Open:
    """A mapping or sequence that has begun and not ended; `key` waits for its value."""

    container: dict[str, Json] | list[Json]
    path: Path
    key: str | None = None


@dataclass(slots=True)
class _Reader:
    """Builds plain values from events."""

    first_line: int
    values: dict[str, Json] = field(default_factory=dict)
    places: dict[Path, Place] = field(default_factory=dict)
    flow: bool = False
    _open: list[_Open] = field(default_factory=list)
    _nodes: int = 0

    def take(self, event: yaml.Event) -> None:
        """Take the next event. Raises Invalid where it breaks a rule."""
        if isinstance(event, yaml.NodeEvent):
            self._node(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
        elif isinstance(event, (yaml.DocumentStartEvent, yaml.DocumentEndEvent)) and event.explicit:
            self._refuse(
                event, "The header holds a document marker.", "A header is one YAML document, without markers."
            )

    def _node(self, event: yaml.NodeEvent) -> None:
        self._nodes += 1
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            self._refuse(event, "The header holds an anchor or alias.", "Write the value out where it is needed.")
        if self._nodes > MAX_NODES:
            self._refuse(event, f"The header holds more than {MAX_NODES:,} nodes.", "Move content into the body.")
        if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag is not None:
            self._refuse(event, "The header holds a tag.", "Leave the tag out; quote what must be a string.")
        around = self._open[-1] if self._open else None
        if around is not None and isinstance(around.container, dict) and around.key is None:
            around.key = self._key(event, around.container, around.path)
        elif isinstance(event, yaml.ScalarEvent):
            self._put(event, self._scalar(event))
        elif isinstance(event, yaml.MappingStartEvent):
            self.flow = self.flow or (around is None and bool(event.flow_style))
            self._enter(event, self.values if around is None else {})
        else:
            self._enter(event, [])

    def _enter(self, event: yaml.NodeEvent, container: dict[str, Json] | list[Json]) -> None:
        if len(self._open) == MAX_DEPTH:
            self._refuse(event, f"The header is nested deeper than {MAX_DEPTH} levels.", "Flatten it.")
        self._open.append(_Open(container, self._put(event, container)))

    def _put(self, event: yaml.NodeEvent, value: Json) -> Path:
        path: Path = ()
        if not self._open:
            if value is not self.values:
                self._refuse(event, "The header is not a mapping.", "Write `key: value` lines.")
        else:
            around = self._open[-1]
            if isinstance(around.container, dict):
                key = around.key or ""
                around.container[key], around.key = value, None
                path = (*around.path, key)
            else:
                path = (*around.path, len(around.container))
                around.container.append(value)
        self.places[path] = _place(event, self.first_line)
        return path

    def _key(self, event: yaml.NodeEvent, container: dict[str, Json], path: Path) -> str:
        key = self._scalar(event) if isinstance(event, yaml.ScalarEvent) else None
        if not isinstance(key, str):
            self._refuse(event, "A key of the header is not a string.", "Put the key in quotes.")
        if key in container:
            self._refuse(event, f"The key {key[:64]!r} stands twice in one mapping.", "Keep one of them.", (*path, key))
        return key

    def _scalar(self, event: yaml.ScalarEvent) -> Json:
        text: str = event.value
        if "\0" in text:
            self._refuse(event, "The header holds a NUL character.", "Leave it out.")
        if event.style:
            return text
        try:
            return core_scalar(text)
        except ValueError as error:
            self._refuse(event, str(error), "Put it in quotes to keep it as a string.")

    def _refuse(self, event: yaml.Event, message: str, hint: str, path: Path | None = None) -> NoReturn:
        if path is None:
            around = self._open[-1] if self._open else None
            path = () if around is None else around.path if around.key is None else (*around.path, around.key)
        at = _place(event, self.first_line)
        raise Invalid(message, hint=hint, path=("header", *path), line=at.line, column=at.column)
