"""XML 1.0: the source of each element down to a depth, with its path.

An element opens into the elements in it down to `depth` levels. One that holds text of its own, or stands beside others
of its name (a record), is one atom however deep it goes. The text is the source itself, tags and attributes included;
an element that opens gives its start tag where that has attributes. A path counts elements of a name among their
siblings, from 1, with names as they are written: `/catalog[1]/item[3]`.

Expat reads, by XML's rules: what is not well-formed is refused with line and column. A file that declares entities is
refused (the way to entity bombs), as is nesting deeper than 512; references stay as they are written, and nothing is
fetched. Comments and processing instructions between atoms, and the document type, are told as left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from nexus_graph.atoms.decoding import Lines
from nexus_graph.atoms.model import Draft, LeftOut, Omission, Parameter, Params, Recipe, Span
from nexus_graph.atoms.recipes.text import CHARSET
from nexus_graph.atoms.recipes.xml_source import TAG, XmlSource, decode_xml

DEEPEST = 512


@dataclass(slots=True)
class _Element:
    """An element that may be an atom. Places are code points of the source."""

    path: str
    level: int
    parent: _Element | None
    start: int
    tag_end: int
    end: int = -1
    has_text: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    """How many elements of each name are in it so far."""
    repeated: bool = False


class _Scan:
    """One pass over the source, which collects the elements down to a depth."""

    def __init__(self, text: str, depth: int) -> None:
        self.elements: list[_Element] = []
        self.others: list[tuple[str, int, _Element | None]] = []
        self._text, self._depth, self._level = text, depth, 0
        self._open: list[_Element] = []
        self._firsts: dict[tuple[int, str], _Element] = {}
        self._xml = XmlSource(text, "XML")
        parser = self._xml.parser
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.CommentHandler = lambda _: self._other("comment")
        parser.ProcessingInstructionHandler = lambda *_: self._other("processing instruction")
        parser.StartDoctypeDeclHandler = lambda *_: self._other("document type")
        parser.EntityDeclHandler = self._refuse_entities
        self._xml.parse()

    def _begin(self, name: str, _: dict[str, str]) -> None:
        self._level += 1
        if self._level > DEEPEST:
            hint = "Cut it into files of fewer levels."
            raise self._xml.wrong(f"it is nested deeper than {DEEPEST} levels", self._xml.here(), hint)
        if self._level > self._depth + 1:
            return
        start = self._xml.here()
        tag = TAG.match(self._text, start)
        parent = self._open[-1] if self._open else None
        counts = parent.counts if parent else {}
        number = counts[name] = counts.get(name, 0) + 1
        path = f"{parent.path if parent else ''}/{name}[{number}]"
        element = _Element(path, self._level - 1, parent, start, tag.end() if tag else start)
        if number == 1:
            self._firsts[id(parent), name] = element
        else:
            self._firsts[id(parent), name].repeated = element.repeated = True
        self._open.append(element)
        self.elements.append(element)

    def _end(self, _: str) -> None:
        if self._level == len(self._open):
            element = self._open.pop()
            empty = self._text.startswith("/>", element.tag_end - 2)
            element.end = element.tag_end if empty else self._text.find(">", self._xml.here()) + 1
        self._level -= 1

    def _characters(self, said: str) -> None:
        if self._level == len(self._open) and said.strip():
            self._open[-1].has_text = True

    def _other(self, what: str) -> None:
        if self._level == len(self._open):
            self.others.append((what, self._xml.here(), self._open[-1] if self._open else None))

    def _refuse_entities(self, *_: object) -> None:
        hint = "Write what they stand for where they are used, and leave the declarations out."
        raise self._xml.wrong("it declares entities", self._xml.here(), hint)


def _opens(element: _Element | None, depth: int) -> bool:
    """Whether its parts are atoms, rather than itself; None is the document."""
    if element is None:
        return True
    itself = bool(element.counts) and element.level < depth and not element.has_text and not element.repeated
    return itself and _opens(element.parent, depth)


def elements(data: bytes, params: Params) -> Iterator[Draft | LeftOut]:
    """The elements down to `depth`, each with its source as text."""
    text = decode_xml(data, params).text
    depth = cast("int", params["depth"])
    scan, lines, ordinal = _Scan(text, depth), Lines(text), 0
    for element in scan.elements:
        if not _opens(element.parent, depth):
            continue
        start, opens = element.start, _opens(element, depth)
        end = element.tag_end if opens else element.end
        if opens and text.find("=", start, end) < 0:
            continue
        span = Span(start, end, line=lines.number(start), end_line=lines.number(end - 1), path=element.path)
        yield Draft(ordinal, span, text[start:end], "attributes" if opens else "element")
        ordinal += 1
    for what, at, parent in scan.others:
        if _opens(parent, depth):
            yield LeftOut(what, f"line {lines.number(at)}")


ELEMENTS = Recipe(
    op="xml.elements",
    version="1",
    reads="XML",
    purpose="One atom for each element down to a depth, with its path; records, and elements with text, stay whole.",
    content_types=frozenset(
        {"application/xml", "text/xml", "application/rss+xml", "application/atom+xml", "application/xslt+xml"}
    ),
    extensions={
        **dict.fromkeys(("xml", "xsd", "wsdl"), "application/xml"),
        "rss": "application/rss+xml",
        "atom": "application/atom+xml",
        **dict.fromkeys(("xsl", "xslt"), "application/xslt+xml"),
    },
    derive=elements,
    decode=decode_xml,
    parameters={
        **CHARSET,
        "depth": Parameter(
            2, "How many levels of elements open into their parts; 0 keeps all whole.", least=0, most=32
        ),
    },
    leaves_out={
        "comment": Omission("a comment ({place})", intended=True),
        "processing instruction": Omission("a processing instruction ({place})", intended=True),
        "document type": Omission("the document type ({place})", intended=True),
    },
)
