"""Read the vectors of a scope into memory: once for all who ask meanwhile, and to the end when they have gone.

A million vectors take longer to read than anybody's request may take: who waits too long is told to come again, and
finds them there.
"""

from __future__ import annotations

import asyncio
from typing import Final

from nexus_graph.index.definition import UNDEFINED, Index, active
from nexus_graph.index.nominating import whole
from nexus_graph.scope.errors import Unavailable
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.vectors.base import NOTHING, View
from nexus_graph.stores.work import Stores

PATIENCE_SECONDS: Final = 20.0
"""How long a request waits: less than an operation may take."""


async def loaded(stores: Stores, index: Index, scope: Scope) -> View:
    """The newest copy of a scope's vectors in memory; where there is none, it is made from the rows.

    Raises Unavailable where that takes long, and goes on with it; or for more vectors than rows may answer.
    """
    space = index.space(scope)
    view = await index.vectors.view(space)
    if view.generation != NOTHING:
        return view

    async def load() -> None:
        async with stores.read(scope) as read:
            definition = await active(read, index) or UNDEFINED
            await whole(read, index, await index.vectors.view(space), definition)

    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await stores.shared.once(("vectors", space), load)
    except TimeoutError as error:
        raise Unavailable("The vectors of this tenant and env are being loaded.", hint="Try again soon.") from error
    return await index.vectors.view(space)
