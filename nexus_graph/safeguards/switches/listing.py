"""Which switches there are, and which there were."""

from __future__ import annotations

from nexus_graph.safeguards.switches import table
from nexus_graph.safeguards.switches.model import Switch
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.paging import Page, Window, page
from nexus_graph.stores.work import Stores


async def list_switches(stores: Stores, scope: Scope, window: Window, *, engaged_only: bool = True) -> Page[Switch]:
    """The kill switches of a scope, newest first; those that were released as well unless `engaged_only`."""
    scope.require(Permission.SWITCHES_READ)
    select = table.ONLY_ENGAGED if engaged_only else table.ALL
    async with stores.read(scope) as read:
        return await page(read, select, ("engaged_at", "switch_id"), window, table.switch)
