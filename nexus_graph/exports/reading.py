"""Look at exports, list what they left out, and hand out download addresses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from nexus_graph.exports import table
from nexus_graph.exports.model import MANIFEST, Exclusion, Export, ExportState, Part, object_key, part_name
from nexus_graph.exports.writing import withdrawn
from nexus_graph.safeguards import switches
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Conflict, NotFound, Withheld
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.paging import Page, Window, page
from nexus_graph.stores.work import Read, Stores

_AT_ONCE = 1000


async def fetch(stores: Stores, scope: Scope, ids: Sequence[str]) -> dict[str, Export]:
    """The exports of these ids, by id. What is unknown or foreign is not in it."""
    scope.require(Permission.EXPORTS_READ)
    wanted = [*dict.fromkeys(ids)]
    found: dict[str, Export] = {}
    async with stores.read(scope) as read:
        for start in range(0, len(wanted), _AT_ONCE):
            rows = await read.rows(table.FIND_MANY, ids=wanted[start : start + _AT_ONCE])
            found |= {row["export_id"]: table.export(row) for row in rows}
    return found


async def list_exports(stores: Stores, scope: Scope, window: Window) -> Page[Export]:
    """The exports of the scope, latest first."""
    scope.require(Permission.EXPORTS_READ)
    async with stores.read(scope) as read:
        return await page(read, table.EXPORTS, ("export.requested_at", "export.export_id"), window, table.export)


async def parts(stores: Stores, scope: Scope, export_id: str, window: Window) -> Page[Part]:
    """The finished parts of an export, in order; none of one that is not here."""
    scope.require(Permission.EXPORTS_READ)
    async with stores.read(scope) as read:
        return await page(read, table.PARTS, ("part",), window, table.part, descending=False, export_id=export_id)


async def excluded(stores: Stores, scope: Scope, export_id: str, window: Window) -> Page[Exclusion]:
    """What an export left out so far, in its order; nothing of one that is not here."""
    scope.require(Permission.EXPORTS_READ)
    async with stores.read(scope) as read:
        order = ("position",)
        return await page(read, table.EXCLUDED, order, window, table.exclusion, descending=False, export_id=export_id)


async def download_part(stores: Stores, scope: Scope, seconds: int, export_id: str, number: int) -> str:
    """A presigned address of a part, good for `seconds`, journalled before it is handed out.

    Raises NotFound, Conflict for an export that is not done, Halted when the object store is, Withheld when the part
    holds what is withheld or gone by now: consent taken back later reaches what was exported before it, as long as it
    is still here.
    """
    scope.require(Permission.EXPORTS_READ)
    await switches.require(stores, scope, None, switches.OBJECTS)
    async with stores.read(scope) as read:
        _require_done(await _find(read, export_id))
        if await read.row(table.FIND_PART, export_id=export_id, part=number) is None:
            raise NotFound("part")
        if await withdrawn(read, export_id, number) is not None:
            hint = "Start another export: it leaves out what is withheld."
            raise Withheld("Consent to something in this part was taken back since.", hint=hint)
    return await _address(stores, scope, read, seconds, export_id, part_name(number), "application/jsonl")


async def download_manifest(stores: Stores, scope: Scope, seconds: int, export_id: str) -> str:
    """The same for the manifest, which holds ids, digests and reasons alone."""
    scope.require(Permission.EXPORTS_READ)
    await switches.require(stores, scope, None, switches.OBJECTS)
    async with stores.read(scope) as read:
        _require_done(await _find(read, export_id))
    return await _address(stores, scope, read, seconds, export_id, MANIFEST, "application/json")


async def _find(read: Read, export_id: str) -> Export:
    row = await read.row(table.FIND_MANY, ids=[export_id])
    if row is None:
        raise NotFound("export")
    return table.export(row)


def _require_done(export: Export) -> None:
    if export.state is not ExportState.DONE:
        raise Conflict("The export is not done.", hint="Follow its run until it ends.")


async def _address(
    stores: Stores, scope: Scope, read: Read, seconds: int, export_id: str, name: str, content_type: str
) -> str:
    detail: Json = {"input": {"file": name, "seconds": seconds}}
    event = Event("export.downloaded", "export", export_id, redact(detail), Handling((), train_ok=True))
    await stores.record(scope, RunKind.READ, event)
    return await read.blobs.download(
        object_key(export_id, name),
        filename=f"{export_id}-{name}",
        content_type=content_type,
        expires_at=read.now + timedelta(seconds=seconds),
    )
