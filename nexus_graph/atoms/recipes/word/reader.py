"""The reader: walks a document, and gives its blocks in order."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

from nexus_graph.atoms.model import LeftOut
from nexus_graph.atoms.recipes.word import chunks, inline, tables
from nexus_graph.atoms.recipes.word.bindings import Bindings
from nexus_graph.atoms.recipes.word.containers import children
from nexus_graph.atoms.recipes.word.names import PARAGRAPH, TABLE, M, W, number, properties, value
from nexus_graph.atoms.recipes.word.notes import NOTES, Notes
from nexus_graph.atoms.recipes.word.numbering import Numbering
from nexus_graph.atoms.recipes.word.omissions import DELETED, HIDDEN, MACROS, OBJECT, UNUSED
from nexus_graph.atoms.recipes.word.parts import Parts
from nexus_graph.atoms.recipes.word.sections import PROPERTIES, Sections
from nexus_graph.atoms.recipes.word.styles import OUTLINE, Numbered, ParagraphStyle, Styles, is_heading, outline_level
from nexus_graph.atoms.recipes.word.text import Block, Found, Note, Story, Text

_CHUNK: Final = f"{W}altChunk"
_DOCUMENT: Final = f"{W}subDoc"
_BLOCKS: Final = (PARAGRAPH, TABLE, _CHUNK, _DOCUMENT, f"{M}oMathPara", f"{M}oMath")
_PROPERTIES: Final = f"{W}pPr"
_STYLE, _LIST, _MARK, _FRAME = f"{W}pStyle", f"{W}numPr", f"{W}rPr", f"{W}framePr"
_GONE: Final = frozenset({f"{W}del", f"{W}moveFrom"})
_CAPITALS: Final = frozenset({"drop", "margin"})


class Reader:
    """Reads one document, once. `whole` says whether files of other kinds in it (altChunk) are read as well."""

    def __init__(self, data: bytes, *, whole: bool = True) -> None:
        """Raises Invalid."""
        self.parts = Parts(data)
        self.whole = whole
        settings = self.parts.related("settings")
        self.styles = Styles(self.parts.related("styles"))
        self.numbering = Numbering(self.parts.related("numbering"), self.styles)
        self.notes = Notes(self.parts, settings, self.styles.language)
        self.bindings = Bindings(self.parts)
        self._sections = Sections(self.parts.document, settings)
        self._counts: Counter[str] = Counter()

    def document(self) -> Iterator[Block | LeftOut]:
        """All blocks, notes after the blocks that refer to them, and word of what is left out, each once."""
        told: set[LeftOut] = set()
        for first in self._in_order():
            waiting = deque([first])
            while waiting:
                found = waiting.popleft()
                if isinstance(found, Note):
                    taken = self.notes.take(found)
                    waiting.extend(() if taken is None else self.blocks(*taken))
                elif isinstance(found, Block):
                    yield found
                elif found not in told:
                    told.add(found)
                    yield found

    def _in_order(self) -> Iterator[Found]:
        document = self.parts.document
        self.bindings.fill(document)
        yield from self._sections.begin(self)
        for body in document.iterfind(f"{W}body"):
            yield from self.blocks(body, Story.of(body, self.parts.main))
        yield from self._sections.end(self)
        yield from self._sections.unused(self)
        yield from self.notes.unused()
        types = {relation.type for relation in self.parts.relations(self.parts.main).values()}
        if "glossaryDocument" in types:
            yield LeftOut(UNUSED, "the building blocks for new text")
        if "vbaProject" in types:
            yield LeftOut(MACROS)

    def blocks(self, container: Any, story: Story) -> Iterator[Found]:
        """The blocks in an element, each followed by what stands beside it.

        A paragraph whose end is deleted or hidden goes on in the next one.
        """
        text: Text | None = None
        for element in children(container, story.place, *_BLOCKS):
            if isinstance(element, LeftOut):
                yield element
                continue
            if element.tag != PARAGRAPH:
                yield from () if text is None else _finished(text)
                text = None
                yield from self._other(element, story)
                continue
            stated = properties(element.find(_PROPERTIES))
            style = self.styles.paragraph(value(stated.get(_STYLE)))
            text = _entered(text, story, style)
            inline.read(self, element, text)
            end = _end(self.styles, stated, style)
            if text.head is None and (end is None or (end == HIDDEN and not text.is_blank)):
                text.head = self._head(stated, style, text)
            if end is None:
                yield from _finished(text)
                text = None
            if PROPERTIES in stated:
                yield from self._sections.end(self)
                yield from self._sections.begin(self)
        yield from () if text is None else _finished(text)

    def read(self, element: Any, text: Text) -> None:
        """Add what an element in a paragraph says."""
        inline.read(self, element, text)

    def counted(self, what: str) -> str:
        """A name for one of several: "text box 2"."""
        self._counts[what] += 1
        return f"{what} {self._counts[what]}"

    def _other(self, element: Any, story: Story) -> Iterator[Found]:
        if element.tag == TABLE:
            yield from tables.read(self, element, story)
        elif element.tag == _CHUNK:
            yield from chunks.read(self, element, story)
        elif element.tag == _DOCUMENT:
            yield LeftOut(OBJECT, f"sub-document in {story.place}")
        else:
            text = _entered(None, story, self.styles.paragraph(None))
            inline.read_equation(self, element, text)
            text.head = "paragraph", ""
            yield from _finished(text)

    def _head(self, stated: Mapping[str, Any], style: ParagraphStyle, text: Text) -> tuple[str, str]:
        """The kind of a paragraph, and its number or bullet with the gap after it."""
        numbered = _numbered(stated.get(_LIST), style)
        label, left_out = ("", []) if numbered is None else self.numbering.label(numbered)
        text.beside += left_out
        if is_heading(outline_level(stated.get(OUTLINE)), style):
            return "heading", label
        return "item" if label else "paragraph", label


def _entered(text: Text | None, story: Story, style: ParagraphStyle) -> Text:
    if text is None:
        return Text(story, style)
    text.enter(style)
    return text


def _finished(text: Text) -> Iterator[Found]:
    """The block of a paragraph, and what stands beside it; no block where nothing of it is left."""
    words, story = text.whole(), text.story
    if story.kind in NOTES:
        words = words.lstrip(" \t")  # that stand between the mark and the note
    if text.head is not None or words.strip():
        kind, label = text.head or ("paragraph", "")
        yield Block(story.kind or kind, f"{label}{words.lstrip()}" if label and words.strip() else words, story.part)
    yield from text.beside


def _end(styles: Styles, stated: Mapping[str, Any], style: ParagraphStyle) -> str | None:
    """Why the end of a paragraph with these properties is not shown; None where it is."""
    mark, frame = stated.get(_MARK), stated.get(_FRAME)
    if mark is not None and not _GONE.isdisjoint(item.tag for item in mark):
        return DELETED
    if frame is not None and frame.get(f"{W}dropCap") in _CAPITALS:
        return DELETED  # a large first letter: its word goes on in the next paragraph
    look = style.look if mark is None else styles.run(mark, style)
    return HIDDEN if look.hidden else None


def _numbered(own: Any, style: ParagraphStyle) -> Numbered | None:
    """The list of a paragraph: its own (`w:numPr`), or that of its style."""
    usual = style.numbered
    if own is None:
        return usual
    list_id, level = value(own, "numId"), number(value(own, "ilvl"))
    if usual is not None:
        list_id, level = usual.list_id if list_id is None else list_id, usual.level if level is None else level
    if list_id is None or list_id == "0":
        return None
    return Numbered(list_id, level, usual.styles if usual is not None else ())
