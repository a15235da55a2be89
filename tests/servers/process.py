"""A real server as a process of the tests' own: on free loopback ports, in a folder of its own, ended by its pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_START_SECONDS = 60.0
_END_SECONDS = 20.0

CACHE = Path(os.environ.get("NEXUS_TEST_SERVERS") or Path.home() / ".cache" / "nexus-graph-servers")
"""Where `.ci/servers/` leaves the programs that it builds."""


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listened on a moment ago, all different."""
    with ExitStack() as held:
        ports = []
        for _ in range(count):
            listener = held.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            ports.append(int(listener.getsockname()[1]))
        return ports


def program(name: str, script: str, *places: str | Path) -> Path:
    """The path of a server's program, from its places or the PATH. Skips the test where it isn't there."""
    for place in places:
        for found in sorted(Path("/").glob(str(place).lstrip("/")), reverse=True):
            return found
    if found_on_path := shutil.which(name):
        return Path(found_on_path)
    pytest.skip(f"there is no {name} on this machine; `.ci/servers/{script}` installs it")


@dataclass(slots=True)
class Process:
    """A server that runs, and the file that it writes to."""

    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.popen.pid

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it with a signal and wait; one that does not heed it is killed."""
        if self.popen.poll() is None:
            self.popen.send_signal(how)
            try:
                self.popen.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait(_END_SECONDS)


def start(
    command: Sequence[str | Path],
    log: Path,
    ready: Callable[[], bool],
    *,
    environment: Mapping[str, str] | None = None,
    who: tuple[int, int] | None = None,
) -> Process:
    """Start a server and wait until it is ready. Fails with what it wrote when it ends or takes over a minute.

    `who`: the user and group that run it, where it refuses to be run by ours.
    """
    with log.open("ab") as out:
        popen = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **(environment or {})},
            user=None if who is None else who[0],
            group=None if who is None else who[1],
            extra_groups=None if who is None else [],
            start_new_session=True,  # an interrupted run ends it by pid, like every other
        )
    process = Process(popen, log)
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        if popen.poll() is not None or time.monotonic() > deadline:
            process.end()
            raise AssertionError(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.05)
    return process


@contextmanager
def running(process: Process, how: signal.Signals = signal.SIGTERM) -> Iterator[Process]:
    """A server until the context closes."""
    try:
        yield process
    finally:
        process.end(how)
