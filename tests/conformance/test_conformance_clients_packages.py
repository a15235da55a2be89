"""How the tests come by npm's packages: once, whole, and with an honest reason where they can't."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import node_packages
import pytest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a lock file, installed elsewhere than those of the other tests."""
    monkeypatch.setattr(node_packages, "INSTALLED", tmp_path / "installed")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "package.json").write_text('{"name": "empty", "private": true}')
    (folder / "package-lock.json").write_text('{"name": "empty", "lockfileVersion": 3, "packages": {}}')
    return folder


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are looked for."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    return programs


def pretend(programs: Path, name: str, text: str) -> None:
    """Put a shell script in the place of a program."""
    (programs / name).write_text(f"#!/bin/sh\n{text}\n")
    (programs / name).chmod(0o755)


def test_missing_programs_are_named(folder: Path, programs: Path) -> None:
    """Node, npm, and a Node that is too old."""
    with pytest.raises(pytest.skip.Exception, match="node is not installed; these tests need Node 20 or newer"):
        node_packages.install(folder)
    pretend(programs, "node", "echo v18.20.4")
    with pytest.raises(pytest.skip.Exception, match="npm is not installed"):
        node_packages.install(folder)
    pretend(programs, "npm", "exit 0")
    with pytest.raises(pytest.skip.Exception, match=r"Node is v18\.20\.4; these tests need 20 or newer"):
        node_packages.install(folder)


@pytest.mark.parametrize("code", ["ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "ENOTCACHED"])
def test_a_registry_out_of_reach_skips(folder: Path, programs: Path, code: str) -> None:
    """It is the network that is missing; nothing half installed is left to be taken for whole."""
    pretend(programs, "node", "echo v22.0.0")
    pretend(programs, "npm", f"echo 'npm error code {code}' >&2; exit 1")
    with pytest.raises(pytest.skip.Exception, match="npm can't reach its registry"):
        node_packages.install(folder)
    pretend(programs, "npm", "exit 0")
    assert node_packages.install(folder).is_dir()


def test_any_other_failure_of_npm_is_a_failure(folder: Path, programs: Path) -> None:
    """With what npm said."""
    pretend(programs, "node", "echo v22.0.0")
    pretend(programs, "npm", "echo 'npm error code EUSAGE: lock file and package.json are not in sync' >&2; exit 1")
    with pytest.raises(pytest.fail.Exception, match=r"npm ended with 1:(.|\n)*not in sync"):
        node_packages.install(folder)


def test_packages_are_installed_once(folder: Path, programs: Path, tmp_path: Path) -> None:
    """Whoever asks meanwhile waits; another lock file is another installation."""
    pretend(programs, "node", "echo v22.0.0")
    pretend(programs, "npm", f"echo run >> {tmp_path}/runs; /bin/sleep 0.1")
    with ThreadPoolExecutor(3) as threads:
        places = set(threads.map(node_packages.install, [folder] * 3))
    assert len(places) == 1
    assert (tmp_path / "runs").read_text() == "run\n"
    (folder / "package-lock.json").write_text('{"name": "other", "lockfileVersion": 3, "packages": {}}')
    assert node_packages.install(folder) not in places
    assert (tmp_path / "runs").read_text() == "run\nrun\n"


def test_a_script_answers_in_json(folder: Path) -> None:
    """With its arguments and environment; anything else that it prints or does is a failure."""
    (folder / "tell.mjs").write_text("console.log(JSON.stringify([process.argv[2], process.env.SAID]))")
    (folder / "mumble.mjs").write_text("console.log('no JSON')")
    (folder / "break.mjs").write_text("throw new Error('broken on purpose')")
    packages = node_packages.install(folder)
    assert node_packages.run(packages, "tell.mjs", "one", SAID="two") == ["one", "two"]
    with pytest.raises(pytest.fail.Exception, match=r"mumble\.mjs printed no JSON:\nno JSON"):
        node_packages.run(packages, "mumble.mjs")
    with pytest.raises(pytest.fail.Exception, match=r"break\.mjs ended with 1:(.|\n)*broken on purpose"):
        node_packages.run(packages, "break.mjs")


def test_nothing_of_a_script_that_is_late_is_left(folder: Path) -> None:
    """Neither it nor what it started: what it printed is read to the end, which a living child would hold open."""
    start = "import { spawn } from 'node:child_process'; spawn('sleep', ['60'], { stdio: 'inherit' });"
    (folder / "late.mjs").write_text(start + " console.log('started');")
    packages = node_packages.install(folder)
    with pytest.raises(pytest.fail.Exception, match=r"node still ran after 2 s:\nstarted"):
        node_packages.run(packages, "late.mjs", seconds=2)
