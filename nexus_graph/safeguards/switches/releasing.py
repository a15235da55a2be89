"""Release a kill switch: only under an approved Strategy Lock for this very switch."""

from __future__ import annotations

from nexus_graph.safeguards import chain
from nexus_graph.safeguards.model import Deed, switch_release
from nexus_graph.safeguards.switches import table
from nexus_graph.safeguards.switches.model import Switch
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import Conflict, NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunKind, Severity
from nexus_graph.stores.work import Once, Stores


async def release(stores: Stores, scope: Scope, switch_id: str, *, once: Once | None = None) -> Switch:
    """Let go on what a switch halted, unless another one halts it too.

    Raises Forbidden, NotFound, Conflict when it was released before, and LockRequired.
    """
    scope.require(Permission.SWITCHES_RELEASE)
    async with stores.work(scope, RunKind.ADMIN, once=once) as work:
        repeated = await work.earlier_answer() is not None
        row = await work.row(table.FIND, switch_id=switch_id)
        if row is None:
            raise NotFound("kill switch", path=("input", "switchId"))
        switch = table.switch(row)
        if repeated:
            return switch
        if switch.released_at is not None:
            raise Conflict("The kill switch was released before.", path=("input", "switchId"))
        deed = Deed("releaseKillSwitch", Permission.SWITCHES_RELEASE, change=switch_release(switch_id))
        await chain.enforce(work, deed)
        (row,) = await work.write(table.RELEASE, switch_id=switch_id, by=scope.principal.id, now=micros(work.now))
        told: Json = {"input": {"target": switch.target.value, "name": switch.name}}
        handling = Handling((), train_ok=False)
        work.record(Event("switch.released", "switch", switch_id, redact(told), handling, severity=Severity.WARNING))
        await work.keep_answer({"switchId": switch_id})
    return table.switch(row)
