"""Renew: derive again what an older recipe read, or what no recipe read before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from nexus_graph import assets
from nexus_graph.atoms.attempting import attempt, tell
from nexus_graph.atoms.deriving import Derived, keep, with_attachments
from nexus_graph.atoms.sandbox import Sandbox
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import RunKind
from nexus_graph.stores.work import Stores

_AT_ONCE: Final = 4


async def renew(stores: Stores, sandbox: Sandbox, scope: Scope, asset_ids: Sequence[str]) -> AsyncIterator[str]:
    """Derive these assets again with the usual recipes of their kinds, and yield each id when it is done.

    Atoms of an older version of the recipe go stale. A file that can't be read any more keeps those that it has, and
    its outcome says why. Raises Halted, Unavailable.
    """
    scope.require(Permission.ATOMS_DERIVE)
    for start in range(0, len(asset_ids), _AT_ONCE):
        found = await assets.fetch(stores, scope, asset_ids[start : start + _AT_ONCE])
        results = await asyncio.gather(*(attempt(stores, sandbox, scope, asset) for asset in found.values()))
        for (asset_id, asset), result in zip(found.items(), results, strict=True):
            if isinstance(result, Derived):
                await keep(stores, scope, await with_attachments(stores, scope, result))
            else:
                async with stores.work(scope, RunKind.DERIVE) as work:
                    await tell(result, asset_id, redact({"output": result.detail}), asset.handling, work)
            yield asset_id
