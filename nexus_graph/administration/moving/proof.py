"""Proof: what both sides hold, read again from the first row to the last, and every difference by name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from nexus_graph import packs
from nexus_graph.administration.console import Ticker
from nexus_graph.administration.moving import objects, rows, tables
from nexus_graph.administration.moving.standing import Head
from nexus_graph.administration.moving.tables import PAGE, Fields, Table
from nexus_graph.api.house import House
from nexus_graph.index import Index
from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.errors import NexusError
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.work import Stores

_VERSIONS: Final = "card_versions"


@dataclass(frozen=True, slots=True)
class Sum:
    """How much there is, and a digest of it."""

    count: int
    digest: str


@dataclass(slots=True)
class Proof:
    """What one tenant and env came to: by what it is of, the sums of source and target; and every difference.

    `cards`: of how many versions the text has the digest that it was published under. `packs`: of how many packs the
    question, asked again, gives the very pack; those of an earlier state of the index give another, on both sides.
    """

    sums: dict[str, tuple[Sum, Sum]] = field(default_factory=dict)
    cards: int = 0
    packs: int = 0
    differences: list[str] = field(default_factory=list)

    def compare(self, what: str, theirs: Sum, ours: Sum) -> None:
        """Note the sums of both sides."""
        self.sums[what] = theirs, ours
        if theirs != ours:
            self.differences.append(
                f"{what}: {theirs.count} at the source with the digest {theirs.digest[:16]}, "
                f"{ours.count} at the target with {ours.digest[:16]}"
            )


async def prove(source: House, target: House, scope: Scope, head: Head, tick: Ticker) -> Proof:
    """Compare the journal's chain, every row, the cards' texts, the packs asked again, and every object.

    For a copy that is not shown yet, or that nobody wrote to. Writers of the source must wait meanwhile.
    """
    proof = Proof()
    for house, side in ((source, "source"), (target, "target")):
        await _journal(house.stores, scope, head, side, proof)
    total = 2 * await rows.total(source.stores, scope)
    for table in tables.moving():
        looked = _looked(tick, scope, total)
        theirs, _ = await _sum(source.stores, scope, table, looked)
        ours, hold = await _sum(target.stores, scope, table, looked)
        proof.compare(table.name, theirs, ours)
        proof.cards += hold
    await _packs(source, target, scope, proof, tick)
    await _objects(source, target, scope, proof, tick)
    return proof


def compare_shown(proof: Proof, found: Iterable[rows.Both]) -> None:
    """Compare tables that are shown last."""
    for table, *sides in found:
        theirs, ours = (_Running().add(side).sum() for side in sides)
        proof.compare(table.name, theirs, ours)


class _Running:
    """The digest of rows, as they come."""

    def __init__(self) -> None:
        self._digest, self._count = hashlib.sha256(), 0

    def add(self, page: Sequence[Fields]) -> _Running:
        for row in page:
            self._digest.update(repr(row).encode("utf-8", "surrogatepass") + b"\n")
        self._count += len(page)
        return self

    def sum(self) -> Sum:
        return Sum(self._count, self._digest.hexdigest())


def _looked(tick: Ticker, scope: Scope, total: int) -> Callable[[int], None]:
    return lambda more: tick(f"Proving {'/'.join(scope.key)}: rows", total=total, advance=more)


async def _journal(stores: Stores, scope: Scope, head: Head, side: str, proof: Proof) -> None:
    async with stores.read(scope) as read:
        good, last, fault = await read.walk_journal()
    if fault is not None:
        proof.differences.append(f"journal: broken at the {side}, seq {fault.seq}: {fault.reason}")
    elif (good, last) != head:
        proof.differences.append(f"journal: it ends at seq {good} at the {side}, and should at {head.seq}")


async def _sum(stores: Stores, scope: Scope, table: Table, looked: Callable[[int], None]) -> tuple[Sum, int]:
    """The digest of a table's rows, in order; and of card versions, how many texts have their digest."""
    running, hold = _Running(), 0
    after: Fields | None = None
    while True:
        async with stores.read(scope) as read:
            page = await table.page(read, after)
        running.add(page)
        hold += sum(_holds(table, row) for row in page) if table.name == _VERSIONS else 0
        looked(len(page))
        if len(page) < PAGE:
            return running.sum(), hold
        after = table.key(page[-1])


def _holds(table: Table, row: Fields) -> bool:
    values = dict(zip(table.columns.every, row, strict=True))
    return sha256(str(values["text"]).encode()) == values["digest"]


async def _packs(source: House, target: House, scope: Scope, proof: Proof, tick: Ticker) -> None:
    """Recompute every pack and ask its question again, on both sides, of the rows: no vector server decides an answer.

    A rehearsal: what is asked for a proof leaves no entry in the journal that is being proven.
    """
    rehearsal = replace(scope, rehearsal=True)
    sides = [(house.stores, replace(house.index, copies=None)) for house in (source, target)]
    digests, after, count = (hashlib.sha256(), hashlib.sha256()), "", 0
    while True:
        async with source.stores.read(scope) as read:
            ids = [row["pack_id"] for row in await read.rows(tables.PACKS, after=after)]
        if not ids:
            break
        for pack_id in ids:
            answers = [await _answer(stores, index, rehearsal, pack_id) for stores, index in sides]
            for running, (told, _) in zip(digests, answers, strict=True):
                running.update(f"{pack_id} {told}\n".encode())
            (theirs, _), (ours, itself) = answers
            if theirs != ours:
                proof.differences.append(f"pack {pack_id}: asked again, {theirs} at the source, {ours} at the target")
            proof.packs += itself
        count, after = count + len(ids), ids[-1]
        tick(f"Proving {'/'.join(scope.key)}: packs", advance=len(ids))
    proof.sums["packs asked again"] = Sum(count, digests[0].hexdigest()), Sum(count, digests[1].hexdigest())


async def _answer(stores: Stores, index: Index, scope: Scope, pack_id: str) -> tuple[str, bool]:
    """The pack that its question gives now or why none, what does not hold; and whether it is the very pack."""
    try:
        verified = await packs.verify(stores, scope, pack_id)
        replayed = await packs.replay(stores, index, scope, pack_id)
    except NexusError as error:
        return f"{error.code}: {error.message}", False
    told = [replayed.now_id, *(fault.reason for fault in verified.faults)]
    differences = {difference.kind for difference in replayed.differences}
    policy = {packs.DifferenceKind.POLICY}  # this command asks, whose rights are those of no tenant's policy
    return "; ".join(told), differences <= policy and verified.holds


async def _objects(source: House, target: House, scope: Scope, proof: Proof, tick: Ticker) -> None:
    sides: list[dict[str, str]] = []
    for house, side in ((source, "source"), (target, "target")):
        blobs, text = house.stores.blobs, f"Proving {'/'.join(scope.key)}: objects of the {side}"
        measured = await objects.measure(blobs, await objects.keys(blobs, scope), tick, text)
        sides.append({key: f"{stat.size} {stat.sha256}" for key, stat in measured.items() if stat is not None})
    theirs, ours = sides
    for key in sorted(theirs.keys() | ours.keys()):
        if theirs.get(key) != ours.get(key):
            what = "is missing" if key not in ours else "is more" if key not in theirs else "has other bytes"
            proof.differences.append(f"object {key}: it {what} at the target")
    proof.sums["objects"] = _sum_of(theirs), _sum_of(ours)


def _sum_of(side: dict[str, str]) -> Sum:
    listed = "".join(f"{key} {stat}\n" for key, stat in sorted(side.items()))
    return Sum(len(side), sha256(listed.encode()))
