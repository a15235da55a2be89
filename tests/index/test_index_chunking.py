"""The body of a card is cut into exact, ordered slices, the same ones in every process."""

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_graph.index.chunking import (
    CHUNKING,
    MAX_CHARACTERS,
    MAX_TITLE_CHARACTERS,
    MAX_TOKENS,
    Chunk,
    chunks,
    embedded_text,
)
from nexus_graph.index.embedding.base import estimated_tokens
from nexus_graph.scope.errors import Invalid

HEADER = "---\ncard_type: note\ntitle: Größe 𝒳\n---\n"
SECTION = """# Returns in {month} 😀

The returns rate rose to 14 % in {month}. Most parcels came back because the size chart was wrong.
Customers who ordered two sizes kept one, e.g. the smaller one; that is not a defect!

- shoes: 22 %
- coats: 9 %

| week | rate |
|------|------|
| 18   | 13 % |

"""
MONTHS = ("January", "Februar", "März", "四月", "May", "June", "July", "August", "September", "October")
CARD = HEADER + "".join(SECTION.format(month=month) for month in MONTHS) * 4


def words(text: str) -> int:
    return len(text.split())


def test_a_chunk_is_the_slice_of_the_card_that_its_code_points_name() -> None:
    """Characters beyond the Basic Multilingual Plane and accents before a chunk do not shift its offsets."""
    cut = chunks(CARD, len(HEADER), estimated_tokens)
    assert len(cut) > 10
    assert [chunk.ordinal for chunk in cut] == list(range(len(cut)))
    assert all(CARD[chunk.start : chunk.end] == chunk.text for chunk in cut)
    assert cut[0].start == len(HEADER)


@settings(max_examples=60, deadline=None)
@given(
    pieces=st.lists(
        st.sampled_from(["word ", "\n", "\n\n", "é", "😀", "漢", "a" * 300, "End. ", "\r\n", "\u0301", "\t"]),
        max_size=60,
    ),
    repeat=st.integers(1, 12),
    start=st.integers(0, 5),
    max_tokens=st.integers(1, 250),
)
def test_nothing_but_white_space_is_left_out_and_no_limit_is_passed(
    pieces: list[str], repeat: int, start: int, max_tokens: int
) -> None:
    """Chunks stand in order without overlap, the gaps hold no text, and each fits in characters and tokens."""
    text = "12345" + "".join(pieces) * repeat
    cut = chunks(text, start, words, max_tokens=max_tokens)
    place = start
    for chunk in cut:
        assert chunk.start >= place
        assert not text[place : chunk.start].strip()
        assert text[chunk.start : chunk.end] == chunk.text
        assert len(chunk.text) <= MAX_CHARACTERS
        assert words(chunk.text) <= max_tokens
        place = chunk.end
    assert not text[place:].strip()


def test_a_text_longer_than_a_window_is_covered_too() -> None:
    """The windows that bound the splitter's time lose and repeat nothing, with and without places to cut at."""
    for text in ("a" * 30_000, "one two " * 5_000, CARD * 3):
        cut = chunks(text, 0, estimated_tokens)
        assert all(not text[left.end : right.start].strip() for left, right in pairwise(cut))
        assert all(left.end <= right.start for left, right in pairwise(cut))
        assert cut[0].start == 0
        assert cut[-1].end == len(text.rstrip())


@pytest.mark.parametrize("body", ["", "   ", "\n\n\t\n"])
def test_a_body_without_text_gives_one_empty_chunk(body: str) -> None:
    """A card of a title alone still gets a row in the index."""
    assert chunks(HEADER + body, len(HEADER), estimated_tokens) == [Chunk(0, len(HEADER), len(HEADER), "")]


def test_the_cuts_of_a_known_text_are_pinned() -> None:
    """When this fails, texts are cut elsewhere than before: give CHUNKING a new name, so that cards are reindexed."""
    text = CARD + "a" * 10_000 + " One sentence. Two words\n" * 500
    cut = [(chunk.start, chunk.end) for chunk in chunks(text, len(HEADER), estimated_tokens)]
    assert CHUNKING == "chunk-1"
    assert MAX_TOKENS == 200
    assert (
        hashlib.sha256(repr(cut).encode()).hexdigest()
        == "d07d29c9a5590da548624830f162d243c2c1ac42647cb4f4e3971a4690b5fcce"
    )


@pytest.mark.parametrize(
    ("text", "start", "max_tokens", "reason"),
    [
        ("abc", 4, 200, "can't begin at 4"),
        ("abc", -1, 200, "can't begin at -1"),
        ("abc", 0, 0, "can't hold 0 tokens"),
        ("ab\ud800", 0, 200, "surrogate pair at character 2"),
    ],
)
def test_a_bad_argument_is_named(text: str, start: int, max_tokens: int, reason: str) -> None:
    """Offsets outside the text, empty chunks and broken Unicode are refused."""
    with pytest.raises(Invalid, match=reason):
        chunks(text, start, estimated_tokens, max_tokens=max_tokens)


def test_the_title_stands_before_the_chunk_and_is_bounded() -> None:
    """A title of any length leaves room for the chunk; without title or chunk there is no empty line."""
    assert embedded_text(" Returns ", "They rose.") == "Returns\n\nThey rose."
    assert embedded_text("", "They rose.") == "They rose."
    assert embedded_text("Returns", "") == "Returns"
    assert embedded_text("t" * 500, "c") == "t" * MAX_TITLE_CHARACTERS + "\n\nc"
