"""PDF, sound and hostile."""

from __future__ import annotations

import pytest
from atom_files import pdf

from nexus_graph.atoms.model import Draft, Limits, collect
from nexus_graph.atoms.recipes import RECIPES
from nexus_graph.scope.errors import Invalid


def derive(op: str, data: bytes) -> list[Draft]:
    """All drafts of a file."""
    return collect(RECIPES[op], data, {}, Limits()).drafts


def test_pages() -> None:
    """Pages that hold text, with their numbers, and offsets into all pages joined by form feeds."""
    drafts = derive("pdf.pages", pdf(["Hello", "co-", "op"], [], ["Second page"]))
    assert [(draft.text, draft.span.page, draft.kind) for draft in drafts] == [
        ("Hello\nco-op", 1, "page"),
        ("Second page", 3, "page"),
    ]
    whole = "\f".join(["Hello\nco-op", "", "Second page"])
    assert [whole[draft.span.start : draft.span.end] for draft in drafts] == [draft.text for draft in drafts]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "broken or no PDF"),
        (b"<html>", "broken or no PDF"),
        (b"%PDF-1.7\n" + b"\xff" * 500, "broken or no PDF"),
        (pdf(["x"])[:200], "broken or no PDF"),
        (pdf(["x"], encrypted=True), "it is encrypted"),
    ],
)
def test_what_is_no_pdf_is_refused(data: bytes, said: str) -> None:
    """Empty, another kind, truncated, encrypted."""
    with pytest.raises(Invalid, match=said) as refused:
        derive("pdf.pages", data)
    assert refused.value.hint
