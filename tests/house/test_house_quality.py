"""Types, lint and format: the settings stand in pyproject.toml, and hold everywhere."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from house_tree import PACKAGE, ROOT, python_files, told

SECONDS = 600
_EXCEPTION = re.compile(r"#\s*(noqa|type:\s*ignore)\b(?P<rest>.*)")


# Each room's conftest.py is a module of the same name, so mypy looks at them one by one.
CONFTESTS = sorted(told(path) for path in (ROOT / "tests").glob("*/conftest.py"))


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("mypy", "--exclude", r"^tests/\w+/conftest\.py$"), marks=pytest.mark.long),
        *[pytest.param(("mypy", conftest), marks=pytest.mark.long) for conftest in CONFTESTS],
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
    ],
    ids=" ".join,
)
def test_the_tool_finds_nothing(command: tuple[str, ...]) -> None:
    """mypy (strict), ruff check and ruff format agree to every line of the package and the tests."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_exception_names_its_rule() -> None:
    """A suppressed finding says which one, and a suppressed lint of the package says why."""
    bare = []
    for path in [*python_files(), *python_files(ROOT / "tests")]:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            found = _EXCEPTION.search(line)
            if found is None or "_EXCEPTION" in line:
                continue
            named = re.match(r"\[[a-z, -]+\]|: [A-Z]+[0-9]+(, [A-Z]+[0-9]+)*", found["rest"])
            reason = found[1] != "noqa" or " - " in found["rest"] or not path.is_relative_to(PACKAGE)
            if not named or not reason:
                bare.append(f"{told(path)}:{number}")
    assert bare == []
