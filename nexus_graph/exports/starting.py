"""Start an export: what it covers is fixed in the transaction that asks for it; a follower writes it."""

from __future__ import annotations

from collections.abc import Sequence

from nexus_graph import safeguards
from nexus_graph.exports import table
from nexus_graph.exports.model import MOST_RECORDS, Export, ExportKind
from nexus_graph.safeguards import Deed
from nexus_graph.scope.canonical import canonical
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import Invalid, NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Read, Stores


async def start(stores: Stores, scope: Scope, kinds: Sequence[ExportKind], *, once: Once | None = None) -> Export:
    """Ask for an export of all current cards that are not retired, all fresh atoms of sealed assets, or both.

    It has a run of its own, whichever run the caller has open. Raises Invalid for no kind or too many records,
    Withheld when the installation or the tenant withholds consent.
    """
    scope.require(Permission.EXPORTS_WRITE)
    chosen = sorted({*kinds}, reverse=True)  # cards, then atoms
    if not chosen:
        raise Invalid("An export needs at least one kind.", hint="CARD, ATOM or both.", path=("input", "kinds"))
    async with stores.work(scope, RunKind.EXPORT, once=once, run_id=stores.new_id("run")) as work:
        if isinstance(answer := await work.earlier_answer(), str):
            return await _find(work, answer)
        await safeguards.enforce(work, Deed("startExport", Permission.EXPORTS_WRITE))
        counts = {kind: int(await work.value(table.COUNT[kind])) for kind in chosen}
        covered = sum(counts.values())
        if covered > MOST_RECORDS:
            hint = "Export one kind at a time." if len(chosen) > 1 else None
            message = f"The export covers {covered:,} records; at most {MOST_RECORDS:,}."
            raise Invalid(message, hint=hint, path=("input", "kinds"))
        export_id = work.new_id("export")
        await work.write(
            table.ADD,
            export_id=export_id,
            run_id=work.run_id,
            spec=canonical({"kinds": chosen}).decode(),
            requested_by=scope.principal.id,
            requested_at=micros(work.now),
            covered=covered,
        )
        after = 0
        for kind in chosen:
            await work.write(table.COVER[kind], export_id=export_id, after=after)
            after += counts[kind]
        detail = redact({"input": {"kinds": chosen}, "output": {"covered": covered}})
        nothing = Handling((), train_ok=False)
        work.record(Event("export.requested", "export", export_id, detail, nothing, ends=None))
        await work.keep_answer(export_id)
        return await _find(work, export_id)


async def _find(read: Read, export_id: str) -> Export:
    row = await read.row(table.FIND_MANY, ids=[export_id])
    if row is None:
        raise NotFound("export")
    return table.export(row)
