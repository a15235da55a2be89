"""Release a kill switch: only under an approved Strategy Lock for this very switch."""

from __future__ import annotations

from nexus_graph.safeguards import chain
from nexus_graph.safeguards.model import Change, Deed, switch_release
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
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Read, Stores


async def release(stores: Stores, scope: Scope, switch_id: str, *, once: Once | None = None) -> Switch:
    """Let go on what a switch halted, unless another one halts it too.

    Raises Forbidden, NotFound, Conflict when it was released before, and LockRequired.
    """
    scope.require(Permission.SWITCHES_RELEASE)
    async with stores.work(scope, RunKind.ADMIN, once=once) as work:
        repeated = await work.earlier_answer() is not None
        switch = await _found(work, switch_id)
        if repeated:
            return switch
        _still_engaged(switch)
        deed = Deed("releaseKillSwitch", Permission.SWITCHES_RELEASE, change=switch_release(switch_id))
        await chain.enforce(work, deed)
        (row,) = await work.write(table.RELEASE, switch_id=switch_id, by=scope.principal.id, now=micros(work.now))
        told: Json = {"input": {"target": switch.target.value, "name": switch.name}}
        handling = Handling((), train_ok=False)
        work.record(Event("switch.released", "switch", switch_id, redact(told), handling, severity=Severity.WARNING))
        await work.keep_answer({"switchId": switch_id})
    return table.switch(row)


async def release_change(stores: Stores, scope: Scope, switch_id: str) -> Change:
    """What `release` would do, as a lock binds it. Raises NotFound, Conflict when it was released before."""
    scope.require(Permission.SWITCHES_READ)
    async with stores.read(scope) as read:
        _still_engaged(await _found(read, switch_id))
    return switch_release(switch_id)


async def _found(read: Read, switch_id: str) -> Switch:
    row = await read.row(table.FIND, switch_id=switch_id)
    if row is None:
        raise NotFound("kill switch", path=("input", "switchId"))
    return table.switch(row)


def _still_engaged(switch: Switch) -> None:
    if switch.released_at is not None:
        hint = "Nothing is left to do: look at killSwitches."
        raise Conflict("The kill switch was released before.", hint=hint, path=("input", "switchId"))
