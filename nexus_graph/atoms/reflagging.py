"""The atoms' part in a new ruleset: what it finds in their texts and in the words of their places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import orjson

from nexus_graph.atoms.model import Span, flags_of
from nexus_graph.safeguards.rulesets import Kept, Step
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.work import Read

_LOOK = Statement(
    "select atom_id, text, span, pii_flags from atoms "
    "where tenant_id = :tenant_id and env = :env and atom_id > :after order by atom_id limit :most"
)
_CHANGE = Statement(
    "update atoms set pii_flags = :flags "
    "where tenant_id = :tenant_id and env = :env and atom_id = :atom_id and pii_flags = :was returning atom_id"
)


async def look(read: Read, after: tuple[Value, ...], most: int) -> Sequence[Kept]:
    """The atoms after this one."""
    rows = await read.rows(_LOOK, after=after[0], most=most)
    return [
        Kept(
            (row["atom_id"],), row["pii_flags"], {"atom_id": row["atom_id"]}, partial(_flags, row["text"], row["span"])
        )
        for row in rows
    ]


def _flags(text: str, span: str) -> Iterable[str]:
    return flags_of([(text, Span(**orjson.loads(span)))])[0]


ATOMS = Step("atoms", ("",), look, _CHANGE)
