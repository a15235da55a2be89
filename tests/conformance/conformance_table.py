"""The page docs/conformance.md: what the tests of this folder saw, point by point, and what they could not see.

Rendered by the run that saw it, from nothing else, so that two runs differ in what they measured alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

FIGURE = "conformance"
"""The property of a test that carries a figure: `(point, what, value)`."""

Figure = Callable[[int, str, str | int], None]
"""What the fixture `figure` gives: called with a point, what the figure is of, and the figure."""

POINTS = {
    1: "GraphQL over HTTP",
    2: "Websockets",
    3: "Server-sent events",
    4: "Persisted operations",
    5: "Errors",
    6: "Limits",
    7: "Browsers",
    8: "Clients as people install them",
    9: "The schema",
    10: "Hostile input",
}

_HEAD = """# Conformance

What was checked at the door, with the figures that the tests saw on a real server. Rendered, not written; to render it
again:

```sh
pip install -e ".[test]"
pytest tests/conformance --conformance docs/conformance.md
```

Nothing is written when a test fails. Counts are the same in every run; a figure that was measured says so.
"""


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One figure: the test that saw it (a node id without parameters), what it is of, and the figure."""

    test: str
    what: str
    value: str


@dataclass(slots=True, eq=False)  # plug-ins are told apart by identity
class Table:
    """Gathers the reports of a run. A plug-in of pytest, for the process that hears of all tests."""

    lines: dict[int, list[Line]] = field(default_factory=lambda: {point: [] for point in POINTS})
    skipped: set[tuple[str, str]] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    passed: int = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Every phase of every test; the figures are complete when it is torn down."""
        test = report.nodeid.partition("[")[0]
        if report.failed:
            self.failed.add(report.nodeid)
        if report.skipped:
            self.skipped.add((test, _reason(report)))
        if report.when == "call" and report.passed:
            self.passed += 1
        if report.when == "teardown":
            for name, told in report.user_properties:
                if name == FIGURE and isinstance(told, Sequence):
                    point, what, value = told
                    self._add(point, Line(test, what, value))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that can't be read has tests that nobody saw."""
        if report.failed:
            self.failed.add(report.nodeid)

    def _add(self, point: int, line: Line) -> None:
        if line not in self.lines[point]:  # the parameters of a test may tell the same
            self.lines[point].append(line)

    def rendered(self) -> str:
        """The page."""
        parts = [_HEAD]
        for point, title in POINTS.items():
            parts.append(f"## {point}. {title}\n")
            lines = sorted(self.lines[point], key=lambda line: line.test)  # within a test as it told them
            rows = [f"| {_cell(line.what)} | {_cell(line.value)} | `{line.test}` |" for line in lines]
            table = "\n".join(["| what | figure | seen by |", "|---|---|---|", *rows])
            parts.append(f"{table if rows else 'Nothing was seen.'}\n")
        parts.append("## What was not seen\n")
        skipped = [f"- `{test}`: {reason}" for test, reason in sorted(self.skipped)]
        parts.append(
            f"{self.passed} tests passed; {'these' if skipped else 'none'} were skipped{':' if skipped else '.'}\n"
        )
        parts += ["\n".join(skipped) + "\n"] if skipped else []
        return "\n".join(parts)


def _reason(report: pytest.TestReport) -> str:
    known: str | None = getattr(report, "wasxfail", None)
    if known is not None:
        return f"a known fault: {known.removeprefix('reason: ')}"
    told = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    return told.removeprefix("Skipped: ") or "no reason given"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")
