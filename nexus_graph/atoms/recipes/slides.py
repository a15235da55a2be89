"""PowerPoint (pptx, pptm, and their templates and shows): what is seen on each slide, its notes and its comments.

The atom of a slide is its text: the title first, then everything else in the order of the file, in which a screen
reader also reads it. Paragraphs stand one a line, with their numbers as they are shown; a table is a grid, cells
joined by tabs and rows by line feeds, where a merged cell fills the first of its places; a chart is its title and a
grid of its series; a diagram (SmartArt) is the text of its nodes. Footers and dates are an atom once, where they are
met first; the number of a slide is in the span. Speaker notes and comments are atoms of their own after their slide.
The canonical text is the text of all these with a line feed between them.

Hidden slides and hidden shapes are left out, as whoever watches the show does not see them. Text that stands on a
layout or a master (a slogan on each slide) is no text of a slide. Names of authors, descriptions of pictures and
properties of the file are not read.

The parts of the package are read one by one (see `packages`), also under the names of the strict schema.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from nexus_graph.atoms.decoding import unreadable
from nexus_graph.atoms.model import Draft, LeftOut, Omission, Params, Recipe, Span
from nexus_graph.atoms.recipes import kinds
from nexus_graph.atoms.recipes.packages import Package
from nexus_graph.atoms.recipes.slide_text import Slide, child, children, local, paragraphs

_READS: Final = "pptx"
_HINT: Final = "Open it in a presentation program, and save it as pptx."
_MACROS: Final = "application/vnd.ms-powerpoint."
_OPEN: Final = "application/vnd.openxmlformats-officedocument.presentationml."
_EXTENSIONS: Final = {
    "pptx": kinds.SLIDES,
    "potx": f"{_OPEN}template",
    "ppsx": f"{_OPEN}slideshow",
    "pptm": f"{_MACROS}presentation.macroEnabled.12",
    "potm": f"{_MACROS}template.macroEnabled.12",
    "ppsm": f"{_MACROS}slideshow.macroEnabled.12",
}

Relations = Mapping[str, tuple[str, str]]
"""By id: the last word of a relation's type, and the part that it leads to."""


def slides(data: bytes, params: Params) -> Iterator[Draft | LeftOut]:
    """Slides that hold text, their notes and comments, and word of what is left out."""
    start = ordinal = 0
    footers: set[str] = set()
    try:
        for number, kind, found in _found(Package(data, _READS, hint=_HINT)):
            if isinstance(found, LeftOut):
                yield found
                continue
            end = start + len(found)
            if found.strip() and not (kind == "footer" and found in footers):
                part = kind if kind != "slide" else None
                yield Draft(ordinal, Span(start, end, slide=number, part=part), found, kind)
                ordinal += 1
                start = end + 1
            if kind == "footer":
                footers.add(found)
    except (KeyError, ValueError, RecursionError):
        raise unreadable(_READS, "its parts do not make a presentation", hint=_HINT) from None


def _found(package: Package) -> Iterator[tuple[int, str, str | LeftOut]]:
    """Number of the slide, kind and text of each atom, in order."""
    main = next((target for kind, target in _relations(package, "").values() if kind == "officeDocument"), "")
    relations = _relations(package, main)
    root = package.tree(main)
    if local(root) != "presentation":
        raise KeyError(main)
    listed = child(root, "sldIdLst")
    for number, item in enumerate([] if listed is None else children(listed, "sldId"), 1):
        part = relations[_relation(item)][1]
        for kind, found in _slide(package, part, f"slide {number}"):
            yield number, kind, found


def _slide(package: Package, part: str, place: str) -> Iterator[tuple[str, str | LeftOut]]:
    root = package.tree(part)
    if root.get("show") in ("0", "false"):
        yield "slide", LeftOut("hidden slide", place)
        return
    relations = _relations(package, part)

    def linked(key: str) -> Any:
        target = relations.get(key, ("", ""))[1]
        return package.tree(target) if target in package else None

    slide = Slide(root, place, linked)
    yield "slide", slide.text
    for omitted in slide.left_out:
        yield "slide", omitted
    for footer in slide.footers:
        yield "footer", footer
    for kind, target in relations.values():
        if kind == "notesSlide":
            notes = Slide(package.tree(target), f"the notes of {place}", lambda key: None, notes=True)
            yield "notes", notes.text
            for omitted in notes.left_out:
                yield "notes", omitted
        elif kind == "comments":
            for text in _comments(package.tree(target)):
                yield "comment", text


def _comments(root: Any) -> Iterator[str]:
    """The text of each comment, in the old form (one text) and in the new one (paragraphs)."""
    for comment in root.iter():
        if local(comment) in ("cm", "reply"):
            plain = child(comment, "text")
            body = child(comment, "txBody")
            yield (plain.text or "") if plain is not None else "\n".join(paragraphs(body)) if body is not None else ""


def _relations(package: Package, part: str) -> Relations:
    """Where a part leads to inside of the package."""
    folder, name = posixpath.split(part)
    path = posixpath.join(folder, "_rels", f"{name}.rels")
    if path not in package:
        return {}
    return {
        item.get("Id", ""): (
            item.get("Type", "").rpartition("/")[2],
            posixpath.normpath(posixpath.join("/", folder, unquote(item.get("Target", "")))).lstrip("/"),
        )
        for item in package.tree(path)
        if item.get("TargetMode") != "External"
    }


def _relation(item: Any) -> str:
    """The id of the relation that an element names."""
    return next((value for name, value in item.attrib.items() if name.endswith("}id")), "")


SLIDES = Recipe(
    op="pptx.slides",
    version="1",
    reads=_READS,
    purpose="One atom for the text of each slide, with its tables and charts, and one for its notes and each comment.",
    content_types=frozenset(_EXTENSIONS.values()),
    extensions=_EXTENSIONS,
    derive=slides,
    leaves_out={
        "hidden slide": Omission("{place} is hidden", intended=True),
        "hidden shape": Omission("what is hidden on {place}", intended=True),
        "picture": Omission("a picture on {place}"),
        "object": Omission("an embedded object on {place}"),
        "recording": Omission("a recording on {place}"),
        "equation": Omission("an equation on {place}"),
        "chart": Omission("a chart on {place}"),
        "diagram": Omission("a diagram on {place}"),
        "ink": Omission("handwriting on {place}"),
    },
)
