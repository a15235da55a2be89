"""What the README installs is locked, and the locks say what pyproject.toml allows. No network is asked."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import packages_distributions
from typing import Any, NamedTuple

import pytest
from house_tree import PACKAGE, ROOT, python_files, tree
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REFRESH = "run `just lock` at the top of the checkout"
COMMAND = re.compile(
    r"^pip install -r (?P<lock>\S+) && pip install --no-index --no-build-isolation -e '\.\[(?P<extras>[\w,]+)\]'"
    r" && (?P<rest>\S+.*)$",
    re.MULTILINE,
)
PIN = re.compile(
    r"^(?P<name>[a-z0-9-]+)==(?P<version>[^\s;]+)(?: ; [^\\]+)?(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})+)$",
    re.MULTILINE,
)
PYPROJECT: Mapping[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
BUILD = PYPROJECT["build-system"]["requires"]
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
DEPENDENCIES = PYPROJECT["project"]["dependencies"]


def asked(extra: str) -> list[str]:
    """What an extra asks for, with the requirements of our own extras that it names."""
    found = []
    for each in EXTRAS[extra]:
        if (requirement := Requirement(each)).name == PYPROJECT["project"]["name"]:
            found += [below for name in sorted(requirement.extras) for below in asked(name)]
        else:
            found.append(each)
    return found


class Installing(NamedTuple):
    """A command of the README that installs: its lock, the extras that it asks for, and what it does then."""

    lock: str
    extras: str
    rest: str

    def requirements(self) -> list[str]:
        """All that pyproject.toml asks for, to build and to run."""
        return [*BUILD, *DEPENDENCIES, *(each for extra in self.extras.split(",") for each in asked(extra))]


COMMANDS = [Installing(**found.groupdict()) for found in COMMAND.finditer((ROOT / "README.md").read_text("utf-8"))]


def pins(lock: str) -> dict[str, set[str]]:
    """The versions of each package in a lock: several where Python's own version decides. Every line is understood."""
    text = (ROOT / lock).read_text("utf-8")
    rest = [line for line in PIN.sub("", text).splitlines() if line and not line.startswith("#")]
    assert rest == ["--only-binary :all:"]
    found: dict[str, set[str]] = {}
    for pin in PIN.finditer(text):
        found.setdefault(pin["name"], set()).add(pin["version"])
    return found


def disagreements(requirements: Iterable[str], locked: Mapping[str, set[str]]) -> list[str]:
    """The requirements that a lock lacks, or has in a version that they don't allow."""
    found = []
    for requirement in map(Requirement, requirements):
        versions = locked.get(canonicalize_name(requirement.name), set())
        if not versions:
            found.append(f"{requirement} is not locked")
        found += [f"{requirement} is locked at {each}" for each in versions if not requirement.specifier.contains(each)]
    return found


def test_the_readme_installs_from_locks_alone() -> None:
    """For the demo, for the tests and for the big house; nothing else in the README installs this project."""
    assert [(each.lock, each.extras, each.rest) for each in COMMANDS] == [
        (".ci/demo.lock", "local", "nexus-graph demo"),
        (".ci/test.lock", "local,test", "pytest"),
        (".ci/production.lock", "production", "nexus-graph demo"),
    ]
    text = COMMAND.sub("", (ROOT / "README.md").read_text("utf-8"))
    assert re.findall(r"pip install -.*", text) == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.lock)
def test_the_lock_agrees_with_pyproject(command: Installing) -> None:
    """Each requirement is locked, with a digest, at a version that it allows; so is what builds the project."""
    assert disagreements(command.requirements(), pins(command.lock)) == [], REFRESH


def test_a_disagreement_would_be_seen() -> None:
    """A package that the lock lacks, a version beside its range, and one of two such versions."""
    locked = {"httpx": {"0.28.1"}, "numpy": {"2.4.6", "3.0"}}
    assert disagreements(["HTTPX>=0.28,<1", "numpy>=2,<4"], locked) == []
    assert disagreements(["httpx<0.28", "numpy>=2.4,<3", "rich[extra]>=14"], locked) == [
        "httpx<0.28 is locked at 0.28.1",
        "numpy<3,>=2.4 is locked at 3.0",
        "rich[extra]>=14 is not locked",
    ]


def test_the_demo_is_a_part_of_what_is_tested() -> None:
    """What the demo installs, the tests install at the same versions."""
    demo, production, test = (pins(f".ci/{name}.lock") for name in ("demo", "production", "test"))
    assert demo.items() <= production.items() <= test.items(), REFRESH
    assert len(demo) > len(DEPENDENCIES)


@pytest.mark.parametrize("requirement", [*BUILD, *DEPENDENCIES, *(each for extra in EXTRAS for each in asked(extra))])
def test_every_range_has_two_ends(requirement: str) -> None:
    """A user of the wheel gets nothing older than was tried, and nothing newer than may be trusted."""
    operators = {each.operator for each in Requirement(requirement).specifier}
    exact = any(each.operator == "==" for each in Requirement(requirement).specifier)
    assert exact or {">="} < operators <= {">=", "<", "!="}, requirement


REACHED_INTO = ["graphql-core", "httptools", "pyyaml", "strawberry-graphql", "uvicorn", "websockets"]


@pytest.mark.parametrize("name", REACHED_INTO)
def test_a_library_whose_inside_is_used_is_held(name: str) -> None:
    """The next version that could move things inside it is not allowed: the next minor one, or of PyYAML any."""
    [asked] = [each for each in map(Requirement, DEPENDENCIES) if each.name == name]
    [newest] = {Version(each) for each in pins(".ci/demo.lock")[name]}
    moved = (newest.major, newest.minor, newest.micro + 1) if name == "pyyaml" else (newest.major, newest.minor + 1, 0)
    assert not asked.specifier.contains(".".join(map(str, moved)))


def test_every_import_is_declared() -> None:
    """What the package imports, it asks for by itself: what only another library brings may be gone tomorrow."""
    declared = {canonicalize_name(Requirement(each).name) for each in [*DEPENDENCIES, *asked("production")]}
    known = packages_distributions()
    undeclared = set()
    for path in python_files(PACKAGE):
        for name in _imported(tree(path)) - sys.stdlib_module_names - {"nexus_graph"}:
            if not declared & {canonicalize_name(distribution) for distribution in known.get(name, ())}:
                undeclared.add(name)
    assert undeclared == set()
    assert "yaml" in _imported(ast.parse("def late():\n    from yaml._yaml import Mark"))


def _imported(module: ast.Module) -> set[str]:
    """The top-level names that a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names
