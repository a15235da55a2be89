"""The sandbox: limits, crashes, cancellation, order in the house."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from atom_files import pdf, word

from nexus_graph.atoms.model import Limits, collect
from nexus_graph.atoms.recipes import RECIPES
from nexus_graph.atoms.sandbox import Sandbox
from nexus_graph.scope.errors import Invalid, Unavailable

HOSTILE = (str(Path(__file__).with_name("hostile_worker.py")),)
LIMITS = Limits(input_bytes=2**20, atoms=1_000, text_bytes=2**20, seconds=20, memory_bytes=2**28)
PATIENCE = 30.0


def children() -> set[int]:
    """The processes that this one has started and not yet buried."""
    found = set[int]()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
            found.update(map(int, (task / "children").read_text().split()))
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """One worker with the hostile recipes; afterwards no process is left."""
    before = children()
    sandbox = Sandbox(1, LIMITS, program=HOSTILE)
    yield sandbox
    async with asyncio.timeout(PATIENCE):
        await sandbox.close()
    assert children() <= before


async def worker_pid(sandbox: Sandbox) -> int:
    """The process that serves next."""
    return int((await sandbox.derive("hostile.environment", b"", {})).drafts[1].text)


FILES = [
    ("text.paragraphs", b"a\n\nb"),
    ("markdown.sections", b"# A\n\nb"),
    ("markdown.blocks", b"# A\n\nb"),
    ("html.blocks", b"<p>a<p>b"),
    ("csv.rows", "a,b\n1,ä".encode()),
    ("json.pointers", b'{"a": [1, {"b": 2}]}'),
    ("pdf.pages", pdf(["a"], ["b"])),
    ("docx.paragraphs", word()),
]


async def test_every_recipe_gives_the_same_in_a_worker() -> None:
    """Two workers and this process agree on every draft."""
    sandbox = Sandbox(2, LIMITS)
    try:
        for op, data in FILES:
            here = collect(RECIPES[op], data, {}, LIMITS)
            assert len(here.drafts) > 0
            assert await asyncio.gather(*(sandbox.derive(op, data, {}) for _ in range(3))) == [here] * 3
    finally:
        await sandbox.close()


async def test_a_worker_serves_many_files_and_holds_no_secrets(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process stays, and of the environment of its parent it knows nothing."""
    monkeypatch.setenv("NEXUS_SECRET", "x")
    pid = await worker_pid(sandbox)
    assert await worker_pid(sandbox) == pid
    names, _ = (await sandbox.derive("hostile.environment", b"", {})).drafts
    assert set(names.text.split()) == {"LC_ALL", "PYTHONHASHSEED", "PYTHONPATH"}


async def test_errors_of_recipes_keep_their_place(sandbox: Sandbox) -> None:
    """Message, hint, line, column and path cross the pipe, and the worker goes on."""
    pid = await worker_pid(sandbox)
    with pytest.raises(Invalid) as refused:
        await sandbox.derive("json.pointers", b"[1,\n2,]", {})
    assert (refused.value.line, refused.value.column) == (2, 3)
    with pytest.raises(Invalid, match="no parameter 'deep'") as refused:
        await sandbox.derive("json.pointers", b"[]", {"deep": 1})
    assert refused.value.path == ("params", "deep")
    assert refused.value.hint
    with pytest.raises(Invalid, match="no recipe 'text"):
        await sandbox.derive("text.words", b"", {})
    assert await worker_pid(sandbox) == pid


@pytest.mark.parametrize(
    ("trap", "said"),
    [
        ("fail", r"its reader gave up \(KeyError\)"),
        ("recurse", r"its reader gave up \(RecursionError\)"),
        ("many", "more than 1,000 atoms"),
        ("write", "its reader gave up"),
    ],
)
async def test_a_recipe_that_fails_refuses_its_file(sandbox: Sandbox, tmp_path: Path, trap: str, said: str) -> None:
    """Unforeseen errors, endless results and attempts to write a file; the content is not in the message."""
    pid = await worker_pid(sandbox)
    target = tmp_path / "kept"
    with pytest.raises(Invalid, match=said) as refused:
        await sandbox.derive(f"hostile.{trap}", str(target).encode(), {})
    assert str(target) not in refused.value.message
    assert not target.exists() or target.stat().st_size == 0
    assert await worker_pid(sandbox) == pid


async def test_memory_is_limited(sandbox: Sandbox) -> None:
    """A recipe that devours memory ends in an error, and its worker is replaced."""
    pid = await worker_pid(sandbox)
    with pytest.raises(Invalid, match="more than 256 MiB of memory"):
        await sandbox.derive("hostile.devour", b"", {})
    assert await worker_pid(sandbox) != pid


@pytest.mark.parametrize("trap", ["loop", "sleep"])
async def test_time_is_limited(trap: str) -> None:
    """A recipe that never ends is killed, busy or asleep, and the next file is served by another worker."""
    sandbox = Sandbox(1, Limits(seconds=0.5), program=HOSTILE)
    try:
        pid = await worker_pid(sandbox)
        with pytest.raises(Invalid, match=r"more than 0\.5 seconds"):
            await sandbox.derive(f"hostile.{trap}", b"", {})
        assert await worker_pid(sandbox) != pid
        assert not alive(pid)
    finally:
        await sandbox.close()


async def test_a_crash_costs_one_worker(sandbox: Sandbox) -> None:
    """A segmentation fault is told as such, and the next file is served."""
    with pytest.raises(Invalid, match="its reader crashed"):
        await sandbox.derive("hostile.crash", b"", {})
    assert len((await sandbox.derive("text.paragraphs", b"a", {})).drafts) == 1


async def test_a_worker_that_died_idle_is_not_the_fault_of_a_file(sandbox: Sandbox) -> None:
    """Somebody else kills it between two files: the next one gets a new worker."""
    pid = await worker_pid(sandbox)
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE):
        await sandbox._idle[0].process.wait()
    assert await worker_pid(sandbox) != pid


async def test_what_a_library_prints_is_lost(sandbox: Sandbox) -> None:
    """Noise on the standard output does not stand among the replies."""
    assert [draft.text for draft in (await sandbox.derive("hostile.print", b"", {})).drafts] == ["quiet"]


async def test_big_files_are_refused_before_a_worker_starts(sandbox: Sandbox) -> None:
    """One byte too many is an error, and just enough is read."""
    before = children()
    with pytest.raises(Invalid, match="as text: it has 1,048,577 bytes, more than the 1,048,576"):
        await sandbox.derive("text.paragraphs", b"x" * (2**20 + 1), {})
    assert children() == before
    assert len((await sandbox.derive("text.paragraphs", b"x" * 2**20, {})).drafts) == 1


async def test_a_caller_that_goes_away_frees_the_worker(sandbox: Sandbox) -> None:
    """Cancellation kills what runs, and the next file does not wait."""
    pid = await worker_pid(sandbox)
    task = asyncio.create_task(sandbox.derive("hostile.loop", b"", {}))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await worker_pid(sandbox) != pid


async def test_closing_ends_what_runs_and_what_waits() -> None:
    """Running and waiting files end as Unavailable, later ones too, and no process is left."""
    before = children()
    sandbox = Sandbox(1, LIMITS, program=HOSTILE)
    await worker_pid(sandbox)
    tasks = [asyncio.create_task(sandbox.derive("hostile.loop", b"", {})) for _ in range(3)]
    await asyncio.sleep(0.05)
    async with asyncio.timeout(PATIENCE):
        await sandbox.close()
        await sandbox.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable] * 3
    assert children() <= before
    with pytest.raises(Unavailable):
        await sandbox.derive("text.paragraphs", b"x", {})


@pytest.mark.parametrize("seconds", [0, 0.01])
async def test_closing_while_a_worker_starts_leaves_nothing(seconds: float) -> None:
    """A pool that is closed at once: before it knows the worker, or before that is ready."""
    before = children()
    sandbox = Sandbox(1, LIMITS, program=HOSTILE)
    task = asyncio.create_task(sandbox.derive("hostile.loop", b"", {}))
    await asyncio.sleep(seconds)
    async with asyncio.timeout(PATIENCE):
        await sandbox.close()
    with pytest.raises(Unavailable):
        await task
    assert children() <= before


async def test_a_worker_that_cannot_start_is_told() -> None:
    """A broken installation is Unavailable, not the fault of the file."""
    sandbox = Sandbox(1, LIMITS, program=("-c", "raise SystemExit(3)"))
    with pytest.raises(Unavailable, match="could not start"):
        await sandbox.derive("text.paragraphs", b"x", {})
    await sandbox.close()


PARENT = f"""
import asyncio, sys
from nexus_graph.atoms.model import Limits
from nexus_graph.atoms.sandbox import Sandbox

async def main():
    sandbox = Sandbox(1, Limits(), program={HOSTILE!r})
    print((await sandbox.derive("hostile.environment", b"", {{}})).drafts[1].text, flush=True)
    await sandbox.derive("hostile.sleep", b"", {{}})

asyncio.run(main())
"""


def test_a_busy_worker_dies_with_its_parent() -> None:
    """The parent is killed outright; its worker, in the middle of a file, goes too."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert alive(worker)
        parent.kill()
    deadline = time.monotonic() + PATIENCE
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.01)
    if alive(worker):
        os.kill(worker, signal.SIGKILL)
        pytest.fail("the worker outlived its parent")


def test_a_worker_loads_neither_the_stores_nor_a_parser_before_it_needs_one() -> None:
    """Workers start fast and hold little: importing their module brings no database and no PDF or docx reader."""
    command = "import sys, nexus_graph.atoms.worker; sys.stdout.write(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"sqlmodel", "sqlalchemy", "aiosqlite", "nexus_graph.stores", "asyncio", "pypdfium2", "lxml"}
    assert not heavy & set(loaded)
