"""Plain text: a paragraph is a run of lines that are not blank."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from nexus_graph.atoms.decoding import Decoded, decode
from nexus_graph.atoms.model import Draft, Parameter, Params, Recipe, Span

CHARSET = {"charset": Parameter(None, "The declared charset, for a file without a byte order mark that is not UTF-8.")}


def decode_declared(data: bytes, params: Params) -> Decoded:
    """The canonical text of a file whose charset only the parameters can tell."""
    return decode(data, cast("str | None", params.get("charset")))


def paragraphs(data: bytes, params: Params) -> Iterator[Draft]:
    """Paragraphs, from the first to the last character that is not white space."""
    text = decode_declared(data, params).text
    ordinal = 0
    start = end = line = end_line = 0
    offset = 0
    for number, content in enumerate([*text.split("\n"), ""], 1):
        if content.strip():
            if line == 0:
                line, start = number, offset + len(content) - len(content.lstrip())
            end_line, end = number, offset + len(content.rstrip())
        elif line:
            yield Draft(ordinal, Span(start, end, line=line, end_line=end_line), text[start:end], "paragraph")
            ordinal += 1
            line = 0
        offset += len(content) + 1


_PROSE = "txt text log rst adoc asciidoc org tex bib vtt srt"
_CODE = (
    "py pyi js mjs cjs ts tsx jsx java kt c h cc cpp hpp cs go rs rb php pl lua r jl swift scala hs ex exs erl clj sh "
    "bash zsh fish ps1 bat sql css scss less vue graphql proto tf gradle cmake mk diff patch"
)
_SETTINGS = "ini cfg conf properties env editorconfig gitignore"

PARAGRAPHS = Recipe(
    op="text.paragraphs",
    version="1",
    reads="text",
    purpose="One atom for each run of lines that are not blank: prose, source code and settings, with their lines.",
    content_types=frozenset({"text/plain"}),
    extensions=dict.fromkeys((*_PROSE.split(), *_CODE.split(), *_SETTINGS.split()), "text/plain"),
    derive=paragraphs,
    decode=decode_declared,
    parameters=CHARSET,
)
