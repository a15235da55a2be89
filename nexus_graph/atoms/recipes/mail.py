"""E-mail (eml, and mbox as one message after the other): what a reader sees, and the files that came with it.

The canonical text is made here: the blocks below with a line feed between them. Of each message, in the order of the
file: one block with the headers that mail programs show, decoded, one a line; the blocks of its texts; and for each
attachment its name. A text is what stands in the message without a file name: plain text makes a block for each
paragraph, quoted replies and signatures among them, soft line breaks (format=flowed) undone; HTML makes the blocks of
`html.blocks`. Of several forms of one text (multipart/alternative) a form is passed over when another one holds every
word of it, so that the plain form is read where both say the same; forms that differ are all read.

Everything else in a message is an attachment, pictures inside the text and forwarded messages too: its bytes, exactly,
become an asset of its own, which is read by itself. Encrypted parts and Outlook's winmail.dat are kept like that, and
told, since nothing reads them.

The parser is the standard library's. It takes broken messages as mail programs do; where a message is damaged, that is
told. Forwarded messages are not parsed here, so that they keep their bytes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from nexus_graph.atoms.decoding import unreadable
from nexus_graph.atoms.model import UNKEPT, Attachment, Draft, LeftOut, Omission, Params, Recipe, Span
from nexus_graph.atoms.recipes import html_blocks
from nexus_graph.atoms.recipes.mail_parts import (
    MESSAGE,
    MOST_ATTACHMENTS,
    READS,
    Block,
    Found,
    Reader,
    parsed,
    too_deep,
)

_BOX = "application/mbox"
_BOX_LINE = re.compile(
    rb"(?:\A|(?<=\n)(?:\r?\n))From [^\r\n]*\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? [^\r\n]*\d\d:\d\d[^\r\n]*\r?\n"
)
_BOX_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


def parts(data: bytes, params: Params) -> Iterator[Draft | LeftOut | Attachment]:
    """Headers, texts and names of attachments as drafts, and the attachments."""
    start = ordinal = 0
    try:
        for found in _read(data):
            if isinstance(found, Block):
                end = start + len(found.text)
                yield Draft(ordinal, Span(start, end, part=found.part), found.text, found.kind)
                start, ordinal = end + 1, ordinal + 1
            else:
                yield found
    except RecursionError:
        raise too_deep() from None


def _read(data: bytes) -> Iterator[Found]:
    messages = [*_messages(data)]
    counted = Counter[str]()
    for number, content in enumerate(messages, 1):
        message = parsed(content)
        if not message.keys() and len(messages) == 1:
            raise unreadable(READS, "it has no headers", hint="Save the message with its headers, as eml.")
        yield from Reader(f"message {number}, " if len(messages) > 1 else "", counted).read(message)


def _messages(data: bytes) -> Iterator[bytes]:
    """The messages of a box; a file that does not begin as one is a message."""
    lines = [*_BOX_LINE.finditer(data)] if data.startswith(b"From ") else []
    if not lines or lines[0].start():
        yield data
        return
    ends = [*(line.start() for line in lines[1:]), len(data)]
    for line, end in zip(lines, ends, strict=True):
        yield _BOX_QUOTED.sub(rb"\1", data[line.end() : end])


PARTS = Recipe(
    op="mail.parts",
    version="1",
    reads=READS,
    purpose="One atom for the headers, each paragraph and the name of each attachment, which becomes an asset as well.",
    content_types=frozenset({MESSAGE, "message/global", _BOX}),
    extensions={"eml": MESSAGE, "mbox": _BOX},
    derive=parts,
    leaves_out={
        **html_blocks.BLOCKS.leaves_out,
        "technical header": Omission("the header {place} is for mail programs", intended=True),
        "damaged header": Omission("{place} has lines that are none"),
        "signature": Omission("the signature of {place} is for mail programs", intended=True),
        "text around parts": Omission(
            "{place} has text around its parts, which mail programs do not show", intended=True
        ),
        "other form": Omission("{place} has another form that says nothing else", intended=True),
        "empty attachment": Omission("{place} is empty", intended=True),
        "encrypted part": Omission("{place} is encrypted, or packed with a signature"),
        "packed by Outlook": Omission("{place} is packed by Outlook (TNEF)"),
        "content elsewhere": Omission("{place} is not in the message, which tells only where it is"),
        "damaged part": Omission("{place} is damaged, and may be read wrong"),
        "cut off": Omission("{place} ends before its last part does"),
        "unreadable HTML": Omission("{place} could not be read as HTML"),
        "undecodable text": Omission("{place} has characters that do not fit its charset"),
        "unknown charset": Omission("{place} is in an unknown charset, and was read as windows-1252"),
        "unknown encoding": Omission("{place} is in an unknown transfer encoding, and was taken as it is"),
        "too many attachments": Omission(f"{{place}} comes after the first {MOST_ATTACHMENTS:,}"),
        UNKEPT: Omission("{place}"),
    },
)
