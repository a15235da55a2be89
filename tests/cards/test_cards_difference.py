"""A difference is exact, small where it can be, and bounded."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_graph.cards import comparing
from nexus_graph.cards.comparing import Change, Difference, unified


def applied(old: str, found: Difference) -> str:
    """`old` with the hunks applied, checking every line and number on the way."""
    lines = [*old.split("\n")]
    rest = [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    result: list[str] = []
    done = 0
    for hunk in found.hunks:
        start = hunk.old_start - (hunk.old_count > 0)
        result += rest[done:start]
        assert len(result) == hunk.new_start - (hunk.new_count > 0)
        olds = [line.text for line in hunk.lines if line.change is not Change.ADDED]
        news = [line.text for line in hunk.lines if line.change is not Change.REMOVED]
        assert (len(olds), len(news)) == (hunk.old_count, hunk.new_count)
        assert olds == rest[start : start + hunk.old_count]
        result += news
        done = start + hunk.old_count
    return "".join([*result, *rest[done:]])


def test_the_unified_form_is_the_usual_one() -> None:
    """Headers, context and the missing line feed, as every reader of patches knows them."""
    old = "".join(f"{n}\n" for n in range(1, 21))
    new = old.replace("5\n6\n", "5\nfive and a half\n6\n", 1).replace("19\n", "").removesuffix("\n")
    assert unified(old, new, context=1).text == (
        "@@ -5,2 +5,3 @@\n 5\n+five and a half\n 6\n"
        "@@ -18,3 +19,2 @@\n 18\n-19\n-20\n+20\n\\ No newline at end of file\n"
    )


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("", "", ""),
        ("a\n", "a\n", ""),
        ("", "a\n", "@@ -0,0 +1 @@\n+a\n"),
        ("a\n", "", "@@ -1 +0,0 @@\n-a\n"),
        ("a", "a\n", "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"),
        ("a\r\n", "a\n", "@@ -1 +1 @@\n-a\r\n+a\n"),
        ("a\u2028b\n", "a\u2028c\n", "@@ -1 +1 @@\n-a\u2028b\n+a\u2028c\n"),
    ],
)
def test_small_cases_are_as_expected(old: str, new: str, text: str) -> None:
    """Empty sides, line ends and characters that are no line ends."""
    assert unified(old, new).text == text


lines = st.integers(0, 60).map(str)
edits = st.lists(st.tuples(st.integers(0, 60), st.none() | lines), max_size=8)


def edited(old: list[str], changes: list[tuple[int, str | None]]) -> list[str]:
    """`old` with lines put in, or taken out where None stands."""
    new = list(old)
    for at, line in changes:
        if line is None:
            del new[at : at + 1]
        else:
            new.insert(at, line)
    return new


@given(st.lists(lines, max_size=60), edits, st.integers(0, 4), st.booleans())
@settings(max_examples=500, deadline=None)
def test_applying_a_difference_gives_the_new_text(
    before: list[str], changes: list[tuple[int, str | None]], context: int, ended: bool
) -> None:
    """Every line and every number of a hunk is right, for any edits and any context."""
    old, new = "\n".join(before), "\n".join(edited(before, changes)) + ("\n" if ended else "")
    found = unified(old, new, context=context)
    assert applied(old, found) == new
    assert bool(found.hunks) == (old != new)


def test_repeated_lines_beside_an_anchor_are_kept() -> None:
    """Lines that are no anchors are matched from the anchors outwards, on both sides."""
    assert unified("a\nk\nk\nx\nk\nk\ny\n", "b\nk\nk\nx\nk\nk\nz\n").text == (
        "@@ -1,7 +1,7 @@\n-a\n+b\n k\n k\n x\n k\n k\n-y\n+z\n"
    )


def test_a_change_in_a_long_text_stays_small() -> None:
    """Ten changed lines among 20,000 give ten hunks of seven lines and one more."""
    old = [f"line {n} about spend" for n in range(20_000)]
    new = [f"{line}!" if n % 2_000 == 1_000 else line for n, line in enumerate(old)]
    hunks = unified("\n".join(old), "\n".join(new)).hunks
    assert [len(hunk.lines) for hunk in hunks] == [8] * 10


def test_a_moved_paragraph_is_not_a_new_text() -> None:
    """What stays in order is kept, the moved lines are removed and added."""
    lines = [f"{n}\n" for n in range(100)]
    found = unified("".join(lines), "".join([*lines[10:50], *lines[:10], *lines[50:]]))
    assert sum(line.change is not Change.KEPT for hunk in found.hunks for line in hunk.lines) == 20


def test_beyond_its_bound_a_difference_is_coarse_and_still_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """When too many lines have been looked at, what is left is replaced as a whole."""
    old = "".join(f"{n * n % 1_999}\n{n}\n" for n in range(1_000))
    new = "".join(f"{n * n % 1_997}\n{n}\n" for n in range(1_000))
    fine = unified(old, new)
    monkeypatch.setattr(comparing, "_MOST_LINES", 1_000)
    coarse = unified(old, new)
    assert applied(old, coarse) == applied(old, fine) == new
    assert len(coarse.text) > len(fine.text)
