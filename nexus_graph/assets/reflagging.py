"""The assets' part in a new ruleset: what it finds in the words around a file, and what their atoms are flagged with.

The words are the asset's own, those of the files that it was found in, and what was told of its last derivation. An
asset that was brought in again has flags from words that were not kept. What they may have told stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import orjson

from nexus_graph.safeguards.rulesets import Kept, Step
from nexus_graph.scope.redaction import pii_flags
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.work import Read

_LOOK = Statement(
    "select asset_id, filename, source_ref, capture_location, pii_flags from assets "
    "where tenant_id = :tenant_id and env = :env and state <> 'PURGED' and asset_id > :after "
    "order by asset_id limit :most"
)
_ATOMS = Statement(
    "select distinct asset_id, pii_flags from atoms "
    "where tenant_id = :tenant_id and env = :env and asset_id in (:asset_ids...)"
)
_TOLD = Statement(
    "select asset_id, reason as words from asset_derivations where tenant_id = :tenant_id and env = :env "
    "and asset_id in (:asset_ids...) and reason is not null "
    "union all select asset_id, place from asset_parts where tenant_id = :tenant_id and env = :env "
    "and asset_id in (:asset_ids...) "
    "union all select asset_id, filename from asset_parts where tenant_id = :tenant_id and env = :env "
    "and asset_id in (:asset_ids...)"
)
_AGAIN = Statement(
    "select duplicate_of as asset_id from assets "
    "where tenant_id = :tenant_id and env = :env and duplicate_of in (:asset_ids...) "
    "union select subject_id from journal_events where tenant_id = :tenant_id and env = :env "
    "and action = 'asset.reserved' and subject_id in (:asset_ids...) "
    "and (payload is null or payload like '%\"duplicate\":true%')"
)
_CHANGE = Statement(
    "update assets set pii_flags = :flags where tenant_id = :tenant_id and env = :env and asset_id = :asset_id "
    "and state <> 'PURGED' and pii_flags = :was returning asset_id"
)


async def look(read: Read, after: tuple[Value, ...], most: int) -> Sequence[Kept]:
    """The assets after this one."""
    rows = await read.rows(_LOOK, after=after[0], most=most)
    asset_ids = [row["asset_id"] for row in rows]
    inherited: dict[str, set[str]] = defaultdict(set)
    words = {row["asset_id"]: [row["filename"], row["source_ref"], row["capture_location"]] for row in rows}
    for row in await read.rows(_ATOMS, asset_ids=asset_ids) if rows else ():
        inherited[row["asset_id"]] |= set(orjson.loads(row["pii_flags"]))
    for row in await read.rows(_TOLD, asset_ids=asset_ids) if rows else ():
        words[row["asset_id"]].append(row["words"])
    flagged = [row["asset_id"] for row in rows if set(orjson.loads(row["pii_flags"])) - inherited[row["asset_id"]]]
    again = {row["asset_id"] for row in await read.rows(_AGAIN, asset_ids=flagged)} if flagged else set()
    for row in rows:
        if row["asset_id"] in again:
            inherited[row["asset_id"]] |= set(orjson.loads(row["pii_flags"]))
    return [_kept(row, words[row["asset_id"]], inherited[row["asset_id"]]) for row in rows]


def _kept(row: Row, words: Sequence[str | None], inherited: set[str]) -> Kept:
    return Kept((row["asset_id"],), row["pii_flags"], {"asset_id": row["asset_id"]}, partial(_flags, words, inherited))


def _flags(words: Sequence[str | None], inherited: set[str]) -> set[str]:
    return {*pii_flags([*words]), *inherited}


ASSETS = Step("assets", ("",), look, _CHANGE)
