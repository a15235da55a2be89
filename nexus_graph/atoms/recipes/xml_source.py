"""XML by its own rules (XML 1.0, Namespaces): one pass over a document, with the exact place of everything in it.

Nothing outside of the document is ever loaded. Entities that it declares for itself are read; one that is made of
others is refused, which is how a small file becomes a huge one.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from html.entities import html5
from typing import Any, Final, cast

from nexus_graph.atoms.decoding import Decoded, Lines, decode, unreadable
from nexus_graph.atoms.model import Params
from nexus_graph.scope.errors import Invalid

_DECLARED: Final = re.compile(rb"""<\?xml\s[^>]{0,200}?\sencoding\s*=\s*["']([A-Za-z][\w.-]{0,40})""")
_WIDE: Final = re.compile(rb"<\0(?!\0)|(?P<big>\0<)(?=\0)")
_NAMED: Final = re.compile("&(?!#|(?:amp|lt|gt|quot|apos);)")
TAG: Final = re.compile(r"""<[^"'>]*+(?:(?:"[^"]*"|'[^']*')[^"'>]*+)*+>""")
"""A start tag; whatever stands there must be one."""

_SAVE: Final = "Mend it there, or save it again with a program that writes XML."


def decode_xml(data: bytes, params: Params) -> Decoded:
    """The source. The encoding is that of a byte order mark, UTF-8, what the parameters tell, or what it declares.

    UTF-16 is also known by the first characters (XML 1.0, appendix F). Raises Invalid where none of these fits.
    """
    declared = cast("str | None", params.get("charset"))
    if (wide := _WIDE.match(data)) is not None:
        return decode((codecs.BOM_UTF16_BE if wide["big"] else codecs.BOM_UTF16_LE) + data)
    if declared is None and (found := _DECLARED.match(data.removeprefix(b"\xef\xbb\xbf").lstrip())):
        declared = found[1].decode()
    return decode(data, declared or "utf-8")


class XmlSource:
    """One document about to be parsed: set handlers on `parser` (see `xml.parsers.expat`), then call `parse`."""

    def __init__(self, text: str, reads: str, *, namespaces: bool = False, html_entities: bool = False) -> None:
        """`html_entities` gives the named entities of HTML their meaning, as the doctypes of XHTML do."""
        from xml.parsers import expat  # here, so that only a worker ever loads a parser of hostile files

        self.text = text
        self._reads = reads
        self._data = text.encode()
        self._counted = (0, 0)
        """A place as bytes and as code points, never beyond what is told next."""
        self.parser = expat.ParserCreate("utf-8", " " if namespaces else None)
        self.parser.EntityDeclHandler = self._check_entity
        if html_entities and _NAMED.search(text):
            self.parser.UseForeignDTD(True)
            self.parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_ALWAYS)
            self.parser.ExternalEntityRefHandler = self._declare
            self.parser.SkippedEntityHandler = self._refuse_entity

    def parse(self) -> None:
        """Parse the whole document. Raises Invalid, with line and column."""
        from xml.parsers import expat

        try:
            self.parser.Parse(self._data, True)
        except expat.ExpatError as error:
            reason = f"it is not well-formed ({expat.ErrorString(error.code)})"
            raise unreadable(self._reads, reason, hint=_SAVE, line=error.lineno, column=error.offset + 1) from None

    def here(self) -> int:
        """The place of what a handler is told, in code points. Asked in the order of the document."""
        at = self.parser.CurrentByteIndex
        if len(self._data) == len(self.text):
            return at
        byte, counted = self._counted
        if at < byte:
            byte = counted = 0
        counted += len(self._data[byte:at].decode())
        self._counted = (at, counted)
        return counted

    def end_of(self, said: str, start: int) -> int:
        """Where a text ends that is told to start there: behind itself, or behind the reference that stands for it."""
        if self.text.startswith("&", start):
            return self.text.index(";", start) + 1
        return start + len(said)

    def wrong(self, reason: str, at: int, hint: str) -> Invalid:
        """The error for something that is wrong at a place."""
        line, column = Lines(self.text).place(at)
        return unreadable(self._reads, reason, hint=hint, line=line, column=column)

    def _check_entity(self, name: str, is_parameter: int, value: str | None, *others: Any) -> None:
        if value is not None and _NAMED.search(value):
            hint = "Write what it stands for where it is used, and leave the declaration out."
            raise self.wrong(f"the entity {name[:40]!r} is made of other entities", self.here(), hint)

    def _refuse_entity(self, name: str, is_parameter: int) -> None:
        if not is_parameter:
            hint = "Write the character itself, or its number such as &#228;."
            raise self.wrong(f"the entity {name[:40]!r} is not declared", self.here(), hint)

    def _declare(self, context: str | None, base: str | None, system: str | None, public: str | None) -> int:
        """Give what a document type names outside of the document: nothing but the entities of HTML."""
        if context is not None:
            raise self.wrong("an entity stands for another file", self.here(), "Write what it stands for in its place.")
        self.parser.ExternalEntityParserCreate(context, "utf-8").Parse("".join(_declarations()), True)
        return 1


def _declarations() -> Iterator[str]:
    """The named entities of HTML as a document type declares them; signs of markup are escaped twice."""
    for name, meaning in html5.items():
        if name.endswith(";"):
            written = "".join(f"&#38;#{ord(character)};" for character in meaning)
            yield f'<!ENTITY {name[:-1]} "{written}">'
