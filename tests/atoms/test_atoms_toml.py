"""TOML with pointers: every character of the source is in an atom, however tables are written."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_graph.atoms.model import Draft, Limits, collect
from nexus_graph.atoms.recipes import RECIPES, kind_of, recipe_for
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Invalid

POINTERS = RECIPES["toml.pointers"]
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"

SETTINGS = '''\
# Head
title = "x"  # of all
tags = [
  "a",  # [ in a comment
  "b]",
]
text = """
a = "x"
[no table]
"""
a."b.c".d = 1
a.e = {x = 1, y = "}"}

# About the tool
[tool.ruff]  # r
line = 1

[tool.ruff.lint]
select = ['A']

[empty]
[[package]]
name = "p"
  [package.deps]
  x = 1
[[package.sub]]
z = 1
[[package]]
name = "q"
# Tail
'''


def read(text: str, **params: Json) -> list[Draft]:
    """All drafts of a text."""
    return collect(POINTERS, text.encode(), params, Limits()).drafts


def test_values_with_their_comments() -> None:
    """Sections and dotted keys are tables alike; an element of an array of tables stays whole."""
    assert [(draft.span.pointer, draft.text) for draft in read(SETTINGS)] == [
        ("/title", '# Head\ntitle = "x"  # of all'),
        ("/tags", 'tags = [\n  "a",  # [ in a comment\n  "b]",\n]'),
        ("/text", 'text = """\na = "x"\n[no table]\n"""'),
        ("/a/b.c", 'a."b.c".d = 1'),
        ("/a/e", 'a.e = {x = 1, y = "}"}'),
        ("/tool/ruff", "# About the tool\n[tool.ruff]  # r\nline = 1\n\n[tool.ruff.lint]\nselect = ['A']"),
        ("/empty", "[empty]"),
        ("/package/0", '[[package]]\nname = "p"\n  [package.deps]\n  x = 1\n[[package.sub]]\nz = 1'),
        ("/package/1", '[[package]]\nname = "q"\n# Tail'),
    ]
    assert read(SETTINGS)[2].span.as_json() == {"start": 73, "end": 106, "line": 7, "end_line": 10, "pointer": "/text"}


def test_depth() -> None:
    """How many levels open; 0 keeps all in one."""
    assert [draft.span.pointer for draft in read("[a.b.c]\nd = 1\ne = 2\n", depth=4)] == ["/a/b/c/d", "/a/b/c/e"]
    assert [draft.span.pointer for draft in read("[a.b.c]\nd = 1\n[a.f]\ng = 2\n[h]\n", depth=1)] == ["/a", "/h"]
    assert [(draft.span.pointer, draft.text) for draft in read(SETTINGS, depth=0)] == [("", SETTINGS.strip())]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("\n \n", []),
        ("# words\n", [("", "# words")]),
        ("'a/b' = 1\n\"~\\u00e9\" = 2", [("/a~1b", "'a/b' = 1"), ("/~0é", '"~\\u00e9" = 2')]),
        (
            "a = \"\"\"x\"\"\"\"\nb = '''y'''''\nc = 1",
            [("/a", 'a = """x""""'), ("/b", "b = '''y'''''"), ("/c", "c = 1")],
        ),
        ('a = "\\"" # "\nb = \'\\\'\nc = ""', [("/a", 'a = "\\"" # "'), ("/b", "b = '\\'"), ("/c", 'c = ""')]),
        ("[ a . 'b' ]\nc=1", [("/a/b", "[ a . 'b' ]\nc=1")]),
        ("[a]\n[a.b]\n[c]\nd=1", [("/a", "[a]"), ("/a/b", "[a.b]"), ("/c/d", "[c]\nd=1")]),
        ("[[a]]\n[[a]]\nb=1", [("/a/0", "[[a]]"), ("/a/1", "[[a]]\nb=1")]),
    ],
)
def test_small_files(text: str, expected: list[tuple[str, str]]) -> None:
    """Empty ones, comments alone, quoted keys, quotes at the end of strings, headers without members."""
    assert [(draft.span.pointer, draft.text) for draft in read(text)] == expected


@pytest.mark.parametrize(
    ("text", "said", "line", "column"),
    [
        ("a = 1\nb = \n", "Invalid value", 2, 5),
        ("a = 1\na = 2", "Cannot overwrite a value", 2, 6),
        ('a = "x\n"', "Illegal character", 1, 7),
        ("a = [1, 2", "Unclosed array", 1, 10),
        ("a = " + "[" * 5000, "deeper than 64", 1, 69),
        ("a = " + "{b = " * 5000, "deeper than 64", 1, 325),
    ],
)
def test_what_is_no_toml_is_refused_with_its_place(text: str, said: str, line: int, column: int) -> None:
    """Or is nested too deep; whoever wants its text is told how."""
    with pytest.raises(Invalid, match=said) as refused:
        read(text)
    assert (refused.value.line, refused.value.column) == (line, column)
    assert "text.paragraphs" in (refused.value.hint or "")


def test_names_of_toml() -> None:
    """And the type that is declared for it."""
    assert recipe_for(kind_of(b"a = 1\n", "pyproject.toml", "")) is POINTERS
    assert recipe_for(kind_of(b"a = 1\n", "x", "application/toml")) is POINTERS


def _resolve(document: Any, pointer: str | None) -> Any:
    for token in (pointer or "").split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


_keys = st.sampled_from(["a", "b-1", '"c d"', "'e/f'", '"~"'])
_values = st.sampled_from(
    ["1", '"x"', "'y # z'", '"""\nm\n[x]\n"""', "'''q'''", "[1, [2]]", "[\n1, # c\n]", "{k = 1}", "2025-06-30", '"\\""']
)
_comments = st.sampled_from(["", "# c = 1", "# [d]"])
_lines = st.one_of(
    st.builds("{} = {} {}".format, _keys, _values, _comments),
    st.builds("{}.{} = {}".format, _keys, _keys, _values),
    st.builds("[{}] {}".format, _keys, _comments),
    st.builds("[{}.{}]".format, _keys, _keys),
    st.builds("[[{}]]".format, _keys),
    _comments,
)


@given(st.lists(_lines, max_size=10).map("\n".join), st.integers(0, 3))
def test_all_of_the_source_is_in_the_atoms(text: str, depth: int) -> None:
    """Atoms follow one another without a gap but for blank lines, and each pointer names something in the document."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(Invalid, match="as TOML"):
            read(text, depth=depth)
        return
    found = read(text, depth=depth)
    assert [text[draft.span.start : draft.span.end] for draft in found] == [draft.text for draft in found]
    ends = [0, *(draft.span.end for draft in found)]
    starts = [*(draft.span.start for draft in found), len(text)]
    assert all(text[end:start].isspace() or end == start for end, start in zip(ends, starts, strict=True))
    for draft in found:
        _resolve(document, draft.span.pointer)


def test_a_real_file() -> None:
    """Each key of this project's own settings, down to two levels, is where it says."""
    text = PYPROJECT.read_text(encoding="utf-8")
    document = tomllib.loads(text)
    pointers = [draft.span.pointer for draft in read(text)]
    assert pointers == [f"/{table}/{key}" for table, members in document.items() for key in members]
