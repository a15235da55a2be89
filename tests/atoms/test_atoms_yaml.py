"""YAML with pointers: every character of the source is in an atom, whatever YAML allows."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nexus_graph.atoms.model import Draft, Limits, collect
from nexus_graph.atoms.recipes import RECIPES, kind_of, recipe_for, yaml_source
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Invalid

POINTERS = RECIPES["yaml.pointers"]

COMPOSE = """\
# Licence

---
name: shop   # of the demo
x-base: &base
  restart: always
services:  # all of them
  web:
    <<: *base
    image: nginx

    # The port of the outside.
    ports: ["80:80"]
  db:
    image: postgres
steps:
  - run: |
      echo "a: b"

      # no comment

  - uses: actions/checkout@v4
    with: {depth: 1}
  # the end of the steps
flow: {x: 1,
  y: 2}
secret: !vault abc
empty:
? [p, q]
: r
name: again
# the end
"""


def read(text: str, **params: Json) -> list[Draft]:
    """All drafts of a text."""
    return collect(POINTERS, text.encode(), params, Limits()).drafts


def test_values_with_their_comments() -> None:
    """Mappings open, elements stay whole, and comments, tags, anchors, aliases and repeated keys stay as written."""
    assert [(draft.span.pointer, draft.text) for draft in read(COMPOSE)] == [
        ("/name", "# Licence\n\n---\nname: shop   # of the demo"),
        ("/x-base/restart", "x-base: &base\n  restart: always"),
        (
            "/services/web",
            "services:  # all of them\n  web:\n    <<: *base\n    image: nginx\n\n"
            '    # The port of the outside.\n    ports: ["80:80"]',
        ),
        ("/services/db", "  db:\n    image: postgres"),
        ("/steps/0", 'steps:\n  - run: |\n      echo "a: b"\n\n      # no comment'),
        ("/steps/1", "  - uses: actions/checkout@v4\n    with: {depth: 1}"),
        ("/flow", "  # the end of the steps\nflow: {x: 1,\n  y: 2}"),
        ("/secret", "secret: !vault abc"),
        ("/empty", "empty:"),
        ("/[p, q]", "? [p, q]\n: r"),
        ("/name", "name: again\n# the end"),
    ]


def test_places() -> None:
    """Lines, offsets and the number of the document."""
    text = "a: 1\n---\n# two\nb:\n  c: |\n    x\n...\n---\n- 1\n"
    assert [(draft.span.as_json(), draft.text) for draft in read(text)] == [
        ({"start": 0, "end": 4, "line": 1, "end_line": 1, "row": 1, "pointer": "/a"}, "a: 1"),
        (
            {"start": 9, "end": 30, "line": 3, "end_line": 6, "row": 2, "pointer": "/b/c"},
            "# two\nb:\n  c: |\n    x",
        ),
        ({"start": 39, "end": 42, "line": 9, "end_line": 9, "row": 3, "pointer": "/0"}, "- 1"),
    ]


def test_depth() -> None:
    """How many levels open; 0 keeps a document in one."""
    text = "a:\n  b:\n    c: 1\n    d: 2\n"
    assert [draft.span.pointer for draft in read(text, depth=3)] == ["/a/b/c", "/a/b/d"]
    assert [draft.span.pointer for draft in read(text, depth=1)] == ["/a"]
    assert [(draft.span.pointer, draft.text) for draft in read(text, depth=0)] == [("", text.strip())]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("---\n", []),
        ("# only words\n", [("", "# only words")]),
        ("---\n# only words\n---\na: 1\n", [("", "# only words"), ("/a", "a: 1")]),
        ("word", [("", "word")]),
        ("{a: 1, b: [2]}", [("", "{a: 1, b: [2]}")]),
        ("a/b: 1\n~c: 2\n", [("/a~1b", "a/b: 1"), ("/~0c", "~c: 2")]),
        ("1: x\ntrue: y\n*z : 3\n", [("/1", "1: x"), ("/true", "true: y"), ("/*z", "*z : 3")]),
        ("%YAML 1.1\n---\na: 1\n", [("/a", "%YAML 1.1\n---\na: 1")]),
        ("a: 1\n# tail\n---\nb: 2\n", [("/a", "a: 1\n# tail"), ("/b", "b: 2")]),
        ("name: {{ .Values.name }}\n", [("/name", "name: {{ .Values.name }}")]),
        ("é: 😀  # ß\nb: ü\n", [("/é", "é: 😀  # ß"), ("/b", "b: ü")]),
    ],
)
def test_small_files(text: str, expected: list[tuple[str, str]]) -> None:
    """Empty ones, comments alone, scalars, flow collections, odd keys, directives."""
    assert [(draft.span.pointer, draft.text) for draft in read(text)] == expected


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a: 1\n{{- if .Values.x }}\nb: 2\n{{- end }}\n", 3, 1),
        ("a: [1\nb: 2\n", 2, 2),
        ("é: 1\n\tb: 2\n", 2, 1),
        ("é: 1\nü: \x01\n", 2, 4),
        ("a: b: c\n", 1, 5),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_place(text: str, line: int, column: int) -> None:
    """Templates are common; whoever wants their text is told how."""
    with pytest.raises(Invalid, match="as YAML") as refused:
        read(text)
    assert (refused.value.line, refused.value.column) == (line, column)
    assert "text.paragraphs" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("[" * 30_000, 1, 65),
        ("a: " + "{a: " * 30_000, 1, 256),
        ("- " * 30_000 + "x", 1, 129),
        ("\n".join(" " * level + "a:" for level in range(200)), 65, 65),
    ],
)
def test_nesting_is_refused_before_the_parser_gives_up(text: str, line: int, column: int) -> None:
    """Our own rule, at its own place, whatever limit the parser has."""
    with pytest.raises(Invalid, match="deeper than 64 levels") as refused:
        read(text)
    assert (refused.value.line, refused.value.column) == (line, column)


def test_aliases_are_never_expanded() -> None:
    """A few lines that would stand for a billion."""
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30)]
    assert [draft.text for draft in read("\n".join(lines))] == lines


def test_events_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that holds too much is refused before its time is up."""
    monkeypatch.setattr(yaml_source, "MOST_EVENTS", 11)
    assert len(read("- 1\n" * 5)) == 5
    with pytest.raises(Invalid, match="more than 11 keys and values"):
        read("- 1\n" * 8)


@pytest.mark.parametrize("name", ["a.yaml", "a.YML"])
def test_names_of_yaml(name: str) -> None:
    """And types that are declared for it."""
    assert recipe_for(kind_of(b"a: 1\n", name, "")) is POINTERS
    assert recipe_for(kind_of(b"a: 1\n", "x", "text/x-yaml")) is POINTERS


_texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=6) | st.sampled_from(
    ["# no", "a: b", "- x", "two\nlines\n", "\n\nend", "---", "...", "{", "*a", "&a", "'", '"', "|", "x  \ny"]
)
_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=12,
)


def _expected(value: Any, depth: int, pointer: str = "", *, element: bool = False) -> list[tuple[str, Any]]:
    """Pointers and values of the atoms, by the rule."""
    if not isinstance(value, (dict, list)) or not value or element or depth == 0:
        return [(pointer, value)]
    members = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, inner in members:
        said = str(key).replace("~", "~0").replace("/", "~1")
        found += _expected(inner, depth - 1, f"{pointer}/{said}", element=isinstance(value, list))
    return found


@given(_values, st.integers(0, 3), st.sampled_from(["|", ">", '"', None]))
def test_all_of_the_source_is_in_the_atoms(value: Any, depth: int, style: str | None) -> None:
    """Atoms follow one another without a gap but for blank lines, each with the pointer that the rule gives it."""
    text = yaml.safe_dump(value, default_flow_style=False, sort_keys=False, allow_unicode=True, default_style=style)
    found = read(text, depth=depth)
    if text.strip("\n.- ") or found:
        assert [draft.span.pointer for draft in found] == [pointer for pointer, _ in _expected(value, depth)]
    assert [text[draft.span.start : draft.span.end] for draft in found] == [draft.text for draft in found]
    ends = [0, *(draft.span.end for draft in found)]
    starts = [*(draft.span.start for draft in found), len(text)]
    for end, start in zip(ends, starts, strict=True):
        assert re.fullmatch(r"(\s*|\s*\.\.\.\s*|\s*---\s*)", text[end:start])
