#!/usr/bin/env bash
# Python's sqlite3 keeps prepared statements, so running the same text again should not prepare it again. In Python 3.11
# that ends for a text once it was interrupted between two of its rows, by a progress handler or `interrupt()`: the kept
# statement stays marked as in use for ever, and each later run of that text prepares it anew, which for a query of some
# size takes longer than running it. Interrupted before its first row it is kept as usual. Python 3.12 prepares it once.
# A text that differs by a space gets a statement of its own. The authorizer, asked whenever something is prepared, counts.
set -euo pipefail
python3.11 - <<'PYTHON'
import sqlite3
import sys

print("python", sys.version.split()[0], "sqlite", sqlite3.sqlite_version)
print("guessed: no statement is prepared again")
text = "with recursive n(i) as (select 1 union all select i + 1 from n where i < :most) select i from n"
connection = sqlite3.connect(":memory:", isolation_level=None)
asked = []
connection.set_authorizer(lambda *_: asked.append(None) or sqlite3.SQLITE_OK)


def prepared(sql):
    """How often it was asked what a statement may do in a hundred runs of it, after the first."""
    connection.execute(sql, {"most": 1}).fetchall()
    asked.clear()
    for _ in range(100):
        connection.execute(sql, {"most": 1}).fetchall()
    return len(asked)


before = prepared(text)
connection.set_progress_handler(lambda: 1, 1000)
try:
    connection.execute(text, {"most": 1_000_000}).fetchall()
except sqlite3.OperationalError as error:
    print("seen:", error)
connection.set_progress_handler(None, 0)
after, other = prepared(text), prepared(text + " ")
print(f"seen: asked {before} times before, {after} times after, {other} times for the text with a space")
assert (before, other) == (0, 0) and after >= 100, "this has changed"
PYTHON
