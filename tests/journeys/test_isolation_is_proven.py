"""Isolation is proven: the command brings a server, tries a lot, and finds no hole.

Here the walk goes through all that is asked; CI goes through the rest of the schema too, and takes longer for it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from journey_house import Installation

pytestmark = pytest.mark.long

OPERATIONS = 400


def test_no_hole_is_found(tmp_path: Path, record_testsuite_property: Callable[[str, object], None]) -> None:
    """Random operations of every role in every place, and every argument of a query, show nothing of another's."""
    told = Installation(tmp_path).json(
        *("prove", "isolation", "--operations", str(OPERATIONS), "--seconds", "60", "--only", "Query.")
    )
    record_testsuite_property("operations", told["operations"])
    record_testsuite_property("tried", told["tried"])
    assert told["faults"] == []
    assert told["operations"] >= OPERATIONS
    assert told["tried"]["operations that write"] > OPERATIONS // 75
    assert told["tried"]["operations that must be refused"] > OPERATIONS // 75
    assert told["tried"]["values of another's in arguments"] > 400
    assert list(tmp_path.iterdir()) == []  # what it tried on is gone
