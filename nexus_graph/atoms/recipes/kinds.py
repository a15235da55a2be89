"""What kind of file it is: decided from its bytes, its name and its declared type together, and told with the reason.

Bytes that begin as a known binary format decide by themselves. Otherwise the declared type counts, unless it is generic
(`application/octet-stream`) or contradicted by the bytes (a PDF that is text); then the name; then what the text looks
like. Nothing is parsed here, and the machine's own tables of types are not asked: equal files get equal answers.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import islice
from typing import Final

UNKNOWN: Final = "application/octet-stream"
PLAIN: Final = "text/plain"

# What many clients send for any file: the name, or the bytes, know better.
_GENERIC = frozenset(
    {UNKNOWN, PLAIN, "", "binary/octet-stream", "application/binary", "application/x-download", "application/x-zip"}
    | {"application/zip", "application/x-zip-compressed", "application/force-download", "application/unknown"}
)

_OPEN_XML = "application/vnd.openxmlformats-officedocument."
WORD: Final = f"{_OPEN_XML}wordprocessingml.document"
WORD_TEMPLATE: Final = f"{_OPEN_XML}wordprocessingml.template"
WORD_MACROS: Final = "application/vnd.ms-word.document.macroenabled.12"
WORD_MACRO_TEMPLATE: Final = "application/vnd.ms-word.template.macroenabled.12"
WORKBOOK: Final = f"{_OPEN_XML}spreadsheetml.sheet"
SLIDES: Final = f"{_OPEN_XML}presentationml.presentation"
BINARY_WORKBOOK: Final = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
OLD_WORKBOOK: Final = "application/vnd.ms-excel"
OPEN_SHEET: Final = "application/vnd.oasis.opendocument.spreadsheet"
ENCRYPTED_OFFICE: Final = "application/x-encrypted-office"
_ZIP = "application/zip"
_OLD_OFFICE = "application/x-ole-storage"

KEPT: Final[Mapping[str, str]] = {
    "doc": "application/msword",
    "ppt": "application/vnd.ms-powerpoint",
    "msg": "application/vnd.ms-outlook",
    "xlsb": BINARY_WORKBOOK,
    "rtf": "application/rtf",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "svg": "image/svg+xml",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "mp4": "video/mp4",
    "zip": _ZIP,
    "gz": "application/gzip",
}
"""Extensions of files that no recipe reads: whoever downloads them should be told what they are."""

_SIGNATURES: tuple[tuple[bytes, int, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF87a", 0, "image/gif"),
    (b"GIF89a", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"II*\x00", 0, "image/tiff"),
    (b"MM\x00*", 0, "image/tiff"),
    (b"WAVE", 8, "audio/wav"),
    (b"ID3", 0, "audio/mpeg"),
    (b"ftyp", 4, "video/mp4"),
    (b"\x1f\x8b\x08", 0, "application/gzip"),
    (b"SQLite format 3\x00", 0, "application/vnd.sqlite3"),
)
_PDF_WITHIN = 1024  # readers accept so many bytes before it (ISO 32000-1, annex H.3.4.1)

# Names inside old Office files are UTF-16; which of them there are tells the program that wrote it.
_OLD_NAMES: tuple[tuple[str, str], ...] = (
    ("EncryptedPackage", ENCRYPTED_OFFICE),
    ("WordDocument", "application/msword"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
    ("__properties_version1.0", "application/vnd.ms-outlook"),
    ("Workbook", OLD_WORKBOOK),
    ("Book", OLD_WORKBOOK),
)

_UTF_16_OR_32 = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_ZIP_MARKS = (b"PK\x03\x04", b"PK\x05\x06")
_LOOKED_AT = 4096
_ENTRIES = 1000

_MARKUP = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml\b[^>]{0,200}>\s*)?(?:<!--.{0,1000}?-->\s*){0,5}"
    rb"(?:<!doctype\s+html\b|<(?P<root>html|head|body|table|div|meta|title|p)\b)",
    re.IGNORECASE | re.DOTALL,
)
_XML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml\s")
_MAIL = re.compile(rb"(?:(?:[A-Za-z][A-Za-z0-9-]{0,60}):[ \t][^\r\n]{0,998}\r?\n(?:[ \t][^\r\n]{0,998}\r?\n)*)")
_ENVELOPE = re.compile(rb"From [^\r\n]*\r?\n")  # before each message of a mailbox
_MAIL_NAMES = frozenset({b"from", b"to", b"date", b"subject", b"received", b"message-id", b"mime-version"})
_RECORD = re.compile(rb"[\[{]")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_SNIFFED = 1445


@dataclass(frozen=True, slots=True)
class Kind:
    """A media type without parameters, and why it is that."""

    media_type: str
    reason: str


def decide(data: bytes, filename: str, declared: str, named: Mapping[str, str], known: Set[str]) -> Kind:
    """The kind of a file.

    `declared` may hold parameters, which are passed over; `named` are the types by extension, and `known` those that
    mean something here: a text of any other type is told by what it looks like.
    """
    told, by_name = declared.partition(";")[0].strip().lower(), named.get(extension(filename), UNKNOWN)
    if (signed := _signed(data, "application/pdf" in (told, by_name))) is not None:
        return Kind(signed, f"its bytes are {signed}{_against(signed, told, by_name)}")
    text = _is_text(data)
    possible = known - _BINARY if text else known
    # Clients declare text/plain for anything; whoever names a file .txt means it.
    for media_type, source, generic in (
        (told, "the declared type", _GENERIC),
        (by_name, "the file name", _GENERIC - {PLAIN}),
    ):
        if media_type in possible - generic:
            refined = _refined(media_type, data)
            doubt = "" if refined == media_type else f", and its text is {refined}"
            return Kind(refined, f"{source} says {media_type}{doubt}{_against(media_type, told, by_name)}")
    if not text or _holds_controls(data):
        return Kind(UNKNOWN, "its bytes are no text, and begin like no format that is known here")
    looks = _looks(data, workbook=not _WORKBOOKS.isdisjoint((told, by_name)))
    return Kind(looks, f"its text is {looks}{_against(looks, told, by_name)}")


def extension(filename: str) -> str:
    """The extension of a name, in lower case; "" where there is none, or nothing before it."""
    stem, dot, found = filename.rpartition(".")
    return found.lower() if dot and stem else ""


def _against(decided: str, told: str, by_name: str) -> str:
    """Word of what was said otherwise."""
    others = [
        f"{source} says {media_type}"
        for media_type, source in ((told, "the declared type"), (by_name, "the file name"))
        if media_type not in _GENERIC and media_type != decided
    ]
    return f" ({'; '.join(others)})" if others else ""


def _signed(data: bytes, pdf_is_told: bool) -> str | None:
    """The type that the first bytes prove, or None. A text may begin with letters that are also a signature."""
    if data.startswith(_ZIP_MARKS):
        return _zipped(data)
    if data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        found = (kind for name, kind in _OLD_NAMES if name.encode("utf-16-le") in data)
        return next(found, _OLD_OFFICE)
    if data.startswith(b"{\\rtf"):
        return "application/rtf"
    text = _is_text(data)
    if data.startswith(b"%PDF-") or ((pdf_is_told or not text) and b"%PDF-" in data[:_PDF_WITHIN]):
        return "application/pdf"
    found = (
        kind for mark, place, kind in _SIGNATURES if data.startswith(mark, place) and not (text and mark.isascii())
    )
    return next(found, None)


def _zipped(data: bytes) -> str | None:
    """The type of a zip archive: told by its first entry (OpenDocument, EPUB) or by the names of its entries.

    None for one without a sound directory, which may be what its name says, broken.
    """
    length, extra = struct.unpack_from("<HH", data, 26) if len(data) >= 30 else (0, 0)
    if data[30 : 30 + length] == b"mimetype":
        start = 30 + length + extra
        said = re.match(rb"(?:(?!PK\x03\x04)[\w./+-]){1,100}", data[start : start + 100])
        if said is not None:
            return said[0].decode().removesuffix("-template")
    names = [*islice(_entries(data), _ENTRIES)]
    if b"xl/workbook.bin" in names:
        return BINARY_WORKBOOK
    for folder, media_type in ((b"word/", WORD), (b"xl/", WORKBOOK), (b"ppt/", SLIDES)):
        if b"[Content_Types].xml" in names and any(name.startswith(folder) for name in names):
            return media_type
    return _ZIP if names else None


def _entries(data: bytes) -> Iterator[bytes]:
    """The names in the central directory of a zip archive (APPNOTE 4.3.12), as far as it is sound."""
    end = data.rfind(b"PK\x05\x06", max(0, len(data) - 65_557))
    if end < 0 or end + 22 > len(data):
        return
    (at,) = struct.unpack_from("<I", data, end + 16)
    while at + 46 <= end and data.startswith(b"PK\x01\x02", at):
        name, extra, comment = struct.unpack_from("<HHH", data, at + 28)
        yield data[at + 46 : at + 46 + name]
        at += 46 + name + extra + comment


def _is_text(data: bytes) -> bool:
    return data.startswith(_UTF_16_OR_32) or (b"\0" not in data and not data.startswith(_ZIP_MARKS))


def _holds_controls(data: bytes) -> bool:
    """Whether a file begins with bytes that texts do not hold ("binary data bytes", WHATWG MIME Sniffing, 3)."""
    return not data.startswith(_UTF_16_OR_32) and _CONTROL.search(data, 0, _SNIFFED) is not None


# A file of such a type is no text: its signature would have proven it.
_BINARY = frozenset(
    {kind for *_, kind in _SIGNATURES}
    | {kind for _, kind in _OLD_NAMES}
    | {kind for kind in KEPT.values() if kind != "image/svg+xml"}
    | {"application/pdf", "application/x-pdf", "application/epub+zip", WORD, WORKBOOK, OPEN_SHEET, SLIDES, _OLD_OFFICE}
    | {WORD_TEMPLATE, WORD_MACROS, WORD_MACRO_TEMPLATE}
)

# Programs also save tables as text under the name of a workbook.
_WORKBOOKS = frozenset({OLD_WORKBOOK, WORKBOOK})


def _refined(media_type: str, data: bytes) -> str:
    """JSON that is many documents, one a line, is JSON Lines, whatever its name; and a table without tabs is CSV."""
    if media_type in ("application/json", "text/json") and _is_lines(data):
        return "application/jsonl"
    return "text/csv" if media_type == "text/tab-separated-values" and b"\t" not in data else media_type


def _is_lines(data: bytes) -> bool:
    """Whether the first line that is not blank is a whole JSON container, and the next one begins another."""
    lines = (line.strip() for line in data[:65_536].removeprefix(b"\xef\xbb\xbf").splitlines())
    first, second = [*islice((line for line in lines if line), 2), b"", b""][:2]
    closes = {b"{": b"}", b"[": b"]"}.get(first[:1])
    return closes is not None and first.endswith(closes) and _RECORD.match(second) is not None


def _looks(data: bytes, *, workbook: bool) -> str:
    """What a text looks like, where nobody says."""
    head = data[:_LOOKED_AT]
    if _MARKUP.match(head) is not None:
        return "application/xhtml+xml" if _XML.match(head) and b"http://www.w3.org/1999/xhtml" in head else "text/html"
    if _XML.match(head):
        return "application/xml"
    if workbook:
        return "text/tab-separated-values" if b"\t" in head else "text/csv"
    if _RECORD.match(head.removeprefix(b"\xef\xbb\xbf").lstrip()) and _is_lines(data):
        return "application/jsonl"
    envelope = _ENVELOPE.match(head)
    names = {
        match[0].partition(b":")[0].lower() for match in islice(_headers(head, envelope.end() if envelope else 0), 40)
    }
    if len(names & _MAIL_NAMES) >= 3:
        return "application/mbox" if envelope else "message/rfc822"
    return PLAIN


def _headers(head: bytes, at: int) -> Iterator[re.Match[bytes]]:
    while (match := _MAIL.match(head, at)) is not None:
        yield match
        at = match.end()
