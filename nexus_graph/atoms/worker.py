"""The worker: a process that runs recipes on hostile files, one after the other, within limits of its own.

Started by `sandbox` as `python -m nexus_graph.atoms.worker LIMITS`, LIMITS being JSON. Frames go both ways, each a
4-byte big-endian length and so many bytes. A job comes on standard input as two frames: JSON `{op, params}` and the
file. A reply leaves as one frame of JSON: `{"reading": {...}}`, `{"refused": {...}}` (an error that a recipe raised) or
`{"failed": "..."}` (anything else); `"last": true` says that the worker ends after it. The bytes of each attachment
that a reading names follow as a frame of their own. The first frame of all, `{"ready": true}`, says that it has
started. It ends with its input, and is killed with its parent.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from nexus_graph.atoms.model import Limits, Reading, Recipe, collect
from nexus_graph.atoms.recipes import RECIPES
from nexus_graph.scope.errors import Invalid

LENGTH = struct.Struct(">I")

_PR_SET_PDEATHSIG = 1
_FILES = 64


def main(recipes: Mapping[str, Recipe] = RECIPES) -> None:
    """Serve jobs from standard input until it ends."""
    limits = Limits(**orjson.loads(sys.argv[1]))
    jobs = sys.stdin.buffer
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not stand among the replies
    confine(limits)
    ceiling = address_space() + limits.memory_bytes // 4
    _send(replies, {"ready": True})
    while (header := _receive(jobs)) is not None:
        data = _receive(jobs) or b""
        allow_cpu(limits.seconds)
        reply, attachments = run(recipes, orjson.loads(header), data, limits)
        # A worker that kept much memory would refuse what a fresh one does not: it is let go.
        last = bool(reply.pop("worn", False)) or address_space() > ceiling
        _send(replies, {**reply, "last": last}, attachments)
        if last:
            return


def run(
    recipes: Mapping[str, Recipe], job: Mapping[str, Any], data: bytes, limits: Limits
) -> tuple[dict[str, Any], Sequence[bytes]]:
    """The reply to one job, and the bytes of its attachments.

    Whatever a recipe raises becomes a refusal: the file is at fault until shown otherwise.
    """
    recipe = recipes.get(job["op"])
    try:
        if recipe is None:
            raise Invalid(f"There is no recipe {job['op'][:60]!r}.", path=("op",))
        reading = collect(recipe, data, job["params"], limits)
        told = orjson.Fragment(orjson.dumps(_told(reading)))
        return {"reading": told}, [attachment.data for attachment in reading.attachments]
    except Invalid as error:
        place = {"line": error.line, "column": error.column, "path": error.path}
        return {"refused": {"message": error.message, "hint": error.hint, **place}}, ()
    except MemoryError:
        return {"failed": f"it needs more than {limits.memory_bytes // 2**20:,} MiB of memory", "worn": True}, ()
    except Exception as error:
        return {"failed": f"its reader gave up ({type(error).__name__})"}, ()


def _told(reading: Reading) -> dict[str, Any]:
    attachments = [
        {"filename": found.filename, "content_type": found.content_type, "place": found.place}
        for found in reading.attachments
    ]
    return {
        "drafts": [(draft.ordinal, draft.span.as_json(), draft.text, draft.kind) for draft in reading.drafts],
        "left_out": reading.left_out,
        "pii_flags": reading.pii_flags,
        "attachments": attachments,
    }


def confine(limits: Limits) -> None:
    """Give up what a recipe never needs: memory beyond the limit, files to write, a life without the parent."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    memory = address_space() + limits.memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))


def allow_cpu(seconds: float) -> None:
    """Let this process use so many more seconds of processor time: the end of a loop that nobody is left to end."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + seconds) + 2, resource.RLIM_INFINITY))


def address_space() -> int:
    """Bytes of address space in use, or 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _receive(stream: BinaryIO) -> bytes | None:
    """The next frame, or None at the end of the stream."""
    length = stream.read(LENGTH.size)
    if len(length) < LENGTH.size:
        return None
    return stream.read(LENGTH.unpack(length)[0])


def _send(stream: BinaryIO, message: Mapping[str, Any], attachments: Sequence[bytes] = ()) -> None:
    for content in (orjson.dumps(message), *attachments):
        stream.write(LENGTH.pack(len(content)))
        stream.write(content)
    stream.flush()


if __name__ == "__main__":
    main()
