"""The faults, in short: some kills on each kind of engine. `docs/faults.md` tells of the long run."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.away import missing
from faults.killing import Killing, on_a_line
from faults.places import embedded, production

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that the user who runs Postgres may enter."""
    made = Path(tempfile.mkdtemp(prefix="nexus-faults-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.mark.servers
def test_servers_and_processes_are_killed_at_work(folder: Path) -> None:
    """Each is killed while clients work; nothing that was acknowledged is lost, and nothing is half done."""
    with production(folder) as place:
        figures = asyncio.run(Killing(place, 3, on_a_line).kill(12))
    assert figures.ledger.faults == [], figures.lines()
    assert figures.kills.total() >= 12


@pytest.mark.long
def test_the_process_is_killed_at_work(folder: Path) -> None:
    """The same of the embedded engine, erasing and exporting, too."""
    with embedded(folder) as place:
        figures = asyncio.run(Killing(place, 3, on_a_line).kill(6))
    assert figures.ledger.faults == [], figures.lines()


def _told(module: str, *arguments: str) -> None:
    if away := missing("iptables", "mount"):
        pytest.skip(f"these programs are not on this machine: {', '.join(away)}")
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, check=False, capture_output=True, text=True, timeout=900
    )
    if "unshare: " in ended.stderr and "not permitted" in ended.stderr:
        pytest.skip(f"this machine allows no namespaces: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.servers
def test_a_cut_network_costs_a_bounded_time() -> None:
    """Each server is cut off in a network namespace, and healed."""
    _told("tests.faults.cutting")


@pytest.mark.long
def test_a_full_disk_is_told() -> None:
    """SQLite and files on a small disk."""
    _told("tests.faults.filling")


@pytest.mark.servers
def test_a_full_disk_of_postgres_is_told() -> None:
    """Its own disk."""
    _told("tests.faults.filling", "production")
