"""Packages: zip archives of parts (docx, xlsx, ods, EPUB), measured before anything in them is parsed.

`check_package` is for a library that unpacks by itself; `Package` reads single parts, and unpacks no others. Both count
what entries really unpack to, whatever they declare, and refuse document type declarations (the way to entity bombs,
which Open XML and OpenDocument forbid).
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from nexus_graph.atoms.decoding import unreadable

UNPACKED_LIMIT = 256 * 2**20
"""Bytes that all entries may unpack to."""
ENTRY_LIMIT = 10_000

_CHUNK = 2**16
_DECLARATION = b"<!DOCTYPE"
# Pictures, and pages that are parts of their own: no parser of XML is given them.
_NO_XML = re.compile(r"(?:^|/)media/|\.(?:svg|png|jpe?g|gif|emf|wmf|tiff?|bin|html?|mht|mhtml|txt|rtf)$", re.IGNORECASE)


def check_package(data: bytes, reads: str, *, hint: str | None = None, declarations: bool = False) -> None:
    """Raise Invalid for what is no sound zip, or unpacks to too much.

    `reads` names what it should be, `hint` says what to do where it is no zip. A document type declaration outside of
    pictures and pages is refused, unless `declarations` are allowed: then the parser must expand no entities.
    """
    with _sound(reads, hint):
        archive = _archive(data, reads)
        left = UNPACKED_LIMIT
        for entry in archive.infolist():
            refuse = not declarations and _NO_XML.search(entry.filename) is None
            tail = b""
            for chunk in _unpacked(archive, entry, left, reads):
                left -= len(chunk)
                seen = tail + chunk.replace(b"\0", b"")  # whatever the width of a character
                if refuse and _DECLARATION in seen:
                    raise _declares(reads, entry.filename)
                tail = seen[-len(_DECLARATION) :]


class Package:
    """A package whose parts are read one by one. The case of a part's name does not matter, nor a leading slash."""

    def __init__(self, data: bytes, reads: str, *, hint: str | None = None) -> None:
        """`reads` and `hint` as for `check_package`. Raises Invalid for what is no zip, or declares too much."""
        self._reads, self._hint = reads, hint
        self._left = UNPACKED_LIMIT
        with _sound(reads, hint):
            self._archive = _archive(data, reads)
        self._entries = {_key(entry.filename): entry for entry in self._archive.infolist()}

    def __contains__(self, name: str) -> bool:
        return _key(name) in self._entries or _key(unquote(name)) in self._entries

    @property
    def names(self) -> list[str]:
        """The names of the parts, as they are written, in the order of the package."""
        return [entry.filename for entry in self._entries.values()]

    def read(self, name: str) -> bytes:
        """The bytes of a part. Raises KeyError for a part that is not there; Invalid."""
        entry = self._entries.get(_key(name)) or self._entries[_key(unquote(name))]
        with _sound(self._reads, self._hint):
            content = b"".join(_unpacked(self._archive, entry, self._left, self._reads))
        self._left -= len(content)
        return content

    def tree(self, name: str) -> Any:
        """The root element of an XML part, an lxml element. Raises KeyError, Invalid."""
        return parse(self.read(name), name, self._reads)


def parse(content: bytes, name: str, reads: str) -> Any:
    """The root element of a piece of XML, an lxml element: no entities, no network, at most 256 levels deep.

    `name` is told in the Invalid that this raises.
    """
    from lxml import etree  # type: ignore[import-untyped]  # here, so that only a worker ever loads it

    if _DECLARATION in content.replace(b"\0", b""):  # whatever the width of a character
        raise _declares(reads, name)
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        line = error.lineno if isinstance(error, etree.XMLSyntaxError) else None
        raise unreadable(reads, f"its part {name[:100]!r} is no sound XML", line=line) from None
    if root.getroottree().docinfo.internalDTD is not None:  # in an encoding that hides it from the look above
        raise _declares(reads, name)
    return root


@contextmanager
def _sound(reads: str, hint: str | None) -> Iterator[None]:
    """Tell as Invalid whatever is wrong with an archive."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise unreadable(reads, "it is no sound zip archive", hint=hint) from error


def _archive(data: bytes, reads: str) -> zipfile.ZipFile:
    """The archive, with what its entries declare checked."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    entries = archive.infolist()
    if len(entries) > ENTRY_LIMIT or sum(entry.file_size for entry in entries) > UNPACKED_LIMIT:
        raise _too_big(reads)
    return archive


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int, reads: str) -> Iterator[bytes]:
    """What an entry unpacks to, in pieces, at most `most` bytes."""
    with archive.open(entry) as stream:
        while chunk := stream.read(_CHUNK):
            most -= len(chunk)
            if most < 0:
                raise _too_big(reads)
            yield chunk


def _key(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


def _too_big(reads: str) -> Exception:
    reason = f"it unpacks to more than {UNPACKED_LIMIT:,} bytes or {ENTRY_LIMIT:,} entries"
    return unreadable(reads, reason, hint="Remove pictures, or split it into several files.")


def _declares(reads: str, name: str) -> Exception:
    return unreadable(reads, f"its part {name[:100]!r} holds a document type declaration")
