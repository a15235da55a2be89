"""What is gathered while a document is walked: blocks, the text of one of them, and the story that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nexus_graph.atoms.model import LeftOut
from nexus_graph.atoms.recipes.word.names import W
from nexus_graph.atoms.recipes.word.styles import ParagraphStyle


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a document that stands by itself; `part` names the part that it belongs to, None for the body.

    `grid` says that it is a table: one in a cell of another stands beside that one.
    """

    kind: str
    text: str
    part: str | None = None
    grid: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """A note or comment to be read after the block that refers to it."""

    kind: str
    note_id: str
    mark: str


Found = Block | LeftOut | Note


@dataclass(slots=True)
class Field:
    """A field that has begun: the first words of its code, and whether its result has not begun yet."""

    code: str = ""
    in_code: bool = True
    answered: bool = False
    """Whether it is a form field, whose value is told by itself."""


@dataclass(slots=True)
class Story:
    """A sequence of blocks of its own: the body, a header, a note, a text box.

    `source` is the name of the part that it is written in, `part` what its blocks are told to belong to; `kind` is that
    of all its blocks, None where each has its own.
    """

    source: str
    part: str | None = None
    kind: str | None = None
    fields: list[Field] = field(default_factory=list)
    coded: int = 0
    """How many of the open fields are in their code."""
    unended: frozenset[Any] = frozenset()
    """Beginnings of fields that have no end: without this, they would swallow what follows."""

    @classmethod
    def of(cls, root: Any, source: str, part: str | None = None, kind: str | None = None) -> Story:
        """The story that is written in `root`."""
        return cls(source, part, kind, unended=_unended(root))

    @property
    def place(self) -> str:
        """The story as a reader would name it."""
        return self.part or "the body"


class Text:
    """The text of a paragraph as it is gathered, and what stands beside it: boxes, notes, word of what is left out."""

    __slots__ = ("beside", "head", "look", "muted", "pieces", "story", "style")

    def __init__(self, story: Story, style: ParagraphStyle) -> None:
        self.story = story
        self.pieces: list[str] = []
        self.beside: list[Found] = []
        self.muted: str | None = None
        self.head: tuple[str, str] | None = None
        """Kind, and number with the gap after it, once they are known."""
        self.enter(style)

    def enter(self, style: ParagraphStyle) -> None:
        """Go on in a paragraph of this style."""
        self.style = style
        self.look = style.look

    @property
    def silent(self) -> bool:
        """Whether nothing is shown here: in the code of a field, or in what is left out."""
        return self.muted is not None or self.story.coded > 0

    def say(self, words: str) -> None:
        """Add words, unless they are left out here."""
        if self.story.coded:
            return
        if self.muted is None:
            self.pieces.append(words)
        elif words.strip():
            self.leave_out(self.muted)

    def leave_out(self, what: str, place: str | None = None) -> None:
        """Tell that something is left out; in this story, where no place is named."""
        self.beside.append(LeftOut(what, self.story.place if place is None else place))

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to be seen yet."""
        return not any(map(str.strip, self.pieces))

    def whole(self) -> str:
        """The text, without line breaks around it."""
        return "".join(self.pieces).replace("\r", "\n").strip("\n")


def _unended(root: Any) -> frozenset[Any]:
    begun: list[Any] = []
    for mark in root.iter(f"{W}fldChar"):
        kind = mark.get(f"{W}fldCharType")
        if kind == "begin":
            begun.append(mark)
        elif kind == "end" and begun:
            begun.pop()
    return frozenset(begun)
