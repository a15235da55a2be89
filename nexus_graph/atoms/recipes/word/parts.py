"""The parts of a Word file, and how they relate to each other."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nexus_graph.atoms.decoding import unreadable
from nexus_graph.atoms.recipes.packages import Package, parse
from nexus_graph.atoms.recipes.word.names import W

READS: Final = "docx"

_HINT = "Open it in a word processor, and save it as docx."
_ENCRYPTED_HINT = "An encrypted or old .doc file? Open it in a word processor, and save it as docx."
_RELATION = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_TYPES = "{http://schemas.openxmlformats.org/package/2006/content-types}"

# ISO 29500 Strict has the same elements under other names.
_STRICT = re.compile(rb"""(?<=["'])http://purl\.oclc\.org/ooxml/(\w+)/(\w+)""")


@dataclass(frozen=True, slots=True)
class Relation:
    """What a part refers to: its type ("header", "chart", ...), and the name of a part or an address outside."""

    type: str
    target: str
    outside: bool


class Parts:
    """The parts of a Word file."""

    def __init__(self, data: bytes) -> None:
        """Raises Invalid for what is no Word file."""
        self._package = Package(data, READS, hint=_ENCRYPTED_HINT)
        self._relations: dict[str, Mapping[str, Relation]] = {}
        self._types: tuple[dict[str, str], dict[str, str]] | None = None
        main = next((found.target for found in self.relations("").values() if found.type == "officeDocument"), "")
        if main not in self._package:
            raise _no_document()
        self.main = main
        self.document = self.tree(main)
        if self.document.tag != f"{W}document":
            raise _no_document()

    def __contains__(self, name: str) -> bool:
        return name in self._package

    def read(self, name: str) -> bytes:
        """The bytes of a part. Raises KeyError for one that is not there; Invalid."""
        return self._package.read(name)

    def tree(self, name: str) -> Any:
        """The root element of a part, under the names of the transitional schema. Raises KeyError, Invalid."""
        content = self._package.read(name)
        if b"purl.oclc.org" in content:
            content = _STRICT.sub(rb"http://schemas.openxmlformats.org/\1/2006/\2", content)
        return parse(content, name, READS)

    def relations(self, part: str) -> Mapping[str, Relation]:
        """What a part refers to, by id; "" is the package itself."""
        if part not in self._relations:
            folder, name = posixpath.split(part)
            listing = posixpath.join(folder, "_rels", f"{name}.rels")
            found = self.tree(listing).iter(_RELATION) if listing in self._package else ()
            self._relations[part] = {item.get("Id", ""): _relation(folder, item) for item in found}
        return self._relations[part]

    def named(self, kind: str) -> str | None:
        """The name of the part of this type that the document refers to; None where there is none in the file."""
        names = (found.target for found in self.relations(self.main).values() if found.type == kind)
        return next((name for name in names if name in self._package), None)

    def related(self, kind: str) -> Any:
        """The root of the part of this type that the document refers to, or None."""
        name = self.named(kind)
        return None if name is None else self.tree(name)

    def content_type(self, name: str) -> str:
        """The content type that is declared for a part, or ""."""
        if self._types is None:
            root = self.tree("[Content_Types].xml") if "[Content_Types].xml" in self._package else ()
            single: dict[str, str] = {}
            usual: dict[str, str] = {}
            for item in root:
                if item.tag == f"{_TYPES}Override":
                    single[item.get("PartName", "").lstrip("/").lower()] = item.get("ContentType", "")
                elif item.tag == f"{_TYPES}Default":
                    usual[item.get("Extension", "").lower()] = item.get("ContentType", "")
            self._types = single, usual
        single, usual = self._types
        return single.get(name.lower()) or usual.get(name.rpartition(".")[2].lower()) or ""


def _relation(folder: str, item: Any) -> Relation:
    target, outside = item.get("Target", ""), item.get("TargetMode") == "External"
    if not outside:
        target = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
    return Relation(item.get("Type", "").rpartition("/")[2], target, outside)


def _no_document() -> Exception:
    return unreadable(READS, "its parts do not make a Word document", hint=_HINT)
