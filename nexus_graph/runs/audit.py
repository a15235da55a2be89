"""The journal itself, for owners and admins. Looking is journalled too, once per call."""

from __future__ import annotations

from functools import reduce
from operator import and_

from nexus_graph.runs import table
from nexus_graph.runs.model import AuditFilter
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.clock import iso
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.follower import Entry, entry
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.paging import Page, Window, page
from nexus_graph.stores.work import Stores

MOST_ACTIONS = 100
LONGEST_WORD = 200


async def audit(stores: Stores, scope: Scope, chosen: AuditFilter, window: Window) -> Page[Entry]:
    """Events of the scope, newest first. Raises Invalid for a filter of over 100 actions, or of over-long words."""
    scope.require(Permission.AUDIT_READ)
    if len(chosen.actions) > MOST_ACTIONS:
        raise Invalid(f"A filter names at most {MOST_ACTIONS} actions.", path=("filter", "actions"))
    if max(map(len, (*chosen.actions, chosen.actor or "", chosen.subject or ""))) > LONGEST_WORD:
        raise Invalid(f"An action, actor or subject has at most {LONGEST_WORD} characters.", path=("filter",))
    condition, values = table.audit_conditions(chosen)
    async with stores.read(scope) as read:
        found = await page(read, table.AUDIT + condition, ("seq",), window, entry, descending=True, **values)
    handling = reduce(and_, (item.handling for item in found.items), Handling((), train_ok=True))
    output: Json = {"entries": len(found.items), "seqs": [item.seq for item in (*found.items[:1], *found.items[-1:])]}
    event = Event(
        "audit.read", "journal", scope.env.value, redact({"input": _told(chosen), "output": output}), handling
    )
    await stores.record(scope, RunKind.READ, event)
    return found


def _told(chosen: AuditFilter) -> Json:
    """The filter as the journal shows it: what was set."""
    told: dict[str, Json] = {
        "actions": list(chosen.actions) or None,
        "actor": chosen.actor,
        "subject": chosen.subject,
        "at_from": None if chosen.at_from is None else iso(chosen.at_from),
        "at_to": None if chosen.at_to is None else iso(chosen.at_to),
    }
    return {name: value for name, value in told.items() if value is not None}
