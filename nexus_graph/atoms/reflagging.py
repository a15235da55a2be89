"""The atoms' part in a new ruleset: what it finds in their texts and in the words of their places."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from nexus_graph.atoms.model import Span, flags_of
from nexus_graph.safeguards.rulesets import step_by_rows
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement

_LOOK = Statement(
    "select atom_id, text, span, pii_flags from atoms "
    "where tenant_id = :tenant_id and env = :env and atom_id > :atom_id order by atom_id limit :most"
)
_CHANGE = Statement(
    "update atoms set pii_flags = :flags "
    "where tenant_id = :tenant_id and env = :env and atom_id = :atom_id and pii_flags = :was returning atom_id"
)


def _flags(row: Row) -> Iterable[str]:
    return flags_of([(row["text"], Span(**orjson.loads(row["span"])))])[0]


ATOMS = step_by_rows("atoms", _LOOK, _CHANGE, first={"atom_id": ""}, evaluate=_flags)
