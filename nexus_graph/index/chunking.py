"""Cuts the body of a card into chunks: the pieces that are embedded one by one and quoted as excerpts.

A chunk is an exact slice of the card's text, named by code points, so an excerpt can be checked against the card.
The chunks of a text never overlap, stand in order and leave out nothing but white space between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from semantic_text_splitter import TextSplitter

from nexus_graph.scope.errors import Invalid

CHUNKING: Final = "chunk-1"
"""The version of the cutting rule. It is part of every embedder id: change it whenever a text may be cut elsewhere."""

MAX_TOKENS: Final = 200
"""Tokens of one chunk; leaves a model that reads 256 tokens room for the title."""

MAX_CHARACTERS: Final = 800
"""Code points of one chunk: about 200 tokens of English prose."""

MAX_TITLE_CHARACTERS: Final = 120
"""Code points of a title that are put before a chunk when it is embedded."""

_WINDOW: Final = 8192  # the splitter's time grows with the square of a text without sentences: never hand it more


@dataclass(frozen=True, slots=True)
class Chunk:
    """`text` is `card_text[start:end]`; offsets are code points of the whole card text; `ordinal` counts from 0."""

    ordinal: int
    start: int
    end: int
    text: str


def chunks(text: str, start: int, count_tokens: Callable[[str], int], *, max_tokens: int = MAX_TOKENS) -> list[Chunk]:
    """The chunks of `text[start:]`, where `start` is the offset of the body in the card's exact text.

    Cuts at the largest of: blank lines, lines, sentences, words, characters. A chunk holds at most `MAX_CHARACTERS`
    code points and, by `count_tokens`, at most `max_tokens` tokens (a single character may hold more).
    A body without any text gives one empty chunk at `start`, so that a card can be found by its title alone.
    Raises Invalid when `start` lies outside the text, `max_tokens` is below 1, or the text holds half a surrogate
    pair.
    """
    if not 0 <= start <= len(text):
        raise Invalid(f"The body can't begin at {start}: the text has {len(text)} characters.")
    if max_tokens < 1:
        raise Invalid(f"A chunk can't hold {max_tokens} tokens; at least 1.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Invalid(f"The text holds half a surrogate pair at character {error.start}.") from error

    def size(piece: str) -> int:
        return count_tokens(piece) if len(piece) <= MAX_CHARACTERS else max_tokens + 1

    splitter = TextSplitter.from_callback(size, max_tokens)
    pieces = [
        (begin + at, piece)
        for begin, end in _windows(text, start)
        for at, piece in splitter.chunk_indices(text[begin:end])
    ]
    if not pieces:
        return [Chunk(0, start, start, "")]
    return [Chunk(ordinal, at, at + len(piece), piece) for ordinal, (at, piece) in enumerate(pieces)]


def embedded_text(title: str, chunk: str) -> str:
    """What is embedded for a chunk: the title, cut at `MAX_TITLE_CHARACTERS`, a blank line, and the chunk's text."""
    return "\n\n".join(part for part in (title.strip()[:MAX_TITLE_CHARACTERS], chunk) if part)


def _windows(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Bounds of the stretches given to the splitter, cut after a blank line, a line, a word, or else anywhere."""
    while start < len(text):
        end = min(start + _WINDOW, len(text))
        if end < len(text):
            for gap in ("\n\n", "\n", " "):
                at = text.rfind(gap, start + _WINDOW // 2, end)
                if at >= 0:
                    end = at + len(gap)
                    break
        yield start, end
        start = end
