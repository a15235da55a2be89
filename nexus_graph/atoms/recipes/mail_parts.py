"""The parts of one message: which are its texts, which are files, and which of several forms of a text is read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email import errors
from email.feedparser import BytesFeedParser
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any

from nexus_graph.atoms.decoding import unreadable
from nexus_graph.atoms.model import Attachment, LeftOut
from nexus_graph.atoms.recipes.mail_words import content, filename, header, html, plain, safe_name, unescaped

MOST_ATTACHMENTS = 1_000
"""Of one file; what comes after them is told."""
DEEPEST = 100
"""Levels of parts within parts. A program makes five at most."""

READS = "e-mail"
MESSAGE = "message/rfc822"
_CHUNK = 2**20
_COMPARED = 8  # forms of one text; a program writes two or three

_SHOWN = {
    name.lower(): name
    for name in (
        *("From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Date", "Subject", "Comments", "Keywords", "Organization"),
        *("Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Bcc", "Resent-Date"),
    )
}
_HTML = frozenset({"text/html", "text/x-amp-html"})
_REPORTS = {
    "message/delivery-status": "delivery status",
    "message/disposition-notification": "disposition notification",
    "message/feedback-report": "feedback report",
    "text/rfc822-headers": "headers of the message that was sent",
}
_SIGNATURES = frozenset({"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"})
_TOLD = {
    "application/pkcs7-mime": "encrypted part",
    "application/x-pkcs7-mime": "encrypted part",
    "application/ms-tnef": "packed by Outlook",
    "application/vnd.ms-tnef": "packed by Outlook",
}
_EXTENSIONS = {
    MESSAGE: "eml",
    "application/ms-tnef": "dat",
    "application/pdf": "pdf",
    "image/gif": "gif",
    "image/jpeg": "jpg",
    "image/png": "png",
    "text/calendar": "ics",
    "text/csv": "csv",
    "text/html": "html",
    "text/plain": "txt",
}
_ARMOUR = "-----BEGIN PGP MESSAGE-----"
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_LABEL = re.compile(r"[a-z0-9_.:+-]{1,60}")
_WORDS = re.compile(r"\w+")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_LOST_LINES = (
    errors.FirstHeaderLineIsContinuationDefect,
    errors.InvalidHeaderDefect,
    errors.MisplacedEnvelopeHeaderDefect,
)
"""What the parser says when it passes over a line of the headers."""


_PAST_MENDING = (LookupError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of text and the part of the file that it stands in."""

    kind: str
    text: str
    part: str


Found = Block | LeftOut | Attachment


class Part(Message):
    """A part whose forwarded messages are bytes like any other: the parser would take them apart and lose these.

    What a parameter of a header says counts for nothing where the library fails on it, and bytes that have no place in
    a header are read there as anywhere else.
    """

    def get_content_maintype(self) -> str:
        found = super().get_content_maintype()
        return "application" if found == "message" else found

    def get_content_type(self) -> str:
        found = super().get_content_type()
        # The parser asks for this one as well, and nobody else by this method.
        return "application/octet-stream" if found == "message/delivery-status" else found

    def get(self, name: str, failobj: Any = None) -> Any:
        found = (value for key, value in self.raw_items() if key.lower() == name.lower())
        value = next(found, failobj)
        return unescaped(value) if isinstance(value, str) and not value.isascii() else value

    def get_param(self, param: str, failobj: Any = None, header: str = "content-type", unquote: bool = True) -> Any:
        with suppress(*_PAST_MENDING):
            return super().get_param(param, failobj, header, unquote)
        return failobj

    def get_boundary(self, failobj: Any = None) -> Any:
        with suppress(*_PAST_MENDING):
            return super().get_boundary(failobj)
        return failobj

    def get_content_charset(self, failobj: Any = None) -> Any:
        with suppress(*_PAST_MENDING):
            return super().get_content_charset(failobj)
        return failobj

    def get_filename(self, failobj: Any = None) -> Any:
        with suppress(*_PAST_MENDING):
            return super().get_filename(failobj)
        return failobj

    @property
    def media_type(self) -> str:
        """The content type as it is."""
        return super().get_content_type()


def parsed(data: bytes) -> Part:
    """A message and its parts."""
    parser = BytesFeedParser(Part)
    for start in range(0, len(data), _CHUNK):  # a piece at a time, which takes less memory
        parser.feed(data[start : start + _CHUNK])
    return parser.close()


def too_deep() -> Exception:
    """The error for a message that was made to hurt."""
    return unreadable(READS, f"its parts are nested more than {DEEPEST} deep")


class Reader:
    """Reads one message. `place` is what stands before the name of every part; `counted` goes through a whole box."""

    def __init__(self, place: str, counted: Counter[str]) -> None:
        self._place = place
        self._counted = counted

    def read(self, message: Part) -> Iterator[Found]:
        """All that is in a message. Raises Invalid."""
        yield from self._headers(message)
        yield from self._part(message, DEEPEST)

    def _named(self, part: str) -> str:
        return f"{self._place}{part}"

    def _headers(self, message: Part) -> Iterator[Found]:
        lines: list[str] = []
        if any(isinstance(defect, _LOST_LINES) for defect in message.defects):
            yield LeftOut("damaged header", self._named("the header"))
        for name, value in message.raw_items():
            if (shown := _SHOWN.get(name.lower())) is None:
                yield LeftOut("technical header", header(name))
            elif words := header(value):
                lines.append(f"{shown}: {words}")
        if lines:
            yield Block("header", "\n".join(lines), self._named("header"))

    def _part(self, part: Part, deeper: int) -> Iterator[Found]:
        kind = part.media_type
        if part.is_multipart():
            if not deeper:
                raise too_deep()
            yield from self._multipart(part, deeper - 1)
        elif kind.startswith("multipart/"):
            yield LeftOut("damaged part", self._named("the body"))
            yield from self._text(part, "text/plain", self._named("body"))
        elif kind in _REPORTS:
            yield from self._text(part, "text/plain", self._named(_REPORTS[kind]))
        elif kind == "message/external-body":
            yield LeftOut("content elsewhere", self._named("an attachment"))
        elif kind in _SIGNATURES:
            yield LeftOut("signature", self._named("the body"))
        elif (kind == "text/plain" or kind in _HTML) and not _is_file(part):
            yield from self._text(part, kind, self._named("body"))
        else:
            yield from self._attachment(part, kind)

    def _multipart(self, part: Part, deeper: int) -> Iterator[Found]:
        kind = part.media_type
        children = [child for child in part.get_payload() if isinstance(child, Part)]
        if any(words and words.strip() for words in (part.preamble, part.epilogue)):
            yield LeftOut("text around parts", self._named("the body"))
        if any(isinstance(defect, errors.CloseBoundaryNotFoundDefect) for defect in part.defects):
            yield LeftOut("cut off", self._named("the body"))
        if kind == "multipart/alternative":
            yield from self._chosen([[*self._part(child, deeper)] for child in children])
            return
        if kind == "multipart/encrypted":
            yield LeftOut("encrypted part", self._named("the body"))
            children = [child for child in children if child.media_type != "application/pgp-encrypted"]
        for child in children:
            yield from self._part(child, deeper)

    def _chosen(self, forms: Sequence[Sequence[Found]]) -> Iterator[Found]:
        """All that several forms of one text hold, without the texts of those whose every word another form has."""
        words = [_words(form) for form in forms]
        left = set(range(len(forms)))
        for number in reversed(range(min(len(forms), _COMPARED))):  # the plainest come first, and stay
            if words[number] and any(words[number] <= words[other] for other in left - {number}):
                left.remove(number)
        for number, form in enumerate(forms):
            if number not in left:
                yield LeftOut("other form", self._named("the body"))
            yield from (found for found in form if number in left or not _is_text(found))

    def _text(self, part: Part, kind: str, place: str) -> Iterator[Found]:
        data, trouble = content(part)
        charset = part.get_content_charset()
        if kind in _HTML:
            blocks, unclear = html(data, charset)
        else:
            blocks, unclear = plain(data, charset, part)
        for what in filter(None, (trouble, unclear)):
            yield LeftOut(what, place)
        for found in blocks:
            if isinstance(found, LeftOut):
                yield LeftOut(found.what, f"{place}, {found.place}" if found.place else place)
                continue
            if found.text.startswith(_ARMOUR):
                yield LeftOut("encrypted part", place)
            yield Block(found.kind, found.text, place)

    def _attachment(self, part: Part, kind: str) -> Iterator[Found]:
        self._counted["attachments"] += 1
        data, trouble = content(part)
        given = filename(part)
        if not given and kind == MESSAGE:
            given = _subject(data)
        name = safe_name(given)
        place = self._named(f"attachment '{name}'" if name else f"attachment {self._counted['attachments']}")
        self._counted[place] += 1
        if self._counted[place] > 1:
            place = f"{place} ({self._counted[place]})"
        if given:
            yield Block("attachment", given, place)
        for what in filter(None, (trouble, _TOLD.get(kind))):
            yield LeftOut(what, place)
        if not data:
            yield LeftOut("empty attachment", place)
        elif self._counted["attachments"] > MOST_ATTACHMENTS:
            yield LeftOut("too many attachments", place)
        else:
            made = f"attachment-{self._counted['attachments']}.{_EXTENSIONS.get(kind, 'bin')}"
            yield Attachment(name or made, _content_type(part, kind), place, data)


def _is_file(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or bool(filename(part))


def _is_text(found: Found) -> bool:
    return isinstance(found, Block) and found.kind != "attachment"


def _words(form: Sequence[Found]) -> Counter[str]:
    return Counter(
        word
        for found in form
        if isinstance(found, Block) and _is_text(found)
        for word in _WORDS.findall(_INVISIBLE.sub("", found.text).casefold())
    )


def _subject(data: bytes) -> str:
    """A name for a forwarded message that has none."""
    headers = BytesHeaderParser().parsebytes(data[:_CHUNK].lstrip()).raw_items()
    subject = next((header(value) for name, value in headers if name.lower() == "subject"), "")
    return re.sub(r"[/\\]", "-", subject) + ".eml" if subject else ""


def _content_type(part: Part, kind: str) -> str:
    """What is declared of a file, with its charset where it is a text."""
    if not _TYPE.fullmatch(kind):
        return "application/octet-stream"
    charset = part.get_content_charset() if kind.startswith("text/") else None
    return f"{kind}; charset={charset}" if charset and _LABEL.fullmatch(charset) else kind
