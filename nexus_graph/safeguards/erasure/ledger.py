"""The ledger: what was erased, outside of what a restore brings back, so that nothing comes back unseen.

An entry is one JSON document, only ever added, and kept before a certificate is. It holds no personal data: a subject
is named by a keyed digest, which only who has the signing secret can compare with a name. The rows keep it too, so that
a ledger that lacks an entry is completed at the next start.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Final, Protocol

import orjson

from nexus_graph.scope.canonical import canonical

FORMAT: Final = "erasure-1"

ErasureKey = tuple[str, str, str]
"""Tenant, env and id of an erasure."""


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

    @property
    def key(self) -> ErasureKey:
        """Which erasure it is of."""
        return self.tenant_id, self.env, self.erasure_id

    def document(self) -> bytes:
        """The entry as a ledger keeps it: canonical JSON, without a line's end."""
        fields = asdict(self) | {"assets": [*self.assets], "cards": [*self.cards]}
        return canonical({"format": FORMAT, **fields})

    @classmethod
    def read(cls, document: bytes | str) -> LedgerEntry:
        """What `document` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        fields = orjson.loads(document)
        if fields.pop("format") != FORMAT:
            raise ValueError("another format")
        return cls(**fields | {"assets": tuple(fields["assets"]), "cards": tuple(fields["cards"])})


class Ledger(Protocol):
    """Where the entries are kept. `name` says so to an operator."""

    @property
    def name(self) -> str: ...

    async def keys(self) -> frozenset[ErasureKey]:
        """Which erasures it tells of. Raises ConfigurationError for what is no ledger or can't be read now."""

    async def entries(self, only: Collection[ErasureKey] | None = None) -> list[LedgerEntry]:
        """Every entry, or those of these erasures, the oldest first. Raises as `keys` does."""

    async def append(self, entry: LedgerEntry) -> None:
        """Add an entry, durably; nothing happens when the erasure is in it. Raises Unavailable."""


def in_order(entries: Collection[LedgerEntry]) -> list[LedgerEntry]:
    """The oldest first; those of one instant by their keys."""
    return sorted(entries, key=lambda entry: (entry.at, entry.key))
