"""A first look at a page, for what its blocks need to know before they come to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

NUMBERED: Final = ("table", "select", "ol")
"""Elements that are told by their number in the page, from 1."""

_BLOCKS_IN_CELLS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6", "pre"})


_TOLD: Final = re.compile(r"<(?:[\w.-]+:)?(?:table|select)\b|\breversed\b", re.IGNORECASE)


def needed(source: str) -> bool:
    """Whether a page may have anything that its outline tells."""
    return _TOLD.search(source) is not None


class Outline:
    """Which tables are layout, which options are shown, how many items reversed lists have.

    A table is layout, and its cells are read like any other part of the page, when it says so (`role`), when no row of
    it has two cells, and when a heading or preformatted text stands in it.
    """

    def __init__(self) -> None:
        self._numbers = dict.fromkeys(NUMBERED, 0)
        self._tables: list[list[int]] = []
        """Of each open table: its number, and the cells of its row so far."""
        self._broad: set[int] = set()
        self._layouts: set[int] = set()
        self._selects: list[list[int]] = []
        """Of each open select: its number, and the number of its next option from 0."""
        self._shown: dict[int, int | None] = {}
        self._lists: list[int] = []
        self._items: dict[int, int] = {}

    def is_layout(self, table: int) -> bool:
        """Whether the table of this number is layout."""
        return table in self._layouts or table not in self._broad

    def shows(self, select: int, option: int) -> bool:
        """Whether a list of options shows this one, counted from 0: the one that is chosen, unless it shows all."""
        return self._shown.get(select) in (None, option)

    def items(self, ordered: int) -> int:
        """How many items the ordered list of this number has."""
        return self._items.get(ordered, 0)

    def enter(self, name: str, attributes: Mapping[str, str], start: int, end: int) -> None:
        """See `Visitor`."""
        if name in self._numbers:
            self._numbers[name] += 1
        if name == "table":
            self._tables.append([self._numbers[name], 0])
            if attributes.get("role") in ("presentation", "none"):
                self._layouts.add(self._numbers[name])
        elif name == "tr" and self._tables:
            self._tables[-1][1] = 0
        elif name in ("td", "th") and self._tables:
            self._tables[-1][1] += 1
            if self._tables[-1][1] == 2:
                self._broad.add(self._tables[-1][0])
        elif name in _BLOCKS_IN_CELLS:
            self._lay_out()
        elif name == "select":
            all_at_once = "multiple" in attributes or attributes.get("size", "1").strip() != "1"
            self._selects.append([self._numbers[name], 0])
            self._shown[self._numbers[name]] = None if all_at_once else 0
        elif name == "option" and self._selects:
            number, option = self._selects[-1]
            if "selected" in attributes and self._shown[number] is not None:
                self._shown[number] = option
            self._selects[-1][1] += 1
        elif name in ("ol", "ul", "menu"):
            self._lists.append(self._numbers["ol"] if name == "ol" else 0)
        elif name == "li" and self._lists:
            self._items[self._lists[-1]] = self._items.get(self._lists[-1], 0) + 1

    def leave(self, name: str) -> None:
        """See `Visitor`."""
        if name == "table":
            self._tables.pop()
        elif name == "select":
            self._selects.pop()
        elif name in ("ol", "ul", "menu"):
            self._lists.pop()

    def text(self, said: str, start: int, end: int) -> None:
        """See `Visitor`."""

    def aside(self, what: str, at: int) -> None:
        """See `Visitor`."""

    def _lay_out(self) -> None:
        """All tables around this place are layout; those around one that is known to be are known as well."""
        for number, _ in reversed(self._tables):
            if number in self._layouts:
                return
            self._layouts.add(number)
