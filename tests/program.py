"""`nexus-graph` as a process: its own folder, settings, streams and exit status.

Each is forked from a process that has imported the program already: a hundred fresh interpreters take longer than all
the rest. What depends on a fresh one (the seed of hashes, what an installed copy imports) starts one itself.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from unittest.mock import patch

from nexus_graph.__main__ import COMMANDS

_PROCESSES = multiprocessing.get_context("forkserver")
_MODULES = sorted({f"nexus_graph.administration.{place.partition(':')[0]}" for place, _ in COMMANDS.values()})
_PRELOADED = ["pytest", "nexus_graph.__main__", *_MODULES, "forked"]
_PROCESSES.set_forkserver_preload(_PRELOADED)


def preload(*modules: str) -> None:
    """Have the programs import these before they are forked, unless one was forked already."""
    _PROCESSES.set_forkserver_preload([*modules, *_PRELOADED])


@cache
def _prepare() -> None:
    """Start what is forked from. Python 3.11 does not tell it where this folder is, which holds `forked`."""
    with patch.dict(os.environ, PYTHONPATH=str(Path(__file__).parent)):
        forkserver.ensure_running()


class Program:
    """A running command. Its standard output and error are appended to files, which may be the same."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *arguments: str, out: Path, err: Path) -> None:
        _prepare()
        streams = (out, err)
        self._process = _PROCESSES.Process(
            target=_run, args=(folder, dict(environment), arguments, streams), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, seconds: float) -> int:
        """Its exit status, once it has ended; one that takes longer is killed, and the test fails."""
        self._process.join(seconds)
        if (status := self.poll()) is not None:
            return status
        self.send_signal(signal.SIGKILL)
        self._process.join(seconds)
        raise AssertionError(f"still running after {seconds} s")

    def send_signal(self, what: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, what)


def _run(folder: Path, environment: Mapping[str, str], arguments: tuple[str, ...], streams: tuple[Path, Path]) -> None:
    from nexus_graph.__main__ import main

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it in what it starts in the background
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for path, stream in zip(streams, (1, 2), strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    sys.argv = ["nexus-graph", *arguments]
    main()
