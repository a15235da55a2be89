"""What is drawn into a document: text boxes, charts and diagrams are read, pictures and embedded objects told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from nexus_graph.atoms.recipes.word import charts
from nexus_graph.atoms.recipes.word.names import DGM, MC, OFFICE, WP, A, C, R, V, W, chosen
from nexus_graph.atoms.recipes.word.omissions import DECORATION, HIDDEN, MISSING, OBJECT, PICTURE
from nexus_graph.atoms.recipes.word.text import Block, Story, Text

if TYPE_CHECKING:
    from nexus_graph.atoms.recipes.word.reader import Reader

_DECORATIVE: Final = "{http://schemas.microsoft.com/office/drawing/2017/decorative}decorative"
_NEWER_CHART: Final = "{http://schemas.microsoft.com/office/drawing/2014/chartex}chart"
_INK: Final = "{http://schemas.microsoft.com/office/word/2010/wordprocessingInk}contentPart"


def read(reader: Reader, drawing: Any, text: Text) -> None:
    """Add what a drawing holds beside the text that it is anchored in."""
    properties = drawing.find(f"*/{WP}docPr")
    if properties is None:
        _inside(reader, drawing, text, "")
        return
    name = _name(properties.get("descr") or properties.get("name"))
    decorative = any(mark.get("val") in ("1", "true") for mark in properties.iter(_DECORATIVE))
    _shown(reader, drawing, text, DECORATION if decorative else name, properties.get("hidden") in ("1", "true"))


def read_object(reader: Reader, element: Any, text: Text) -> None:
    """Tell of an embedded object: a sheet, a control, an equation of an older kind."""
    found = next(element.iter(f"{OFFICE}OLEObject", f"{W}control"), None)
    name = "" if found is None else found.get("ProgID") or found.get(f"{W}name") or ""
    _tell(text, OBJECT, name or "of an unknown kind")


def _inside(reader: Reader, element: Any, text: Text, name: str) -> None:
    for child in element:
        _READERS.get(child.tag, _inside)(reader, child, text, name)


def _shown(reader: Reader, element: Any, text: Text, name: str, hidden: bool) -> None:
    muted = text.muted
    if hidden:
        text.muted = muted or HIDDEN
    _inside(reader, element, text, name)
    text.muted = muted


def _shape(reader: Reader, shape: Any, text: Text, name: str) -> None:
    """A shape of the older kind (VML)."""
    own = _name(shape.get("alt") or shape.get("title"))
    _shown(reader, shape, text, own or name, "visibility:hidden" in shape.get("style", "").replace(" ", ""))


def _alternatives(reader: Reader, element: Any, text: Text, name: str) -> None:
    choice = chosen(element)
    if choice is not None:
        _inside(reader, choice, text, name)


def _box(reader: Reader, content: Any, text: Text, name: str) -> None:
    """A text box: a story of its own."""
    if text.silent:
        for item in content.iter(f"{W}t"):
            text.say(item.text or "")
        return
    story = Story.of(content, text.story.source, reader.counted("text box"), text.story.kind)
    text.beside.extend(reader.blocks(content, story))


def _shape_text(reader: Reader, body: Any, text: Text, name: str) -> None:
    """The text of a shape as presentations have it: paragraphs without styles."""
    _stand(reader, "\n".join(charts.lines(body)), text, "text box", "paragraph")


def _word_art(reader: Reader, path: Any, text: Text, name: str) -> None:
    """Words that are drawn along a path, as watermarks are."""
    _stand(reader, path.get("string", ""), text, "text box", "paragraph")


def _stand(reader: Reader, words: str, text: Text, what: str, kind: str) -> None:
    """Words that stand beside the text."""
    if text.silent:
        text.say(words)
    elif words.strip():
        words = words.replace("\r", "\n").strip("\n")
        text.beside.append(Block(text.story.kind or kind, words, reader.counted(what)))


def _picture(reader: Reader, picture: Any, text: Text, name: str) -> None:
    if any(picture.get(f"{R}{how}") for how in ("embed", "link", "id", "href", "pict")):
        own = _name(picture.get(f"{OFFICE}title"))
        decorative = name == DECORATION
        _tell(text, DECORATION if decorative else PICTURE, "" if decorative else own or name or "without a name")


def _ink(reader: Reader, reference: Any, text: Text, name: str) -> None:
    _tell(text, PICTURE, "drawn by hand")


def _chart(reader: Reader, reference: Any, text: Text, name: str) -> None:
    _part(reader, reference.get(f"{R}id"), text, "chart", charts.chart)


def _newer_chart(reader: Reader, reference: Any, text: Text, name: str) -> None:
    _tell(text, OBJECT, f"chart {name}".strip())


def _diagram(reader: Reader, reference: Any, text: Text, name: str) -> None:
    _part(reader, reference.get(f"{R}dm"), text, "diagram", charts.diagram)


def _part(reader: Reader, relation_id: str | None, text: Text, kind: str, read_part: Callable[[Any], str]) -> None:
    """A chart or diagram, which is a part of its own."""
    relation = reader.parts.relations(text.story.source).get(relation_id or "")
    if relation is None or relation.outside or relation.target not in reader.parts:
        _tell(text, MISSING, f"with a {kind}")
    else:
        _stand(reader, read_part(reader.parts.tree(relation.target)), text, kind, kind)


def _tell(text: Text, what: str, name: str) -> None:
    """Word of what is not read."""
    if text.silent:
        text.say(name or what)
    else:
        text.leave_out(what, f"{name} in {text.story.place}".strip())


def _name(words: str | None) -> str:
    """What an author called a picture, or said that it shows."""
    return f'"{" ".join(words.split())}"' if words and words.strip() else ""


_READERS: Final[Mapping[str, Callable[[Reader, Any, Text, str], None]]] = {
    f"{MC}AlternateContent": _alternatives,
    f"{W}txbxContent": _box,
    f"{A}txBody": _shape_text,
    f"{V}textpath": _word_art,
    f"{A}blip": _picture,
    f"{V}imagedata": _picture,
    f"{C}chart": _chart,
    _NEWER_CHART: _newer_chart,
    f"{DGM}relIds": _diagram,
    _INK: _ink,
    f"{W}contentPart": _ink,
    **{f"{V}{name}": _shape for name in ("shape", "rect", "roundrect", "oval", "line", "polyline", "group")},
}
