"""Gathers the ids that one operation asks for, so that each kind costs one call to its room, however long a list is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
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
    """One loader a kind, living as long as one operation; made when it is first asked."""

    def __init__(self, house: House, scope: Scope) -> None:
        self._house = house
        self._stores = house.stores
        self._scope = scope

    @cached_property
    def assets(self) -> DataLoader[str, Asset | None]:
        """Assets by id."""
        return _loader(lambda ids: assets.fetch(self._stores, self._scope, ids))

    @cached_property
    def atoms(self) -> DataLoader[str, Atom | None]:
        """Atoms by id."""
        return _loader(lambda ids: atoms.fetch(self._stores, self._scope, ids))

    @cached_property
    def stale_atoms(self) -> DataLoader[str, bool | None]:
        """Whether atoms, by id, are of an older recipe."""
        return _loader(lambda ids: atoms.stale(self._stores, self._scope, ids))

    @cached_property
    def derivations(self) -> DataLoader[str, Outcome | None]:
        """Outcomes of derivations by asset id."""
        return _loader(lambda ids: atoms.outcomes(self._stores, self._scope, ids))

    @cached_property
    def locks(self) -> DataLoader[str, Lock | None]:
        """Strategy Locks by id."""
        return _loader(lambda ids: locks.fetch(self._stores, self._scope, ids))

    @cached_property
    def packs(self) -> DataLoader[str, Pack | None]:
        """Packs by id."""
        return _loader(lambda ids: packs.fetch(self._stores, self._scope, ids))

    @cached_property
    def exports(self) -> DataLoader[str, Export | None]:
        """Exports by id."""
        return _loader(lambda ids: exports.fetch(self._stores, self._scope, ids))

    @cached_property
    def runs(self) -> DataLoader[str, Run | None]:
        """Runs by id."""
        return _loader(lambda ids: runs.fetch(self._stores, self._scope, ids))

    @cached_property
    def run_counts(self) -> DataLoader[str, dict[str, int] | None]:
        """Counts of entries by run id."""
        return _loader(lambda ids: runs.counts(self._stores, self._scope, ids))

    @cached_property
    def run_sources(self) -> DataLoader[str, tuple[Subject, ...] | None]:
        """What runs are about, by run id."""
        return _loader(lambda ids: runs.sources(self._stores, self._scope, ids))

    @cached_property
    def index_states(self) -> DataLoader[tuple[str, int], IndexState | None]:
        """Whether search finds versions of cards."""
        return _loader(lambda pairs: index.states(self._stores, self._scope, pairs))

    @cached_property
    def decisions(self) -> DataLoader[Question, Decision | NexusError | None]:
        """The gates' answers to questions."""
        return _loader(lambda questions: preflight.decisions(self._house, self._scope, questions))

    @cached_property
    def cards(self) -> DataLoader[str, Card | None]:
        """Cards by id."""
        return _loader(lambda ids: cards.fetch(self._stores, self._scope, ids))

    @cached_property
    def card_versions(self) -> DataLoader[tuple[str, int], Card | None]:
        """Versions of cards by card id and version."""
        return _loader(lambda pairs: cards.fetch_versions(self._stores, self._scope, pairs))


def _loader(fetch: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Item]]]) -> DataLoader[Key, Item | None]:
    async def load(keys: list[Key]) -> list[Item | None]:
        found = await fetch(keys)
        return [found.get(key) for key in keys]

    return Loader(load_fn=load, max_batch_size=1000)
