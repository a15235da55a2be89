"""A release moves the schema that clients were promised, and only when the changelog says all of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nexus_graph.administration.releasing import main, release

OLD = "type Query {\n  a: Int\n  b: Int\n}\n"
NEW = "type Query {\n  a: Int\n}\n"
TOLD = "- Field Query.b was removed. Ask for a.\n"
EARLIER = "## 0.1.0\n\nThe first.\n"


def checkout(folder: Path, changelog: str = TOLD, version: str = "0.2.0", kept: str = NEW) -> Path:
    """A checkout with a schema that lost a field since its release."""
    for name, text in {
        "schema/nexus.graphql": kept,
        "schema/released.graphql": OLD,
        "docs/changelog.md": f"# Changelog\n\n## Unreleased\n\n{changelog}\n{EARLIER}",
        "pyproject.toml": f'[project]\nname = "x"\nversion = "{version}"\n',
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


def files(folder: Path) -> dict[str, str]:
    """All that a checkout holds."""
    return {path.name: path.read_text("utf-8") for path in folder.rglob("*.*") if path.is_file()}


def test_a_release_moves_the_schema_and_names_the_version(tmp_path: Path) -> None:
    """What stood under Unreleased stands under the version, and the promise is what is printed now."""
    assert release(checkout(tmp_path), NEW) == "0.2.0"
    after = files(tmp_path)
    assert after["released.graphql"] == after["nexus.graphql"] == NEW
    assert after["changelog.md"] == f"# Changelog\n\n## Unreleased\n\n## 0.2.0\n\n{TOLD}\n{EARLIER}"
    with pytest.raises(ValueError, match=r"0\.2\.0 is released already"):
        release(tmp_path, NEW)


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"changelog": "- Other things.\n"}, r"must tell under Unreleased:\nField Query\.b was removed\."),
        ({"changelog": ""}, "nothing under Unreleased"),
        ({"version": "0.1.0"}, r"0\.1\.0 is released already\. Set the next version"),
        ({"kept": OLD}, "is not current"),
    ],
    ids=["untold", "nothing new", "same version", "not printed"],
)
def test_a_release_is_refused_and_changes_nothing(tmp_path: Path, given: dict[str, str], refusal: str) -> None:
    """A change that nobody was told of, an empty changelog, an old version, a schema that is not printed."""
    before = files(checkout(tmp_path, **given))
    with pytest.raises(ValueError, match=refusal):
        release(tmp_path, NEW)
    assert files(tmp_path) == before


def test_the_command_says_why_it_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with a line, and so with status 1 and no traceback: outside a checkout there is nothing to release."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main()
    assert re.fullmatch("Not released: .+", str(ended.value.code))
