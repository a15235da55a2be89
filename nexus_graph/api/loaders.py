"""Gathers the ids that one operation asks for, so that each kind costs one call to its room, however long a list is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Generic, TypeVar

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

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")

MOST_TOGETHER: Final = 1000
"""Keys of one call."""


@dataclass(frozen=True, slots=True)
class _Failure:
    error: Exception


class Loader(Generic[Key, Item]):
    """The items of keys; None for what there is none of. Who asks at the same time shares a call, and none asks twice.

    A call belongs to all who wait for it: when one field is cancelled, as the siblings of a failed one are, the others
    still get theirs. What it fails with is told to all who ask for one of its keys.
    """

    def __init__(self, fetch: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Item]]]) -> None:
        self._fetch = fetch
        self._found: dict[Key, Item | _Failure | None] = {}
        self._calls: dict[Key, asyncio.Task[None]] = {}
        self._next: dict[Key, None] = {}  # keys of the call that is about to begin, if one is
        self._beginning: asyncio.Task[None] | None = None

    async def load(self, key: Key) -> Item | None:
        """The item of a key."""
        return (await self.load_many((key,)))[0]

    async def load_many(self, keys: Sequence[Key]) -> list[Item | None]:
        """The items of keys, in their order. Raises what their call failed with."""
        for call in {self._call_of(key) for key in dict.fromkeys(keys) if key not in self._found}:
            await asyncio.shield(call)
        items = list[Item | None]()
        for key in keys:
            item = self._found[key]
            if isinstance(item, _Failure):
                raise item.error
            items.append(item)
        return items

    def _call_of(self, key: Key) -> asyncio.Task[None]:
        if (call := self._calls.get(key)) is None:
            if self._beginning is None or len(self._next) == MOST_TOGETHER:
                self._next = {}
                self._beginning = asyncio.create_task(self._load(self._next))
            self._next[key] = None
            call = self._calls[key] = self._beginning
        return call

    async def _load(self, wanted: dict[Key, None]) -> None:
        await asyncio.sleep(0)  # all who ask in this turn of the event loop have asked then
        if self._next is wanted:
            self._beginning = None
        keys = [*wanted]
        try:
            found = await self._fetch(keys)
        except Exception as error:
            self._found |= dict.fromkeys(keys, _Failure(error))
        else:
            self._found |= {key: found.get(key) for key in keys}


class Loaders:
    """One loader a kind, living as long as one operation; made when it is first asked."""

    def __init__(self, house: House, scope: Scope) -> None:
        self._house = house
        self._stores = house.stores
        self._scope = scope

    @cached_property
    def assets(self) -> Loader[str, Asset]:
        """Assets by id."""
        return Loader(lambda ids: assets.fetch(self._stores, self._scope, ids))

    @cached_property
    def atoms(self) -> Loader[str, Atom]:
        """Atoms by id."""
        return Loader(lambda ids: atoms.fetch(self._stores, self._scope, ids))

    @cached_property
    def stale_atoms(self) -> Loader[str, bool]:
        """Whether atoms, by id, are of an older recipe."""
        return Loader(lambda ids: atoms.stale(self._stores, self._scope, ids))

    @cached_property
    def derivations(self) -> Loader[str, Outcome]:
        """Outcomes of derivations by asset id."""
        return Loader(lambda ids: atoms.outcomes(self._stores, self._scope, ids))

    @cached_property
    def locks(self) -> Loader[str, Lock]:
        """Strategy Locks by id."""
        return Loader(lambda ids: locks.fetch(self._stores, self._scope, ids))

    @cached_property
    def packs(self) -> Loader[str, Pack]:
        """Packs by id."""
        return Loader(lambda ids: packs.fetch(self._stores, self._scope, ids))

    @cached_property
    def exports(self) -> Loader[str, Export]:
        """Exports by id."""
        return Loader(lambda ids: exports.fetch(self._stores, self._scope, ids))

    @cached_property
    def runs(self) -> Loader[str, Run]:
        """Runs by id."""
        return Loader(lambda ids: runs.fetch(self._stores, self._scope, ids))

    @cached_property
    def run_counts(self) -> Loader[str, dict[str, int]]:
        """Counts of entries by run id."""
        return Loader(lambda ids: runs.counts(self._stores, self._scope, ids))

    @cached_property
    def run_sources(self) -> Loader[str, tuple[Subject, ...]]:
        """What runs are about, by run id."""
        return Loader(lambda ids: runs.sources(self._stores, self._scope, ids))

    @cached_property
    def index_states(self) -> Loader[tuple[str, int], IndexState]:
        """Whether search finds versions of cards."""
        return Loader(lambda pairs: index.states(self._stores, self._scope, pairs))

    @cached_property
    def decisions(self) -> Loader[Question, Decision | NexusError]:
        """The gates' answers to questions."""
        return Loader(lambda questions: preflight.decisions(self._house, self._scope, questions))

    @cached_property
    def cards(self) -> Loader[str, Card]:
        """Cards by id."""
        return Loader(lambda ids: cards.fetch(self._stores, self._scope, ids))

    @cached_property
    def card_versions(self) -> Loader[tuple[str, int], Card]:
        """Versions of cards by card id and version."""
        return Loader(lambda pairs: cards.fetch_versions(self._stores, self._scope, pairs))
