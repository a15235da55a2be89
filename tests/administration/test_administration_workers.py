"""`serve --workers`: several processes behind one port, of which none is missed for long."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import httpx
from command_line import Folder, free_port, until_answered

WAIT_SECONDS = 30.0


def children(pid: int) -> list[int]:
    """The processes that a process has started and that have not ended."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def ready(folder: Folder, count: int) -> bool:
    """Whether so many have said that they are."""
    return folder.log.read_text().count('"server.ready"') >= count


def until(condition: object, folder: Folder) -> None:
    """Wait for something, not for ever."""
    assert callable(condition)
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, folder.log.read_text()
        time.sleep(0.05)


def test_workers_serve_one_port_and_are_replaced(installed: Folder) -> None:
    """Both answer; one that is killed comes back; an order to stop ends all of them well."""
    port = free_port()
    parent = installed.start("serve", "--port", str(port), "--workers", "2")
    until_answered(f"http://127.0.0.1:{port}", parent, installed.log)
    until(lambda: ready(installed, 2), installed)
    first, second = children(parent.pid)
    os.kill(first, signal.SIGKILL)
    until(lambda: ready(installed, 3), installed)
    assert second in children(parent.pid)
    assert len(children(parent.pid)) == 2
    for _ in range(20):
        answer = httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": "{ viewer { role } }"}, trust_env=False)
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(WAIT_SECONDS) == 0
    assert installed.log.read_text().count('"worker.ended"') == 1
    assert "Traceback" not in installed.log.read_text()


def test_workers_do_not_outlive_their_parent(installed: Folder) -> None:
    """However it goes."""
    port = free_port()
    parent = installed.start("serve", "--port", str(port), "--workers", "2")
    until_answered(f"http://127.0.0.1:{port}", parent, installed.log)
    until(lambda: ready(installed, 2), installed)
    workers = children(parent.pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait(WAIT_SECONDS)

    def gone() -> bool:
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(worker, 0)
                return False
        return True

    until(gone, installed)


def test_workers_that_can_not_start_are_not_tried_for_ever(installed: Folder) -> None:
    """What is wrong is said, and the status is that of a misuse."""
    said = installed.bad("serve", "--workers", "2", status=2, embedder="nobody")
    assert "nobody" in said
