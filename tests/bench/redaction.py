"""How fast the redaction ruleset reads three kinds of text: as one, and line by line as atoms are read.

    python tests/bench/redaction.py            # writes the last section of docs/redaction.md, dated

Each figure is the median over rounds, on one thread, in processor time: other work on the machine does not count.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from nexus_graph.administration.documenting import DOCS, table
from nexus_graph.administration.redaction_report import SET, read_parts, write
from nexus_graph.scope.redaction import RULESET, find, find_each

CHARACTERS = 500_000
ROUNDS = 5


def texts() -> dict[str, str]:
    """Half a million characters of each kind."""
    parts = read_parts(SET)
    prose = "".join(
        page.read_text("utf-8") for page in (Path("README.md"), DOCS / "graphql.md", DOCS / "operations.md")
    )
    business = "\n".join(line.text for part in parts for line in part if not line.spans)
    holding = "\n".join(line.text for part in parts for line in part if line.spans)
    named = {"prose of the manuals": prose, "business lines": business, "lines that all hold something": holding}
    return {name: text * (CHARACTERS // len(text) + 1) for name, text in named.items()}


def speed(read: Callable[[], object], characters: int) -> str:
    """Millions of characters a second."""
    rounds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        read()
        rounds.append(time.process_time() - started)
    return f"{characters / statistics.median(rounds) / 1e6:.2f}"


def by_line(lines: list[str]) -> int:
    """How much is found in lines that are read each alone, many at once."""
    return sum(map(len, find_each(lines)))


def main() -> None:
    """Measure and write."""
    rows = []
    for name, text in texts().items():
        lines = text.split("\n")
        whole = speed(partial(find, text), len(text))
        rows.append([name, whole, speed(partial(by_line, lines), len(text))])
    day = datetime.now(UTC).date().isoformat()
    python = ".".join(map(str, sys.version_info[:2]))
    write(
        f"Measured on {day} with {RULESET}, Python {python}, one thread of a shared two-core machine, by\n"
        "`python tests/bench/redaction.py`: million characters a second of processor time.\n\n"
        + table(["text", "as one", "line by line"], rows)
    )


if __name__ == "__main__":
    main()
