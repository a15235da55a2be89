"""Footnotes, endnotes and comments: their marks as printed, and their text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from nexus_graph.atoms.model import LeftOut
from nexus_graph.atoms.recipes.word.names import W, has_words, number, value
from nexus_graph.atoms.recipes.word.number_formats import formatted
from nexus_graph.atoms.recipes.word.omissions import NUMBERS, UNUSED
from nexus_graph.atoms.recipes.word.parts import Parts
from nexus_graph.atoms.recipes.word.text import Note, Story

NOTES: Final = ("footnote", "endnote", "comment")
_USUAL_FORMATS: Final = {"footnote": "decimal", "endnote": "lowerRoman", "comment": "decimal"}


class Notes:
    """The notes and comments of a document. They are numbered as they are asked for."""

    def __init__(self, parts: Parts, settings: Any, language: str) -> None:
        """`settings` is the settings part, or None where there is none."""
        self._parts, self._settings, self._language = parts, settings, language
        self._section: Any = None
        self._found: dict[str, Mapping[str, Any]] = {}
        self._sources: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._marks: dict[tuple[str, str], str] = {}
        self._passed: set[tuple[str, str]] = set()

    def enter(self, section: Any) -> None:
        """Go on in a section, which may number its notes in its own way (`w:sectPr`)."""
        self._section = section
        for kind in NOTES:
            if self._property(kind, "numRestart") == "eachSect":
                self._counts.pop(kind, None)

    def mark(self, kind: str, note_id: str) -> tuple[str, list[LeftOut]]:
        """The mark of a note as printed, and what could not be printed as it should be."""
        if (kind, note_id) in self._marks:
            return self._marks[kind, note_id], []
        start = number(self._property(kind, "numStart"))
        count = self._counts[kind] = self._counts.get(kind, (1 if start is None else start) - 1) + 1
        name = self._property(kind, "numFmt") or _USUAL_FORMATS[kind]
        mark = formatted(count, name, None, self._language)
        left_out = [LeftOut(NUMBERS, name)] if mark is None else []
        if self._property(kind, "numRestart") == "eachPage":
            left_out.append(LeftOut(NUMBERS, f"of {kind}s that begin anew on each page"))
        self._marks[kind, note_id] = str(count) if mark is None else mark
        return self._marks[kind, note_id], left_out

    def pass_over(self, kind: str, note_id: str) -> None:
        """Word that a note is left out with the text that refers to it."""
        self._passed.add((kind, note_id))

    def take(self, note: Note) -> tuple[Any, Story] | None:
        """The element of a note and its story; None where it was taken before, or is not in the file."""
        key = note.kind, note.note_id
        element = self._all(note.kind).get(note.note_id)
        if element is None or key in self._passed:
            return None
        self._passed.add(key)
        part = f"{note.kind} {note.mark}".strip()
        return element, Story.of(element, self._sources[note.kind], part, note.kind)

    def unused(self) -> Iterator[LeftOut]:
        """Notes that hold words, and that nothing refers to."""
        for kind in NOTES:
            for note_id, element in self._all(kind).items():
                if (kind, note_id) not in self._passed and has_words(element):
                    yield LeftOut(UNUSED, f"the {kind} with the id {note_id}")

    def _all(self, kind: str) -> Mapping[str, Any]:
        if kind not in self._found:
            name = self._sources[kind] = self._parts.named(f"{kind}s") or ""
            items = self._parts.tree(name).iterfind(f"{W}{kind}") if name else ()
            self._found[kind] = {
                item.get(f"{W}id", ""): item for item in items if item.get(f"{W}type", "normal") == "normal"
            }
        return self._found[kind]

    def _property(self, kind: str, name: str) -> str | None:
        """A property of the notes of this section, or of all."""
        for place in (self._section, self._settings):
            properties = None if place is None else place.find(f"{W}{kind}Pr")
            found = None if properties is None else value(properties, name)
            if found is not None:
                return found
        return None
