"""JSON Lines, and how faults are told there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_graph.atoms.model import Limits, Reading, collect
from nexus_graph.atoms.recipes import RECIPES, kind_of, recipe_for
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Invalid

INPUTS = Path(__file__).parent / "inputs"
RECORDS = RECIPES["jsonl.records"]


def read(text: str, **params: Json) -> Reading:
    """What is made of a text."""
    return collect(RECORDS, text.encode(), params, Limits())


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("30-records.jsonl", ['{"q":"pump","a":"P-7"}', '{"q":"hose","a":"H-2"}']),
        ("31-records-named.json", ['{"q":"pump"}', '{"q":"hose"}']),
    ],
)
def test_a_record_is_an_atom_with_line_and_pointer(name: str, texts: list[str]) -> None:
    """Also where the name says JSON: the text decides."""
    data = (INPUTS / name).read_bytes()
    assert recipe_for(kind_of(data, name, "application/octet-stream")) is RECORDS
    reading = collect(RECORDS, data, {}, Limits())
    assert [draft.text for draft in reading.drafts] == texts
    assert [(draft.span.line, draft.span.row, draft.span.pointer) for draft in reading.drafts] == [
        (1, 1, ""),
        (2, 2, ""),
    ]
    assert {draft.kind for draft in reading.drafts} == {"record"}


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.JSONLines"])
def test_names_of_json_lines(name: str) -> None:
    """All lead to one recipe."""
    assert recipe_for(kind_of(b'{"a":1}\n', name, "")) is RECORDS


def test_depth_opens_records() -> None:
    """Values with their pointers, and the number of their record; blank lines are no records."""
    found = read('{"a":{"b":1},"c":[2,3]}\n\n  {"a":4}\n', depth=2).drafts
    assert [(draft.text, draft.span.row, draft.span.line, draft.span.pointer, draft.kind) for draft in found] == [
        ("1", 1, 1, "/a/b", "value"),
        ("2", 1, 1, "/c/0", "value"),
        ("3", 1, 1, "/c/1", "value"),
        ("4", 2, 3, "/a", "value"),
    ]


def test_text_sequences() -> None:
    """Records of RFC 7464 begin with a sign of their own, and may have several lines."""
    text = '\x1e{"a":1}\n\x1e{"a":\n2}\n\x1e\n'
    found = read(text).drafts
    assert [(draft.text, draft.span.line, draft.span.end_line) for draft in found] == [
        ('{"a":1}', 1, 1),
        ('{"a":\n2}', 2, 3),
    ]
    assert recipe_for(kind_of(text.encode(), "x", "application/json-seq")) is RECORDS


@pytest.mark.parametrize(
    "tail", ['{"a', '{"a"', '{"a":', '{"a":1', '{"a":"x\\', '{"a":"x\\u00', '{"a":{"b":1}', "[1,", "[tru", "[-", "["]
)
def test_a_last_record_that_is_cut_off_is_told(tail: str) -> None:
    """Whoever writes a log may not be done with its last line."""
    reading = read(f'{{"a":0}}\n{tail}')
    assert [draft.text for draft in reading.drafts] == ['{"a":0}']
    assert [(omitted.what, omitted.places) for omitted in reading.left_out] == [("cut", ("line 2",))]
    assert RECORDS.tell(reading.left_out) == "line 2 is cut off"


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('{"a":0}\n{"a"\n', 2, 5),  # a line that was ended is not being written
        ('{"a":0}\n{"a"\n{"a":1}', 2, 5),
        ('{"a":0}\n{"a":1,}', 2, 8),
        ('{"a":0}\n  {"a":1} x', 2, 11),
        ('{"a":0}\nno', 2, 1),
        ('{"a":1,\n"b":2}\n', 1, 8),
        ('{"a":0}\n{"a":1,"a":2}\n', 2, 8),
    ],
)
def test_a_bad_record_is_refused_with_its_place(text: str, line: int, column: int) -> None:
    """Nothing is kept of the file then."""
    with pytest.raises(Invalid, match="as JSON") as refused:
        read(text)
    assert (refused.value.line, refused.value.column) == (line, column)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('{"a":1, // why\n"b":2}', "comments"),
        ('{"a":1,}', "no comma before a closing bracket"),
        ("{'a':1}", "single quotes"),
        ("[NaN]", "NaN"),
        ('{\n"a":1}\n{\n"a":2}', "jsonl.records"),
    ],
)
def test_what_is_nearly_json_is_refused_with_a_hint(text: str, hint: str) -> None:
    """JSON5 and its like, and many documents in one file."""
    with pytest.raises(Invalid) as refused:
        collect(RECIPES["json.pointers"], text.encode(), {}, Limits())
    assert hint in (refused.value.hint or "")


_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(_values, max_size=6), st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_records_come_back_as_written(values: list[Any], end: str) -> None:
    """Whatever they hold, with exact places."""
    text = "".join(json.dumps(value, ensure_ascii=False) + end for value in values)
    found = read(text).drafts
    assert [json.loads(draft.text) for draft in found] == values
    canonical = text.replace("\r\n", "\n").replace("\r", "\n")
    assert [canonical[draft.span.start : draft.span.end] for draft in found] == [draft.text for draft in found]
