"""The gate: what is halted at this moment. Read anew each time, so that every process knows at its next look."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nexus_graph.safeguards.model import Deed
from nexus_graph.safeguards.switches import table
from nexus_graph.safeguards.switches.model import Switch, refused_by
from nexus_graph.scope.errors import NexusError
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.work import Read, Stores


async def engaged(read: Read) -> tuple[Switch, ...]:
    """The switches that are engaged in a scope, oldest first."""
    return tuple(table.switch(row) for row in await read.rows(table.ENGAGED))


async def refusal(read: Read, deed: Deed) -> NexusError | None:
    """What an engaged switch has against a deed."""
    return refused_by(await engaged(read), deed.action, deed.provider)


async def present(stores: Stores, scope: Scope) -> tuple[Switch, ...]:
    """The switches that are engaged now. All who ask at the same time share one read, which begins after they ask."""

    async def look() -> tuple[Switch, ...]:
        async with stores.read(scope) as read:
            return await engaged(read)

    return await stores.shared.once(("kill switches", scope.key), look)


async def require(stores: Stores, scope: Scope, action: str | None, provider: str | None = None) -> None:
    """Raises Halted when an action, or the use of a provider, is halted now."""
    if error := refused_by(await present(stores, scope), action, provider):
        raise error


def halts(action: str, provider: str | None = None) -> Callable[[Read], Awaitable[bool]]:
    """Tells a follower of that name, which needs that provider, whether a scope is halted for it."""

    async def halted(read: Read) -> bool:
        return refused_by(await engaged(read), action, provider) is not None

    return halted
