"""The command line in a folder: every command is a process of its own, with its own streams and exit status."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from program import Program

COMMAND_SECONDS = 120
START_SECONDS = 30
PLACE = ("--tenant", "t_acme", "--env", "dev")


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left behind."""

    status: int
    out: str
    err: str


class Folder:
    """A folder, and `nexus-graph` in it."""

    def __init__(self, path: Path, **settings: str) -> None:
        self.path = path
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")},
            "NEXUS_EMBEDDER": "hashing",
            "NEXUS_PORT": "0",  # whoever runs the tests may have a demo running beside them
            **{f"NEXUS_{name.upper()}": value for name, value in settings.items()},
        }

    def run(self, *arguments: str, **settings: str | None) -> Done:
        """Run a command, with settings beside those of the folder; None takes one away."""
        changes = {f"NEXUS_{name.upper()}": value for name, value in settings.items()}
        environment = {name: value for name, value in (self.environment | changes).items() if value is not None}
        out, err = self.path.with_suffix(".out"), self.path.with_suffix(".err")
        for stream in (out, err):
            stream.unlink(missing_ok=True)
        status = Program(self.path, environment, *arguments, out=out, err=err).wait(COMMAND_SECONDS)
        return Done(status, out.read_text(), err.read_text())

    def good(self, *arguments: str, **settings: str | None) -> str:
        """What a command printed that must end with status 0 and nothing but progress on standard error."""
        done = self.run(*arguments, **settings)
        assert done.status == 0, done
        return done.out

    def bad(self, *arguments: str, status: int = 1, **settings: str | None) -> str:
        """What a command complained of on standard error; it must end with this status and no traceback."""
        done = self.run(*arguments, **settings)
        assert done.status == status, done
        assert "Traceback" not in done.err, done
        return " ".join(done.err.split())

    def json(self, *arguments: str, status: int = 0, **settings: str | None) -> Any:
        """The one document that a command printed with `--json`."""
        done = self.run(*arguments, "--json", **settings)
        assert done.status == status, done
        return json.loads(done.out)

    def start(self, *arguments: str) -> Program:
        """Start a command and leave it running; its streams go to `log`."""
        self.log.write_bytes(b"")
        return Program(self.path, self.environment, *arguments, out=self.log, err=self.log)

    @property
    def log(self) -> Path:
        """What the started command printed."""
        return self.path.with_suffix(".log")


def until_answered(address: str, process: Program, log: Path) -> None:
    """Wait until a server is ready."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{address}/readyz", timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise AssertionError(f"not ready: {log.read_text()}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def note(key: str, body: str, card_type: str | None = "note") -> str:
    """A card's text."""
    stated = f"card_type: {card_type}\n" if card_type else ""
    return f"---\nkey: {key}\n{stated}title: {key}\n---\n{body}\n"
