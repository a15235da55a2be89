"""The labelled set: the published figures are its own, and no rule changes under an old name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from labelled_set import FILES, FOLDER, written

from nexus_graph.administration.redaction_report import MEASURED, PAGE, page, read_lines
from nexus_graph.scope.redaction import RULESET, find

DOCS = Path(__file__).parents[2] / "docs"
POSITIVES, NEGATIVES = read_lines(FOLDER, "positives.jsonl"), read_lines(FOLDER, "negatives.jsonl")

PINNED = ("pii-2", "d74caaa3acb325d8", "7968d2b3afd4c68a")
"""The ruleset, the digest of the labelled set, and the digest of what the ruleset finds in it."""


def digest(value: object) -> str:
    """A short digest of a JSON value."""
    return hashlib.sha256(json.dumps(value, ensure_ascii=True).encode()).hexdigest()[:16]


def test_the_data_is_what_its_makers_make() -> None:
    """The files hold what `python tests/scope/labelled_set.py` writes, in every process."""
    for name, make in FILES.items():
        assert (FOLDER / name).read_text("utf-8") == written(make()), name


def test_the_set_is_large_and_labels_its_spans_exactly() -> None:
    """At least 400 lines of each sort; each kind at least 20 times; spans lie apart and inside their text."""
    assert len(POSITIVES) >= 400
    assert len(NEGATIVES) >= 400
    assert not any(line.spans for line in NEGATIVES)
    kinds: dict[str, int] = {}
    for line in POSITIVES:
        end = 0
        for kind, start, stop in sorted(line.spans, key=lambda span: span[1]):
            assert end <= start < stop <= len(line.text)
            kinds[kind] = kinds.get(kind, 0) + 1
            end = stop
    assert len(kinds) == 16
    assert min(kinds.values()) >= 20


def test_no_rule_changes_without_a_new_version() -> None:
    """The same set must give the same findings as long as the ruleset has the same name.

    When this fails because a rule changed, raise RULESET; when the set changed, only the digests change. Either way
    run `python -m nexus_graph.administration.redaction_report`.
    """
    lines = [*POSITIVES, *NEGATIVES]
    texts = digest([line.text for line in lines])
    found = digest([[(each.kind, each.start, each.end) for each in find(line.text)] for line in lines])
    assert (RULESET, texts, found) == PINNED


def test_the_published_figures_are_those_of_the_set() -> None:
    """docs/redaction.md says what the report renders now; only its throughput was measured at another time."""
    published, heading, measured = (DOCS / PAGE).read_text("utf-8").partition(f"\n{MEASURED}")
    assert published == page(POSITIVES, NEGATIVES)
    assert heading
    assert RULESET in measured, "Run python tests/bench/redaction.py."


def test_the_ruleset_keeps_what_it_reached() -> None:
    """Overall at least 95 of 100 findings are right and 90 of 100 spans are found; 1 business line in 40 alarms."""
    right = found = labelled = 0
    for line in POSITIVES:
        spans = {(each.kind, each.start, each.end) for each in find(line.text)}
        right, found, labelled = right + len(spans & line.spans), found + len(spans), labelled + len(line.spans)
    assert right / found >= 0.95
    assert right / labelled >= 0.90
    assert sum(bool(find(line.text)) for line in NEGATIVES) <= len(NEGATIVES) / 40
