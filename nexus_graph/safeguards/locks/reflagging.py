"""The locks' part in a new ruleset: what it finds in the document and the reason of each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from nexus_graph.safeguards.rulesets import Kept, Step
from nexus_graph.scope.redaction import pii_flags
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.work import Read

_LOOK = Statement(
    "select lock_id, revision, document, reason, pii_flags from strategy_locks "
    "where tenant_id = :tenant_id and env = :env and lock_id > :after order by lock_id limit :most"
)
_CHANGE = Statement(
    "update strategy_locks set pii_flags = :flags where tenant_id = :tenant_id and env = :env and lock_id = :lock_id "
    "and revision = :revision and reason = :reason and pii_flags = :was returning lock_id"
)


async def look(read: Read, after: tuple[Value, ...], most: int) -> Sequence[Kept]:
    """The locks after this one."""
    rows = await read.rows(_LOOK, after=after[0], most=most)
    return [
        Kept(
            (row["lock_id"],),
            row["pii_flags"],
            {name: row[name] for name in ("lock_id", "revision", "reason")},
            partial(pii_flags, [row["document"], row["reason"]]),
        )
        for row in rows
    ]


LOCKS = Step("locks", ("",), look, _CHANGE)
