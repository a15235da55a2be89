"""npm packages for tests, installed once a checkout from a lock file, and Node programs that use them.

Where Node or npm is missing or too old, or the registry out of reach, the test is skipped and says so. Whatever else
goes wrong is a failure.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

INSTALLED = Path(__file__).parents[2] / "build" / "node_packages"
OLDEST_NODE = 20
FILES = ("package.json", "package-lock.json", ".npmrc")
CLEAN_INSTALL = (
    "ci",
    "--no-audit",
    "--no-fund",
    "--ignore-scripts",
    "--prefer-offline",
    "--fetch-retry-mintimeout=500",
    "--fetch-retry-maxtimeout=2000",
)
INSTALL_SECONDS = 300
RUN_SECONDS = 60
LAST_SECONDS = 10
# What npm calls an error when it is the network that fails.
UNREACHABLE = re.compile(
    r"npm error code (ENOTFOUND|EAI_AGAIN|ECONN\w+|ETIMEDOUT|ERR_SOCKET_TIMEOUT|ENETUNREACH|EHOSTUNREACH|ENOTCACHED)\b"
)


def install(folder: Path) -> Path:
    """Install what `folder`'s lock file names, and return the folder with `node_modules`.

    Two workers may ask at once: the second waits. `sources` in the folder returned is a link to `folder`.
    """
    _require_node()
    lock = (folder / "package-lock.json").read_bytes()
    place = INSTALLED / hashlib.sha256(lock).hexdigest()[:16]
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with _alone(place.with_suffix(".lock")):
        if not place.exists():
            _install(folder, place)
    return place


def run(packages: Path, script: str, *arguments: str, seconds: float = RUN_SECONDS, **environment: str) -> Any:
    """Run a Node script of the folder that `packages` was installed for; returns the JSON that it printed.

    A script that takes longer than `seconds`, ends badly or prints something else is a failure.
    """
    # Links are kept as they are, so that the script finds `node_modules` beside its link.
    command = ("node", "--preserve-symlinks", "--preserve-symlinks-main", str(packages / "sources" / script))
    status, out, err = _ended((*command, *arguments), packages, seconds, environment)
    if status != 0:
        pytest.fail(f"{script} ended with {status}:\n{out[-2000:]}\n{err[-4000:]}")
    try:
        return json.loads(out)
    except ValueError:
        pytest.fail(f"{script} printed no JSON:\n{out[-2000:]}\n{err[-4000:]}")


def _require_node() -> None:
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed; these tests need Node {OLDEST_NODE} or newer with npm")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        pytest.skip(f"Node is {version.strip()}; these tests need {OLDEST_NODE} or newer")


def _install(folder: Path, place: Path) -> None:
    """Install beside `place` and move there at the end, so that what is there is whole."""
    begun = place.with_suffix(".begun")
    shutil.rmtree(begun, ignore_errors=True)
    begun.mkdir()
    for name in FILES:
        if (folder / name).exists():
            shutil.copy(folder / name, begun / name)
    status, out, err = _ended(("npm", *CLEAN_INSTALL), begun, INSTALL_SECONDS, {})
    if UNREACHABLE.search(err):
        pytest.skip("npm can't reach its registry, and the packages of these tests are not cached")
    if status != 0:
        pytest.fail(f"npm ended with {status}:\n{out[-2000:]}\n{err[-4000:]}")
    (begun / "sources").symlink_to(folder.resolve(), target_is_directory=True)
    begun.rename(place)


def _ended(
    command: Sequence[str], folder: Path, seconds: float, environment: Mapping[str, str]
) -> tuple[int, str, str]:
    """Run a program in a group of its own; its status, output and error output. Nothing of it is left afterwards."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate(timeout=LAST_SECONDS)
        pytest.fail(f"{command[0]} still ran after {seconds} s:\n{out[-2000:]}\n{err[-4000:]}")
    return process.returncode, out, err


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Inside, no other process holds this lock; whoever holds it ends within INSTALL_SECONDS."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
