"""Plain text and Markdown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_graph.atoms.model import Draft, Limits, collect
from nexus_graph.atoms.recipes import RECIPES
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Invalid


def derive(op: str, data: str | bytes, **params: Json) -> list[Draft]:
    """All drafts of a text or its bytes."""
    return collect(RECIPES[op], data.encode() if isinstance(data, str) else data, params, Limits()).drafts


def told(drafts: list[Draft]) -> list[tuple[str, str]]:
    """Kinds and texts."""
    return [(draft.kind, draft.text) for draft in drafts]


def check_places(op: str, data: bytes, drafts: list[Draft]) -> str:
    """Ordinals count up, spans are in order and apart, lines agree with offsets, nothing is blank; the text."""
    recipe = RECIPES[op]
    assert recipe.decode is not None
    text = recipe.decode(data, {}).text
    before = 0
    for ordinal, draft in enumerate(drafts):
        span = draft.span
        assert draft.ordinal == ordinal
        assert before <= span.start < span.end <= len(text)
        assert draft.text.strip()
        assert span.line == text.count("\n", 0, span.start) + 1
        assert span.end_line == text.count("\n", 0, span.end - 1) + 1
        before = span.end
    return text


MARKDOWN = """---
title: x
---

intro

# A

text

> # no heading of the document

B
---

    code
      more

- x

  # nor this

```
# no
```

|a|
|-|
|1|

***
<div>
x
</div>
"""

_lines = st.sampled_from([*MARKDOWN.split("\n"), "  ", "\t", "1. x", "====", "~~~", "> - > x", "é\u2028\x0c", "\x85"])
_documents = st.lists(_lines, max_size=30).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n", "\r"]).map(lambda e: e.join(lines))
)


@pytest.mark.parametrize("op", ["text.paragraphs", "markdown.sections", "markdown.blocks"])
@given(_documents | st.text())
def test_spans_are_exact(op: str, document: str) -> None:
    """The text of every draft is the canonical text between its offsets, whatever the document."""
    data = document.replace("\0", "").encode()
    drafts = derive(op, data)
    text = check_places(op, data, drafts)
    assert [text[draft.span.start : draft.span.end] for draft in drafts] == [draft.text for draft in drafts]


@given(_documents)
def test_paragraphs_and_sections_lose_nothing(document: str) -> None:
    """Between paragraphs, and between sections, there is only white space."""
    for op in ("text.paragraphs", "markdown.sections"):
        text = check_places(op, document.encode(), drafts := derive(op, document))
        for draft in reversed(drafts):
            text = text[: draft.span.start] + text[draft.span.end :]
        assert not text.strip()


def test_paragraphs() -> None:
    """Blank lines, also those with white space in them, part paragraphs."""
    drafts = derive("text.paragraphs", "\ufeffa b\r\n  c  \r\n\r\n \r\nd")
    assert told(drafts) == [("paragraph", "a b\n  c"), ("paragraph", "d")]
    assert [draft.span.as_json() for draft in drafts] == [
        {"start": 0, "end": 7, "line": 1, "end_line": 2},
        {"start": 13, "end": 14, "line": 5, "end_line": 5},
    ]


def test_sections() -> None:
    """Front matter, what stands before the first heading, and one section for each heading of the outermost level."""
    texts = told(derive("markdown.sections", MARKDOWN))
    assert [kind for kind, _ in texts] == ["front_matter", "section", "section", "section"]
    assert [text.split("\n")[0] for _, text in texts] == ["---", "intro", "# A", "B"]
    assert len(derive("markdown.sections", MARKDOWN, depth=1)) == 3


def test_blocks() -> None:
    """Every block of the outermost level, exactly as it stands; a thematic break is none."""
    assert told(derive("markdown.blocks", MARKDOWN)) == [
        ("front_matter", "---\ntitle: x\n---"),
        ("paragraph", "intro"),
        ("heading", "# A"),
        ("paragraph", "text"),
        ("quote", "> # no heading of the document"),
        ("heading", "B\n---"),
        ("code", "    code\n      more"),
        ("list", "- x\n\n  # nor this"),
        ("code", "```\n# no\n```"),
        ("table", "|a|\n|-|\n|1|"),
        ("html", "<div>\nx\n</div>"),
    ]


def test_a_fence_without_an_end_is_no_front_matter() -> None:
    """A document that begins with a thematic break keeps its headings."""
    assert [kind for kind, _ in told(derive("markdown.blocks", "---\n\n# A\n"))] == ["heading"]


@pytest.mark.parametrize("op", ["text.paragraphs", "markdown.sections", "markdown.blocks", "csv.rows", "json.pointers"])
@given(st.binary())
def test_any_bytes_are_read_or_refused(op: str, data: bytes) -> None:
    """Nothing but Invalid is ever raised, and every text can be stored."""
    try:
        drafts = derive(op, data)
    except Invalid:
        return
    check_places(op, data, drafts)
    assert all("\0" not in draft.text and draft.text.encode() for draft in drafts)
