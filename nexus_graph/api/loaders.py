"""Gathers the ids that one operation asks for, so that each kind costs one call to its room, however long a list is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from strawberry.dataloader import DataLoader

from nexus_graph import assets, atoms, cards, exports, index, packs, runs
from nexus_graph.api import preflight
from nexus_graph.api.deeds import Question
from nexus_graph.assets import Asset
from nexus_graph.atoms import Atom, Outcome
from nexus_graph.cards import Card
from nexus_graph.exports import Export
from nexus_graph.index import IndexState
from nexus_graph.packs import Pack
from nexus_graph.runs import Run, Subject
from nexus_graph.safeguards import Decision, locks
from nexus_graph.safeguards.locks import Lock
from nexus_graph.scope.errors import NexusError
from nexus_graph.scope.scope import Scope

if TYPE_CHECKING:
    from nexus_graph.api.house import House

Key = TypeVar("Key")
Item = TypeVar("Item")


class Loader(DataLoader[Key, Item]):
    """A loader whose answers belong to all who ask: when one field is cancelled, the others still get theirs.

    A field that fails cancels its siblings, and cancelling whoever waits for a future cancels the future itself.
    """

    async def load(self, key: Key) -> Item:
        """The item of a key."""
        answer = asyncio.ensure_future(super().load(key))
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # all who asked may be gone
        return await asyncio.shield(answer)


class Loaders:
    """One loader a kind, living as long as one operation."""

    def __init__(self, house: House, scope: Scope) -> None:
        stores = house.stores
        self.assets: DataLoader[str, Asset | None] = _loader(lambda ids: assets.fetch(stores, scope, ids))
        self.atoms: DataLoader[str, Atom | None] = _loader(lambda ids: atoms.fetch(stores, scope, ids))
        self.stale_atoms: DataLoader[str, bool | None] = _loader(lambda ids: atoms.stale(stores, scope, ids))
        self.derivations: DataLoader[str, Outcome | None] = _loader(lambda ids: atoms.outcomes(stores, scope, ids))
        self.locks: DataLoader[str, Lock | None] = _loader(lambda ids: locks.fetch(stores, scope, ids))
        self.packs: DataLoader[str, Pack | None] = _loader(lambda ids: packs.fetch(stores, scope, ids))
        self.exports: DataLoader[str, Export | None] = _loader(lambda ids: exports.fetch(stores, scope, ids))
        self.runs: DataLoader[str, Run | None] = _loader(lambda ids: runs.fetch(stores, scope, ids))
        self.run_counts: DataLoader[str, dict[str, int] | None] = _loader(lambda ids: runs.counts(stores, scope, ids))
        self.run_sources: DataLoader[str, tuple[Subject, ...] | None] = _loader(
            lambda ids: runs.sources(stores, scope, ids)
        )
        self.index_states: DataLoader[tuple[str, int], IndexState | None] = _loader(
            lambda pairs: index.states(stores, scope, pairs)
        )
        self.decisions: DataLoader[Question, Decision | NexusError | None] = _loader(
            lambda questions: preflight.decisions(house, scope, questions)
        )
        self.cards: DataLoader[str, Card | None] = _loader(lambda ids: cards.fetch(stores, scope, ids))
        self.card_versions: DataLoader[tuple[str, int], Card | None] = _loader(
            lambda pairs: cards.fetch_versions(stores, scope, pairs)
        )


def _loader(fetch: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Item]]]) -> DataLoader[Key, Item | None]:
    async def load(keys: list[Key]) -> list[Item | None]:
        found = await fetch(keys)
        return [found.get(key) for key in keys]

    return Loader(load_fn=load, max_batch_size=1000)
