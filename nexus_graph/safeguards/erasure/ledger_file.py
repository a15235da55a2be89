"""A ledger in a file, outside of the data folder: one entry a line, only ever appended.

Processes of one machine share it; each machine has its own, unless the file lies on a disk that all of them see.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from nexus_graph.safeguards.erasure.ledger import ErasureKey, LedgerEntry, in_order
from nexus_graph.scope.errors import ConfigurationError, Unavailable


@dataclass(frozen=True, slots=True)
class FileLedger:
    """See `ledger.Ledger`. The file is made with the first entry."""

    path: Path

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.path)

    async def keys(self) -> frozenset[ErasureKey]:
        """See `ledger.Ledger`."""
        return frozenset(entry.key for entry in await self.entries())

    async def entries(self, only: Collection[ErasureKey] | None = None) -> list[LedgerEntry]:
        """See `ledger.Ledger`.

        A last line without an end was being written when the power went: its erasure has no certificate yet and comes
        again.
        """
        found = await asyncio.to_thread(self._read)
        return in_order([entry for entry in found if only is None or entry.key in only])

    async def append(self, entry: LedgerEntry) -> None:
        """See `ledger.Ledger`."""
        try:
            await asyncio.to_thread(self._append, entry)
        except OSError as error:
            message = f"The erasure ledger can't be written: {error.strerror}."
            raise Unavailable(message, hint="Check NEXUS_ERASURE_LEDGER and its disk.") from error

    def _read(self) -> list[LedgerEntry]:
        try:
            return self._parsed(self.path.read_bytes())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigurationError(f"The erasure ledger {self.path} can't be read: {error.strerror}.") from error

    def _parsed(self, whole: bytes) -> list[LedgerEntry]:
        found = []
        for number, line in enumerate(whole.split(b"\n")[:-1], 1):
            try:
                found.append(LedgerEntry.read(line))
            except (ValueError, KeyError, TypeError) as error:
                message = f"Line {number} of the erasure ledger {self.path} is no entry. Restore the file."
                raise ConfigurationError(message) from error
        return found

    def _append(self, entry: LedgerEntry) -> None:
        new = not self.path.exists()
        with os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # another process of this machine may append, too
            whole = file.read()
            if any(known.key == entry.key for known in self._parsed(whole)):
                return
            file.truncate(file.seek(whole.rfind(b"\n") + 1))  # less what a power cut left of a line
            file.write(entry.document() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
