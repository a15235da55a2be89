"""CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_graph.atoms.model import Draft, Limits, collect
from nexus_graph.atoms.recipes import RECIPES
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Invalid


def derive(op: str, text: str, **params: Json) -> list[Draft]:
    """All drafts of a text."""
    return collect(RECIPES[op], text.encode(), params, Limits()).drafts


def test_rows() -> None:
    """Quoted line ends, blank records, short and long records, repeated names; rows count the names as row 1."""
    text = 'name;amount;name\n"a;b";"1,5\nx";z;extra\n\n;;\nq\n'
    drafts = derive("csv.rows", text)
    assert [draft.text for draft in drafts] == [
        '{"amount":"1,5\\nx","column 3":"z","column 4":"extra","name":"a;b"}',
        '{"name":"q"}',
    ]
    assert [draft.span.as_json() for draft in drafts] == [
        {"start": 17, "end": 38, "line": 2, "end_line": 3, "row": 2},
        {"start": 43, "end": 44, "line": 6, "end_line": 6, "row": 5},
    ]
    assert text[17:38] == '"a;b";"1,5\nx";z;extra'


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [("a,b;c,d", ","), ("a;b", ";"), ("a\tb", "\t"), ("a|b", "|"), ('"a,,,";b', ";"), ("a;b,c", ",")],
)
def test_the_delimiter_stands_most_often_outside_quotes(line: str, delimiter: str) -> None:
    """On a tie, comma goes before semicolon before tab before bar."""
    expected = next(csv.reader([line], delimiter=delimiter))
    (draft,) = derive("csv.rows", line, header=False)
    assert json.loads(draft.text) == {f"column {number}": cell for number, cell in enumerate(expected, 1)}


_cells = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=8)


@given(
    st.lists(st.lists(_cells, min_size=2, max_size=4), max_size=8),
    st.sampled_from(["comma", "semicolon", "tab", "bar"]),
)
def test_rows_come_back_as_written(records: list[list[str]], delimiter: str) -> None:
    """What the csv module writes is read again, and each span holds its record alone."""
    sign = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}[delimiter]
    stream = io.StringIO()
    csv.writer(stream, delimiter=sign, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(records)
    text = stream.getvalue()
    drafts = derive("csv.rows", text, delimiter=delimiter, header=False)
    kept = [(row, record) for row, record in enumerate(records, 1) if any(cell.strip() for cell in record)]
    assert [draft.span.row for draft in drafts] == [row for row, _ in kept]
    for draft, (_, record) in zip(drafts, kept, strict=True):
        assert list(json.loads(draft.text).values()) == record
        source = io.StringIO(text[draft.span.start : draft.span.end], newline="")
        assert list(csv.reader(source, delimiter=sign)) == [record]


@pytest.mark.parametrize(
    ("text", "line"),
    [('a,b\n"x"y,1\n', 2), ('a,b\n1,2\n"open,1\n3,4\n', 3), ("a\n" + "x" * (2**20 + 1), 2)],
)
def test_broken_csv_is_refused_with_its_line(text: str, line: int) -> None:
    """A badly closed, never closed or endless cell."""
    with pytest.raises(Invalid, match="as CSV") as refused:
        derive("csv.rows", text)
    assert refused.value.line == line


@pytest.mark.parametrize("text", ["column 2,\n1,2\n", "column 3,b\n1,2\n1,2,3\n"])
def test_names_that_stay_repeated_are_refused(text: str) -> None:
    """A column that is really named like the stand-in of another would hide its cells."""
    with pytest.raises(Invalid, match="name"):
        derive("csv.rows", text)


def resolve(document: Any, pointer: str) -> Any:
    """What a JSON Pointer names."""
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


def test_pointers() -> None:
    """Members open down to the depth; an element of an array stays whole; scalars and empty containers stand alone."""
    text = '{"a":{"b":[1,{"c":3}],"d":{}},"e/f~":[{"x":1},[2]],"g":-1.50e10, "h": "\\u00e9"}'
    found = {draft.span.pointer: draft.text for draft in derive("json.pointers", text)}
    assert found == {
        "/a/b": '[1,{"c":3}]',
        "/a/d": "{}",
        "/e~1f~0/0": '{"x":1}',
        "/e~1f~0/1": "[2]",
        "/g": "-1.50e10",
        "/h": '"\\u00e9"',
    }
    assert [draft.span.pointer for draft in derive("json.pointers", '[{"a":{"b":1}},2]')] == ["/0", "/1"]
    assert [draft.text for draft in derive("json.pointers", text, depth=0)] == [text]
    for whole in ("[]", " {} ", " 12 ", '"x"'):
        (draft,) = derive("json.pointers", whole)
        assert (draft.span.pointer, draft.text) == ("", whole.strip())


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text('ab/~é\ud83d"\\'.replace("\ud83d", ""), max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(_values, st.sampled_from([None, 0, 2]), st.booleans(), st.integers(0, 5))
def test_each_pointer_names_the_value_of_its_source(
    value: Any, indent: int | None, ascii_only: bool, depth: int
) -> None:
    """Offsets are exact, each text parses to what its pointer resolves to, and all leaves are covered."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    drafts = derive("json.pointers", text, depth=depth)
    for ordinal, draft in enumerate(drafts):
        assert draft.ordinal == ordinal
        assert draft.text == text[draft.span.start : draft.span.end]
        assert draft.span.pointer is not None
        assert json.loads(draft.text) == resolve(value, draft.span.pointer)
        text_between = text[drafts[ordinal - 1].span.end if ordinal else 0 : draft.span.start]
        assert "".join(part for part in text_between.split('"')[::2]).strip("[]{}:, \n") == "" or "\\" in text_between
    assert len({draft.span for draft in drafts}) == len(drafts) > 0


_json = st.lists(
    st.sampled_from(
        [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            '"a"',
            '"b"',
            "1",
            "-0",
            "01",
            "1.5e+3",
            "1.",
            "-",
            "true",
            "nul",
            "null",
            " ",
            "\n",
            '"\\u0041"',
            '"\\x"',
            '"',
            "/**/",
        ]
    ),
    max_size=9,
).map("".join)


@given(_json)
def test_json_is_read_exactly_when_the_standard_library_reads_it(text: str) -> None:
    """Acceptance agrees with json.loads, duplicate keys apart."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("duplicate")
        return dict(pairs)

    try:
        json.loads(text, object_pairs_hook=unique)
        expected = True
    except ValueError:
        expected = False
    try:
        derive("json.pointers", text)
        accepted, place = True, None
    except Invalid as error:
        accepted, place = False, (error.line, error.column)
    assert accepted == expected
    assert place is None or None not in place


@pytest.mark.parametrize(
    ("text", "said", "line", "column"),
    [
        ("", "ends too early", 1, 1),
        ('{"a": 1,\n "a": 2}', "'a' stands twice", 2, 2),
        ('{"a": 1,\n "\\u0061": 2}', "'a' stands twice", 2, 2),
        ("[1,\n2,]", "a value was expected", 2, 3),
        ("[NaN]", "a value was expected", 1, 2),
        ('["\\ud800"]', "half of a surrogate pair", 1, 2),
        ('{"\\udc00": 1}', "half of a surrogate pair", 1, 2),
        ('["a\nb"]', "a string is not closed", 1, 2),
        ("{} {}", "something follows", 1, 4),
        ("[" * 100_000, "deeper than 512", 1, 513),
        ('{"a":' * 100_000, "deeper than 512", 1, 2561),
    ],
)
def test_broken_json_is_refused_with_its_place(text: str, said: str, line: int, column: int) -> None:
    """Line and column of the first fault."""
    with pytest.raises(Invalid, match=said) as refused:
        derive("json.pointers", text)
    assert (refused.value.line, refused.value.column) == (line, column)


def test_long_numbers_keep_their_digits() -> None:
    """Numbers are never computed with."""
    number = "-" + "9" * 5_000 + "." + "1" * 5_000 + "e" + "7" * 5_000
    assert [draft.text for draft in derive("json.pointers", f"[{number}]")] == [number]
    assert derive("json.pointers", "[" * 512 + "]" * 512)[0].span.pointer == "/0"
