"""The words of an e-mail: headers, names of files and texts, out of the encodings that mail puts them in.

Nothing here raises for what a message says: what can't be decoded stays as it is written or is replaced, and is told.
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Iterator
from email.message import Message

from nexus_graph.atoms.decoding import decode
from nexus_graph.atoms.model import Draft, LeftOut
from nexus_graph.atoms.recipes import html_blocks, text
from nexus_graph.scope.errors import Invalid

BROKEN_BASE64 = "damaged part"
BROKEN_TEXT = "undecodable text"
UNKNOWN_CHARSET = "unknown charset"
UNKNOWN_ENCODING = "unknown encoding"

_LONGEST_FILENAME = 200
_WORD = re.compile(r"=\?([^?\s]{1,80})\?([bBqQ])\?([^?]*)\?=")  # an encoded word, RFC 2047
_TOKEN = re.compile(r"[\w.+-]*")
_FORBIDDEN = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_UNKEEPABLE = re.compile("[\0\ud800-\udfff]")
_BLANK = b" \t\r\n\f\v"
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="

# Charsets whose bytes are ASCII throughout, so that they would pass for UTF-8.
_SEVEN_BIT = frozenset(
    ["hz", "utf-7", "iso2022_kr"] + [f"iso2022_jp{variant}" for variant in ("", "_1", "_2", "_3", "_2004", "_ext")]
)


def header(value: str) -> str:
    """The text of a header on one line: unfolded, its encoded words decoded. `value` is as the parser gives it."""
    if value.isascii() and "=?" not in value:
        return " ".join(_keepable(value).split())
    return " ".join(_keepable("".join(_decoded(unescaped(value)))).split())


def unescaped(value: str) -> str:
    """A value of a header as text: bytes that have no place in it are kept by the parser as lone surrogates."""
    return text_of(value.encode("utf-8", "surrogateescape"), None)[0]


def _decoded(value: str) -> Iterator[str]:
    """Blanks between two encoded words are none; a careless writer may have cut a character in two."""
    at, charset, pending, written = 0, "", b"", ""
    for word in _WORD.finditer(value):
        between = value[at : word.start()]
        joined = bool(written) and not between.strip()
        if not joined or word[1] != charset:
            yield _readable(pending, charset, written)
            pending, written = b"", ""
        if not joined:
            yield between
        charset, at = word[1], word.end()
        pending += _bytes_of(word[2], word[3].encode("utf-8"))
        written += word[0]
    yield _readable(pending, charset, written)
    yield value[at:]


def _bytes_of(encoding: str, data: bytes) -> bytes:
    return from_base64(data)[0] if encoding in "bB" else binascii.a2b_qp(data, header=True)


def _readable(data: bytes, charset: str, written: str) -> str:
    text, trouble = text_of(data, charset.partition("*")[0])  # RFC 2231 has a language after the asterisk
    return written if trouble == UNKNOWN_CHARSET else text


def text_of(data: bytes, charset: str | None) -> tuple[str, str | None]:
    """Bytes as text, in the way of `decoding`, and what is wrong with it: a key of the recipe's `leaves_out`, or None.

    With an unknown charset, what is not UTF-8 is read as windows-1252; bytes that fit nothing are replaced.
    """
    codec = None if charset is None else _codec(charset)
    if codec in _SEVEN_BIT:
        words = _lines(data.decode(codec, "replace"))
        return words, BROKEN_TEXT if "\ufffd" in words else None
    try:
        decoded = decode(data, charset if codec else None)
    except Invalid:
        return _lines(_forced(data, codec)), BROKEN_TEXT
    return decoded.text, UNKNOWN_CHARSET if charset and not codec and decoded.guessed else None


def _forced(data: bytes, codec: str | None) -> str:
    try:
        return data.decode("utf-8")  # and there is a NUL in it
    except UnicodeDecodeError:
        return data.decode("cp1252" if codec in (None, "ascii", "iso8859-1") else codec, "replace")


def _codec(charset: str) -> str | None:
    """Python's name of a charset that is known here, or None."""
    try:
        name = codecs.lookup(charset.strip()).name
        if name not in _SEVEN_BIT:
            decode(b"", charset)
    except (LookupError, ValueError, Invalid):
        return None
    return name


def _lines(text: str) -> str:
    return _keepable(text.replace("\r\n", "\n").replace("\r", "\n"))


def _keepable(text: str) -> str:
    return _UNKEEPABLE.sub("\ufffd", text)


def content(part: Message) -> tuple[bytes, str | None]:
    """The bytes of a part that is no multipart, out of their transfer encoding, and what is wrong with that."""
    said = str(part.get("content-transfer-encoding", "7bit"))
    del part["content-transfer-encoding"]  # so that the parser gives the very bytes
    data: bytes = part.get_payload(decode=True)  # type: ignore[assignment]
    match (_TOKEN.match(said.strip().lower()) or [""])[0]:
        case "base64":
            unpacked, sound = from_base64(data)
            return unpacked, None if sound else BROKEN_BASE64
        case "quoted-printable":
            return binascii.a2b_qp(data), None
        case "7bit" | "8bit" | "binary" | "":
            return data, None
    return data, UNKNOWN_ENCODING


def from_base64(data: bytes) -> tuple[bytes, bool]:
    """What stands in base64, piece by piece where several were put one after the other, and whether it is sound."""
    packed = data.translate(None, _BLANK)
    foreign = packed.translate(None, _LETTERS)
    if foreign:
        packed = packed.translate(None, bytes(set(foreign)))
    pieces = [piece for piece in re.split(b"=+", packed) if piece]
    cut = any(len(piece) % 4 == 1 for piece in pieces)
    whole = (piece[: len(piece) - 1] if len(piece) % 4 == 1 else piece for piece in pieces)
    return b"".join(binascii.a2b_base64(piece + b"=" * (-len(piece) % 4)) for piece in whole), not (foreign or cut)


def plain(data: bytes, charset: str | None, part: Message) -> tuple[list[Draft | LeftOut], str | None]:
    """The paragraphs of a plain text, and what is wrong with it."""
    words, trouble = text_of(data, charset)
    if str(part.get_param("format", "")).lower() == "flowed":
        words = _unflowed(words, delete_space=str(part.get_param("delsp", "")).lower() == "yes")
    return [*text.paragraphs(words.encode(), text.PARAGRAPHS.complete({}))], trouble


def html(data: bytes, charset: str | None) -> tuple[list[Draft | LeftOut], str | None]:
    """The blocks of HTML, and what is wrong with it. Its own word on its charset counts where the mail has none."""
    recipe = html_blocks.BLOCKS
    if charset is None:
        try:
            return [*html_blocks.blocks(data, recipe.complete({}))], None
        except Invalid:  # bytes that fit no charset
            pass
    words, trouble = text_of(data, charset)
    try:
        return [*html_blocks.blocks(words.encode(), recipe.complete({"charset": "utf-8"}))], trouble
    except Invalid:
        return [], "unreadable HTML"


def _unflowed(flowed: str, *, delete_space: bool) -> str:
    """The text of `format=flowed` (RFC 3676) with its soft line breaks undone. Quotation marks stay as they are."""
    lines: list[list[str]] = []
    depth, is_open = -1, False
    for line in flowed.split("\n"):
        words = line.lstrip(">")
        quotes = line[: len(line) - len(words)]
        words = words.removeprefix(" ")  # put there so that a line does not begin as a quotation
        soft = words.endswith(" ") and words != "-- "
        bare = words[:-1] if soft and delete_space else words
        if is_open and len(quotes) == depth and words != "-- ":
            lines[-1].append(bare)
        else:
            lines.append([f"{quotes} {bare}" if quotes else bare])
        depth, is_open = len(quotes), soft
    return "\n".join("".join(pieces) for pieces in lines)


def filename(part: Message) -> str:
    """The name that a part gives its file, on one line without control characters; "" where it gives none."""
    return " ".join(_FORBIDDEN.sub(" ", header(part.get_filename() or "")).split())


def safe_name(given: str) -> str:
    """A name without folders, of at most 200 characters with the extension kept; "" where nothing is left."""
    bare = re.split(r"[/\\]", given)[-1].strip()
    if len(bare) <= _LONGEST_FILENAME:
        return bare
    stem, dot, extension = bare.rpartition(".")
    tail = f"{dot}{extension}" if stem and len(extension) <= 16 else ""
    return bare[: _LONGEST_FILENAME - len(tail)] + tail
