"""Renders docs/redaction.md: what the ruleset finds on the project's labelled set, by kind, and what it misses.

`python -m nexus_graph.administration.redaction_report`, in a checkout, writes the page; a test compares it. Whatever
stands under its last heading, the throughput, was measured by `tests/bench/redaction.py` and is kept as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from nexus_graph.administration.documenting import DOCS, table
from nexus_graph.scope.redaction import RULESET, find
from nexus_graph.scope.redaction.findings import DETECTORS

SET = Path("tests/scope/labelled")
PAGE = "redaction.md"
MEASURED = "## Throughput\n"

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

On {positives} lines that hold something and {negatives} lines of business text that only look like it (hashes, UUIDs,
SKUs, invoices, versions, ranges, epoch times, prices, product numbers). A finding counts when kind, beginning and end
are exactly as labelled. The set was written by the project, hard cases included: it says how the rules do on what
their authors could think of, not on your data.
"""

_MISSED = """
## What is known to be missed

Forms of the set of which at least one line is not found exactly. Free-form passwords, names and postal addresses are no
kinds at all.
"""

_ALARMS = """
## What is known to be a false alarm

Forms of business text in which something is found all the same.
"""

_VALIDATED = {
    "private_key": "PEM or PGP frame with key material; also cut short",
    "credential_url": "a password before `@` in a URL; stand-ins are left",
    "bearer_token": "`Bearer`, or `Basic` and `token` in an Authorization header; plain words are left",
    "json_web_token": "the header decodes to JSON and names an algorithm (RFC 7515)",
    "secret_key": "the providers' published prefixes, lengths and alphabets; keys of this engine",
    "email": "RFC 5321 lengths, a dotted domain; file names, versions and `git@` are left",
    "crypto_wallet": "Bitcoin: Base58Check, Bech32, Bech32m; Ethereum: EIP-55 where the case is mixed",
    "iban": "length by country and modulus 97 (ISO 13616)",
    "credit_card": "ranges and lengths of the networks and Luhn (ISO/IEC 7812); a valid EAN-13 is left",
    "birth_date": "a label before it, and a day of the calendar from 1900 to 2099",
    "us_ssn": "areas, groups and serials that the SSA gives out; without hyphens only after a label",
    "us_itin": "groups that the IRS gives out; without hyphens only after a label",
    "uk_nhs": "modulus 11; unlabelled only as it is printed, in the ranges of England and Wales",
    "mac_address": "one device's address; a letter among the digits",
    "ip_address": "a valid address of somebody; version numbers and headings are left",
    "phone": "the numbering plans: `+` or `00`, United States forms, national forms after a label",
}


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

    def row(self, name: str, kinds: Sequence[str]) -> list[str]:
        """Name, labelled, found, precision and recall of some kinds together."""
        right, wrong, missed = (sum(each[kind] for kind in kinds) for each in (self.right, self.wrong, self.missed))
        return [
            name,
            str(right + missed),
            str(right + wrong),
            _share(right, right + wrong),
            _share(right, right + missed),
        ]


def read_lines(folder: Path, name: str) -> list[Line]:
    """The lines of one file of the labelled set."""
    decoded = [orjson.loads(line) for line in (folder / name).read_bytes().splitlines()]
    return [
        Line(each["form"], each["text"], frozenset((kind, start, end) for kind, start, end in each["spans"]))
        for each in decoded
    ]


def score(lines: Sequence[Line]) -> Scores:
    """How the ruleset does on these lines."""
    scores = Scores()
    for line in lines:
        found = {(finding.kind, finding.start, finding.end) for finding in find(line.text)}
        scores.right.update(kind for kind, _, _ in found & line.spans)
        scores.wrong.update(kind for kind, _, _ in found - line.spans)
        scores.missed.update(kind for kind, _, _ in line.spans - found)
        form = line.form.rpartition(", ")[0] if line.spans else line.form
        scores.lines[form] += 1
        scores.faulty[form] += found != line.spans
    return scores


def page(positives: Sequence[Line], negatives: Sequence[Line]) -> str:
    """The page up to its throughput."""
    kinds = [kind for kind, _ in DETECTORS]
    scores, holding, quiet = score([*positives, *negatives]), score(positives), score(negatives)
    alarms = sum(quiet.faulty.values())
    return "".join(
        (
            _HEAD,
            "\n" + table(["kind", "validated by"], [[f"`{kind}`", _VALIDATED[kind]] for kind in kinds]),
            _SCORES.format(positives=len(positives), negatives=len(negatives)),
            "\n"
            + table(
                ["kind", "labelled", "found", "precision", "recall"],
                [*[scores.row(f"`{kind}`", [kind]) for kind in kinds], scores.row("all", kinds)],
            ),
            f"\nOf the {len(negatives)} lines of business text, {alarms} raise a false alarm "
            f"({_share(len(negatives) - alarms, len(negatives))} are left as they are).\n",
            _MISSED + "\n" + _faults(holding),
            _ALARMS + "\n" + _faults(quiet),
        )
    )


def _faults(scores: Scores) -> str:
    rows = [
        [form.removesuffix(", hard"), str(faulty), str(scores.lines[form])]
        for form, faulty in sorted(scores.faulty.items())
        if faulty
    ]
    return table(["form", "lines at fault", "lines"], rows)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "-"


def with_throughput(rendered: str, old: str, measured: str | None = None) -> str:
    """The whole page: what was rendered, and the throughput as measured now or as the old page tells it."""
    told = old.partition(MEASURED)[2] if measured is None else f"\n{measured}"
    return f"{rendered}\n{MEASURED}{told}"


def write(measured: str | None = None, folder: Path = DOCS) -> None:
    """Write the page, with a new throughput if one was measured."""
    if not SET.is_dir() or not folder.is_dir():
        raise SystemExit("There is no labelled set here. Run this at the top of a checkout.")
    rendered = page(read_lines(SET, "positives.jsonl"), read_lines(SET, "negatives.jsonl"))
    file = folder / PAGE
    old = file.read_text("utf-8") if file.exists() else ""
    file.write_text(with_throughput(rendered, old, measured), "utf-8")


if __name__ == "__main__":
    write()
