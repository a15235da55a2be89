"""docs/contributing.md says what works: its tasks exist, the hooks run the same programs, all that is rendered is.

`just check` and `just test` do what other tests do, and `just lock` asks the network: these are not run here.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from house_tree import DOCS, ROOT

from nexus_graph.administration import releasing

BIN = Path(sys.executable).parent
PAGE = (DOCS / "contributing.md").read_text("utf-8")
SHELL = [
    line for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) for line in block.splitlines()
]
TASKS = sorted({line.partition("#")[0].strip() for line in SHELL if line.startswith("just ")})
RENDERED = (
    "schema/nexus.graphql",
    *(f"docs/{name}.md" for name in ("permissions", "configuration", "gates", "schema")),
)
SECONDS = 300


def just(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a task with the programs of this environment."""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        [BIN / "just", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose schema and pages may be changed; the rest is that of this one."""
    for name in ("schema", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in (".justfile", "nexus_graph", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def test_the_set_up_is_the_readmes() -> None:
    """A contributor installs what the README's test command installs."""
    [line] = [line for line in SHELL if line.startswith("pip install")]
    assert f"{line} && pytest" in (ROOT / "README.md").read_text("utf-8").splitlines()


@pytest.mark.parametrize("task", TASKS)
def test_a_task_exists(task: str) -> None:
    """It takes these arguments."""
    done = just("--dry-run", *shlex.split(task)[1:])
    assert done.returncode == 0, done.stderr


def test_a_task_that_does_not_exist_would_be_seen() -> None:
    """A misspelt task, an argument too many; every task that there is stands on the page."""
    assert just("--dry-run", "rendr").returncode != 0
    assert just("--dry-run", "render", "docs").returncode != 0
    assert set(just("--summary").stdout.split()) == {word for task in TASKS for word in task.split()[1:2]}


def test_the_hooks_run_what_the_check_runs() -> None:
    """Each program of `just check` is one of the hooks; pre-commit understands them, and each is installed."""
    file = ROOT / ".pre-commit-config.yaml"
    understood = subprocess.run(
        [BIN / "pre-commit", "validate-config", str(file)], capture_output=True, timeout=SECONDS
    )
    assert understood.returncode == 0, understood.stdout
    [repository] = yaml.safe_load(file.read_text("utf-8"))["repos"]
    hooks: list[dict[str, Any]] = repository["hooks"]
    assert repository["repo"] == "local"
    assert {hook["language"] for hook in hooks} == {"system"}
    assert [hook["id"] for hook in hooks if shutil.which(hook["entry"].split()[0], path=BIN) is None] == []
    checked = [line.split() for line in just("--dry-run", "check").stderr.splitlines()]
    programs = ["-".join(words[:2]) if words[0] == "ruff" else words[0] for words in checked]
    assert programs == ["ruff-check", "ruff-format", "mypy", "lint-imports"]
    assert programs == [hook["id"] for hook in hooks][: len(programs)]


@pytest.mark.long
def test_render_writes_what_is_rendered(checkout: Path) -> None:
    """Whatever stood in those files, afterwards they are what is kept here, and nothing else has changed."""
    for name in RENDERED:
        (checkout / name).write_text("stale\n", "utf-8")
    page = checkout / "docs" / "redaction.md"  # keeps its measured part
    page.write_text(f"stale\n{page.read_text('utf-8')}", "utf-8")
    done = just("render", folder=checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    for folder in ("docs", "schema"):
        kept = {path.relative_to(ROOT): path.read_bytes() for path in (ROOT / folder).rglob("*") if path.is_file()}
        now = {
            path.relative_to(checkout): path.read_bytes() for path in (checkout / folder).rglob("*") if path.is_file()
        }
        assert now == kept


def test_the_other_tasks_run_what_is_tested_elsewhere() -> None:
    """`test` is pytest with the arguments that it is given, `release` the module that has its own tests."""
    assert just("--dry-run", "test", "-n", "0", "tests/cards").stderr == 'pytest "$@"\n'
    assert just("--dry-run", "release").stderr == "python -m nexus_graph.administration.releasing\n"
    assert releasing.__name__ == "nexus_graph.administration.releasing"
