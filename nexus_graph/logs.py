"""Structured logs on standard error: one JSON object a line in a pipe, readable lines on a terminal. Never content.

Libraries log through the standard library; only their warnings are let through, without arguments, since some of them
print queries or whole objects.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

_SILENT = ("strawberry.execution", "strawberry.ws.task", "httpx", "httpcore", "weaviate-client", "asyncio")


def configure(level: str) -> None:
    """Set up logging for this process."""
    terminal = sys.stderr.isatty()
    renderer: Any = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(sort_keys=True)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class _Forward(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(record.name).log(
            record.levelno, "library.log", logger=record.name, text=str(record.msg)[:200]
        )
