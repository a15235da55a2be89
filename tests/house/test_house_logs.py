"""The log tells where something went wrong, and never with which content."""

from __future__ import annotations

import asyncio
import errno
import gc
import io
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from nexus_graph import logs


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a server's process would log; afterwards logging is as it was."""
    root, text = logging.getLogger(), io.StringIO()
    before, level = root.handlers[:], root.level
    monkeypatch.setattr(root, "handlers", [])
    with monkeypatch.context() as patched:
        patched.setattr("sys.stderr", text)
        logs.configure("info")
    yield text
    structlog.reset_defaults()
    root.setLevel(level)
    root.handlers[:] = before


def lines(text: str) -> list[dict[str, object]]:
    """The JSON lines of a log."""
    return [json.loads(line) for line in text.splitlines()]


def fail() -> None:
    """An error that quotes what it was given."""
    raise ValueError("the secret text")


def test_a_librarys_error_is_told_without_its_text(log: io.StringIO) -> None:
    """Type and place of the error and the first line of the message, not its arguments."""
    try:
        fail()
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in %s\nthe secret text", "the secret text")
    [line] = lines(out := log.getvalue())
    assert "secret" not in out
    assert (line["logger"], line["text"], line["error"]) == ("uvicorn.error", "Exception in %s", "ValueError")
    assert isinstance(line["where"], list)
    assert "test_house_logs.py" in line["where"][-1]


async def test_a_task_that_dies_unseen_is_told(log: io.StringIO) -> None:
    """Nobody awaits it, and still the log says that it failed, where, and not over which text."""

    async def die() -> None:
        fail()

    task = asyncio.create_task(die())
    await asyncio.sleep(0.01)
    del task
    gc.collect()
    [line] = lines(out := log.getvalue())
    assert "secret" not in out
    assert (line["text"], line["error"]) == ("Task exception was never retrieved", "ValueError")


def test_a_line_that_cannot_be_written_is_lost_and_counted(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody who logs notices a full disk; once there is room, the log says how many lines are missing."""
    disk = {"full": True}

    def flush() -> None:
        if disk["full"]:
            log.seek(0)
            log.truncate()  # as on a disk: what did not fit is not there
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(log, "flush", flush, raising=False)
    said = structlog.get_logger("test")
    said.warning("first")
    said.warning("second")
    disk["full"] = False
    said.warning("third")
    assert [(line["event"], line.get("lines")) for line in lines(log.getvalue())] == [("third", None), ("log.lost", 2)]


def test_a_log_on_a_device_that_is_always_full_is_borne(log: io.StringIO) -> None:
    """A real one, where there is one."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full on this machine")
    full = Path("/dev/full").open("w")  # noqa: SIM115 - closing it fails
    logs.configure("info", full)
    structlog.get_logger("test").warning("first")
    logging.getLogger("uvicorn.error").error("second")
    with suppress(OSError):
        full.close()
