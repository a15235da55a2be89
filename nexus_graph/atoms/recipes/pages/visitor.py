"""What the readers of pages tell, element by element and text by text, in the order of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

FOREIGN: Final = {"http://www.w3.org/2000/svg": "svg:", "http://www.w3.org/1998/Math/MathML": "math:"}
"""What stands before the names of elements that are not HTML's own, by namespace."""


class Visitor(Protocol):
    """Is told a page. Places are code points of its source; `start` equals `end` where nothing stands for it."""

    def enter(self, name: str, attributes: Mapping[str, str], start: int, end: int) -> None:
        """An element begins; from `start` to `end` is its start tag."""

    def leave(self, name: str) -> None:
        """The element ends that began last and has not ended."""

    def text(self, said: str, start: int, end: int) -> None:
        """A piece of text."""

    def aside(self, what: str, at: int) -> None:
        """Something that is neither: a key of `LEAVES_OUT`."""
