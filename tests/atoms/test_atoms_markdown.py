"""Markdown: front matter of several kinds, and blocks that lose no line."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_graph.atoms.model import Limits, collect
from nexus_graph.atoms.recipes import RECIPES

INPUTS = Path(__file__).parent / "inputs"


def pieces(op: str, data: bytes) -> list[tuple[str, str]]:
    """Kind and text of each draft."""
    return [(draft.kind, draft.text) for draft in collect(RECIPES[op], data, {}, Limits()).drafts]


@pytest.mark.parametrize(
    ("name", "front", "rest"),
    [
        (
            "50-trailing-space.md",
            "--- \ncard_type: note\nkey: h/trailing\ntitle: Trailing blank\n---",
            ["Body one."],
        ),
        ("52-toml.md", '+++\ntitle = "Spare hoses"\ndate = 2025-06-30\n+++', ["# Storage\n\nBody three."]),
        (
            "53-dots-end.md",
            "---\ncard_type: note\nkey: h/dots\ntitle: Dots\n...",
            ["# Body\n\ntext\n\n---\n\nfoot"],
        ),
        ("54-rule-first.md", None, ["---\n\nA note that opens with a rule.\n\n---\n\nAnd more."]),
        ("58-crlf.md", "---\ncard_type: note\ntitle: CRLF\n---", ["Body."]),
        ("59-bom.md", "---\ncard_type: note\ntitle: BOM\n---", ["Body."]),
    ],
)
def test_front_matter_is_told_from_prose(name: str, front: str | None, rest: list[str]) -> None:
    """Fences with blanks, dots at the end, TOML; and a rule that opens a note is none."""
    expected = [*([("front_matter", front)] if front else []), *(("section", text) for text in rest)]
    assert pieces("markdown.sections", (INPUTS / name).read_bytes()) == expected


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("---\n# a comment\nkey: x\n---\nBody.", 4),
        ('---\n"a key": x\n---\n', 3),
        ("---\n{a: 1}\n---\n", 3),
        ("---\nkey:\n---\n", 3),
        ("---\n---\nBody.", 2),
        ("+++\n[table]\na = 1\n+++\n", 4),
        ("---\nkey: never closed\n", 0),
        ("---\nSome prose goes on.\n---\n", 0),
        ("---\n- a list\n---\n", 0),
        ("---\nhttp://example.org is no key\n---\n", 0),
        ("+++\nnot toml\n+++\n", 0),
        ("+++\na = 1\n---\n", 0),
        ("----\nkey: x\n----\n", 0),
        ("---", 0),
        ("", 0),
    ],
)
def test_what_opens_front_matter(text: str, lines: int) -> None:
    """A fence, then a line that looks like a key, and a fence of the same kind at its end."""
    from nexus_graph.atoms.recipes.markdown import front_matter

    assert front_matter(text.split("\n")) == lines


def test_link_definitions_are_no_loss() -> None:
    """They are no block of Markdown and say where links lead: they stand together as pieces of their own."""
    text = b"See [a].\n\n[a]: https://a.example 'A'\n[b]: https://b.example\n\n***\n\nEnd [b].\n\n[c]: <c.md>\n"
    assert pieces("markdown.blocks", text) == [
        ("paragraph", "See [a]."),
        ("definition", "[a]: https://a.example 'A'\n[b]: https://b.example"),
        ("paragraph", "End [b]."),
        ("definition", "[c]: <c.md>"),
    ]


@pytest.mark.parametrize("op", ["markdown.sections", "markdown.blocks"])
@pytest.mark.parametrize("mark", ["- ", "> "])
def test_no_depth_loses_text(op: str, mark: str) -> None:
    """The parser stops reading inside lists and quotes of some depth; their lines are kept all the same."""
    indent = "  " if mark == "- " else ""
    deep = "\n".join(f"{indent * depth if indent else mark * depth}{mark}level {depth}" for depth in range(40))
    whole = "\n".join(text for _, text in pieces(op, f"{deep}\n\nAfter.\n".encode()))
    assert [depth for depth in range(40) if f"level {depth}" not in whole] == []
    assert "After." in whole
