"""Markdown (CommonMark and tables): sections or blocks, each exactly as it stands in the source.

Front matter (a first line `---` up to the next such line) is a piece of its own kind. Only headings and blocks of the
outermost level count: a heading inside a quote or a list belongs to that quote or list. Thematic breaks make no block,
nor do link reference definitions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from markdown_it import MarkdownIt

from nexus_graph.atoms.decoding import Lines
from nexus_graph.atoms.model import Draft, Parameter, Params, Recipe, Span
from nexus_graph.atoms.recipes.text import CHARSET, decode_declared

_KINDS = {
    "paragraph_open": "paragraph",
    "heading_open": "heading",
    "fence": "code",
    "code_block": "code",
    "table_open": "table",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "blockquote_open": "quote",
    "html_block": "html",
}

_FENCE = "---"

# Places of blocks are all that is needed; reading what is inside them would take most of the time.
_parser = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])

Piece = tuple[str, int, int]
"""Kind, first line, line after the last, counted from 0."""


def _front_matter(lines: list[str]) -> int:
    """The number of lines that front matter takes, with its two fences; 0 where there is none."""
    if lines[0].rstrip() != _FENCE:
        return 0
    return next((number + 1 for number, line in enumerate(lines[1:], 1) if line.rstrip() == _FENCE), 0)


def _blocks(lines: list[str], first: int) -> Iterator[tuple[Piece, int]]:
    """The blocks of the outermost level after line `first`, each with its heading level, or 0."""
    for token in _parser.parse("\n".join(lines[first:])):
        if token.level == 0 and token.map is not None and token.type in _KINDS:
            level = int(token.tag[1]) if token.type == "heading_open" else 0
            yield (_KINDS[token.type], first + token.map[0], first + token.map[1]), level


def _drafts(text: str, pieces: Iterator[Piece]) -> Iterator[Draft]:
    """The pieces that are not blank, without blank lines around them."""
    starts = [*Lines(text).starts, len(text) + 1]
    ordinal = 0
    for kind, first, last in pieces:
        content = text[starts[first] : max(starts[first], starts[last] - 1)]
        trimmed = content.rstrip()
        if not trimmed:
            continue
        blank = content[: len(content) - len(content.lstrip())].rfind("\n") + 1
        start, end = starts[first] + blank, starts[first] + len(trimmed)
        line = first + 1 + content.count("\n", 0, blank)
        yield Draft(
            ordinal, Span(start, end, line=line, end_line=line + text.count("\n", start, end)), text[start:end], kind
        )
        ordinal += 1


def blocks(data: bytes, params: Params) -> Iterator[Draft]:
    """Headings, paragraphs, lists, quotes, tables, code and HTML of the outermost level."""
    text = decode_declared(data, params).text
    lines = text.split("\n")
    first = _front_matter(lines)

    def pieces() -> Iterator[Piece]:
        yield "front_matter", 0, first
        yield from (piece for piece, _ in _blocks(lines, first))

    return _drafts(text, pieces())


def sections(data: bytes, params: Params) -> Iterator[Draft]:
    """A heading and all that follows it up to the next heading; what stands before the first is a section too."""
    text = decode_declared(data, params).text
    depth = cast("int", params["depth"])
    lines = text.split("\n")
    first = _front_matter(lines)

    def pieces() -> Iterator[Piece]:
        yield "front_matter", 0, first
        start = first
        for (_, line, _), level in _blocks(lines, first):
            if 0 < level <= depth:
                yield "section", start, line
                start = line
        yield "section", start, len(lines)

    return _drafts(text, pieces())


_CONTENT_TYPES = frozenset({"text/markdown", "text/x-markdown"})
_EXTENSIONS = dict.fromkeys(("md", "markdown", "mdown", "mkd"), "text/markdown")

SECTIONS = Recipe(
    op="markdown.sections",
    version="1",
    reads="Markdown",
    purpose="One atom for each heading with all that follows it up to the next heading.",
    content_types=_CONTENT_TYPES,
    extensions=_EXTENSIONS,
    derive=sections,
    decode=decode_declared,
    parameters={
        **CHARSET,
        "depth": Parameter(6, "The deepest level of heading that begins a section.", least=1, most=6),
    },
)

BLOCKS = Recipe(
    op="markdown.blocks",
    version="1",
    reads="Markdown",
    purpose="One atom for each heading, paragraph, list, quote, table and piece of code.",
    content_types=_CONTENT_TYPES,
    extensions=_EXTENSIONS,
    derive=blocks,
    decode=decode_declared,
    parameters=CHARSET,
)
