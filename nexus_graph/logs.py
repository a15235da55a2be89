"""Structured logs on standard error: one JSON object a line in a pipe, readable lines on a terminal. Never content.

Libraries log through the standard library; only the first line of their warnings is let through, without arguments,
since some of them print queries or whole objects. Of an error its type and its places in the code are told, never its
text.

A line that can't be written, as on a full disk, is lost and counted: no request fails for the sake of a log.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import traceback
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

_FRAMES = ("cr_frame", "ag_frame", "gi_frame")
_INNER = ("cr_await", "ag_await", "gi_yieldfrom")
_SILENT = (
    *("strawberry.execution", "strawberry.ws.task", "httpx", "httpcore", "weaviate-client", "opentelemetry"),
    *("aiobotocore", "botocore"),
)


def configure(level: str, to: TextIO | None = None) -> None:
    """Set up logging for this process: to standard error, unless another text file is given."""
    to = to or sys.stderr
    terminal = to.isatty()
    renderer: Any = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(sort_keys=True)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Lossy(to))),
    )
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def places(error: BaseException) -> list[str]:
    """Where an error passed through on its way, innermost last: at most eight of `file:line`."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename.rpartition('nexus_graph/')[2]}:{frame.lineno}" for frame in frames][-8:]


def waiting_at(task: asyncio.Task[Any]) -> list[str]:
    """Where a task waits: `file:line` of our own code, the outermost first."""
    found: list[str] = []
    waiting: Any = task.get_coro()
    while waiting is not None:
        frame = next((getattr(waiting, name) for name in _FRAMES if getattr(waiting, name, None)), None)
        if frame is not None and "nexus_graph/" in frame.f_code.co_filename:
            found.append(f"{frame.f_code.co_filename.rpartition('nexus_graph/')[2]}:{frame.f_lineno}")
        waiting = next((getattr(waiting, name) for name in _INNER if getattr(waiting, name, None)), None)
    return found[-8:]


class _Lossy(io.TextIOBase):
    """A text file whose lines may be lost; the next one that can be written is followed by how many were."""

    def __init__(self, to: TextIO) -> None:
        self._to = to
        self._lost = 0

    def write(self, text: str) -> int:
        with suppress(OSError):  # a flush tells
            self._to.write(text)
        return len(text)

    def flush(self) -> None:
        try:
            self._to.flush()
        except OSError:
            self._lost += 1
            return
        lost, self._lost = self._lost, 0
        if lost:  # not through the logger, which holds its lock
            self.write(json.dumps({"event": "log.lost", "level": "warning", "lines": lost}) + "\n")
            self.flush()


class _Forward(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        told: dict[str, Any] = {"logger": record.name, "text": str(record.msg).strip().partition("\n")[0][:200]}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            told |= {"error": type(error).__name__, "where": places(error)}
        structlog.get_logger(record.name).log(record.levelno, "library.log", **told)
