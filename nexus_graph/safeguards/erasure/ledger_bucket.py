"""A ledger in a bucket of its own, which every machine sees: one object an entry, written once and never removed.

Object Lock or a retention suit that bucket well, unlike the one of the objects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress

from nexus_graph.safeguards.erasure.ledger import ErasureKey, LedgerEntry, in_order
from nexus_graph.scope.errors import ConfigurationError, Conflict, NexusError
from nexus_graph.stores.blobs.base import Blobs

_AT_ONCE = 16


class BucketLedger:
    """See `ledger.Ledger`. `blobs` is rooted at the ledger; an entry lies under `TENANT/ENV/ERASURE.json`."""

    def __init__(self, blobs: Blobs, name: str) -> None:
        self._blobs = blobs
        self.name = name

    async def keys(self) -> frozenset[ErasureKey]:
        """See `ledger.Ledger`. Lists the bucket and reads no object."""
        try:
            return frozenset([self._erasure(key) async for key in self._blobs.keys("")])
        except NexusError as error:
            raise self._unreadable(error) from error

    async def entries(self, only: Collection[ErasureKey] | None = None) -> list[LedgerEntry]:
        """See `ledger.Ledger`."""
        keys = sorted(key for key in await self.keys() if only is None or key in only)
        found: list[LedgerEntry] = []
        for start in range(0, len(keys), _AT_ONCE):
            found += await asyncio.gather(*(self._entry(key) for key in keys[start : start + _AT_ONCE]))
        return in_order(found)

    async def append(self, entry: LedgerEntry) -> None:
        """See `ledger.Ledger`."""
        with suppress(Conflict):  # the erasure is in it
            await self._blobs.put(_path(entry.key), entry.document())

    async def _entry(self, key: ErasureKey) -> LedgerEntry:
        try:
            return LedgerEntry.read(await self._blobs.read(_path(key)))
        except NexusError as error:
            raise self._unreadable(error) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(
                f"{self.name}/{_path(key)} is no entry of an erasure ledger. Restore it."
            ) from error

    def _erasure(self, path: str) -> ErasureKey:
        parts = path.removesuffix(".json").split("/")
        if len(parts) != 3 or not path.endswith(".json"):
            raise ConfigurationError(f"{self.name}/{path} is no entry of an erasure ledger, which lies there alone.")
        tenant_id, env, erasure_id = parts
        return tenant_id, env, erasure_id

    def _unreadable(self, error: NexusError) -> ConfigurationError:
        return ConfigurationError(f"The erasure ledger {self.name} can't be read: {error.message}")


def _path(key: ErasureKey) -> str:
    return "/".join(key) + ".json"
