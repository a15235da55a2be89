"""The checkout as files: what the tests of this folder look at."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from graphql import GraphQLSchema, build_schema

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "nexus_graph"
SCHEMA = ROOT / "schema"
DOCS = ROOT / "docs"

ROOMS = {
    "administration",
    "api",
    "assets",
    "atoms",
    "cards",
    "exports",
    "index",
    "packs",
    "runs",
    "safeguards",
    "scope",
    "sessions",
    "stores",
    "tenants",
}


def python_files(folder: Path = PACKAGE) -> list[Path]:
    """Every Python file below a folder, sorted."""
    return sorted(folder.rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    """What a Python file of the checkout parses to. Nobody changes it."""
    return ast.parse(path.read_text("utf-8"))


@cache
def kept_schema() -> GraphQLSchema:
    """The schema as it is kept in the checkout."""
    return build_schema((SCHEMA / "nexus.graphql").read_text("utf-8"))


def listing(folder: Path = ROOT) -> set[str]:
    """The names in a folder, without dotfiles and what `.gitignore` leaves out."""
    lines = (ROOT / ".gitignore").read_text("utf-8").split()
    ignored = [line.strip("/") for line in lines]
    names = (path.name for path in folder.iterdir())
    return {name for name in names if not name.startswith(".") and not any(fnmatch(name, one) for one in ignored)}


def pages() -> Iterator[Path]:
    """The pages that people read: README.md and everything below docs/."""
    yield ROOT / "README.md"
    yield from sorted(DOCS.rglob("*.md"))


def told(path: Path, root: Path = ROOT) -> str:
    """A path as messages name it."""
    return path.relative_to(root).as_posix()
