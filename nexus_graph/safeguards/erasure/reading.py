"""Read erasures: one, or all of a tenant and env."""

from __future__ import annotations

from nexus_graph.safeguards.erasure import table
from nexus_graph.safeguards.erasure.model import Erasure
from nexus_graph.scope.clock import micros
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.paging import Page, Window, page
from nexus_graph.stores.work import Stores


async def find(stores: Stores, scope: Scope, erasure_id: str) -> Erasure | None:
    """The erasure, or None."""
    scope.require(Permission.ERASURES_READ)
    async with stores.read(scope) as read:
        row = await read.row(table.FIND, erasure_id=erasure_id)
    return None if row is None else table.erasure(row, micros(read.now))


async def erasures(stores: Stores, scope: Scope, window: Window) -> Page[Erasure]:
    """The erasures of the scope, planned last first."""
    scope.require(Permission.ERASURES_READ)
    async with stores.read(scope) as read:
        now = micros(read.now)
        order = ("planned_at", "erasure_id")
        return await page(read, table.ALL, order, window, lambda row: table.erasure(row, now))
