"""The page of conformance says something of every point, and names the tests that saw it."""

from __future__ import annotations

import re

from house_tree import DOCS, ROOT

PAGE = DOCS / "conformance.md"
SECTION = re.compile(r"^## (?P<point>\d+)\. .+\n(?P<text>(?:(?!## ).*\n)*)", re.MULTILINE)
ROW = re.compile(
    r"^\| (?!what )(?P<what>\S.*) \| (?P<figure>\S.*) \| `(?P<file>[\w/]+\.py)::(?P<test>\w+)` \|$", re.MULTILINE
)
NAMED = re.compile(r"`(?P<file>tests/[\w/]+\.py)::(?P<test>\w+)`")


def test_every_point_has_a_figure() -> None:
    """Ten points, and each was looked at."""
    sections = {int(found["point"]): found["text"] for found in SECTION.finditer(PAGE.read_text("utf-8"))}
    assert list(sections) == list(range(1, 11))
    assert [point for point, text in sections.items() if not ROW.search(text)] == []


def test_every_figure_was_seen_by_a_test_that_exists() -> None:
    """So were those that are told to be skipped."""
    named = {(found["file"], found["test"]) for found in NAMED.finditer(PAGE.read_text("utf-8"))}
    assert named
    for file, name in sorted(named):
        assert (ROOT / file).exists(), file
        assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE), (file, name)
