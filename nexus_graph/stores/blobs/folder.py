"""Files that are whole or absent: the blocking half of the embedded object store.

Every step goes through directory descriptors and follows no symbolic link, so that neither a key nor a planted link
leads out of the folder. A file is written under a temporary name in its own directory, flushed to the disk, and then
linked to its key, which fails when the key is taken: an object never changes. A crash leaves at most a temporary file.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from nexus_graph.scope.clock import micros
from nexus_graph.stores.blobs.base import valid_key

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_ABSENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
_ATTEMPTS = 16  # to enter a directory that others remove as empty at the same moment


@dataclass(frozen=True, slots=True)
class Stored:
    """A file of the folder: its path below the root with `/`, and when it was written, in microseconds since 1970."""

    key: str
    at: int

    @property
    def temporary(self) -> bool:
        """Whether an upload left it unfinished. A key has no part that begins with a dot."""
        return self.key.rpartition("/")[2].startswith(".")


class Folder:
    """The folder of the store. Made when the first file is written."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def entered(self, parts: Sequence[str], *, make: bool = False) -> Iterator[int]:
        """A descriptor of a directory below the root. Raises OSError when there is none, or a link on the way."""
        descriptor = self.enter(parts, make=make)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def enter(self, parts: Sequence[str], *, make: bool = False) -> int:
        """As `entered`, for the caller to close. With `make`, missing directories are made, safe from a power cut."""
        if make:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        here = os.open(self.root, _DIRECTORY)  # the root itself may be a link: that is the operator's choice
        try:
            for part in parts:
                if make:
                    _make(part, here)
                below = os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
                os.close(here)
                here = below
        except BaseException:
            os.close(here)
            raise
        return here

    def open(self, key: str) -> FileIO | None:
        """The file under a key, unbuffered, or None."""
        *parts, name = valid_key(key).split("/")
        try:
            with self.entered(parts) as directory:
                if not stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
                    return None
                descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
        except _ABSENT:
            return None
        return os.fdopen(descriptor, "rb", buffering=0)

    def remove(self, key: str) -> None:
        """Remove a file, and the directories that it leaves empty."""
        *parts, name = key.split("/")
        with suppress(*_ABSENT), self.entered(parts) as directory:
            os.unlink(name, dir_fd=directory)
            os.fsync(directory)
        self.prune(parts)

    def prune(self, parts: Sequence[str]) -> None:
        """Remove a directory and those above it as far as they are empty."""
        with suppress(OSError):
            for depth in range(len(parts), 0, -1):
                with self.entered(parts[: depth - 1]) as above:
                    os.rmdir(parts[depth - 1], dir_fd=above)

    def files(self, prefix: str) -> Iterator[Stored]:
        """Every file whose path begins with a prefix, in the order of the paths. Links are passed over."""
        above = prefix.rpartition("/")[0]
        return self._files(valid_key(above) if above else "", prefix)

    def _files(self, above: str, prefix: str) -> Iterator[Stored]:
        try:
            with self.entered(above.split("/") if above else ()) as directory:
                entries = _entries(directory)
        except _ABSENT:
            return
        for name, at in entries:
            path = f"{above}/{name}" if above else name
            if not path.startswith(prefix):
                continue
            if name.endswith("/"):
                yield from self._files(path.removesuffix("/"), prefix)
            else:
                yield Stored(path, at)


class Incoming:
    """A file being written: `write` as often as needed, then `publish`; `discard` in every case.

    The methods block and may run in different threads. When a task is cancelled its thread goes on for a moment: the
    lock makes the discarding wait for it, and nothing is opened after that.
    """

    def __init__(self, folder: Folder, key: str) -> None:
        *self._parts, self._name = valid_key(key).split("/")
        self._folder = folder
        self._temporary = f".{secrets.token_hex(8)}.part"
        self._hash = hashlib.sha256()
        self._lock = threading.Lock()
        self._directory = -1
        self._file: BinaryIO | None = None
        self._discarded = False

    @property
    def sha256(self) -> str:
        """The checksum of what was written so far."""
        return self._hash.hexdigest()

    def write(self, pieces: Iterable[bytes]) -> None:
        """Append pieces."""
        with self._lock:
            file = self._open()
            for piece in pieces:
                self._hash.update(piece)
                file.write(piece)

    def publish(self, now: datetime) -> bool:
        """Make the file visible under its key, durably. False when the key is taken: then nothing has changed."""
        with self._lock:
            file = self._open()
            file.flush()
            os.utime(file.fileno(), ns=(micros(now) * 1000,) * 2)
            os.fsync(file.fileno())
            here = self._directory
            try:
                os.link(self._temporary, self._name, src_dir_fd=here, dst_dir_fd=here, follow_symlinks=False)
            except FileExistsError:
                return False
            os.fsync(here)
            return True

    def discard(self) -> None:
        """Close the file and remove its temporary name."""
        with self._lock:
            self._discarded = True
            if self._file is None:
                return
            with suppress(OSError):  # a full disk: what is still in the buffer is not wanted any more
                self._file.close()
            with suppress(OSError):
                os.unlink(self._temporary, dir_fd=self._directory)
            os.close(self._directory)
            self._file = None
        self._folder.prune(self._parts)

    def _open(self) -> BinaryIO:
        if self._discarded:
            raise FileNotFoundError("The upload was given up.")
        if self._file is None:
            self._file = self._create()
        return self._file

    def _create(self) -> BinaryIO:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        for _ in range(_ATTEMPTS):
            with suppress(FileNotFoundError):
                directory = self._folder.enter(self._parts, make=True)
                try:
                    descriptor = os.open(self._temporary, flags, 0o600, dir_fd=directory)
                except BaseException:
                    os.close(directory)
                    raise
                self._directory = directory
                return os.fdopen(descriptor, "wb")
        raise FileNotFoundError("The directory of the object vanishes again and again.")


def _make(name: str, above: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=above)
        os.fsync(above)


def _entries(directory: int) -> list[tuple[str, int]]:
    """Directories, with a slash at the end, and files, in the order of the paths below them."""
    found = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                found.append((f"{entry.name}/", 0))
            elif entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    found.append((entry.name, entry.stat(follow_symlinks=False).st_mtime_ns // 1000))
    return sorted(found)
