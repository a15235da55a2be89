"""Objects: copied in pieces, each under its SHA-256; those that are there with the same are left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nexus_graph.administration.console import Ticker
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.blobs.base import Blobs, Stat

_AT_ONCE: Final = 8


@dataclass(slots=True)
class CopiedObjects:
    """How many objects were written, how many were there, and how many were removed that the source has no more."""

    written: int = 0
    there: int = 0
    removed: int = 0


def root(scope: Scope) -> str:
    """How the keys of a tenant's and env's objects begin."""
    return f"tenants/{scope.tenant_id}/{scope.env.value}/"


async def keys(blobs: Blobs, scope: Scope) -> list[str]:
    """The keys of every object of a tenant and env, in order."""
    return [key async for key in blobs.keys(root(scope))]


async def copy(source: Blobs, target: Blobs, scope: Scope, tick: Ticker, *, ours: bool) -> CopiedObjects:
    """Copy the objects of a tenant and env. `ours`: what the target holds there is a copy of this source.

    Then what the source has no more is removed, and what has other bytes is written anew; else Conflict is raised for
    other bytes, and what is more is left to the proof.
    """
    wanted, copied = await keys(source, scope), CopiedObjects()
    if ours:
        known = set(wanted)
        for key in await keys(target, scope):
            if key not in known:
                await target.remove(key)
                copied.removed += 1
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        written = await asyncio.gather(*(_copy_one(source, target, key, ours=ours) for key in some))
        copied.written += sum(written)
        copied.there += len(some) - sum(written)
        tick(f"Copying {'/'.join(scope.key)}: objects", total=len(wanted), advance=len(some))
    return copied


async def _copy_one(source: Blobs, target: Blobs, key: str, *, ours: bool) -> bool:
    """Copy an object. False when it was there, or is gone from the source: an upload that was never sealed."""
    declared, there = await source.stat(key), await target.stat(key)
    if declared is None or there == declared:
        return False
    if there is not None and ours:
        await target.remove(key)
    async with source.reading(key) as pieces:
        await target.put_pieces(key, pieces, declared)
    return True


async def measure(blobs: Blobs, found: Sequence[str], tick: Ticker, text: str) -> dict[str, Stat | None]:
    """Size and SHA-256 of objects, as their bytes are read now."""
    measured: dict[str, Stat | None] = {}
    for start in range(0, len(found), _AT_ONCE):
        some = found[start : start + _AT_ONCE]
        measured |= zip(some, await asyncio.gather(*map(blobs.measure, some)), strict=True)
        tick(text, total=len(found), advance=len(some))
    return measured
