"""JSON Lines (also NDJSON): each line that is not blank is a record, a JSON document as `json_pointers` reads it.

A record is one atom with the pointer "", unless `depth` opens it into its values; `row` is its number among records. A
JSON text sequence (RFC 7464), whose records begin with the character U+001E, is read alike.

A bad record is refused with line and column, and nothing is kept of the file; but for the last one where no line end
follows it: whoever writes a log may not be done with it, so that one is left out, and told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

from nexus_graph.atoms.decoding import Lines
from nexus_graph.atoms.model import Draft, LeftOut, Omission, Parameter, Params, Recipe, Span
from nexus_graph.atoms.recipes.json_pointers import Scan
from nexus_graph.atoms.recipes.text import CHARSET, decode_declared
from nexus_graph.scope.errors import Invalid

_LINE = re.compile(r"[^\n]+")
_OF_SEQUENCE = re.compile("\x1e[^\x1e]*")
_MEDIA_TYPE = "application/jsonl"


def records(data: bytes, params: Params) -> Iterator[Draft | LeftOut]:
    """The records, or their values down to `depth`, each with its source as text."""
    text = decode_declared(data, params).text
    lines = Lines(text)
    last = len(text.rstrip())
    row = ordinal = 0
    sequence = text.lstrip(" \t\n").startswith("\x1e")
    for match in (_OF_SEQUENCE if sequence else _LINE).finditer(text):
        record = match[0].replace("\x1e", " ")
        if not record.strip():
            continue
        row += 1
        scan = Scan(record, cast("int", params["depth"]), lines.number(match.start()))
        try:
            found = [*scan.atoms()]
        except Invalid:
            if not scan.cut or match.end() < last or text.endswith("\n"):
                raise
            yield LeftOut("cut", f"line {lines.number(match.start())}")
            return
        for pointer, first, after in found:
            start, end = match.start() + first, match.start() + after
            span = Span(start, end, line=lines.number(start), end_line=lines.number(end - 1), row=row, pointer=pointer)
            yield Draft(ordinal, span, text[start:end], "value" if pointer else "record")
            ordinal += 1


RECORDS = Recipe(
    op="jsonl.records",
    version="1",
    reads="JSON Lines",
    purpose="One atom for each record, which is a line; or for each of its values down to a depth, with JSON Pointers.",
    content_types=frozenset(
        {_MEDIA_TYPE, "application/x-jsonlines", "application/jsonlines", "application/x-jsonl", "text/jsonl"}
        | {"application/x-ndjson", "application/ndjson", "text/x-ndjson", "application/json-seq"}
    ),
    extensions=dict.fromkeys(("jsonl", "ndjson", "jsonlines"), _MEDIA_TYPE),
    derive=records,
    decode=decode_declared,
    parameters={
        **CHARSET,
        "depth": Parameter(
            0, "How many levels of a record open into their parts; 0 keeps each record in one.", least=0, most=32
        ),
    },
    leaves_out={"cut": Omission("{place} is cut off")},
)
