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

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from nexus_graph.atoms.decoding import Decoded, Lines, decode, unreadable
from nexus_graph.atoms.model import Draft, LeftOut, Omission, Parameter, Params, Recipe, Span
from nexus_graph.atoms.recipes.text import CHARSET

DEEPEST = 512

_DECLARED = re.compile(rb"""\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([A-Za-z][\w.-]{0,40})""")
_TAG = re.compile(rb"""<(?:[^"'>]|"[^"]*+"|'[^']*+')*+>""")
_ATTRIBUTE = re.compile(rb"=")


def decode_xml(data: bytes, params: Params) -> Decoded:
    """The source; the encoding of the XML declaration counts when the parameters tell no charset."""
    charset = cast("str | None", params.get("charset"))
    if charset is None and (found := _DECLARED.match(data[:512])):
        charset = found[1].decode("ascii")
    return decode(data, charset)


@dataclass(slots=True)
class _Element:
    """An element that may be an atom. Places are bytes of the UTF-8 source."""

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
    """One pass of expat over the source, which collects the elements down to a depth."""

    def __init__(self, source: bytes, depth: int) -> None:
        from xml.parsers import expat  # here, so that only a worker ever loads a parser of hostile files

        self.elements: list[_Element] = []
        self.others: list[tuple[str, int, _Element | None]] = []
        self._source, self._depth, self._level = source, depth, 0
        self._open: list[_Element] = []
        self._firsts: dict[tuple[int, str], _Element] = {}
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = False
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.CommentHandler = lambda _: self._other("comment")
        parser.ProcessingInstructionHandler = lambda *_: self._other("processing instruction")
        parser.StartDoctypeDeclHandler = lambda *_: self._other("document type")
        parser.EntityDeclHandler = self._refuse_entities
        self._parser = parser
        try:
            parser.Parse(source, True)
        except expat.ExpatError as error:
            reason = expat.errors.messages[error.code]
            raise unreadable("XML", reason, line=error.lineno, column=error.offset + 1) from None

    def _begin(self, name: str, _: dict[str, str]) -> None:
        self._level += 1
        if self._level > DEEPEST:
            raise self._wrong(f"it is nested deeper than {DEEPEST} levels")
        if self._level > self._depth + 1:
            return
        start = self._parser.CurrentByteIndex
        tag = _TAG.match(self._source, start)
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
            empty = self._source[element.tag_end - 2 : element.tag_end] == b"/>"
            end = self._source.find(b">", self._parser.CurrentByteIndex) + 1
            element.end = element.tag_end if empty else end
        self._level -= 1

    def _text(self, data: str) -> None:
        if self._level == len(self._open) and data.strip():
            self._open[-1].has_text = True

    def _other(self, what: str) -> None:
        if self._level == len(self._open):
            self.others.append((what, self._parser.CurrentByteIndex, self._open[-1] if self._open else None))

    def _refuse_entities(self, *_: object) -> None:
        raise self._wrong("it declares entities")

    def _wrong(self, reason: str) -> Exception:
        line, column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1
        return unreadable("XML", reason, line=line, column=column)


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
    source = text.encode()
    scan, lines, ordinal = _Scan(source, depth), Lines(text), 0
    points = _CodePoints(source, plain=len(source) == len(text))
    for element in scan.elements:
        if not _opens(element.parent, depth):
            continue
        opens = _opens(element, depth)
        end = element.tag_end if opens else element.end
        if opens and not _ATTRIBUTE.search(source, element.start, end):
            continue
        begin, finish = points.at(element.start), points.at(end)
        span = Span(begin, finish, line=lines.number(begin), end_line=lines.number(finish - 1), path=element.path)
        yield Draft(ordinal, span, text[begin:finish], "attributes" if opens else "element")
        ordinal += 1
    for what, at, parent in scan.others:
        if _opens(parent, depth):
            yield LeftOut(what, f"line {lines.number(points.at(at))}")


class _CodePoints:
    """From places in the UTF-8 source to places in the text; asked in any order, fast where they come near the last."""

    def __init__(self, source: bytes, *, plain: bool) -> None:
        self._source, self._plain = source, plain
        self._byte = self._point = 0

    def at(self, byte: int) -> int:
        """The code point that begins at a byte."""
        if self._plain:
            return byte
        low, high = min(byte, self._byte), max(byte, self._byte)
        between = len(self._source[low:high].decode())
        self._point += between if byte >= self._byte else -between
        self._byte = byte
        return self._point


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
