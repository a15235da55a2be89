"""A server to be fuzzed, and how: bounded and the same in every run, or with fresh input for as long as one likes."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journey_house import World, http

Input = TypeVar("Input")

GENEROUS = {
    **dict.fromkeys(("actor_burst", "actor_per_second", "tenant_burst", "tenant_per_second"), str(10**9)),
    "introspection_burst": str(10**9),
    "introspection_per_second": str(10**9),
    "quota_index_writes": str(10**9),
    "heartbeat_seconds": "0.1",
}
"""Settings under which nobody is throttled, and no stream is quiet for long: what is sent shall be looked at."""

FLAT = 48 * 1024 * 1024
"""Bytes that a server may grow by once it is warm: its caches of documents are bounded, but not full yet."""

VIEWER = "{ viewer { role } }"


@dataclass(slots=True)
class Fuzzed:
    """A server of its own, how long to fuzz it in seconds (0: the bounded run), and what it answered so far."""

    world: World
    seconds: float
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.world.server.port

    def owner(self, tenant: str = "t_acme") -> dict[str, str]:
        """The headers of a tenant's owner."""
        return self.world.caller(tenant, "owner").headers

    def explore(
        self, strategy: st.SearchStrategy[Input], deed: Callable[[Input], None], examples: int, share: float = 1.0
    ) -> None:
        """Do the deed with so many inputs, always the same; in a long run go on with fresh ones for a share of it."""
        deadline = time.monotonic() + self.seconds * share
        _run(strategy, deed, examples, fresh=False)
        while time.monotonic() < deadline:
            _run(strategy, deed, examples, fresh=True)
            if sys.stderr.isatty():
                told = f"{max(0, deadline - time.monotonic()):.0f} s left, {self.answers.total():,} answers"
                print(f"\r{told:<60}", end="", file=sys.stderr, flush=True)  # noqa: T201 - progress on a terminal

    def resident(self) -> int:
        """Bytes of memory that the server's process holds."""
        assert self.world.server.process is not None
        status = Path(f"/proc/{self.world.server.process.pid}/status").read_text()
        kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        return int(kilobytes) * 1024

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """The server lives, answers as before and tells of no defect after whatever happens inside."""
        before, told = self._sane(), len(self.world.server.log.read_text())
        yield
        assert self._sane() == before
        self.world.server.check_log(since=told)

    @contextmanager
    def flat(self) -> Iterator[list[int]]:
        """The memory of a warm server is flat over whatever happens inside. Yields a list for the growth."""
        before, growth = self.resident(), list[int]()
        yield growth
        growth.append(self.resident() - before)
        assert growth[0] < FLAT, f"it grew by {growth[0]:,} bytes"

    def _sane(self) -> Any:
        server = self.world.server
        assert server.running, server.log.read_text()[-4000:]
        assert http("GET", f"{server.address}/readyz").status_code == 200
        return json.dumps(self.world.caller("t_acme", "owner").ask(VIEWER))


def _run(strategy: st.SearchStrategy[Input], deed: Callable[[Input], None], examples: int, *, fresh: bool) -> None:
    @settings(
        max_examples=examples,
        derandomize=not fresh,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def one(value: Input) -> None:
        deed(value)

    one()


def megabytes(growth: int) -> str:
    """A growth as the table shows it; what was given back is no growth."""
    return f"measured: {max(0, growth) / 2**20:.0f} MB of {FLAT // 2**20} MB"
