"""Engage a kill switch: at once, with a reason, without a lock."""

from __future__ import annotations

from nexus_graph.safeguards import chain
from nexus_graph.safeguards.model import Deed
from nexus_graph.safeguards.switches import table
from nexus_graph.safeguards.switches.model import Known, Switch, Target, checked_reason
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import pii_flags, redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunKind, Severity
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Stores


async def engage(
    stores: Stores, scope: Scope, known: Known, target: Target, name: str, reason: str, *, once: Once | None = None
) -> Switch:
    """Halt everything (`name` is empty then), an action or a provider. What is halted already keeps its first switch.

    The reason (1 to 500 characters) is told to everybody who is refused. Raises Invalid for a reason or a name that
    will not do, Forbidden, Conflict (idempotency key).
    """
    scope.require(Permission.SWITCHES_ENGAGE)
    known.check(target, name)
    reason = checked_reason(reason)
    async with stores.work(scope, RunKind.ADMIN, once=once) as work:
        answer = await work.earlier_answer()
        if isinstance(answer, dict):
            row = await work.row(table.FIND, switch_id=str(answer["switchId"]))
            if row is None:
                raise NotFound("kill switch")
            return table.switch(row)
        await chain.enforce(work, Deed("engageKillSwitch", Permission.SWITCHES_ENGAGE))
        row = await work.row(table.FIND_ENGAGED, target=target.value, name=name)
        if row is not None:
            return table.switch(row)
        (row,) = await work.write(
            table.ENGAGE,
            switch_id=work.new_id("switch"),
            target=target.value,
            name=name,
            reason=reason,
            by=scope.principal.id,
            now=micros(work.now),
        )
        switch = table.switch(row)
        told: Json = {"input": {"target": target.value, "name": name}}
        handling = Handling(pii_flags(reason), train_ok=False)
        work.record(
            Event("switch.engaged", "switch", switch.switch_id, redact(told), handling, severity=Severity.WARNING)
        )
        await work.keep_answer({"switchId": switch.switch_id})
    return switch
