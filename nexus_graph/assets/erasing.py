"""Erasure of raw assets: the rows, and by their keys the objects, of all that a subject brought in.

A file that somebody else brought in as well was never stored twice, so it goes too. One whose words name the subject is
a mention.

What was found inside an asset goes with it, unless it was uploaded by itself, or is a part of something that stays as
well and has the same name there: then it belongs to the author of that, whose bytes hold it anyway. What is named in a
part is named in all that the part was found in: a mention of these as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import Final

from nexus_graph.assets import table
from nexus_graph.assets.model import LONGEST_REFERENCE, AssetState, safe_filename
from nexus_graph.safeguards import quotas
from nexus_graph.safeguards.erasure import Doomed, Step
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Read, Work

_AT_ONCE: Final = 1000

_BROUGHT = Statement(
    "select asset_id, filename, object_key from assets "
    "where tenant_id = :tenant_id and env = :env and created_by = :subject"
)
_NAMING = Statement(
    "select asset_id, filename, capture_location, source_ref from assets "
    "where tenant_id = :tenant_id and env = :env and (filename like :like escape '\\' "
    "or capture_location like :like escape '\\' or source_ref like :like escape '\\')"
)
_NAMING_PARTS = Statement(
    "select parent_id, place, filename from asset_parts where tenant_id = :tenant_id and env = :env "
    "and (place like :like escape '\\' or filename like :like escape '\\')"
)
_KNOWN = Statement(
    "select asset_id, sha256 from assets where tenant_id = :tenant_id and env = :env and asset_id in (:asset_ids...)"
)
_FIND = Statement("select * from assets where tenant_id = :tenant_id and env = :env and asset_id in (:asset_ids...)")
_FORGET = Statement("delete from assets where tenant_id = :tenant_id and env = :env and asset_id in (:asset_ids...)")
_FORGET_DUPLICATES = Statement(
    "update assets set duplicate_of = null "
    "where tenant_id = :tenant_id and env = :env and duplicate_of in (:asset_ids...)"
)
_FOUND_IN = Statement(
    "select part.asset_id, part.parent_id, part.filename, part.place, part.brought, asset.object_key, "
    "parent.created_by, parent.filename as parent_filename, parent.source_ref, parent.captured_at, "
    "parent.capture_location from asset_parts part "
    "join assets asset on asset.tenant_id = part.tenant_id and asset.env = part.env "
    "and asset.asset_id = part.asset_id "
    "join assets parent on parent.tenant_id = part.tenant_id and parent.env = part.env "
    "and parent.asset_id = part.parent_id where part.tenant_id = :tenant_id and part.env = :env "
    "and part.asset_id in (:asset_ids...) order by part.asset_id, parent.created_at, part.parent_id, part.position"
)
_FOUND_INSIDE = Statement(
    "select asset_id from asset_parts where tenant_id = :tenant_id and env = :env and parent_id in (:asset_ids...)"
)
_STILL_BROUGHT = Statement(
    "update asset_parts set brought = true where tenant_id = :tenant_id and env = :env and not brought "
    "and asset_id in (select gone.asset_id from asset_parts gone where gone.tenant_id = :tenant_id "
    "and gone.env = :env and gone.brought and gone.parent_id in (:asset_ids...))"
)
_FORGET_PARTS = Statement(
    "delete from asset_parts where tenant_id = :tenant_id and env = :env "
    "and (parent_id in (:asset_ids...) or asset_id in (:asset_ids...))"
)
_HAND_OVER = Statement(
    "update assets set created_by = :created_by, filename = :filename, source_ref = :source_ref, "
    "captured_at = :captured_at, capture_location = :capture_location "
    "where tenant_id = :tenant_id and env = :env and asset_id = :asset_id"
)


async def _plan(read: Read, doomed: Doomed) -> None:
    doomed.add("assets", await _of_subject(read, doomed))
    naming = [
        row[0]
        for statement in (_NAMING, _NAMING_PARTS)
        for row in await read.rows(statement, like=doomed.target.like)
        if any(doomed.target.name.search(text) for text in row[1:] if text is not None)
    ]
    await mention(read, doomed, naming)
    await goes(read, doomed)


async def mention(read: Read, doomed: Doomed, asset_ids: Sequence[str]) -> None:
    """These assets name the subject, and so does all that they were found in."""
    found, wave = set[str](), {*asset_ids}
    while wave:
        found |= wave
        wave = {row["parent_id"] for row in await _rows(read, _FOUND_IN, wave)} - found
    doomed.mention("assets", found)


async def goes(read: Read, doomed: Doomed) -> None:
    """Add what belongs to the doomed assets: what was found inside them, their objects, the digests of their bytes."""
    wave = set(doomed.of("assets"))
    while wave:
        gone = set(doomed.of("assets"))
        above = await _above(read, {row["asset_id"] for row in await _rows(read, _FOUND_INSIDE, wave)} - gone)
        wave = {one for one, found in above.items() if _came(found) and all(row["parent_id"] in gone for row in found)}
        doomed.add("assets", wave)
    ids = doomed.of("assets")
    doomed.objects.update(f"raw/{asset_id}/" for asset_id in ids)
    doomed.add("digests", [row["sha256"] for row in await _rows(read, _KNOWN, ids)])


async def _of_subject(read: Read, doomed: Doomed) -> set[str]:
    """What the subject brought in, without what came with it and is a part of something that stays as well."""
    rows = await read.rows(_BROUGHT, subject=doomed.subject)
    named = {row["asset_id"] for row in rows if any(doomed.target.name.search(text) for text in row[1:])}
    going = {row["asset_id"] for row in rows} | set(doomed.of("assets"))
    above = await _above(read, going - named - set(doomed.of("assets")))
    came = {asset_id: found for asset_id, found in above.items() if _came(found)}
    while staying := {one for one in going & came.keys() if any(_keeps(row, going) for row in came[one])}:
        going -= staying
    return going


async def _above(read: Read, asset_ids: set[str]) -> dict[str, list[Row]]:
    """Where these assets were found, by their ids, the oldest first; those that were found nowhere are not in it."""
    above: dict[str, list[Row]] = {}
    for row in await _rows(read, _FOUND_IN, asset_ids):
        above.setdefault(row["asset_id"], []).append(row)
    return above


def _came(found: Sequence[Row]) -> bool:
    """Whether an asset that was found here was not uploaded by itself."""
    return any(row["brought"] for row in found)


def _keeps(row: Row, going: Set[str]) -> bool:
    """Whether what a part was found in stays and has the same name for it: an object keeps its key."""
    return row["parent_id"] not in going and str(row["object_key"]).endswith(f"/{safe_filename(row['filename'])}")


async def _erase(work: Work, doomed: Doomed) -> None:
    doomed.add("assets", await _of_subject(work, doomed))  # what a derivation under way found since
    await goes(work, doomed)
    ids = doomed.of("assets")
    for start in range(0, len(ids), _AT_ONCE):
        await work.write(_STILL_BROUGHT, asset_ids=ids[start : start + _AT_ONCE])
    for start in range(0, len(ids), _AT_ONCE):
        await work.write(_FORGET_PARTS, asset_ids=ids[start : start + _AT_ONCE])
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        for asset in [table.asset(row) for row in await work.rows(_FIND, asset_ids=part)]:
            if asset.state is not AssetState.PURGED:
                await quotas.give_back(work, asset.room, settled=asset.state is AssetState.SEALED)
        await work.write(_FORGET_DUPLICATES, asset_ids=part)
        await work.write(_FORGET, asset_ids=part)
    await _hand_over(work, doomed)


async def _hand_over(work: Work, doomed: Doomed) -> None:
    """Give what is left of the subject's to the author of what it is a part of, from the outside to the inside."""
    while left := {row["asset_id"] for row in await work.rows(_BROUGHT, subject=doomed.subject)}:
        above = await _above(work, left)
        kept = {one: [row for row in found if _keeps(row, left)] for one, found in above.items()}
        heirs = {one: found[0] for one, found in kept.items() if found}
        for asset_id, row in heirs.items():
            await work.write(
                _HAND_OVER,
                asset_id=asset_id,
                created_by=row["created_by"],
                filename=row["filename"],
                source_ref=f"{row['source_ref'] or row['parent_filename']}: {row['place']}"[:LONGEST_REFERENCE],
                captured_at=row["captured_at"],
                capture_location=row["capture_location"],
            )
        if not heirs:
            return


async def _rows(read: Read, statement: Statement, asset_ids: Iterable[str]) -> list[Row]:
    ids = sorted(asset_ids)
    return [
        row
        for start in range(0, len(ids), _AT_ONCE)
        for row in await read.rows(statement, asset_ids=ids[start : start + _AT_ONCE])
    ]


STEP: Final = Step("assets", _plan, _erase)
