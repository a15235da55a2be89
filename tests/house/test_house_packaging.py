"""The wheel carries everything: an installed copy runs outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from house_tree import PACKAGE, ROOT, SCHEMA

SHIPPED = ("core", "policies", "schema", "casbin_model.conf")
SECONDS = 120


def run(*command: str | Path, folder: Path, path: Path | None = None) -> str:
    """Run a program in a folder, with a folder of packages before all others; returns what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built offline from the checkout."""
    pytest.importorskip("hatchling", reason="hatchling is not installed; the extra `test` brings it")
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, folder=ROOT)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed in it, and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    options = ("--no-deps", "--no-index", "--disable-pip-version-check", "--quiet")
    run(sys.executable, "-m", "pip", "install", *options, "--target", folder, wheel, folder=folder)
    return folder


def test_the_wheel_holds_the_shipped_data(wheel: Path) -> None:
    """Every file of core/, policies/, schema/ and the Casbin model travels inside the package, byte for byte."""
    with ZipFile(wheel) as archive:
        packed = {name: archive.read(name) for name in archive.namelist()}
    for name in SHIPPED:
        root = ROOT / name
        files = [root] if root.is_file() else [path for path in root.rglob("*") if path.is_file()]
        assert files, name
        for path in files:
            inside = f"nexus_graph/_shipped/{path.relative_to(ROOT).as_posix()}"
            assert packed.get(inside) == path.read_bytes(), inside


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """All modules, the mark of types, and the files of the page that is served; no tests, no caches."""
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    files = [*PACKAGE.rglob("*.py"), *(PACKAGE / "api" / "graphiql").glob("*.*"), PACKAGE / "py.typed"]
    code = {path.relative_to(ROOT).as_posix() for path in files}
    rest = {name for name in names - code if "/_shipped/" not in name}
    assert code <= names
    assert {name for name in rest if ".dist-info/" not in name} == set()


@pytest.mark.long
def test_an_installed_copy_runs_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    """It prints the same schema, and makes an installation, from its own files alone."""
    where = run(
        sys.executable, "-c", "import nexus_graph; print(nexus_graph.__file__)", folder=tmp_path, path=installed
    )
    assert Path(where.strip()).is_relative_to(installed)
    program = (sys.executable, installed / "bin" / "nexus-graph")
    assert run(*program, "schema", folder=tmp_path, path=installed) == (SCHEMA / "nexus.graphql").read_text("utf-8")
    run(*program, "init", folder=tmp_path, path=installed)
    made = run(*program, "tenant", "create", "t_acme", "--env", "dev", folder=tmp_path, path=installed)
    assert made == "Made the tenant t_acme.\n"
    demo = "from nexus_graph.scope.resources import resource; print(resource('core') / 'demo')"
    shipped = Path(run(sys.executable, "-c", demo, folder=tmp_path, path=installed).strip())
    assert shipped.is_relative_to(installed)
    assert shipped.is_dir()
