"""Isolation is proven: the command brings a server, tries for a while, and finds no hole. CI gives it longer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from journey_house import Installation

SECONDS = 8
AT_LEAST = 500


def test_no_hole_is_found(tmp_path: Path, record_testsuite_property: Callable[[str, object], None]) -> None:
    """Random operations of every role in every place, and every argument of the schema, show nothing of another's."""
    command = ("prove", "isolation", "--operations", "100000", "--seconds", str(SECONDS), "--json")
    done = subprocess.run(
        [sys.executable, "-m", "nexus_graph", *command],
        cwd=tmp_path,
        env=Installation(tmp_path).environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    record_testsuite_property("operations", told["operations"])
    record_testsuite_property("tried", told["tried"])
    assert told["faults"] == []
    assert told["operations"] > AT_LEAST
    assert told["tried"]["operations that write"] > AT_LEAST // 25
    assert told["tried"]["operations that must be refused"] > AT_LEAST // 100
    assert told["tried"]["values of another's in arguments"] > 1000
    assert list(tmp_path.iterdir()) == []  # what it tried on is gone
