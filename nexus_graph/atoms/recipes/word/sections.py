"""Sections: their headers and footers, each told once, and how their notes are numbered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from nexus_graph.atoms.model import LeftOut
from nexus_graph.atoms.recipes.word.names import R, W, has_words, is_on
from nexus_graph.atoms.recipes.word.omissions import MISSING, UNUSED
from nexus_graph.atoms.recipes.word.text import Block, Found, Story

if TYPE_CHECKING:
    from nexus_graph.atoms.recipes.word.reader import Reader

PROPERTIES: Final = f"{W}sectPr"
_ENDS: Final = frozenset({f"{W}pPr", f"{W}body"})
_PAGES: Final = {"first": "first page ", "default": "", "even": "even page "}


class Sections:
    """The sections of a document, in order."""

    def __init__(self, document: Any, settings: Any) -> None:
        """`settings` is the settings part, or None where there is none."""
        self._all = [item for item in document.iter(PROPERTIES) if item.getparent().tag in _ENDS]
        self._place = 0
        self._even = settings is not None and is_on(settings.find(f"{W}evenAndOddHeaders"))
        self._references: dict[tuple[str, str], str] = {}
        self._read: set[str] = set()
        self._told: set[tuple[str, ...]] = set()

    def begin(self, reader: Reader) -> Iterator[Found]:
        """The headers of the section that begins, as far as they were not told yet."""
        if self._place < len(self._all):
            section = self._all[self._place]
            reader.notes.enter(section)
            for side in ("header", "footer"):
                for item in section.iterfind(f"{W}{side}Reference"):
                    self._references[side, item.get(f"{W}type", "default")] = item.get(f"{R}id", "")
            yield from self._margin(reader, "header", section)

    def end(self, reader: Reader) -> Iterator[Found]:
        """The footers of the section that ends."""
        if self._place < len(self._all):
            yield from self._margin(reader, "footer", self._all[self._place])
            self._place += 1

    def _margin(self, reader: Reader, side: str, section: Any) -> Iterator[Found]:
        shown = {"first": is_on(section.find(f"{W}titlePg")), "default": True, "even": self._even}
        for pages, words in _PAGES.items():
            relation_id = self._references.get((side, pages))
            if relation_id is None:
                continue
            part = f"{words}{side}"
            relation = reader.parts.relations(reader.parts.main).get(relation_id)
            if relation is None or relation.target not in reader.parts:
                yield LeftOut(MISSING, f"with the {part}")
            elif shown[pages] and relation.target not in self._read:
                self._read.add(relation.target)
                yield from self._once(reader, relation.target, part, side)

    def _once(self, reader: Reader, source: str, part: str, side: str) -> Iterator[Found]:
        """The blocks of a header or footer, unless an equal one was told before."""
        root = reader.parts.tree(source)
        reader.bindings.fill(root)
        found = [*reader.blocks(root, Story.of(root, source, part, side))]
        words = (side, *(item.text for item in found if isinstance(item, Block)))
        if words not in self._told:
            self._told.add(words)
            yield from found

    def unused(self, reader: Reader) -> Iterator[LeftOut]:
        """Headers and footers that hold words, and that no page shows."""
        for relation in reader.parts.relations(reader.parts.main).values():
            if relation.type not in ("header", "footer") or relation.target in self._read:
                continue
            if relation.target in reader.parts and has_words(reader.parts.tree(relation.target)):
                yield LeftOut(UNUSED, f"the {relation.type} {relation.target}")
