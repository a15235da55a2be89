"""What makes the search fast misses nothing: excerpts of long texts, and many short texts read as one."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_redaction_properties import FRAGMENTS, TEXTS

from nexus_graph.administration.redaction_report import read_parts
from nexus_graph.scope.redaction import Finding, excerpts, find, find_each, findings
from nexus_graph.scope.redaction.texts import Text

ROWS = [line.text for part in read_parts(Path(__file__).parent / "labelled") for line in part]
PROSE = "Nobody is named in these lines, and they hold no number: they only lie between."


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Excerpts are made of every text, however short and whatever it saves."""
    monkeypatch.setattr(excerpts, "_SHORT", 0)
    monkeypatch.setattr(excerpts, "_WORTH", 1.0)


alone = cache(find)


def whole(text: str, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What is found without excerpts."""
    with monkeypatch.context() as patch:
        patch.setattr(findings, "FEWEST_DIGITS", {})
        return find(text)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("distance", [0, *(pytest.param(few, marks=pytest.mark.long) for few in (1, 2, 3)), 5])
def test_excerpts_of_a_long_text_miss_nothing(distance: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows of the labelled set in one text, with so many lines between them, in several orders."""
    chance = random.Random(distance)  # noqa: S311 - the same in every run
    between = "\n" + f"{PROSE}\n" * distance
    rows = chance.sample(ROWS, len(ROWS))
    text = between.join(rows)
    found = find(text)
    assert found == whole(text, monkeypatch)
    assert len(found) > 1500
    if distance == 5:  # far enough from each other, the rows are found as each is alone
        starts = [0, *(match.end() for match in re.finditer(re.escape(between), text))]
        each_alone = [
            (each.kind, start + each.start) for start, row in zip(starts, rows, strict=True) for each in alone(row)
        ]
        assert [(each.kind, each.start) for each in found] == each_alone


@pytest.mark.usefixtures("eager")
def test_excerpts_of_each_row_miss_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row by row, and with its words on lines of their own where it has many."""
    for row in ROWS[::2]:
        for text in (f"{PROSE}\n\n\n\n{row}\n\n\n{PROSE}", row.replace(": ", ":\n"), row.replace(", ", ",\n\n")):
            assert find(text) == whole(text, monkeypatch), text


@given(st.lists(st.sampled_from([*FRAGMENTS, "\n", "\n\n\n", PROSE]), max_size=30).map(" ".join))
def test_excerpts_of_any_text_miss_nothing(text: str) -> None:
    """Also of fragments that meet in all ways."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(excerpts, "_SHORT", 0)
        patch.setattr(excerpts, "_WORTH", 1.0)
        assert find(text) == whole(text, patch)


def test_excerpts_leave_out_what_holds_no_number() -> None:
    """Of a long text with one number, a detector of numbers gets the lines around it; of one without, none."""
    got: list[str] = []

    def detector(text: Text) -> Iterator[tuple[int, int]]:
        got.append(text)
        return iter([(place, place + 4) for place in text.places("1234")])

    lines = [PROSE] * 100
    views = excerpts.Views(Text("\n".join(lines)))
    assert [*views.spans(detector, 4)] == []
    assert got == [""]
    got.clear()
    lines[50] = "so 1234"
    text = Text("\n".join(lines))
    assert [*excerpts.Views(text).spans(detector, 4)] == [(text.index("1234"), text.index("1234") + 4)]
    assert got == ["\n".join(lines[48:53])]
    assert [*excerpts.Views(text).spans(detector, 5)] == []


@pytest.mark.parametrize("together", [1, *(pytest.param(many, marks=pytest.mark.long) for many in (40, 2**16)), 1000])
def test_many_texts_are_read_as_each_alone(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows of the labelled set, in batches of any size, in their order and in another one."""
    monkeypatch.setattr(findings, "_TOGETHER", together)
    shuffled = random.Random(together).sample(ROWS, len(ROWS))  # noqa: S311 - the same in every run
    for rows in (ROWS, shuffled):
        assert list(find_each(rows)) == [*map(alone, rows)]
    pieces = [piece for row in ROWS[::3] for piece in (row[: len(row) // 2], row[len(row) // 2 :], "")]
    assert list(find_each(pieces)) == [*map(alone, pieces)]
    assert list(find_each([])) == []


@given(st.lists(TEXTS, max_size=12))
def test_any_texts_are_read_as_each_alone(texts: list[str]) -> None:
    """No text is the context of another one."""
    assert list(find_each(texts)) == [find(text) for text in texts]
