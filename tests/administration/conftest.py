"""Folders to run commands in: an empty one, one after `init` with a tenant, and one that holds something."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import PLACE, Folder, note


@pytest.fixture
def empty(tmp_path: Path) -> Folder:
    """An empty folder."""
    (tmp_path / "here").mkdir()
    return Folder(tmp_path / "here")


@pytest.fixture(scope="session")
def installed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after `init` with a tenant: made once, copied by every test."""
    path = tmp_path_factory.mktemp("installed") / "here"
    path.mkdir()
    folder = Folder(path)
    folder.good("init")
    folder.good("tenant", "create", "t_acme", "--env", "dev")
    return path


@pytest.fixture
def installed(tmp_path: Path, installed_once: Path) -> Folder:
    """A folder after `init` with a tenant."""
    shutil.copytree(installed_once, tmp_path / "here")
    return Folder(tmp_path / "here")


@pytest.fixture(scope="session")
def stocked_once(tmp_path_factory: pytest.TempPathFactory, installed_once: Path) -> Path:
    """A folder that holds four cards, and a file with its atoms: made once, copied by every test."""
    path = tmp_path_factory.mktemp("stocked") / "here"
    shutil.copytree(installed_once, path)
    material = path / "material"
    material.mkdir()
    for name in ("one", "two", "three", "four"):
        (material / f"{name}.md").write_text(note(name, f"The card number {name}."))
    (material / "raw.txt").write_text("A paragraph.\n\nAnother paragraph.\n")
    Folder(path).good("import", "material", *PLACE, "--train-ok")
    return path


@pytest.fixture
def stocked(tmp_path: Path, stocked_once: Path) -> Folder:
    """A folder that holds four cards, and a file with its atoms."""
    shutil.copytree(stocked_once, tmp_path / "here")
    return Folder(tmp_path / "here")
