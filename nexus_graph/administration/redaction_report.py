"""Renders docs/redaction.md: what the ruleset finds on the project's labelled set, by kind, and what it misses.

`python -m nexus_graph.administration.redaction_report`, in a checkout, writes the page; a test compares it. Whatever
stands under its last heading, the throughput, was measured by `tests/bench/redaction.py` and is kept as it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from nexus_graph.administration.documenting import DOCS, table
from nexus_graph.administration.redaction_kinds import CHANGES, VALIDATED
from nexus_graph.scope.redaction import RULESET, find
from nexus_graph.scope.redaction.findings import DETECTORS

SET = Path("tests/scope/labelled")
PARTS = {
    "written on": ("positives.jsonl", "negatives.jsonl", "written_on.jsonl"),
    "held out": ("held_out.jsonl",),
}
"""The parts of the set: what rules were written on, and what was only measured."""
PAGE = "redaction.md"
MEASURED = "## Throughput\n"

MACRO_GOAL = 0.95
KIND_GOAL = 0.85
LINES_PER_ALARM = 30

_HEAD = f"""\
# Redaction

What is found in every text and JSON value before it is journalled, kept or exported, with the ruleset **{RULESET}**.
Rendered from the ruleset and the labelled set in `{SET}`. Do not edit this page: run
`python -m nexus_graph.administration.redaction_report`.

A finding is replaced by its kind in square brackets, and nothing beside it is touched. Where two kinds would claim the
same characters, the one that stands earlier in the table has them. In JSON, strings and keys are searched, and a plain
key is read as the label of its value: `{{"dateOfBirth": "1980-01-31"}}` and `{{"ssn": 123456789}}` are found. Nothing
is looked up and nothing is guessed by a model; the time is linear in the length of the text.

## Kinds
"""

_SCORES = """
## Precision and recall

The set has two parts. Rules were *written on* {written} rows: {written_positives} that hold something and
{written_negatives} of business text that only look like it. {held} rows, {held_positives} and {held_negatives}, were
*held out*: written before the rules of this ruleset, with other notations, contexts and words, and only measured. When
a miss among them leads to a rule, its row moves to the other part. A finding counts when kind, beginning and end are
exactly as labelled; hard cases are included. Both parts were written by the project: they say how the rules do on what
their authors could think of, not on your data.
"""

_GOALS = f"""
A test demands of each part: mean precision and mean recall over the kinds of at least {MACRO_GOAL}, no kind below
{KIND_GOAL}, and at most one false alarm in {LINES_PER_ALARM} rows of business text.
"""

_MISSED = """
## What is known to be missed

Forms of the part that rules were written on of which at least one row is not found exactly. Names and postal addresses
are no kinds at all.
"""

_ALARMS = """
## What is known to be a false alarm

Forms of business text, of the same part, in which something is found all the same.
"""

_CHANGED = """
## What changed since pii-2

`nexus-graph redaction list` names the ruleset that made the flags of each tenant and env. The journal tells when it
changed (`redaction.reevaluated`), and manifests of exports name theirs. Whatever is older than pii-3 was found by pii-2
or pii-1; to explain a finding of pii-2, read it with these differences. Text that stood beside a finding of pii-2 still
stands, with two exceptions: the zone of an IPv6 address now belongs to it, and so does the last dot of an unsigned web
token.
"""

_KEPT = """
## What is kept is looked at again

The flags of what is kept (`piiFlags` of assets, atoms, cards, sessions, locks and packs) are made to follow a new
ruleset, in batches, by the server when it starts and by `nexus-graph redaction reevaluate`. Each batch is one
transaction and journals `redaction.reevaluated` with both rulesets, how many records it looked at and changed, and how
many got and lost each kind. A crash loses at most one batch, and a second run changes nothing. A row whose flags stay
the same is not written.

The journal is not rewritten: its payloads were redacted before they were kept, and its hash chain holds their bytes, so
an entry shows what the ruleset of its day saw. What an old ruleset missed in it can be taken out by an erasure. Exports
that were made stay as they are, and name their ruleset.
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A labelled line: what form it is an example of, its text, and kind, start and end of all that is in it."""

    form: str
    text: str
    spans: frozenset[tuple[str, int, int]]


@dataclass(slots=True)
class Scores:
    """What was found as labelled, what was found though it is not labelled so, and what was missed, by kind."""

    right: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    lines: Counter[str] = field(default_factory=Counter)  # by form
    faulty: Counter[str] = field(default_factory=Counter)  # lines with a fault, by form

    def precision(self, kind: str) -> float:
        """The share of what was found that is labelled so."""
        return self.right[kind] / max(1, self.right[kind] + self.wrong[kind])

    def recall(self, kind: str) -> float:
        """The share of what is labelled that was found."""
        return self.right[kind] / max(1, self.right[kind] + self.missed[kind])

    def cells(self, kind: str) -> list[str]:
        """How many are labelled, and the precision and recall of a kind."""
        labelled = self.right[kind] + self.missed[kind]
        return [str(labelled), f"{self.precision(kind):.3f}", f"{self.recall(kind):.3f}"]

    def means(self, kinds: Sequence[str]) -> tuple[float, float]:
        """Precision and recall, each as the mean over the kinds."""
        precision, recall = (sum(map(measure, kinds)) / len(kinds) for measure in (self.precision, self.recall))
        return precision, recall


_SURROUNDINGS = re.compile(r", (?:prose|table|json|log)$")


def read_lines(folder: Path, name: str) -> list[Line]:
    """The lines of one file of the labelled set."""
    decoded = [orjson.loads(line) for line in (folder / name).read_bytes().splitlines()]
    return [
        Line(each["form"], each["text"], frozenset((kind, start, end) for kind, start, end in each["spans"]))
        for each in decoded
    ]


def read_parts(folder: Path) -> list[list[Line]]:
    """The lines of each part of the labelled set."""
    return [[line for name in names for line in read_lines(folder, name)] for names in PARTS.values()]


def score(lines: Sequence[Line]) -> Scores:
    """How the ruleset does on these lines."""
    scores = Scores()
    for line in lines:
        found = {(finding.kind, finding.start, finding.end) for finding in find(line.text)}
        scores.right.update(kind for kind, _, _ in found & line.spans)
        scores.wrong.update(kind for kind, _, _ in found - line.spans)
        scores.missed.update(kind for kind, _, _ in line.spans - found)
        form = _SURROUNDINGS.sub("", line.form)
        scores.lines[form] += 1
        scores.faulty[form] += found != line.spans
    return scores


def shortfalls(lines: Sequence[Line]) -> list[str]:
    """The goals that the ruleset misses on a part of the set, in words."""
    kinds = [kind for kind, _ in DETECTORS]
    scores, (_, alarms, quiet) = score(lines), _alarms(lines)
    named = dict(zip(("mean precision", "mean recall"), scores.means(kinds), strict=True))
    missed = [f"{name} is {mean:.3f}" for name, mean in named.items() if mean < MACRO_GOAL]
    for kind in kinds:
        worst = min(scores.precision(kind), scores.recall(kind))
        missed += [f"{kind} is {worst:.3f}"] if worst < KIND_GOAL else []
    return [*missed, *([f"{alarms} false alarms in {quiet} rows"] if alarms * LINES_PER_ALARM > quiet else [])]


def _alarms(lines: Sequence[Line]) -> tuple[int, int, int]:
    """How many lines hold something, how many of the others raise an alarm, and how many others there are."""
    quiet = [line for line in lines if not line.spans]
    return len(lines) - len(quiet), sum(bool(find(line.text)) for line in quiet), len(quiet)


def page(parts: Sequence[Sequence[Line]]) -> str:
    """The page up to its throughput; the parts are in the order of `PARTS`."""
    kinds = [kind for kind, _ in DETECTORS]
    written, held = parts
    scores = [score(part) for part in parts]
    (written_positives, written_alarms, written_negatives), (held_positives, held_alarms, held_negatives) = (
        _alarms(written),
        _alarms(held),
    )
    rows = [[f"`{kind}`", *(cell for each in scores for cell in each.cells(kind))] for kind in kinds]
    labelled = [str(sum(each.right.values()) + sum(each.missed.values())) for each in scores]
    means = [[f"{mean:.3f}" for mean in each.means(kinds)] for each in scores]
    rows.append(["mean of the kinds", labelled[0], *means[0], labelled[1], *means[1]])
    head = ["kind", *(f"{part}: {column}" for part in PARTS for column in ("labelled", "precision", "recall"))]
    return "".join(
        (
            _HEAD,
            "\n" + table(["kind", "validated by"], [[f"`{kind}`", VALIDATED[kind]] for kind in kinds]),
            _SCORES.format(
                written=len(written),
                written_positives=written_positives,
                written_negatives=written_negatives,
                held=len(held),
                held_positives=held_positives,
                held_negatives=held_negatives,
            ),
            "\n" + table(head, rows),
            f"\nOf the rows of business text, {written_alarms} of {written_negatives} raise a false alarm in the first "
            f"part, {held_alarms} of {held_negatives} in the second.\n",
            _GOALS,
            _MISSED + "\n" + _faults(score([line for line in written if line.spans])),
            _ALARMS + "\n" + _faults(score([line for line in written if not line.spans])),
            _CHANGED + "\n" + table(["kind", "pii-2", "pii-3"], [list(row) for row in CHANGES]),
            _KEPT,
        )
    )


def _faults(scores: Scores) -> str:
    rows = [
        [form.removesuffix(", hard"), str(faulty), str(scores.lines[form])]
        for form, faulty in sorted(scores.faulty.items())
        if faulty
    ]
    return table(["form", "rows at fault", "rows"], rows)


def with_throughput(rendered: str, old: str, measured: str | None = None) -> str:
    """The whole page: what was rendered, and the throughput as measured now or as the old page tells it."""
    told = old.partition(MEASURED)[2] if measured is None else f"\n{measured}"
    return f"{rendered}\n{MEASURED}{told}"


def write(measured: str | None = None, folder: Path = DOCS) -> None:
    """Write the page, with a new throughput if one was measured."""
    if not SET.is_dir() or not folder.is_dir():
        raise SystemExit("There is no labelled set here. Run this at the top of a checkout.")
    rendered = page(read_parts(SET))
    file = folder / PAGE
    old = file.read_text("utf-8") if file.exists() else ""
    file.write_text(with_throughput(rendered, old, measured), "utf-8")


if __name__ == "__main__":
    write()
