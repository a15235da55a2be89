"""Training exports: start one, follow it, see what it left out, download it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from nexus_graph import exports, runs
from nexus_graph.api.context import Info
from nexus_graph.api.fields import change, link, read
from nexus_graph.api.idempotency import RepeatableInput, once
from nexus_graph.api.nodes.runs import ResearchRun
from nexus_graph.api.paging import After, Before, Connection, First, Last
from nexus_graph.api.scalars import BigInt, Node, described
from nexus_graph.api.user_errors import UserError
from nexus_graph.exports import ExportKind, ExportState, Reason
from nexus_graph.safeguards.consent.releasing import Layer
from nexus_graph.scope.permission import Permission

described(
    ExportKind,
    "What can be exported.",
    {"CARD": "Current versions of cards that are not retired.", "ATOM": "Atoms of sealed assets that are not stale."},
)
described(
    ExportState,
    "How far an export is.",
    {
        "RUNNING": "It is being written: its run's log tells how far it is.",
        "DONE": "Its files can be downloaded.",
        "FAILED": "It was given up: its run's log tells why. Start another one.",
        "ERASED": "It covered something that was erased since, so its files are gone. Start another one.",
    },
)
described(
    Reason,
    "Why a record was left out of an export.",
    {
        "TRAIN_NOT_OK": "Somebody withholds consent.",
        "GONE": "It was erased since the export began.",
        "TOO_LARGE": "It is too large to be redacted.",
    },
    name="ExclusionReason",
)
described(
    Layer,
    "Who may withhold consent to training.",
    {
        "INSTALLATION": "The operator, for everything.",
        "TENANT": "The tenant, for this env.",
        "USER": "Whoever brought the record in.",
        "RECORD": "What was declared of the record itself.",
        "ANCESTOR": "Something that the record was made of or cites.",
    },
    name="ConsentLayer",
)


@strawberry.type(description="How many records an export has to do with.")
class ExportCounts:
    """Counts."""

    covered: int = strawberry.field(description="Records that it looks at, fixed at its start.")
    decided: int = strawberry.field(description="Records that it has decided about so far.")
    included: int = strawberry.field(description="Records in it so far.")
    excluded: int = strawberry.field(description="Records left out so far.")


@strawberry.type(description="A file of an export: JSON Lines, one record a line.")
class ExportPart:
    """A finished part."""

    export_id: strawberry.Private[str]
    number: int = strawberry.field(description="Its place, from 1.")
    records: int = strawberry.field(description="How many records.")
    size_bytes: BigInt = strawberry.field(description="How many bytes.")
    digest: str = strawberry.field(description="SHA-256 of the bytes, in hexadecimal.")

    @read(
        Permission.EXPORTS_READ,
        "A short-lived address that answers with the bytes. WITHHELD once consent to something in it was taken back.",
    )
    async def download_address(self, info: Info) -> str | None:
        """A presigned download."""
        house, scope = info.context.house, info.context.scope
        seconds = house.config.address_seconds
        return await exports.download_part(house.stores, scope, seconds, self.export_id, self.number)


@strawberry.type(description="What is in an export, and what is not and why: JSON, the same bytes for the same state.")
class ExportManifest:
    """The manifest of an export that is done."""

    export_id: strawberry.Private[str]
    size_bytes: BigInt = strawberry.field(description="How many bytes.")
    digest: str = strawberry.field(description="SHA-256 of the bytes, in hexadecimal.")

    @read(Permission.EXPORTS_READ, "A short-lived address that answers with the bytes.")
    async def download_address(self, info: Info) -> str | None:
        """A presigned download."""
        house, scope = info.context.house, info.context.scope
        return await exports.download_manifest(house.stores, scope, house.config.address_seconds, self.export_id)


@strawberry.type(description="A record that an export left out.")
class ExcludedRecord:
    """An exclusion."""

    record_id: strawberry.ID = strawberry.field(description="A card version (card_...:3) or an atom.")
    reason: Reason = strawberry.field(description="Why.")
    layer: Layer | None = strawberry.field(description="Who withholds consent, where that is the reason.")

    @classmethod
    def of(cls, excluded: exports.Exclusion) -> ExcludedRecord:
        """From the room's value."""
        return cls(record_id=strawberry.ID(excluded.record_id), reason=excluded.reason, layer=excluded.layer)


@strawberry.type(description="A training export: what may leave of this tenant and env, redacted, and what may not.")
class TrainingExport(Node):
    """An export."""

    id: strawberry.ID = strawberry.field(description="The export's id.")
    run_id: strawberry.Private[str]
    state: ExportState = strawberry.field(description="How far it is.")
    kinds: list[ExportKind] = strawberry.field(description="What it covers.")
    counts: ExportCounts = strawberry.field(description="How many records.")
    requested_by: str = strawberry.field(description="Who started it.")
    requested_at: datetime = strawberry.field(description="When it was started.")
    finished_at: datetime | None = strawberry.field(description="When it was done; null before that.")
    manifest_digest: str | None = strawberry.field(description="SHA-256 of the manifest; null until it is done.")
    manifest: ExportManifest | None = strawberry.field(description="Its manifest; null until it is done.")

    @classmethod
    def of(cls, export: exports.Export) -> TrainingExport:
        """From the room's value."""
        return cls(
            id=strawberry.ID(export.export_id),
            run_id=export.run_id,
            state=export.state,
            kinds=list(export.kinds),
            counts=ExportCounts(
                covered=export.covered,
                decided=export.position,
                included=export.included,
                excluded=export.excluded,
            ),
            requested_by=export.requested_by,
            requested_at=export.requested_at,
            finished_at=export.finished_at,
            manifest_digest=export.manifest_digest,
            manifest=_manifest(export),
        )

    @link(
        Permission.RUNS_READ,
        "Its run: the log tells its progress, live through `runLog`.",
        lambda loaders: loaders.runs,
        lambda own: own.run_id,
    )
    def run(self, found: runs.Run | None) -> ResearchRun | None:
        """The run; none after a dry run."""
        return ResearchRun.of(found) if found else None

    @read(Permission.EXPORTS_READ, "Its finished parts, in order.")
    async def parts(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[ExportPart]:
        """A page of parts."""
        context, own = info.context, str(self.id)
        cursors = context.house.cursors.list_of(context.scope, "exportParts", own)
        window = cursors.window(first, after, last, before)
        page = await exports.parts(context.house.stores, context.scope, own, window)
        return cursors.connection(page, lambda part: _part(own, part))

    @read(Permission.EXPORTS_READ, "What it left out so far, in its order.")
    async def excluded(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[ExcludedRecord]:
        """A page of exclusions."""
        context, own = info.context, str(self.id)
        cursors = context.house.cursors.list_of(context.scope, "exportExcluded", own)
        window = cursors.window(first, after, last, before)
        page = await exports.excluded(context.house.stores, context.scope, own, window)
        return cursors.connection(page, ExcludedRecord.of)


def _manifest(export: exports.Export) -> ExportManifest | None:
    if export.manifest_digest is None or export.manifest_size is None:
        return None
    size = BigInt(export.manifest_size)
    return ExportManifest(export_id=export.export_id, size_bytes=size, digest=export.manifest_digest)


def _part(export_id: str, part: exports.Part) -> ExportPart:
    return ExportPart(
        export_id=export_id,
        number=part.number,
        records=part.records,
        size_bytes=BigInt(part.size),
        digest=part.digest,
    )


@strawberry.input(description="What to export.")
class StartExportInput(RepeatableInput):
    """Input of startExport."""

    kinds: list[ExportKind] = strawberry.field(description="At least one kind of record.")


@strawberry.type(description="The export that was started.")
class StartExportPayload:
    """Payload of startExport."""

    export: TrainingExport | None = strawberry.field(default=None, description="The export; null when refused.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to mend; empty on success.")


@strawberry.type
class ExportQuery:
    """Queries of the room."""

    @read(Permission.EXPORTS_READ, "A training export by its id; null when there is none here.")
    async def export(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> TrainingExport | None:
        """One export."""
        found = await info.context.loaders.exports.load(str(id))
        return TrainingExport.of(found) if found else None

    @read(Permission.EXPORTS_READ, "Training exports, latest first.")
    async def exports(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[TrainingExport]:
        """A page of exports."""
        context = info.context
        cursors = context.house.cursors.list_of(context.scope, "exports")
        window = cursors.window(first, after, last, before)
        page = await exports.list_exports(context.house.stores, context.scope, window)
        return cursors.connection(page, TrainingExport.of)


@strawberry.type
class ExportMutation:
    """Mutations of the room."""

    @change(
        Permission.EXPORTS_WRITE,
        "Export all records that may be trained on. WITHHELD when the installation or the tenant withholds consent.",
        locked=None,
    )
    async def start_export(
        self, info: Info, input: Annotated[StartExportInput, strawberry.argument(description="What to export.")]
    ) -> StartExportPayload:
        """Start an export."""
        stores, scope = info.context.house.stores, info.context.scope
        started = await exports.start(stores, scope, input.kinds, once=once("startExport", input))
        return StartExportPayload(export=TrainingExport.of(started))
