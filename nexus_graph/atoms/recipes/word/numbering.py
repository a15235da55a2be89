"""Automatic numbering: the number or bullet that Word prints before a paragraph."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from nexus_graph.atoms.model import LeftOut
from nexus_graph.atoms.recipes.word import symbols
from nexus_graph.atoms.recipes.word.names import MC, W, chosen, is_on, number, value
from nexus_graph.atoms.recipes.word.number_formats import formatted
from nexus_graph.atoms.recipes.word.omissions import NUMBERS
from nexus_graph.atoms.recipes.word.styles import Numbered, Styles

_LEVELS: Final = 9
_PLACE = re.compile(r"%([1-9])")
_BULLET: Final = "\uf0b7"
_CIRCLE: Final = "◦"


@dataclass(frozen=True, slots=True)
class _Level:
    """How one level of a list is numbered."""

    start: int
    format: str
    pattern: str | None
    text: str
    gap: str
    restarts_after: int
    """Levels before this one, counted from 0, begin it anew."""
    digits_only: bool
    hidden: bool
    style: str | None


@dataclass(slots=True)
class _Definition:
    """A list definition (`w:abstractNum`) and how far its numbers have come."""

    levels: dict[int, _Level]
    counts: list[int | None] = field(default_factory=lambda: [None] * _LEVELS)


@dataclass(slots=True)
class _List:
    """A list (`w:num`): it counts on in its definition, and may begin levels anew or define them anew."""

    definition: _Definition
    levels: dict[int, _Level]
    starts: dict[int, int]
    begun: set[int] = field(default_factory=set)

    def level(self, place: int) -> _Level | None:
        return self.levels.get(place) or self.definition.levels.get(place)


class Numbering:
    """The lists of a document. They count as they are asked: once for each paragraph, in order."""

    def __init__(self, root: Any, styles: Styles) -> None:
        """`root` is the numbering part, or None where there is none."""
        self._language = styles.language
        self._lists: dict[str, _List] = {}
        if root is None:
            return
        abstract = {item.get(f"{W}abstractNumId"): item for item in root.iterfind(f"{W}abstractNum")}
        lists = {item.get(f"{W}numId", ""): item for item in root.iterfind(f"{W}num")}
        definitions: dict[str | None, _Definition] = {}
        for list_id, item in lists.items():
            known = _resolved(value(item, "abstractNumId"), abstract, lists, styles)
            if known not in definitions:
                found = abstract.get(known)
                definitions[known] = _Definition({} if found is None else dict(_levels(found)))
            self._lists[list_id] = _list(item, definitions[known])

    def label(self, numbered: Numbered) -> tuple[str, list[LeftOut]]:
        """The next number of a list, with the gap after it, or ""; and what could not be printed as it should be."""
        found = self._lists.get(numbered.list_id)
        place = _place(found, numbered) if found is not None else 0
        level = found.level(place) if found is not None else None
        if found is None or level is None:
            return "", []
        self._count(found, place, level)
        return ("", []) if level.hidden else self._written(found, place, level)

    def _count(self, found: _List, place: int, level: _Level) -> None:
        counts = found.definition.counts
        begins = place in found.starts and place not in found.begun
        found.begun.add(place)
        counted = counts[place]
        counts[place] = found.starts.get(place, level.start) if begins or counted is None else counted + 1
        for upper in range(place):
            if counts[upper] is None:  # a level that was passed over stands at its first number
                above = found.level(upper)
                counts[upper] = found.starts.get(upper, above.start if above is not None else 1)
                found.begun.add(upper)
        for deeper in range(place + 1, _LEVELS):
            below = found.level(deeper)
            if below is None or place < below.restarts_after:
                counts[deeper] = None

    def _written(self, found: _List, place: int, level: _Level) -> tuple[str, list[LeftOut]]:
        left_out: list[LeftOut] = []

        def printed(match: re.Match[str]) -> str:
            upper = int(match[1]) - 1
            other, count = found.level(upper), found.definition.counts[upper]
            if other is None or count is None or upper > place:
                return ""
            name = "decimal" if level.digits_only and other.format not in ("none", "bullet") else other.format
            words = formatted(count, name, other.pattern, self._language)
            if words is None:
                left_out.append(LeftOut(NUMBERS, name if name != "custom" else str(other.pattern)))
                words = str(count)
            return words

        text = _PLACE.sub(printed, level.text)
        return (f"{text}{level.gap}" if text.strip() else ""), left_out


def _place(found: _List, numbered: Numbered) -> int:
    """The level of a paragraph: the one that it states, or the one that belongs to its style."""
    if numbered.level is not None:
        return max(0, min(numbered.level, _LEVELS - 1))
    for style in numbered.styles:
        for place in range(_LEVELS):
            level = found.level(place)
            if level is not None and level.style == style:
                return place
    return 0


def _resolved(key: str | None, abstract: dict[str | None, Any], lists: dict[str, Any], styles: Styles) -> str | None:
    """The definition that a definition stands for: it may name a style, which names a list, which has another."""
    seen: set[str | None] = set()
    while key in abstract and key not in seen:
        seen.add(key)
        link = value(abstract[key], "numStyleLink")
        linked = lists.get(styles.numbering_of(link) or "") if link is not None else None
        if linked is None:
            break
        key = value(linked, "abstractNumId")
    return key


def _list(item: Any, definition: _Definition) -> _List:
    levels: dict[int, _Level] = {}
    starts: dict[int, int] = {}
    for override in item.iterfind(f"{W}lvlOverride"):
        place = number(override.get(f"{W}ilvl"))
        if place is None or not 0 <= place < _LEVELS:
            continue
        levels |= dict(_levels(override, place))
        start = number(value(override, "startOverride"))
        if start is not None:
            starts[place] = start
    return _List(definition, levels, starts)


def _levels(parent: Any, usual: int = 0) -> Iterator[tuple[int, _Level]]:
    for item in parent.iterfind(f"{W}lvl"):
        place = number(item.get(f"{W}ilvl"))
        place = usual if place is None else place
        if 0 <= place < _LEVELS:
            yield place, _level(item, place)


def _level(item: Any, place: int) -> _Level:
    shown = item.find(f"{W}numFmt")
    if shown is None and (alternatives := item.find(f"{MC}AlternateContent")) is not None:
        choice = chosen(alternatives)
        shown = choice.find(f"{W}numFmt") if choice is not None else None
    name = "decimal" if shown is None else shown.get(f"{W}val", "decimal")
    fonts = item.find(f"{W}rPr/{W}rFonts")
    font = "" if fonts is None else fonts.get(f"{W}ascii") or fonts.get(f"{W}hAnsi") or ""
    text = value(item, "lvlText") or ""
    if name == "bullet":
        text = text or _BULLET  # of a picture
        text = text.translate(symbols.table(font) or {}).translate(symbols.PRIVATE_SYMBOLS)
        text = _CIRCLE if text == "o" else text  # a small one of a typewriter, which Word takes for a bullet
    restart = number(value(item, "lvlRestart"))
    return _Level(
        start=number(value(item, "start")) or 0,
        format=name,
        pattern=None if shown is None else shown.get(f"{W}format"),
        text=text,
        gap="" if value(item, "suff") == "nothing" else " ",
        restarts_after=place if restart is None else min(restart, place),
        digits_only=is_on(item.find(f"{W}isLgl")),
        hidden=is_on(item.find(f"{W}rPr/{W}vanish")),
        style=value(item, "pStyle"),
    )
