"""Recipes run here: in worker processes with limits, so that a hostile file costs one worker and not the house.

In: the name of a recipe, bytes, parameters. Out: all that it reads, or an error; never a part of it without a word. A
worker starts when it is first needed, holds no secrets (its environment is its own), serves many files, and is killed
when a file takes too long or its caller goes away. Workers die with their parent.
"""

from __future__ import annotations

import asyncio
import signal
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import orjson

import nexus_graph
from nexus_graph.atoms.decoding import unreadable
from nexus_graph.atoms.model import Attachment, Draft, Limits, Omitted, Params, Reading, Span
from nexus_graph.atoms.recipes import RECIPES
from nexus_graph.scope.errors import Invalid, Unavailable

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_WORKER = ("-m", "nexus_graph.atoms.worker")
_START_SECONDS = 60.0
_FEW = 200
_LENGTH = struct.Struct(">I")
_ROOT = str(Path(nexus_graph.__file__).parent.parent)

# Only what Python needs: parsers of hostile files should find no secrets. Hashes are fixed, so that sets are too.
_ENVIRONMENT = {"PYTHONPATH": _ROOT, "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
_FLAGS = ("-P", "-B", "-X", "utf8")  # no modules from the current folder, no files written


class _Worker:
    """One worker process and its two pipes. See `worker` for the frames."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise Unavailable("A worker has no pipes.")
        self.process = process
        self._jobs = process.stdin
        self._replies = process.stdout
        self._ready = False

    @classmethod
    async def spawn(cls, program: Sequence[str], limits: Limits) -> _Worker:
        """A worker that is about to start."""
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                *_FLAGS,
                *program,
                orjson.dumps(asdict(limits)).decode(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,  # a traceback may quote the file
                env=_ENVIRONMENT,
                cwd="/",
                start_new_session=True,  # an interrupt at the terminal is for the parent to handle
                limit=2**20,
            )
        )

    async def ready(self) -> None:
        """Return when the worker has started. Raises Unavailable."""
        if self._ready:
            return
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self.receive(2**10)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            hint = "Check that the package and what it depends on are installed."
            raise Unavailable("The process that reads files could not start.", hint=hint) from None
        self._ready = True

    async def send(self, *frames: bytes) -> None:
        for frame in frames:
            self._jobs.write(_LENGTH.pack(len(frame)))
            self._jobs.write(frame)
        await self._jobs.drain()

    async def receive(self, most: int) -> bytes:
        """The next frame; one longer than `most` bytes counts as a broken connection."""
        (length,) = _LENGTH.unpack(await self._replies.readexactly(_LENGTH.size))
        if length > most:
            raise ConnectionError("a reply is too long")
        return await self._replies.readexactly(length)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()

    async def end(self) -> int:
        """Kill the process, wait until it is gone and its pipes are closed; its exit status."""
        self.kill()
        self._jobs.close()
        await self._replies.read()
        return await self.process.wait()


class Sandbox:
    """A pool of at most `workers` worker processes. Use it from one event loop, and close it."""

    def __init__(self, workers: int, limits: Limits, *, program: Sequence[str] = _WORKER) -> None:
        """`program` is what Python runs as a worker; tests bring their own."""
        self._limits = limits
        self._program = tuple(program)
        self._workers = workers
        self._turns = asyncio.Semaphore(workers)
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._endings: set[asyncio.Task[int]] = set()
        self._closed = False

    async def derive(self, op: str, data: bytes, params: Params) -> Reading:
        """All that the recipe `op` makes of `data`, and word of what it leaves out.

        Raises Invalid for an unknown recipe or parameter, and for a file that can't be read within the limits;
        Unavailable when the pool is closed or no worker can be started.
        """
        if len(data) > self._limits.input_bytes:
            reason = f"it has {len(data):,} bytes, more than the {self._limits.input_bytes:,} that are allowed"
            raise unreadable(_reads(op), reason, hint="Split it into several files.")
        job = orjson.dumps({"op": op, "params": dict(params)})
        async with self._turns:
            worker = await self._take()
            try:
                await worker.ready()
                reply, attachments = await self._ask(worker, op, job, data)
                if not reply["last"]:
                    self._idle.append(worker)
            finally:
                self._busy.discard(worker)
                if worker not in self._idle:
                    self._dismiss(worker)
        many = len(reply.get("reading", {}).get("drafts", ()))
        return await unless_short(many, _reading, op, reply, attachments)

    async def close(self) -> None:
        """Kill all workers, and wait until they are gone. What they were doing ends as Unavailable."""
        self._closed = True
        for worker in self._busy:
            worker.kill()
        for _ in range(self._workers):
            await self._turns.acquire()
        while self._idle:
            self._dismiss(self._idle.pop())
        await asyncio.gather(*self._endings)
        for _ in range(self._workers):
            self._turns.release()

    async def _take(self) -> _Worker:
        """The worker that was used last, or a new one."""
        self._refuse_when_closed()
        while self._idle:
            worker = self._idle.pop()
            if worker.process.returncode is None:
                break
            self._dismiss(worker)
        else:
            worker = await _Worker.spawn(self._program, self._limits)
            if self._closed:  # meanwhile, when nobody knew of this worker yet
                self._dismiss(worker)
            self._refuse_when_closed()
        self._busy.add(worker)
        return worker

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise Unavailable("No more files are read: the server is stopping.")

    async def _ask(self, worker: _Worker, op: str, job: bytes, data: bytes) -> tuple[Mapping[str, Any], list[bytes]]:
        most = 6 * self._limits.text_bytes + 2**10 * self._limits.atoms + 2**16
        attachments: list[bytes] = []
        try:
            async with asyncio.timeout(self._limits.seconds):
                await worker.send(job, data)
                reply: Mapping[str, Any] = orjson.loads(await worker.receive(most))
                left = len(data)  # whatever a worker says: nothing comes out of a file that was not in it
                told = reply.get("reading", {}).get("attachments", ())
                if len(told) > self._limits.attachments:
                    raise ConnectionError("a reply names too many attachments")
                for _ in told:
                    attachments.append(await worker.receive(left))
                    left -= len(attachments[-1])
        except TimeoutError:
            raise self._too_slow(op) from None
        except (ConnectionError, asyncio.IncompleteReadError):
            if self._closed:
                raise Unavailable("The file was not read: the server is stopping.") from None
            if await self._dismiss(worker) == -signal.SIGXCPU:
                raise self._too_slow(op) from None
            raise unreadable(_reads(op), "its reader crashed", hint="Save it again with another program.") from None
        return reply, attachments

    def _too_slow(self, op: str) -> Invalid:
        reason = f"it takes more than {self._limits.seconds:g} seconds"
        return unreadable(_reads(op), reason, hint="Split it into several files.")

    def _dismiss(self, worker: _Worker) -> asyncio.Task[int]:
        """End a worker without waiting for it; `close` waits."""
        worker.kill()
        task = asyncio.create_task(worker.end())
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)
        return task


async def unless_short(
    drafts: int, function: Callable[Parameters, Result], *arguments: Parameters.args, **named: Parameters.kwargs
) -> Result:
    """Call a function that takes its time with each draft: in a thread, where many would hold up everybody else."""
    if drafts <= _FEW:
        return function(*arguments, **named)
    return await asyncio.to_thread(function, *arguments, **named)


def _reads(op: str) -> str:
    return RECIPES[op].reads if op in RECIPES else op


def _reading(op: str, reply: Mapping[str, Any], attachments: Sequence[bytes]) -> Reading:
    if "failed" in reply:
        raise unreadable(_reads(op), reply["failed"], hint="Open it in its own program, and save it again.")
    if "refused" in reply:
        raise Invalid(**reply["refused"])
    reading = reply["reading"]
    attached = zip(reading["attachments"], attachments, strict=True)
    return Reading(
        [Draft(ordinal, Span(**span), text, kind) for ordinal, span, text, kind in reading["drafts"]],
        [Omitted(omitted["what"], tuple(omitted["places"]), omitted["count"]) for omitted in reading["left_out"]],
        [tuple(flags) for flags in reading["pii_flags"]],
        [Attachment(told["filename"], told["content_type"], told["place"], data) for told, data in attached],
    )
