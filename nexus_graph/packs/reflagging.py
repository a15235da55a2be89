"""The packs' part in a new ruleset: what it finds in the question, and what the cards that they quote are flagged with.

A pack that an erasure took words out of has no flags, and stays so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import orjson

from nexus_graph.packs.model import unseal
from nexus_graph.safeguards.rulesets import Kept, Step
from nexus_graph.scope.redaction import pii_flags
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.work import Read

_LOOK = Statement(
    "select pack_id, content, pii_flags from packs where tenant_id = :tenant_id and env = :env "
    "and erased is null and pack_id > :after order by pack_id limit :most"
)
_QUOTED = Statement(
    "select distinct quoted.pack_id, version.pii_flags from pack_cards quoted join card_versions version "
    "on version.tenant_id = quoted.tenant_id and version.env = quoted.env and version.card_id = quoted.card_id "
    "and version.version = quoted.version "
    "where quoted.tenant_id = :tenant_id and quoted.env = :env and quoted.pack_id in (:pack_ids...)"
)
_CHANGE = Statement(
    "update packs set pii_flags = :flags where tenant_id = :tenant_id and env = :env and pack_id = :pack_id "
    "and erased is null and pii_flags = :was returning pack_id"
)


async def look(read: Read, after: tuple[Value, ...], most: int) -> Sequence[Kept]:
    """The packs after this one."""
    rows = await read.rows(_LOOK, after=after[0], most=most)
    quoted: dict[str, set[str]] = defaultdict(set)
    for row in await read.rows(_QUOTED, pack_ids=[row["pack_id"] for row in rows]) if rows else ():
        quoted[row["pack_id"]] |= set(orjson.loads(row["pii_flags"]))
    return [
        Kept(
            (row["pack_id"],),
            row["pii_flags"],
            {"pack_id": row["pack_id"]},
            partial(_flags, row["content"], quoted[row["pack_id"]]),
        )
        for row in rows
    ]


def _flags(content: str, quoted: set[str]) -> set[str]:
    return {*pii_flags(unseal(content).ask.json()), *quoted}


PACKS = Step("packs", ("",), look, _CHANGE)
