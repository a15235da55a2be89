"""The cards' part in a new ruleset: what it finds in the text of each version."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from nexus_graph.safeguards.rulesets import Kept, Step
from nexus_graph.scope.redaction import pii_flags
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.work import Read

_LOOK = Statement(
    "select card_id, version, digest, text, pii_flags from card_versions "
    "where tenant_id = :tenant_id and env = :env and (card_id, version) > (:card_id, :version) "
    "order by card_id, version limit :most"
)
_CHANGE = Statement(
    "update card_versions set pii_flags = :flags where tenant_id = :tenant_id and env = :env "
    "and card_id = :card_id and version = :version and digest = :digest and pii_flags = :was returning version"
)


async def look(read: Read, after: tuple[Value, ...], most: int) -> Sequence[Kept]:
    """The versions after this one."""
    card_id, version = after
    rows = await read.rows(_LOOK, card_id=card_id, version=version, most=most)
    return [
        Kept(
            (row["card_id"], row["version"]),
            row["pii_flags"],
            {name: row[name] for name in ("card_id", "version", "digest")},
            partial(pii_flags, row["text"]),
        )
        for row in rows
    ]


CARDS = Step("cards", ("", 0), look, _CHANGE)
