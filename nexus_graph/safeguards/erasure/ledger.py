"""The ledger: what was erased, outside of the data folder, so that a restore can't bring it back unseen.

One JSON document a line, only ever appended, on the disk before a certificate is. It holds no personal data: a subject
is named by a keyed digest, which only who has the signing secret can compare with a name.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import orjson

from nexus_graph.scope.canonical import canonical
from nexus_graph.scope.errors import ConfigurationError, Unavailable

FORMAT: Final = "erasure-1"


class Pseudonyms:
    """Names people by a keyed digest: the same person is the same name in one tenant, another one in the next."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.new(secret.encode(), b"nexus-graph erasure ledger", hashlib.sha256).digest()

    @property
    def key_id(self) -> str:
        """Names the key."""
        return hashlib.sha256(self._key).hexdigest()[:16]

    def of(self, tenant_id: str, subject: str) -> str:
        """The name of a subject of a tenant."""
        return hmac.new(self._key, canonical([tenant_id, subject]), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One erasure. `subject` is a keyed digest under the key `key_id`, None for a tenant and env."""

    erasure_id: str
    tenant_id: str
    env: str
    kind: str
    mentions: bool
    subject: str | None
    key_id: str
    assets: tuple[str, ...]
    cards: tuple[str, ...]
    at: str
    certificate: str

    def line(self) -> bytes:
        """The entry as the file holds it."""
        fields = asdict(self) | {"assets": [*self.assets], "cards": [*self.cards]}
        return canonical({"format": FORMAT, **fields}) + b"\n"

    @classmethod
    def read(cls, line: bytes) -> LedgerEntry:
        """What `line` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        fields = orjson.loads(line)
        if fields.pop("format") != FORMAT:
            raise ValueError("another format")
        return cls(**fields | {"assets": tuple(fields["assets"]), "cards": tuple(fields["cards"])})


@dataclass(frozen=True, slots=True)
class Ledger:
    """The file of the ledger. It is made with the first entry."""

    path: Path

    def entries(self) -> list[LedgerEntry]:
        """Every entry, oldest first. Raises ConfigurationError for a file that is no ledger.

        A last line without an end was being written when the power went: its erasure has no certificate yet and comes
        again.
        """
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigurationError(f"The erasure ledger {self.path} can't be read: {error.strerror}.") from error
        found = []
        for number, line in enumerate(lines[:-1], 1):
            try:
                found.append(LedgerEntry.read(line))
            except (ValueError, KeyError, TypeError) as error:
                message = f"Line {number} of the erasure ledger {self.path} is no entry. Restore the file."
                raise ConfigurationError(message) from error
        return found

    async def append(self, entry: LedgerEntry) -> None:
        """Add an entry, durably; nothing happens when the erasure is in it. Raises Unavailable."""
        try:
            await asyncio.to_thread(self._append, entry)
        except OSError as error:
            message = f"The erasure ledger can't be written: {error.strerror}."
            raise Unavailable(message, hint="Check NEXUS_ERASURE_LEDGER and its disk.") from error

    def _append(self, entry: LedgerEntry) -> None:
        if any(known.erasure_id == entry.erasure_id for known in self.entries()):
            return
        new = not self.path.exists()
        with os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            whole = file.read()
            file.truncate(file.seek(whole.rfind(b"\n") + 1))  # less what a power cut left of a line
            file.write(entry.line())
            file.flush()
            os.fsync(file.fileno())
        if new:
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
