"""An index over the hashing embedder, short ways to publish into it, and embedders that misbehave."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shipped import MANIFESTS

from nexus_graph import cards, index
from nexus_graph.index.embedding import Embedder, HashingEmbedder
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.vectors.local import LocalVectors
from nexus_graph.stores.work import Stores

EVENTS = Statement("select * from journal_events where tenant_id = :tenant_id and env = :env order by seq")
RUNS = Statement("select * from journal_runs where tenant_id = :tenant_id and env = :env order by first_seq")
VECTORS = Statement("select * from index_vectors where tenant_id = :tenant_id and env = :env order by card_id, ordinal")
ENTRIES = Statement("select * from index_entries where tenant_id = :tenant_id and env = :env order by card_id")
DEFINITIONS = Statement("select * from index_definitions where tenant_id = :tenant_id and env = :env")


class Meddled:
    """The hashing embedder under another id if need be, with something that happens before each embedding."""

    def __init__(self, before: Callable[[Sequence[str]], Awaitable[None]] | None = None, id: str | None = None) -> None:
        self._inner = HashingEmbedder()
        self.provider = self._inner.provider
        self.id = id or self._inner.id
        self.dimensions = self._inner.dimensions
        self.max_tokens = self._inner.max_tokens
        self.before = before

    def count_tokens(self, text: str) -> int:
        return self._inner.count_tokens(text)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.before is not None:
            await self.before(texts)
        return await self._inner.embed(texts)

    async def close(self) -> None:
        return None


def make_index(embedder: Embedder | None = None, budget: int = 1 << 20) -> index.Index:
    """An index with nothing in its memory."""
    return index.Index(embedder or HashingEmbedder(), MANIFESTS, LocalVectors(budget))


def note(key: str, body: str, more: str = "") -> str:
    """A note."""
    return f"---\ncard_type: note\nkey: {key}\ntitle: {key}\n{more}---\n{body}\n"


async def publish(stores: Stores, scope: Scope, text: str, **more: Any) -> cards.Published:
    """Publish under the shipped manifests."""
    return await cards.publish(stores, MANIFESTS, scope, text, train_ok=True, **more)


async def settle(stores: Stores, used: index.Index) -> None:
    """Let the index catch up with the journal."""
    follower = index.follower(used)
    while await follower.catch_up(stores):
        pass


async def rows(stores: Stores, scope: Scope, statement: Statement) -> list[dict[str, Any]]:
    """What a statement answers."""
    async with stores.read(scope) as read:
        return [dict(row) for row in await read.rows(statement)]


async def actions(stores: Stores, scope: Scope, prefix: str = "card.") -> list[str]:
    """The actions in the scope's journal that begin with `prefix`."""
    return [row["action"] for row in await rows(stores, scope, EVENTS) if row["action"].startswith(prefix)]
