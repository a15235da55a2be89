"""Which of the cited atoms a newer version of their recipe has replaced: for cards, hits and packs alike."""

from __future__ import annotations

from collections.abc import Sequence

import strawberry

from nexus_graph.api.context import Info


async def stale_of(info: Info, artifact_refs: Sequence[str]) -> list[strawberry.ID]:
    """The stale ones of what is cited. One call for all that the operation asks of."""
    atoms = [ref for ref in artifact_refs if ref.startswith("atom_")]
    stale = await info.context.loaders.stale_atoms.load_many(atoms)
    return [strawberry.ID(atom) for atom, is_stale in zip(atoms, stale, strict=True) if is_stale]
