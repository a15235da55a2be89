"""Raw assets as values: what a caller declares, what the engine keeps, which words are allowed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from nexus_graph.safeguards import Resource
from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import pii_flags
from nexus_graph.stores.blobs.base import Upload

LONGEST_FILENAME = 255
LONGEST_CONTENT_TYPE = 255
LONGEST_REFERENCE = 2000
_LONGEST_SAFE_NAME = 100

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"  # restricted-name of RFC 6838, section 4.2
_PARAMETER = r"[ \t]*;[ \t]*[A-Za-z0-9!#$&^_.+-]+=([A-Za-z0-9!#$%&'*+.^_`|~-]+|\"[ !#-\[\]-~]*\")"
_CONTENT_TYPE = re.compile(rf"({_NAME}/{_NAME})((?:{_PARAMETER})*)")
_EXTENSION = re.compile(r"[A-Za-z0-9]{1,16}")
_BIDIRECTIONAL = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


class AssetState(StrEnum):
    """How far an asset is.

    `UPLOADED` is for a store that reports the arrival of an upload. The embedded one does not: there an asset is
    `RESERVED` until it is sealed, whether or not its bytes have come. `PURGED` answers as if it had never been.
    """

    RESERVED = "RESERVED"
    UPLOADED = "UPLOADED"
    SEALED = "SEALED"
    PURGED = "PURGED"


@dataclass(frozen=True, slots=True)
class AssetRules:
    """Limits: bytes of the largest asset, and how many seconds a reservation and a download address are good."""

    largest: int
    reservation_seconds: int
    address_seconds: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a caller declares before uploading. `size` in bytes, `sha256` in lower-case hexadecimal.

    The filename is shown to people and used for nothing else.
    """

    filename: str
    content_type: str
    size: int
    sha256: str
    train_ok: bool
    captured_at: datetime | None = None
    capture_location: str | None = None
    source_ref: str | None = None

    @classmethod
    def of(
        cls,
        data: bytes,
        *,
        filename: str,
        content_type: str,
        train_ok: bool,
        captured_at: datetime | None = None,
        capture_location: str | None = None,
        source_ref: str | None = None,
    ) -> Reservation:
        """The reservation for bytes at hand."""
        return cls(filename, content_type, len(data), sha256(data), train_ok, captured_at, capture_location, source_ref)

    @property
    def handling(self) -> Handling:
        """The labels at reservation: what the words around the file tell. Atoms add what they find inside it."""
        words = [self.filename, self.source_ref, self.capture_location]
        return Handling(pii_flags(words), self.train_ok)


@dataclass(frozen=True, slots=True)
class Asset:
    """A raw file: everything but its bytes. Immutable once sealed, apart from its labels.

    `handling` tells effective consent, `declared_train_ok` what was declared of this record alone.
    """

    asset_id: str
    filename: str
    content_type: str
    size: int
    sha256: str
    state: AssetState
    captured_at: datetime | None
    capture_location: str | None
    source_ref: str | None
    handling: Handling
    created_by: str
    created_at: datetime
    sealed_at: datetime | None
    expires_at: datetime
    object_key: str
    declared_train_ok: bool

    @property
    def media_type(self) -> str:
        """The content type without its parameters."""
        return media_type(self.content_type)

    @property
    def room(self) -> Mapping[Resource, int]:
        """What it takes of the quotas: reserved with the asset, settled when it is sealed."""
        return {Resource.STORED_BYTES: self.size, Resource.ASSETS: 1}


@dataclass(frozen=True, slots=True)
class Reserved:
    """The answer to a reservation. Without `upload` the bytes are here already; `duplicate`: as another asset."""

    asset: Asset
    upload: Upload | None
    duplicate: bool


@dataclass(frozen=True, slots=True)
class AssetFilter:
    """Which assets to list. Empty means any; parameters of content types do not count; `created_to` is exclusive."""

    states: tuple[AssetState, ...] = ()
    content_types: tuple[str, ...] = ()
    created_from: datetime | None = None
    created_to: datetime | None = None


def validated(reservation: Reservation, rules: AssetRules) -> Reservation:
    """The reservation with its content type normalised. Raises Invalid that names the field and the rule."""
    _plain("filename", reservation.filename, LONGEST_FILENAME)
    if "/" in reservation.filename:
        raise _invalid("filename", "The filename holds a slash.", "Put the path into sourceRef.")
    if reservation.size == 0:
        raise _invalid("size_bytes", "The file is empty.", "An empty file holds nothing to keep.")
    if not 1 <= reservation.size <= rules.largest:
        raise _invalid("size_bytes", f"{reservation.size} bytes; an asset has 1 to {rules.largest}.", "Split the file.")
    if not _SHA256.fullmatch(reservation.sha256):
        raise _invalid("sha256", "This is no SHA-256.", "64 lower-case hexadecimal digits.")
    for name, value in (("source_ref", reservation.source_ref), ("capture_location", reservation.capture_location)):
        if value is not None:
            _plain(name, value, LONGEST_REFERENCE)
    if reservation.captured_at is not None and reservation.captured_at.utcoffset() is None:
        raise _invalid("captured_at", "The time has no offset from UTC.", "For example 2026-11-01T09:30:00Z.")
    return replace(reservation, content_type=content_type(reservation.content_type))


def content_type(value: str) -> str:
    """A content type as in RFC 9110, type and subtype in lower case. Raises Invalid for anything else."""
    match = _CONTENT_TYPE.fullmatch(value) if len(value) <= LONGEST_CONTENT_TYPE else None
    if match is None:
        raise _invalid("content_type", "This is no content type.", "For example text/plain; charset=utf-8.")
    return match[1].lower() + match[2]


def media_type(value: str) -> str:
    """A content type without its parameters, in lower case."""
    return value.partition(";")[0].strip().lower()


def safe_filename(filename: str) -> str:
    """The last part of an object's key: ASCII letters, digits, `.`, `_` and `-`, at most 100, the extension kept.

    Accents and other scripts are dropped, every other run of characters becomes one `-`, and a stem neither begins nor
    ends with `.`, `-` or `_`. A stem of which nothing is left is `file`. Two names may
    give the same: the asset id before it in the key tells them apart.
    """
    stem, dot, extension = filename.rpartition(".")
    if not dot or not _EXTENSION.fullmatch(extension):
        stem, dot, extension = filename, "", ""
    room = _LONGEST_SAFE_NAME - len(dot + extension)
    return f"{_safe(stem)[:room].rstrip('-._') or 'file'}{dot}{extension}"


def object_key(asset_id: str, filename: str) -> str:
    """The key of an asset's object."""
    return f"raw/{asset_id}/{safe_filename(filename)}"


def _safe(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._]+", "-", plain).strip("-._")


def _plain(name: str, value: str, longest: int) -> None:
    if not 1 <= len(value) <= longest or not value.strip():
        raise _invalid(name, f"{len(value)} characters; it takes 1 to {longest}, not all blank.", "Shorten or omit it.")
    for place, character in enumerate(value):
        if unicodedata.category(character) in _FORBIDDEN_CATEGORIES or character in _BIDIRECTIONAL:
            raise _invalid(name, f"Character {place + 1} is U+{ord(character):04X}.", "Control characters are refused.")


def _invalid(name: str, message: str, hint: str) -> Invalid:
    first, *others = name.split("_")
    field = first + "".join(other.capitalize() for other in others)
    return Invalid(f"{field}: {message}", hint=hint, path=("input", field))
