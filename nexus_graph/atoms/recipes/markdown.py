"""Markdown (CommonMark and tables): sections or blocks, each exactly as it stands in the source.

Front matter is a piece of its own kind: YAML from a first line `---` to the next line `---` or `...`, or TOML between
two lines `+++`. Only headings and blocks of the outermost level count: a heading inside a quote or a list belongs to
that quote or list. Thematic breaks make no block; link reference definitions are blocks of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, cast

from nexus_graph.atoms.decoding import Lines
from nexus_graph.atoms.model import Draft, Parameter, Params, Recipe, Span
from nexus_graph.atoms.recipes.text import CHARSET, decode_declared

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

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

# What opens front matter, what ends it, and what its first line looks like: YAML or TOML.
_FENCES = {
    "---": (("---", "..."), re.compile(r"""#|\{|(?:[^\s:#\-\[{"'][^:]{0,200}|"[^"]{0,200}"|'[^']{0,200}'):(?:\s|$)""")),
    "+++": (("+++",), re.compile(r"""#|\[|(?:[\w.-]{1,200}|"[^"]{0,200}"|'[^']{0,200}')\s*=""")),
}

_NEVER = re.compile(r"(?!)")

Piece = tuple[str, int, int]
"""Kind, first line, line after the last, counted from 0."""


@cache
def _parser() -> MarkdownIt:
    """Tells the places of blocks. To read what is inside them as well would take most of the time."""
    from markdown_it import MarkdownIt  # many modules, for those alone who derive

    return MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])


def opens_front_matter(lines: list[str]) -> bool:
    """Whether a text begins as front matter does, whatever its end is.

    A fence may have blanks behind it. A first line `---` that a blank line or prose follows is a rule, as in pandoc.
    """
    closing, begins = _FENCES.get(lines[0].rstrip(), ((), _NEVER))
    return len(lines) > 1 and (lines[1].rstrip() in closing or begins.match(lines[1]) is not None)


def front_matter(lines: list[str]) -> int:
    """The number of lines that front matter takes, with its two fences; 0 where there is none."""
    if not opens_front_matter(lines):
        return 0
    closing, _ = _FENCES[lines[0].rstrip()]
    return next((number + 1 for number, line in enumerate(lines[1:], 1) if line.rstrip() in closing), 0)


def _blocks(lines: list[str], first: int) -> Iterator[tuple[Piece, int]]:
    """The blocks of the outermost level after line `first`, each with its heading level, or 0.

    Lines that are no block are link reference definitions, which may stand together.
    """
    told = first
    for token in _parser().parse("\n".join(lines[first:])):
        if token.level != 0 or token.map is None or token.type not in (*_KINDS, "hr"):
            continue
        start, end = first + token.map[0], first + token.map[1]
        yield ("definition", told, start), 0
        told = end
        if token.type != "hr":
            yield (_KINDS[token.type], start, end), int(token.tag[1]) if token.type == "heading_open" else 0
    yield ("definition", told, len(lines)), 0


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
    first = front_matter(lines)

    def pieces() -> Iterator[Piece]:
        yield "front_matter", 0, first
        yield from (piece for piece, _ in _blocks(lines, first))

    return _drafts(text, pieces())


def sections(data: bytes, params: Params) -> Iterator[Draft]:
    """A heading and all that follows it up to the next heading; what stands before the first is a section too."""
    text = decode_declared(data, params).text
    depth = cast("int", params["depth"])
    lines = text.split("\n")
    first = front_matter(lines)

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
    version="2",
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
    version="2",
    reads="Markdown",
    purpose="One atom for each heading, paragraph, list, quote, table, piece of code and group of link definitions.",
    content_types=_CONTENT_TYPES,
    extensions=_EXTENSIONS,
    derive=blocks,
    decode=decode_declared,
    parameters=CHARSET,
)
