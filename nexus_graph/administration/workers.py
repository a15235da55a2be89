"""Several server processes behind one listening socket: forked once everything is imported, so that they share it.

Whoever accepts first serves. A worker that ends by itself is replaced; one that can't even start ends them all. When
the parent goes, however it goes, they stop as for SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Final

import structlog

log = structlog.get_logger("nexus_graph.workers")

_YOUNG_SECONDS: Final = 10.0
"""A worker that fails earlier would fail again."""


class Workers:
    """The parent of the workers. `work` is what each does; its argument can be read once the parent is gone."""

    def __init__(self, count: int, work: Callable[[int], int]) -> None:
        self._count = count
        self._work = work
        self._started: dict[int, float] = {}
        self._stopping = False
        self._status = 0

    def run(self) -> int:
        """Start them and wait until all have ended. Returns the exit status."""
        self._alive, self._held = os.pipe()
        for sent in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sent, self._stop)
        for _ in range(self._count):
            self._start()
        while self._started:
            pid, waited = os.wait()
            self._ended(pid, os.waitstatus_to_exitcode(waited))
        return self._status

    def _start(self) -> None:
        pid = os.fork()
        if pid:
            self._started[pid] = time.monotonic()
            log.info("worker.started", pid=pid)
            return
        status = 1
        try:
            os.close(self._held)  # else no worker would ever see the parent go
            for sent in (signal.SIGTERM, signal.SIGINT):
                signal.signal(sent, signal.SIG_DFL)
            os.setpgid(0, 0)  # an interrupt from the terminal reaches the parent alone, who passes it on once
            status = self._work(self._alive)
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(status)

    def _ended(self, pid: int, status: int) -> None:
        lived = time.monotonic() - self._started.pop(pid)
        if self._stopping:
            self._status = self._status or max(status, 0)
            return
        log.error("worker.ended", pid=pid, status=status, seconds=round(lived, 1))
        if status > 0 and lived < _YOUNG_SECONDS:  # it said itself what was wrong
            self._status = status
            self._stop(signal.SIGTERM)
        else:
            self._start()

    def _stop(self, sent: int, _: FrameType | None = None) -> None:
        self._stopping = True
        if sent == signal.SIGINT:
            self._status = 128 + sent
        for pid in self._started:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
