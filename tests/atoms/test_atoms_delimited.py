"""CSV as people have it: how its delimiter, its quotes and its names are found out."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_graph.atoms.model import Draft, Limits, collect
from nexus_graph.atoms.recipes import RECIPES, kind_of, recipe_for
from nexus_graph.atoms.recipes.records import Columns
from nexus_graph.scope.canonical import Json, canonical
from nexus_graph.scope.errors import Invalid

INPUTS = Path(__file__).parent / "inputs"
ROWS = RECIPES["csv.rows"]


def drafts(text: str, **params: Json) -> list[Draft]:
    """All drafts of a text."""
    return collect(ROWS, text.encode(), params, Limits()).drafts


def records(text: str, **params: Json) -> list[dict[str, str]]:
    """All records of a text."""
    return [json.loads(draft.text) for draft in drafts(text, **params)]


@pytest.mark.parametrize(
    ("name", "declared", "expected"),
    [
        (
            "20-sep-line.csv",
            "text/csv",
            ['{"Article":"Hose","Price":"4,50","Stock":"12"}', '{"Article":"Valve","Price":"9,90","Stock":"3"}'],
        ),
        (
            "21-comma-header.tsv",
            "",
            [
                '{"Length, mm":"120","Part":"P1","Weight, kg, net":"3"}',
                '{"Length, mm":"130","Part":"P2","Weight, kg, net":"4"}',
            ],
        ),
        (
            "22-semicolon-decimal.csv",
            "",
            [
                '{"Name":"Schlauch","Notiz":"zwei\\nZeilen","Preis":"4,50"}',
                '{"Name":"Ventil","Preis":"9,90"}',
                '{"Name":"Rohr","Notiz":"x","Preis":"1,00","column 4":"extra"}',
            ],
        ),
        ("23-dup-headers.csv", "", ['{"Name":"Iris","Phone":"11","column 3":"22","column 4":"z"}']),
        (
            "24-backslash-quote.csv",
            "",
            ['{"id":"1","text":"he said \\"go, now\\" twice"}', '{"id":"2","text":"ok"}'],
        ),
        ("26-utf16.csv", "", ['{"Name":"Zoë","Ort":"Köln"}']),
        ("27-browser-mime.csv", "application/vnd.ms-excel", ['{"qty":"5","sku":"A1"}']),
    ],
)
def test_files_that_were_read_wrong_are_read_right(name: str, declared: str, expected: list[str]) -> None:
    """Each with what its kind suggests, as when it is imported."""
    data = (INPUTS / name).read_bytes()
    kind = kind_of(data, name, declared)
    assert recipe_for(kind) is ROWS
    reading = collect(ROWS, data, ROWS.hints.get(kind.media_type, {}), Limits())
    assert [draft.text for draft in reading.drafts] == expected
    assert reading.left_out == []


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ("sep=;", "a;b"),
        ("SEP=;", "a;b"),
        ('"sep=;"', "a;b"),
        ("sep=;;;", "a;b"),
        ("sep=\\t", "a\tb"),
        ("sep=\t", "a\tb"),
        ("sep=^", "a^b"),
        ("sep= ", "a b"),
    ],
)
def test_a_sep_line_tells_the_delimiter_and_is_no_row(line: str, row: str) -> None:
    """Rows are counted as Excel shows them; lines as they stand in the file. Whoever names a delimiter is believed."""
    found = drafts(f"{line}\n{row}\n{row.replace('a', '1').replace('b', '2')}\n")
    assert [(json.loads(draft.text), draft.span.row, draft.span.line) for draft in found] == [
        ({"a": "1", "b": "2"}, 2, 3)
    ]
    assert records("sep=;\na,b;c\n1,2;3\n", delimiter="comma") == [{"a": "1", "b;c": "2;3"}]


def test_a_file_that_only_begins_like_a_sep_line_loses_nothing() -> None:
    """`sep=` in a cell, or without a line after it, is text."""
    assert records("sep=;x\n1\n") == [{"column 1": "sep=", "column 2": "x"}, {"sep=": "1"}]
    assert records("sep=;") == [
        {
            "column 1": "sep=",
        }
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Decimal commas in most rows, and none in the names.
        ("name;price\na;1,5\nb;2,5\nc;3,5\n", {"name": "a", "price": "1,5"}),
        # Names with commas in them, and rows without.
        ("Length, mm;Weight, kg\n120;3\n", {"Length, mm": "120", "Weight, kg": "3"}),
        # Text full of another delimiter.
        ("id,tags\n1,a;b;c;d\n2,e\n", {"id": "1", "tags": "a;b;c;d"}),
        ("id|note\n1|yes, no, maybe\n", {"id": "1", "note": "yes, no, maybe"}),
        # A delimiter that stands in quotes only.
        ('a;b\n"1,2,3";4\n', {"a": "1,2,3", "b": "4"}),
        # A single column.
        ("comment\nbad\nfine, thanks\ngood\n", {"comment": "bad"}),
    ],
)
def test_the_delimiter_is_the_one_that_splits_all_records(text: str, expected: dict[str, str]) -> None:
    """Not the one that stands most often in one of them."""
    assert records(text)[0] == expected


def test_a_single_column_is_not_split() -> None:
    """Where no delimiter splits at least half of the records, a line is a cell."""
    assert records("comment\nbad\nfine, thanks\ngood\n")[1] == {"comment": "fine, thanks"}


def test_what_stands_above_a_table_is_kept_and_is_not_its_header() -> None:
    """Titles and metadata, as banks put them there, with and without delimiters up to the table's width."""
    text = (
        "Account;DE12 3456\nPeriod, from to;2025\n\nDate;Text;Amount\n01.01.;Rent, cold;-900,00\n02.01.;Pay;1,00\n"
        "03.01.;x;2,00\n"
    )
    assert records(text) == [
        {"column 1": "Account", "column 2": "DE12 3456"},
        {"column 1": "Period, from to", "column 2": "2025"},
        {"Date": "01.01.", "Text": "Rent, cold", "Amount": "-900,00"},
        {"Date": "02.01.", "Text": "Pay", "Amount": "1,00"},
        {"Date": "03.01.", "Text": "x", "Amount": "2,00"},
    ]
    padded = "Report 2025,,\n,,\nid,name,qty\n1,a,2\n2,b,3\n"
    assert records(padded)[:2] == [{"column 1": "Report 2025"}, {"id": "1", "name": "a", "qty": "2"}]
    assert records("# made by a program\nid,name,qty\n1,a,2\n")[0] == {"column 1": "# made by a program"}


def test_sparse_names_are_still_the_header() -> None:
    """An index without a name, as pandas writes it."""
    assert records(",a\n0,x\n1,y\n") == [{"column 1": "0", "a": "x"}, {"column 1": "1", "a": "y"}]


def test_names_that_no_record_holds_are_an_atom() -> None:
    """A header alone, or one that is longer than all records, is not lost."""
    (only,) = drafts("a,b\n")
    assert (only.kind, only.text, only.span.row) == ("names", '{"column 1":"a","column 2":"b"}', 1)
    longer = drafts("a,b,c\n1,2\n3,4\n5,6\n")
    assert [draft.kind for draft in longer] == ["names", "row", "row", "row"]
    assert [draft.kind for draft in drafts("a,b,\n1,2\n")] == ["row"]


def test_blank_cells_of_nameless_columns_are_passed_over() -> None:
    """Delimiters at the line's end make no columns; blank cells under a name stay."""
    assert records("a,b,\n1,,\n") == [{"a": "1", "b": ""}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a, b\n1, "x, y"\n', {"a": "1", "b": "x, y"}),
        ("'a','b'\n'1','x, y'\n", {"a": "1", "b": "x, y"}),
        ("a,b\n'tis,it's\n", {"a": "'tis", "b": "it's"}),
        ('a,b\n1,"x \\"y, z\\" \\\\ \\n"\n', {"a": "1", "b": 'x "y, z" \\ \\n'}),
        ('a,b\n"C:\\dir","x ""y"""\n', {"a": "C:\\dir", "b": 'x "y"'}),
        ('a,b\n"C:\\\\dir\\\\",2\n', {"a": "C:\\\\dir\\\\", "b": "2"}),
        ('a,b\n1, "quoted" and more\n', {"a": "1", "b": ' "quoted" and more'}),
        ('a,b\n="001","=""002"""\n', {"a": "001", "b": "002"}),
        ('a,b\n=1+1,="\n', {"a": "=1+1", "b": '="'}),
        ('a,b\n"one\ntwo",2\n', {"a": "one\ntwo", "b": "2"}),
    ],
)
def test_quotes_are_read_as_they_were_meant(text: str, expected: dict[str, str]) -> None:
    """Blanks before quotes, single quotes, escaped quotes, formulas that keep zeros, line ends in quotes."""
    assert records(text) == [expected]


@pytest.mark.parametrize("text", ['a,b\n1,"x \\"y" z"\n', 'a,b\n1,"open\n2,3\n'])
def test_quotes_that_no_way_of_reading_closes_are_refused(text: str) -> None:
    """With the line of the plainest reading."""
    with pytest.raises(Invalid, match="as CSV") as refused:
        drafts(text)
    assert refused.value.line == 2


def test_escaped_quotes_leave_places_as_they_are() -> None:
    """Spans point into the text itself."""
    text = 'id,text\n1,"he said \\"go\\""\n2,ok\n'
    assert [text[draft.span.start : draft.span.end] for draft in drafts(text)] == ['1,"he said \\"go\\""', "2,ok"]


def test_a_table_without_tabs_is_no_tsv() -> None:
    """Its name is wrong then, and the delimiter is looked for."""
    assert kind_of(b"a,b\n1,2\n", "x.tsv", "").media_type == "text/csv"
    assert kind_of(b"a\tb\n", "x.tsv", "").media_type == "text/tab-separated-values"
    assert ROWS.hints["text/tab-separated-values"] == {"delimiter": "tab"}


_names = st.lists(st.text(max_size=4), min_size=1, max_size=6, unique_by=lambda name: name.strip())


@given(_names.filter(lambda names: all(name.strip() for name in names)), st.text(max_size=5))
def test_records_are_canonical_json(names: list[str], cell: str) -> None:
    """Whatever the names and cells: keys in the order of UTF-16, strings as RFC 8785 wants them."""
    columns = Columns(dict(enumerate(names, 1)), str, "CSV")
    expected = canonical({name.strip(): cell for name in names}).decode()
    assert [columns.record(dict.fromkeys(range(1, len(names) + 1), cell)) for _ in range(2)] == [expected] * 2


_words = st.text(st.sampled_from("ab ,;.'1é"), min_size=1, max_size=6).filter(lambda text: bool(text.strip()))


@given(st.integers(2, 4), st.data(), st.sampled_from([";", "\t", "|"]))
def test_tables_come_back_whatever_commas_they_hold(width: int, data: st.DataObject, sign: str) -> None:
    """What the csv module writes with a delimiter is read with it, when all records have the same width."""
    cells = st.lists(_words.map(lambda word: word.replace(sign, "")).filter(str.strip), min_size=width, max_size=width)
    names = [f"name {number}" for number in range(width)]
    table = data.draw(st.lists(cells, min_size=1, max_size=5))
    stream = io.StringIO()
    csv.writer(stream, delimiter=sign, lineterminator="\n").writerows([names, *table])
    assert records(stream.getvalue()) == [dict(zip(names, row, strict=True)) for row in table]
