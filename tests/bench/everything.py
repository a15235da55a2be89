"""All rows of the table of targets, in one run: prints them, and keeps them where they are looked for.

    python tests/bench/everything.py                        # every row
    python tests/bench/everything.py vectors starting       # those of some modules
    python tests/bench/everything.py --json rows.json --page

Each module's `measure` gives its rows; one that fails is told as not measured, and the others go on. `--page` writes
the table into docs/benchmarks.md, between its marks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from row import Row, table  # noqa: E402

MODULES = ["door", "linking", "streams", "noise", "writing", "vectors", "starting", "embedding"]
PAGE = HERE.parents[1] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- targets -->\n", "<!-- /targets -->\n"


def measured(modules: Sequence[str]) -> list[Row]:
    """The rows of the modules, in the order of their numbers."""
    rows: list[Row] = []
    for name in modules:
        sys.stderr.write(f"{name}\n")
        try:
            rows += asyncio.run(import_module(name).measure())
        except Exception as error:  # the others are measured all the same
            rows.append(Row(name, "all of its rows", None, 0.0, f"{type(error).__name__}: {error}", "-"))
    return sorted(rows, key=lambda row: (int("".join(filter(str.isdigit, row.number)) or 10**6), row.number))


def written(page: str, rows: list[Row], day: str) -> str:
    """The page with the table between its marks. Raises ValueError for one without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The page has no place for the table, between {BEGIN!r} and {END!r}.")
    return f"{before}{BEGIN}\nMeasured on {day}.\n\n{table(rows)}\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", choices=[*MODULES, []])
    parser.add_argument("--json", type=Path, help="also write the rows into this file")
    parser.add_argument("--page", action="store_true", help="also write them into docs/benchmarks.md")
    given = parser.parse_args()
    rows = measured(given.modules or MODULES)
    sys.stdout.write(table(rows))
    day = datetime.now(UTC).date().isoformat()
    if given.json:
        found = [{**asdict(row), "met": row.met} for row in rows]
        given.json.write_text(json.dumps({"day": day, "rows": found}, indent=2) + "\n")
    if given.page:
        PAGE.write_text(written(PAGE.read_text("utf-8"), rows, day), "utf-8")


if __name__ == "__main__":
    main()
