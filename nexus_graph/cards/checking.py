"""Prove that cards agree with themselves and with the journal, and mend what follows from their texts.

A version's text is the truth: its digest names it, the journal told that digest when it was published, and everything
else that is kept of it follows from it. What follows can be written anew; a lost or altered text can only be restored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import orjson

from nexus_graph.cards import table
from nexus_graph.cards.manifests import Manifests
from nexus_graph.cards.mending import Following, differing, follow_all, mend, sides_of
from nexus_graph.safeguards import Resource
from nexus_graph.safeguards.quotas import Held
from nexus_graph.safeguards.quotas.model import day
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import Forbidden
from nexus_graph.scope.scope import Role, Scope
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.work import Read, Stores

_TEXTS: Final = 32  # of up to 1 MiB each
_AT_ONCE: Final = 1000

Looked = Callable[[int], None]
"""Told how many more versions were looked at."""


async def check(
    stores: Stores, manifests: Manifests, scope: Scope, *, repair: bool = False, looked: Looked | None = None
) -> list[str]:
    """One line for each version whose text is not what was published, or whose other rows do not follow from it.

    With `repair`, write those other rows anew. For the engine itself (the command line): raises Forbidden.
    """
    if scope.role is not Role.SYSTEM:
        raise Forbidden("Only the engine itself checks cards.", hint="Use the command line.")
    faults: list[str] = []
    card_id, version = "", 0
    while True:
        async with stores.read(scope) as read:
            rows = await read.rows(table.WHOLE_VERSIONS, card_id=card_id, version=version, most=_TEXTS)
            if not rows:
                break
            found, wrong = await _compared(read, manifests, rows)
        if wrong and repair:
            await mend(stores, scope, wrong)
        faults += found
        card_id, version = rows[-1]["card_id"], rows[-1]["version"]
        if looked is not None:
            looked(len(rows))
    return [*faults, *await _without_newest(stores, scope), *await _against_journal(stores, scope)]


async def _compared(read: Read, manifests: Manifests, rows: Sequence[Row]) -> tuple[list[str], list[Following]]:
    """The faults of some versions, and what must be written anew for those that can be mended."""
    faults: list[str] = []
    wrong: list[Following] = []
    sides = await sides_of(read, rows)
    for row, truth in zip(rows, await asyncio.to_thread(follow_all, manifests, rows), strict=True):
        if isinstance(truth, str):
            faults.append(f"{_name(row['card_id'], row['version'])}: {truth}")
        elif names := differing(row, truth, sides):
            what = ", ".join(names)
            faults.append(f"{_name(row['card_id'], row['version'])}: kept beside its text, but not of it: {what}")
            wrong.append(truth)
    return faults, wrong


async def _without_newest(stores: Stores, scope: Scope) -> list[str]:
    """Cards whose current version is not the newest one that there is."""
    faults: list[str] = []
    after = ""
    while True:
        async with stores.read(scope) as read:
            rows = await read.rows(table.NOT_AT_NEWEST, after=after, most=_AT_ONCE)
        if not rows:
            return faults
        faults += [f"card {row['card_id']}: its newest version is not {row['current_version']}" for row in rows]
        after = rows[-1]["card_id"]


async def _against_journal(stores: Stores, scope: Scope) -> list[str]:
    """Versions that are missing or another text, by what the journal tells of every publication."""
    faults: list[str] = []
    after = 0
    while True:
        async with stores.read(scope) as read:
            rows = await read.rows(table.PUBLICATIONS, after=after, most=_AT_ONCE)
            if not rows:
                return faults
            told = dict(filter(None, (_told(row["payload"]) for row in rows)))
            pairs = [f"{card_id}@{version}" for card_id, version in told]
            found = await read.rows(table.DIGESTS, ids=[card_id for card_id, _ in told], pairs=pairs)
        kept = {(row["card_id"], row["version"]): row["digest"] for row in found}
        for version, digest in told.items():
            if version not in kept:
                faults.append(f"{_name(*version)}: it is missing, though the journal tells of it")
            elif kept[version] != digest:
                faults.append(f"{_name(*version)}: it is not the text that the journal tells of")
        after = rows[-1]["seq"]


def _told(payload: str | None) -> tuple[tuple[str, int], str] | None:
    """The version that an event tells of, and its digest; None of what was erased or is no such event."""
    try:
        output = orjson.loads(payload or "")["output"]
        return (str(output["cardId"]), int(output["version"])), str(output["digest"])
    except (ValueError, TypeError, KeyError):
        return None


def _name(card_id: str, version: int) -> str:
    return f"card {card_id}, version {version}"


async def held(read: Read) -> Mapping[Resource, Held]:
    """What the rows of the cards add up to, and what the journal tells of today: each change of a card is indexed."""
    start, end = day(read.now)
    changes = await read.value(table.COUNT_CHANGES, start=micros(start), end=micros(end))
    return {Resource.CARDS: Held(await read.value(table.COUNT_ALL)), Resource.INDEX_WRITES: Held(changes)}
