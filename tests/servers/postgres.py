"""A real Postgres server: a cluster of its own in a temporary folder, run by an ordinary user."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from nexus_graph.stores.database.place import PostgresPlace
from servers.process import Process, free_ports, program, start

OWNER, APPLICATION = "nexus_owner", "nexus_app"
_PAGE = Path(__file__).parents[2] / "docs" / "postgres.md"
ROLES = re.findall(r"^((?:create role|grant) .*);$", _PAGE.read_text("utf-8"), re.MULTILINE)
"""As the documentation makes them."""
_GONE_SECONDS = 20.0
_QUICK = ("fsync=off", "full_page_writes=off", "max_connections=200", "listen_addresses=127.0.0.1")


class PostgresServer:
    """A running server."""

    def __init__(self, programs: Path, port: int) -> None:
        self._programs = programs
        self.port = port
        self.starting: Callable[[], Process]
        self._process: Process | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = self.starting()

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.popen.poll() is None

    def kill(self) -> None:
        """End all of its processes at once, as when the power goes; the memory that they share is left behind."""
        if self._process is None or not self.running:
            return
        postmaster = self._process.pid
        helpers = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        self._process.end(signal.SIGKILL)
        for pid in helpers:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        deadline = time.monotonic() + _GONE_SECONDS
        while any(Path(f"/proc/{pid}").exists() for pid in helpers) and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: connections are cut, what was committed stays."""
        if self._process is not None:
            self._process.end(how)

    def sql(self, *statements: str, database: str = "postgres") -> str:
        """Run statements as the superuser; returns what they print."""
        commands = [part for each in statements for part in ("-c", each)]
        return _run(
            self._programs / "psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-X", "-q", "-A", "-t",
            "-v", "ON_ERROR_STOP=1", "-d", database, *commands,
        )  # fmt: skip

    def create(self, name: str, template: str | None = None) -> None:
        """Make a database, empty or as a copy of another."""
        self.sql(f"create database {name} owner {OWNER}" + (f" template {template}" if template else ""))

    def address(self, name: str, role: str) -> str:
        """The connection string of a role."""
        return f"postgresql://{role}@127.0.0.1:{self.port}/{name}"

    def place(self, name: str) -> PostgresPlace:
        """Where a database is for us."""
        return PostgresPlace(self.address(name, APPLICATION), self.address(name, OWNER))


def ordinary_user() -> pwd.struct_passwd | None:
    """Who runs a server here: somebody else where we are root, whom it refuses."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def programs() -> Path:
    """The folder of the server's programs. Skips where there is none on this machine."""
    return program("postgres", "postgres", "/usr/lib/postgresql/*/bin/postgres").resolve().parent


@contextmanager
def postgres_server(folder: Path, *settings: str) -> Iterator[PostgresServer]:
    """A server with the three roles. Skips where there is none on this machine."""
    user, found = ordinary_user(), programs()
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    options = ("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
    _as(user, found / "initdb", "-D", folder / "data", "-U", "postgres", *options)
    with postgres_over(folder, *settings) as server:
        server.sql(*ROLES)
        yield server


@contextmanager
def postgres_over(folder: Path, *settings: str) -> Iterator[PostgresServer]:
    """A server over what lies in the folder's `data` already."""
    user, found, [port] = ordinary_user(), programs(), free_ports(1)
    server = PostgresServer(found, port)
    given: list[str | Path] = [
        part for each in (*_QUICK, f"unix_socket_directories={folder}", *settings) for part in ("-c", each)
    ]
    log = folder.parent / f"{folder.name}.log"

    def ready() -> bool:
        probe = [str(found / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        return subprocess.run(probe, check=False).returncode == 0

    command = [found / "postgres", "-D", folder / "data", "-p", str(port), *given]
    who = None if user is None else (user.pw_uid, user.pw_gid)
    server.starting = lambda: start(command, log, ready, environment={"TZ": "UTC"}, who=who)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One server for the run."""
    # The folder is short and open to the user that runs it, which pytest's own are not.
    folder = Path(tempfile.mkdtemp(prefix="nexus-postgres-"))
    try:
        with postgres_server(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_suffix(".log").unlink(missing_ok=True)


def _run(*command: str | Path) -> str:
    ended = subprocess.run([str(part) for part in command], check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def _as(user: pwd.struct_passwd | None, *command: str | Path) -> None:
    """Run a command as an ordinary user, where we are none."""
    words = [str(part) for part in command]
    if user is None:
        subprocess.run(words, check=True, capture_output=True)
    else:
        ids = {"user": user.pw_uid, "group": user.pw_gid}
        subprocess.run(words, check=True, capture_output=True, cwd="/", extra_groups=[], **ids)  # type: ignore[call-overload]
